"""``status.yaml``: what must be acted on comes first, the counts add up, and it never grows beyond its limit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comfywatch.jobs import Job, JobState, Post
from comfywatch.link import Link
from comfywatch.problems import Problem, Severity
from comfywatch.status import MAX_BYTES, MAX_PROBLEMS, Entry, Project, rendered
from tests.made import NOON, PROMPT_ID, Listed, a_job

LINK = Link(url="http://127.0.0.1:8188", poll_seconds=5.0).answered(now=0.0)
HOUR = timedelta(hours=1)


def written(*entries: Entry, **changes: Any) -> bytes:
    """The file as it lies on the disk."""
    project = Project(**{"name": "my-film", "link": LINK, "host": "gpu-box", **changes})
    return rendered(project, Listed(entries), at=NOON, next_within=HOUR)


def status(*entries: Entry, **changes: Any) -> dict[str, Any]:
    data = written(*entries, **changes)
    assert len(data) <= MAX_BYTES
    loaded = yaml.load(data, Loader=yaml.CSafeLoader)  # as other programs read it
    assert isinstance(loaded, dict)
    return loaded


def entry(path: str, state: str, *, reason: str = "", note: str = "", **changes: Any) -> Entry:
    return Entry(path=path, job=a_job(path=path, state=JobState(state), **changes), reason=reason, note=note)


# ---- the head


def test_the_head_says_whose_it_is_how_fresh_and_what_comfyui_does() -> None:
    told = status()
    keys = ["schema", "project", "updated", "daemon", "comfyui", "counts", "notices", "workflows", "omitted"]
    assert list(told) == keys
    assert (told["schema"], told["project"], told["omitted"]) == (1, "my-film", 0)
    assert told["updated"] == NOON
    assert told["daemon"] == {"host": "gpu-box", "state": "running", "next_update_by": NOON + HOUR}
    assert told["comfyui"] == {"url": "http://127.0.0.1:8188", "state": "up", "version": "", "message": ""}
    assert told["counts"] == {str(state): 0 for state in JobState}


def test_people_are_told_that_edits_are_overwritten() -> None:
    assert written().startswith(b"# Written by comfywatch; edits are overwritten.\n")


def test_a_daemon_that_stops_says_so() -> None:
    assert status(is_stopping=True)["daemon"]["state"] == "stopped"


@pytest.mark.parametrize(
    ("link", "state"),
    [
        (LINK.refused("nothing listens there", now=1.0), "down"),
        (LINK.timed_out("no answer in 30 s", now=1.0), "busy"),
    ],
)
def test_comfyuis_state_comes_with_its_message(link: Link, state: str) -> None:
    told = status(link=link)["comfyui"]
    assert (told["state"], told["message"]) == (state, link.message)


# ---- the workflows


def test_a_workflow_is_told_with_its_run_and_times() -> None:
    told = status(
        entry("a.json", "running", run=3, prompt_id=PROMPT_ID, post=Post.ACCEPTED, submitted=NOON, started=NOON)
    )
    assert told["workflows"] == {
        "a.json": {"state": "running", "run": 3, "prompt_id": PROMPT_ID, "submitted": NOON, "started": NOON}
    }


def test_what_ended_says_where_its_outputs_are() -> None:
    told = status(entry("shots/a.json", "completed", run=3, finished=NOON, outcome={"seconds": 4.5}))
    assert told["workflows"]["shots/a.json"]["outputs"] == "outputs/shots/a/003"
    assert told["workflows"]["shots/a.json"]["seconds"] == 4.5


def test_what_waits_says_why() -> None:
    told = status(entry("a.json", "pending", reason="ComfyUI is down"), arriving={"b.json": "being written"})
    assert told["workflows"]["a.json"] == {"state": "pending", "reason": "ComfyUI is down"}
    assert told["workflows"]["b.json"] == {"state": "pending", "reason": "being written"}
    assert told["counts"]["pending"] == 2


def test_problems_are_told_with_place_code_sentence_and_mend_and_without_traceback() -> None:
    problem = Problem(
        code="value_not_in_list",
        message="Model 'flux1-dev.safetensors' is not installed in checkpoints.",
        fix="Download https://example.org into models/checkpoints/",
        node="4",
        class_type="CheckpointLoaderSimple",
        input="ckpt_name",
        traceback=("Traceback …",),
    )
    told = status(entry("a.json", "blocked", problems=(problem,), hint="a hint"))["workflows"]["a.json"]
    assert told["hint"] == "a hint"
    assert told["problems"] == [
        {
            "node": "4",
            "class_type": "CheckpointLoaderSimple",
            "input": "ckpt_name",
            "code": "value_not_in_list",
            "message": problem.message,
            "fix": problem.fix,
        }
    ]


def test_at_most_ten_problems_are_told_and_how_many_more_there_are() -> None:
    problems = tuple(Problem(code="x", message=f"{n}", severity=Severity.WARNING) for n in range(25))
    told = status(entry("a.json", "blocked", problems=problems))["workflows"]["a.json"]
    assert len(told["problems"]) == MAX_PROBLEMS == 10
    assert told["more_problems"] == 15
    assert "more_problems" not in status(entry("a.json", "blocked", problems=problems[:10]))["workflows"]["a.json"]


def test_a_hint_is_told_also_alone_and_what_is_well_takes_one_line() -> None:
    assert status(entry("a.json", "failed", hint="Mend it."))["workflows"]["a.json"]["hint"] == "Mend it."
    assert b"\n  a.json: {state: queued, run: 3}\n" in written(entry("a.json", "queued", run=3))


def test_the_order_is_by_what_people_look_for_first() -> None:
    mixed = [
        entry("completed-old.json", "completed", finished=NOON - HOUR),
        entry("pending.json", "pending"),
        entry("invalid.json", "invalid"),
        entry("cancelled.json", "cancelled", finished=NOON - 2 * HOUR),
        entry("blocked.json", "blocked"),
        entry("failed.json", "failed", finished=NOON),
        entry("completed-new.json", "completed", finished=NOON),
        entry("queued-10.json", "queued"),
        entry("queued-9.json", "queued"),
        entry("running.json", "running"),
    ]
    told = status(*mixed, arriving={"arriving.json": "being written"})
    assert [path.removesuffix(".json") for path in told["workflows"]] == [
        "running",
        "queued-9",
        "queued-10",
        "failed",
        "blocked",
        "invalid",
        "pending",
        "arriving",
        "completed-new",
        "completed-old",
        "cancelled",
    ]


def test_a_note_is_told_and_that_a_file_is_gone() -> None:
    gone = Entry(path="b.json", job=a_job(path="b.json", state=JobState.COMPLETED), is_gone=True)
    told = status(entry("a.json", "completed", note="unchanged since run 3"), gone)["workflows"]
    assert told["a.json"]["note"] == "unchanged since run 3"
    assert "no longer there" in told["b.json"]["note"]


def test_notices_are_told() -> None:
    notice = "workflows/shot.json.txt is not read; rename it to shot.json"
    assert status(notices=(notice,))["notices"] == [notice]


# ---- its size


LONG = "It was found in the archive. " * 30


def flood(count: int, **changes: Any) -> list[Entry]:
    """Finished runs with much to be said of each, the newest last."""
    return [
        entry(f"{n}.json", "completed", note=LONG, run=1, finished=NOON + timedelta(seconds=n), **changes)
        for n in range(count)
    ]


def test_a_flood_is_cut_and_the_rest_counted() -> None:
    told = status(*flood(5000))
    assert told["counts"]["completed"] == 5000
    assert told["omitted"] == 5000 - len(told["workflows"]) > 0


def test_the_room_is_used() -> None:
    assert len(written(*flood(5000))) > 0.99 * MAX_BYTES


def test_what_fits_is_not_cut() -> None:
    told = status(*flood(200))
    assert (len(told["workflows"]), told["omitted"]) == (200, 0)


def test_the_newest_finished_are_kept_and_what_must_be_acted_on() -> None:
    told = status(*flood(1000), entry("broken.json", "failed", problems=(Problem(code="x", message="y"),)))
    shown = list(told["workflows"])
    assert shown[0] == "broken.json"
    assert shown[1:] == [f"{n}.json" for n in range(999, 1000 - len(shown), -1)]


def test_what_does_not_fit_leaves_its_room_to_others() -> None:
    huge = tuple(Problem(code="x", message="\U0010ffff" * 1000, fix="\U0010ffff" * 1000) for _ in range(10))
    told = status(*(entry(f"huge-{n}.json", "failed", problems=huge) for n in range(4)), *flood(10))
    assert told["omitted"] > 0
    assert told["workflows"]["9.json"]["state"] == "completed"


def test_no_text_of_others_makes_it_too_large() -> None:
    """Signs that take ten bytes each in the file, wherever a person, a package or a proxy may put them."""
    loud = "\U0010ffff" * 100_000
    problem = Problem(code="x", message=loud, fix=loud)
    link = LINK.strange(loud, now=1.0)
    wordy = [entry(f"{n}.json", "failed", problems=(problem,) * 40, hint=loud, note=loud) for n in range(20)]
    told = status(*wordy, link=link, notices=(loud,) * 100)
    assert told["counts"]["failed"] == 20
    assert len(told["workflows"]) + told["omitted"] == 20


texts = st.text(max_size=30) | st.text("\u2028\U0001f600\x01\"'{}[]:,#&* \n", max_size=200)
moments = st.none() | st.integers(-(10**9), 10**9).map(lambda seconds: NOON + timedelta(seconds=seconds))
problems = st.builds(
    Problem, code=texts, message=texts, fix=texts, node=texts, class_type=texts, traceback=st.just(("x",))
)
jobs = st.builds(
    a_job,
    state=st.sampled_from(JobState),
    run=st.none() | st.integers(1, 10**6),
    prompt_id=st.sampled_from(["", PROMPT_ID]),
    problems=st.lists(problems, max_size=12).map(tuple),
    hint=texts,
    outcome=st.none() | st.fixed_dictionaries({"seconds": st.none() | st.floats(0, 1e9)}),
    submitted=moments,
    finished=moments,
)


def entries_of(paths: list[str], jobs: list[Job], times: int, reason: str) -> tuple[Entry, ...]:
    return tuple(
        Entry(path=f"{n}/{path}", job=job, reason=reason, note=reason)
        for n in range(times)
        for path, job in zip(paths, jobs, strict=False)
    )


projects = st.builds(
    lambda entries, **rest: {"entries": entries, **rest},
    entries=st.builds(
        entries_of, st.lists(texts, max_size=6, unique=True), st.lists(jobs, max_size=6), st.integers(1, 40), texts
    ),
    name=texts,
    host=texts,
    arriving=st.dictionaries(texts, texts, max_size=3),
    notices=st.lists(texts, max_size=60).map(tuple),
    is_stopping=st.booleans(),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(projects)
def test_it_is_always_valid_small_enough_and_its_counts_add_up(project: dict[str, Any]) -> None:
    entries = project["entries"]
    told = status(*entries, **{key: value for key, value in project.items() if key != "entries"})
    assert sum(told["counts"].values()) == len(entries) + len(project["arriving"])
    assert len(told["workflows"]) + told["omitted"] == sum(told["counts"].values())
    for plain in told["workflows"].values():
        assert plain["state"] in set(map(str, JobState))
        assert "traceback" not in str(plain)
