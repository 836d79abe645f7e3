"""Each ``result.yaml`` is the proof of a finished run; what cannot be read proves nothing, and stops nothing."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfywatch import plain_yaml
from comfywatch.jobs import JobState
from comfywatch.past import PastRun, past_runs
from tests.made import NOON, PROMPT_ID

GOOD: dict[str, Any] = {
    "schema": 1,
    "digest": "abc",
    "state": "completed",
    "prompt_id": PROMPT_ID,
    "finished": NOON,
}


def put(project: Path, run: str, result: Any, workflow: str = "shots/a") -> Path:
    folder = project / "outputs" / workflow / run
    folder.mkdir(parents=True, exist_ok=True)
    data = result if isinstance(result, bytes) else plain_yaml.dump(result)
    (folder / "result.yaml").write_bytes(data)
    return folder


def runs(project: Path) -> list[PastRun]:
    return past_runs(project, "shots/a.json")


def test_finished_runs_are_found_oldest_first(tmp_path: Path) -> None:
    put(tmp_path, "010", {**GOOD, "state": "failed"})
    put(tmp_path, "009", GOOD)
    put(tmp_path, "1000", {**GOOD, "state": "cancelled"})
    put(tmp_path, "001", GOOD, workflow="shots/b")
    assert [(past.run, str(past.state)) for past in runs(tmp_path)] == [
        (9, "completed"),
        (10, "failed"),
        (1000, "cancelled"),
    ]
    assert runs(tmp_path)[0] == PastRun(
        run=9, digest="abc", state=JobState.COMPLETED, prompt_id=PROMPT_ID, finished=NOON
    )


def test_without_outputs_there_are_none(tmp_path: Path) -> None:
    assert runs(tmp_path) == []


def test_a_run_without_its_result_is_not_finished(tmp_path: Path) -> None:
    (put(tmp_path, "001", GOOD) / "result.yaml").unlink()
    assert runs(tmp_path) == []


@pytest.mark.parametrize(
    "result",
    [
        b"",
        b"\xff\xfe\xff",
        b"- a list",
        b"a: [",
        b"a: &x 1\nb: *x\n",
        {},
        {**GOOD, "state": "running"},
        {**GOOD, "state": ["completed"]},
        {**GOOD, "state": {"completed": 1}},
        {**GOOD, "state": None},
        b"state: completed\nx: " + b"y" * 5 * 2**20,
    ],
    ids=lambda result: repr(result)[:30],
)
def test_a_result_that_is_none_stops_nothing(tmp_path: Path, result: Any) -> None:
    put(tmp_path, "001", result)
    put(tmp_path, "002", GOOD)
    assert [past.run for past in runs(tmp_path)] == [2]


@pytest.mark.parametrize("name", ["notes", "1", "\u0660\u0660\u0661", "-01", "9" * 30, "000", "1e3"])
def test_a_folder_that_is_no_run_is_passed_over(tmp_path: Path, name: str) -> None:
    put(tmp_path, name, GOOD)
    assert runs(tmp_path) == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = put(tmp_path / "elsewhere", "001", GOOD)
    (tmp_path / "outputs" / "shots" / "a").mkdir(parents=True)
    (tmp_path / "outputs" / "shots" / "a" / "001").symlink_to(elsewhere)
    assert runs(tmp_path) == []


@pytest.mark.parametrize(
    ("finished", "known"),
    [(b"2026-11-23", None), (b"yesterday", None), (b"", None), (b"2026-11-23 12:00:00", datetime(2026, 11, 23, 12))],  # noqa: DTZ001  # without a zone is what is tested
)
def test_a_time_may_be_missing_or_without_its_zone(tmp_path: Path, finished: bytes, known: datetime | None) -> None:
    put(tmp_path, "001", b"state: completed\nfinished: " + finished + b"\n")
    assert runs(tmp_path)[0].finished == (known.replace(tzinfo=UTC) if known else None)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["completed", "failed"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["state", "digest", "prompt_id", "finished", "x"]), values))
def test_whatever_people_write_there_it_is_read_or_left(result: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder), "001", result)
        found = runs(Path(folder))
    assert len(found) == (result.get("state") in ["completed", "failed"])
