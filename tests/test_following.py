"""What ``status --follow`` shows: on a terminal in place and never too wide, elsewhere line by line."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from comfywatch import live
from comfywatch.cli import app
from comfywatch.commands import following
from comfywatch.commands.following import Glance
from comfywatch.commands.said import Said
from comfywatch.commands.terminal import Line, board
from comfywatch.jobs import Job, JobState
from comfywatch.problems import Problem
from comfywatch.progress import Progress
from comfywatch.settings import Settings
from comfywatch.store import Store
from tests.made import NOON, a_job

NOW = datetime(2040, 1, 1, tzinfo=UTC)


def shown(lines: list[Line], *, width: int = 80) -> list[str]:
    """As it looks on a terminal of that width."""
    console = Console(file=io.StringIO(), width=width, height=24, force_terminal=True, color_system=None)
    console.print(board(["comfywatch is running."], lines, "Ctrl-C ends this view only."))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


RUNNING = Line(name="my-film/shot-01.json", run="3", state="running", percent=37, what="41 s left  KSampler 7/20")


def test_a_running_job_has_a_bar_its_percent_and_the_time_that_is_left() -> None:
    (row,) = [row for row in shown([RUNNING]) if "shot-01" in row]
    assert "━" in row
    assert row.rstrip().endswith("37 % 41 s left  KSampler 7/20")


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    long = Line(name="film/" + "x" * 300, run="1234", state="pending", what="waits for " + "y" * 300)
    rows = shown([RUNNING, long, replace(long, percent=5)], width=width)
    assert max(map(len, rows)) <= width
    assert len(rows) == 7


def test_no_name_can_steer_the_terminal() -> None:
    rows = shown([Line(name="film/\x1b[2Ja\n.json", state="pending", what="\x1b]0;x\a[red]")])
    assert not {"\x1b", "\a"} & set("".join(rows))
    assert "[red]" in "".join(rows)


# ---- line by line


def glance(
    *unfinished: Job, finished: tuple[Job, ...] = (), percent: int | None = None, left: int | None = 41
) -> Glance:
    told = Progress(percent=percent or 0, node="KSampler", step="7/20", seconds=12, eta_seconds=left)
    progress = {job.id: told for job in unfinished} if percent is not None else {}
    return Glance(is_running=True, comfyui="is up", unfinished=unfinished, finished=finished, progress=progress)


def lines_of(capsys: pytest.CaptureFixture[str], *glances: Glance) -> list[str]:
    following._tell(iter(glances))
    return [line[10:] for line in capsys.readouterr().out.splitlines()]


def test_each_change_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    job = a_job(run=1)
    running = replace(job, state=JobState.RUNNING)
    done = replace(job, state=JobState.COMPLETED)
    before = a_job(id=9, path="old.json", state=JobState.COMPLETED, run=2)
    assert lines_of(
        capsys,
        glance(job, finished=(before,)),
        glance(job, finished=(before,)),
        glance(running, finished=(before,), percent=37),
        glance(running, finished=(before,), percent=38),
        glance(finished=(done, before)),
    ) == [
        "comfywatch is running; ComfyUI is up.",
        "film/a.json  run 1  pending",
        "film/a.json  run 1  running  37 %  41 s left  KSampler 7/20",
        "film/a.json  run 1  completed  outputs/a/001",
    ]


def test_what_a_job_waits_for_and_what_went_wrong_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Problem(code="x", message="Model 'a' is not installed.", fix="Get it.")
    waits = a_job()
    said = {"film": Said(rows={"a.json": {"state": "pending", "reason": "waits for its turn"}})}
    blocked = a_job(id=2, path="b.json", state=JobState.BLOCKED, problems=(problem,))
    failed = a_job(id=3, path="c.json", state=JobState.FAILED, run=1, problems=(problem,))
    seen = replace(glance(waits, blocked, finished=()), said=said)
    assert lines_of(capsys, seen, replace(seen, finished=(failed,)))[1:] == [
        "film/a.json  pending  waits for its turn",
        "film/b.json  blocked  Model 'a' is not installed.",
        "film/c.json  run 1  failed  Model 'a' is not installed.",
    ]


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (99, "99 s"), (120, "2 min"), (7200, "2 h 0 min")])
def test_how_long_it_takes_is_said_as_people_do(seconds: int, words: str) -> None:
    assert following._long(seconds) == words


def test_in_a_first_run_it_says_how_long_it_has_been() -> None:
    (line,) = following._lines(glance(a_job(state=JobState.RUNNING), percent=5, left=None), room=5)
    assert line.what == "12 s so far  KSampler 7/20"


def test_a_job_that_has_ended_in_comfyui_has_no_bar_any_more() -> None:
    ended = a_job(state=JobState.RUNNING, outcome={"state": "completed"})
    (line,) = following._lines(glance(ended, percent=5), room=5)
    assert line.percent is None


def test_on_a_small_terminal_what_is_under_way_and_what_ended_both_have_room() -> None:
    jobs = tuple(a_job(id=number) for number in range(20))
    ended = tuple(a_job(id=100 + number, state=JobState.COMPLETED, run=1) for number in range(5))
    lines = list(following._lines(glance(*jobs, finished=ended), room=6))
    assert [line.state for line in lines] == ["pending"] * 4 + ["completed"] * 2


def test_json_and_follow_are_not_for_one_another() -> None:
    result = CliRunner().invoke(app, ["status", "--json", "--follow"])
    assert result.exit_code == 2
    assert "choose one" in result.output


# ---- what is read


def test_only_as_much_is_read_as_can_be_shown(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    settings.state.mkdir()
    store = Store(settings.database)
    for number in range(30):
        project = "film" if number % 2 else "movie"
        store.add_job(a_job(project=project, path=f"{number}.json"), b"{}")
        store.save_job(store.add_job(a_job(project=project, state=JobState.COMPLETED, finished=NOON), b"{}"))
    store.commit()
    seen = following._glance(settings, store, "film", is_running=False, room=4)
    assert [job.path for job in seen.unfinished] == ["1.json", "3.json", "5.json", "7.json"]
    assert {job.project for job in seen.finished} == {"film"}
    assert len(seen.finished) == following.FINISHED_SHOWN
    assert seen.counts == {JobState.PENDING: 15}
    store.close()


def test_without_a_database_there_is_nothing_to_see_yet(tmp_path: Path) -> None:
    seen = following._glance(Settings(root=tmp_path), None, None, is_running=False, room=4)
    assert following._head(seen) == [following.NOT_RUNNING, "Nothing is under way."]


# ---- the file between the daemon and those who follow


def test_what_the_daemon_writes_is_what_who_follows_reads(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    told = {7: Progress(percent=37, node_id="3", node="KSampler", title="Draw", step="7/20", seconds=3, eta_seconds=5)}
    path.write_bytes(live.content(told))
    assert live.written(path, at=datetime.now(UTC)) == told


def test_what_was_written_long_ago_is_not_true_any_more(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    path.write_bytes(live.content({7: Progress(percent=37)}))
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    assert live.written(path, at=datetime.now(UTC)) == {}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"jobs": 3}', '{"jobs": {"x": {}}}', '{"jobs": {"1": {"percent": "9"}}}']
)
def test_a_file_that_makes_no_sense_is_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "live.json").write_text(content)
    assert live.written(tmp_path / "live.json", at=datetime.now(UTC)) == {}


def test_a_newer_daemon_may_say_more(tmp_path: Path) -> None:
    (tmp_path / "live.json").write_text(json.dumps({"jobs": {"1": {"percent": 9, "colour": "red"}}}))
    assert live.written(tmp_path / "live.json", at=datetime.now(UTC)) == {1: Progress(percent=9)}


def test_somebody_follows_for_some_seconds_after_each_touch(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    assert not live.is_wanted(path, at=NOW)
    live.want(path)
    assert live.is_wanted(path, at=datetime.now(UTC))
    assert not live.is_wanted(path, at=NOW)


def test_where_nobody_can_say_that_he_follows_there_is_no_error(tmp_path: Path) -> None:
    live.want(tmp_path / "nowhere" / "live.json")
