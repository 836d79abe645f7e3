"""From files to jobs: what was dropped is never lost, nothing runs twice, and events and a rescan come to the same."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfywatch import plain_yaml
from comfywatch.intake import ARCHIVED, Intake, Pace
from comfywatch.jobs import Fact, Job, JobState, Post, Wish
from comfywatch.ledger import Ledger
from comfywatch.store import FileRecord, Store
from comfywatch.tree import read_forest
from comfywatch.workflow import read_workflow
from tests.made import NOON, PROMPT_ID
from tests.world import picture

PACE = Pace(settle_seconds=1.0, delete_grace_seconds=10.0, max_workflow_bytes=100_000)


class Desk:
    """An intake on real folders; time passes only when a test says so."""

    def __init__(self, folder: Path, store: Store, **options: Any) -> None:
        self.projects = folder / "projects"
        self.ledger = Ledger(store)
        options = {"archive_before_ns": None, "hold_archive": True, **options}
        self.intake = Intake(self.ledger, self.projects, PACE, **options)
        self.now = 100.0
        self._ticks = 0
        self.workflows()

    # --- what people do

    def workflows(self, project: str = "film") -> Path:
        folder = self.projects / project / "workflows"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def put(self, path: str, content: Any, project: str = "film") -> None:
        """In place, with a time of its own: two writes within one tick of the disk's clock would look alike."""
        file = self.workflows(project) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        self._ticks += 1
        os.utime(file, ns=(self._ticks, self._ticks))

    def move(self, old: str, new: str) -> None:
        target = self.projects / new
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.projects / old).rename(target)

    def remove(self, path: str, project: str = "film") -> None:
        (self.workflows(project) / path).unlink()

    # --- what the daemon does

    def event(self, path: str, project: str = "film") -> None:
        key = self.intake.classify(self.projects / project / "workflows" / path)
        if key is not None:
            self.intake.look([key], now=self.now)

    def scan(self) -> None:
        self.intake.look_through(read_forest(self.projects), now=self.now)

    def take(self) -> None:
        self.intake.take(now=self.now, at=NOON + timedelta(seconds=self.now))

    def see(self, seconds: float = 0.0) -> None:
        """Time passes; then the folders are looked through and what is due is taken."""
        self.now += seconds
        self.scan()
        self.take()

    def settle(self) -> None:
        """Look until nothing more is waited for."""
        self.see()
        for _ in range(4):
            self.see(PACE.settle_seconds)

    # --- what comes of it

    def record(self, path: str, project: str = "film") -> FileRecord | None:
        return self.ledger.file(project, path)

    def job(self, path: str, project: str = "film") -> Job:
        """The latest job of a path."""
        record = self.record(path, project)
        assert record is not None
        job = self.ledger.latest(record)
        assert job is not None
        return job

    def jobs(self, path: str, project: str = "film") -> list[str]:
        """The states of all jobs of a path, oldest first."""
        return [str(job.state) for job in reversed(self.ledger.store.jobs_of(project, path))]

    def end(self, path: str, fact: Fact, project: str = "film") -> None:
        """Run a job to its end."""
        job = self.job(path, project)
        self.ledger.change(job.after(Fact.ACCEPTED, run=(job.run or 0) + 1, post=Post.ACCEPTED))
        job = self.ledger.change(self.job(path, project).after(fact, finished=NOON))
        (self.projects / project / job.lies_in).mkdir(parents=True, exist_ok=True)


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(Store(":memory:")) as opened:
        yield opened


@pytest.fixture
def desk(tmp_path: Path, store: Store) -> Desk:
    return Desk(tmp_path, store)


# ---- a new file


@pytest.mark.parametrize("way", ["event", "scan"])
def test_a_new_file_is_taken_as_soon_as_it_parses(desk: Desk, way: str) -> None:
    desk.put("shots/a.json", picture())
    desk.event("shots/a.json") if way == "event" else desk.scan()
    assert desk.intake.next_due() == desk.now
    desk.take()
    job = desk.job("shots/a.json")
    assert (job.state, job.held, job.first_seen) == (JobState.PENDING, "", NOON + timedelta(seconds=desk.now))
    assert desk.ledger.prompt(job).prompt == picture()
    assert desk.intake.is_idle


def test_seen_again_it_is_nothing_new(desk: Desk) -> None:
    desk.put("a.json", picture())
    for _ in range(3):
        desk.event("a.json")
        desk.settle()
    assert desk.jobs("a.json") == ["pending"]


def test_the_bytes_that_were_read_are_the_ones_that_run(desk: Desk) -> None:
    desk.put("a.json", picture(1))
    desk.see()
    job = desk.job("a.json")
    desk.put("a.json", picture(2))
    assert desk.ledger.store.dropped(job.id) == json.dumps(picture(1)).encode()


def test_a_copy_at_another_path_is_another_job(desk: Desk) -> None:
    desk.put("a.json", picture())
    desk.see()
    desk.put("b.json", picture())
    desk.put("a.json", picture(), project="show")
    desk.settle()
    assert desk.jobs("a.json") == desk.jobs("b.json") == desk.jobs("a.json", "show") == ["pending"]


def test_what_no_server_could_run_is_invalid_and_says_what_to_do(desk: Desk) -> None:
    desk.put("a.json", {"film": "Nosferatu"})
    desk.see()
    job = desk.job("a.json")
    assert job.state is JobState.INVALID
    assert job.problems[0].code == "not_a_workflow"
    assert job.problems[0].fix


def test_what_is_too_large_is_invalid_with_the_limit_and_is_not_read(desk: Desk) -> None:
    desk.put("a.json", b"x" * 100_001)
    desk.see()
    job = desk.job("a.json")
    assert (job.state, job.problems[0].code) == (JobState.INVALID, "too_large")
    assert "max_workflow_mb" in job.problems[0].fix
    assert desk.ledger.store.dropped(job.id) == b""


# ---- a file that is being written


def test_what_does_not_parse_is_being_written_and_runs_when_it_is_whole(desk: Desk) -> None:
    data = json.dumps(picture()).encode()
    desk.put("a.json", data[:20])
    desk.see()
    assert set(desk.intake.arriving) == {("film", "a.json")}
    assert desk.ledger.changed == {"film"}
    assert desk.record("a.json") is None
    assert not desk.intake.is_idle
    desk.put("a.json", data)
    desk.settle()
    assert desk.jobs("a.json") == ["pending"]
    assert desk.intake.arriving == {}


def test_what_does_not_parse_and_stays_as_it_is_is_invalid(desk: Desk) -> None:
    desk.put("a.json", b'{"1": ')
    desk.see()
    desk.see(0.9)
    assert desk.record("a.json") is None
    desk.see(0.1)
    job = desk.job("a.json")
    assert (job.state, job.problems[0].code) == (JobState.INVALID, "not_json")
    assert "ends in the middle" in job.problems[0].message
    assert desk.intake.is_idle


def test_a_file_that_grows_slowly_is_not_judged_before_it_is_still(desk: Desk) -> None:
    data = json.dumps(picture()).encode()
    for length in range(0, len(data), 20):
        desk.put("a.json", data[:length])
        desk.see(0.7)
        assert desk.record("a.json") is None
    desk.put("a.json", data)
    desk.settle()
    assert desk.jobs("a.json") == ["pending"]


def test_a_file_that_grows_between_two_looks_far_apart_is_not_judged_either(desk: Desk) -> None:
    """No event came, and the next look is when it was to be read again: it has changed, so it is not still."""
    data = json.dumps(picture()).encode()
    for length in range(0, len(data), 20):
        desk.put("a.json", data[:length])
        if length == 0:
            desk.event("a.json")
        desk.take()
        assert desk.record("a.json") is None
        desk.now += 5.0
    desk.put("a.json", data)
    desk.take()
    assert desk.jobs("a.json") == ["pending"]


def test_a_broken_file_is_read_again_at_each_change(desk: Desk) -> None:
    desk.put("a.json", b"{")
    desk.settle()
    desk.put("a.json", b"{]")
    desk.settle()
    assert desk.jobs("a.json") == ["cancelled", "invalid"]
    desk.put("a.json", picture())
    desk.settle()
    assert desk.jobs("a.json") == ["cancelled", "cancelled", "pending"]


def test_a_broken_file_that_is_removed_is_forgotten(desk: Desk) -> None:
    desk.put("a.json", b"{")
    desk.see()
    desk.remove("a.json")
    desk.see(PACE.settle_seconds)
    assert desk.intake.is_idle
    assert desk.record("a.json") is None


# ---- a change


@pytest.mark.parametrize("way", ["event", "scan"])
def test_a_change_is_taken_when_it_has_been_still(desk: Desk, way: str) -> None:
    desk.put("a.json", picture(1))
    desk.see()
    desk.put("a.json", picture(2))
    desk.event("a.json") if way == "event" else desk.scan()
    desk.now += 0.9
    desk.take()
    assert desk.jobs("a.json") == ["pending"]
    desk.now += 0.1
    desk.take()
    assert desk.jobs("a.json") == ["cancelled", "pending"]
    assert desk.ledger.prompt(desk.job("a.json")).prompt == picture(2)


def test_a_rewrite_in_place_that_parses_half_way_runs_once(desk: Desk) -> None:
    desk.put("a.json", picture(1))
    desk.see()
    for color in range(2, 9):
        desk.put("a.json", picture(color))
        desk.event("a.json")
        desk.now += 0.5
        desk.take()
    desk.settle()
    assert desk.jobs("a.json") == ["cancelled", "pending"]
    assert desk.ledger.prompt(desk.job("a.json")).prompt == picture(8)


def test_a_version_that_changes_while_it_is_read_is_put_off(desk: Desk) -> None:
    desk.put("a.json", picture(1))
    desk.see()
    desk.put("a.json", picture(2))
    desk.event("a.json")
    desk.now += 1.0
    desk.put("a.json", picture(3))
    desk.take()
    assert desk.jobs("a.json") == ["pending"]
    desk.now += 1.0
    desk.take()
    assert desk.ledger.prompt(desk.job("a.json")).prompt == picture(3)


@pytest.mark.parametrize("content", [json.dumps(picture(), indent=4).encode(), json.dumps(picture()).encode() + b"\n"])
def test_another_layout_is_nothing_new(desk: Desk, content: bytes) -> None:
    desk.put("a.json", picture())
    desk.see()
    desk.put("a.json", content)
    desk.settle()
    assert desk.jobs("a.json") == ["pending"]


def test_content_that_goes_back_to_an_earlier_one_is_a_new_job(desk: Desk) -> None:
    for color in (1, 2, 1):
        desk.put("a.json", picture(color))
        desk.settle()
        desk.end("a.json", Fact.COMPLETED)
    assert desk.jobs("a.json") == ["completed"] * 3


def test_what_was_touched_after_it_was_completed_says_how_to_run_it_again(desk: Desk) -> None:
    desk.put("shots/a.json", picture())
    desk.see()
    desk.end("shots/a.json", Fact.COMPLETED)
    desk.put("shots/a.json", picture())
    desk.settle()
    record = desk.record("shots/a.json")
    assert record is not None
    assert record.note == "unchanged since run 1; to run it again: comfywatch retry film/shots/a"
    assert desk.jobs("shots/a.json") == ["completed"]


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_what_comfyui_has_is_wished_away_when_it_is_replaced_and_not_forgotten(desk: Desk, state: JobState) -> None:
    desk.put("a.json", picture(1))
    desk.see()
    old = desk.ledger.change(replace(desk.job("a.json"), state=state, run=1, post=Post.ACCEPTED, prompt_id=PROMPT_ID))
    desk.put("a.json", picture(2))
    desk.settle()
    assert desk.ledger.jobs[old.id] == replace(old, wish=Wish.REMOVE)
    assert desk.job("a.json").state is JobState.PENDING


def test_a_cancel_is_not_weakened_by_a_removal(desk: Desk) -> None:
    desk.put("a.json", picture(1))
    desk.see()
    old = desk.ledger.change(replace(desk.job("a.json"), run=1, post=Post.INTENDED, wish=Wish.CANCEL))
    desk.remove("a.json")
    desk.see()
    desk.see(10.0)
    assert desk.ledger.jobs[old.id].wish is Wish.CANCEL


# ---- a removal, and a return


def test_a_removed_file_is_let_go_after_the_grace(desk: Desk) -> None:
    desk.put("a.json", picture())
    desk.see()
    desk.remove("a.json")
    desk.see()
    desk.see(9.9)
    assert desk.job("a.json").wish is None
    desk.see(0.1)
    record = desk.record("a.json")
    assert record is not None
    assert record.gone
    assert desk.job("a.json").wish is Wish.REMOVE
    assert desk.intake.is_idle


def test_within_the_grace_nothing_has_happened(desk: Desk) -> None:
    """Sync tools and editors remove a file for a moment."""
    desk.put("a.json", picture())
    desk.see()
    desk.remove("a.json")
    desk.see(5.0)
    desk.put("a.json", picture())
    desk.see(4.0)
    desk.settle()
    assert desk.job("a.json").wish is None
    assert desk.jobs("a.json") == ["pending"]


def test_a_return_that_no_event_told_counts_all_the_same(desk: Desk) -> None:
    desk.put("a.json", picture())
    desk.see()
    desk.remove("a.json")
    desk.event("a.json")
    desk.put("a.json", picture())
    desk.now += 10.0
    desk.take()
    record = desk.record("a.json")
    assert record is not None
    assert not record.gone
    assert desk.job("a.json").wish is None


@pytest.mark.parametrize(
    ("fact", "states"),
    [
        (Fact.CANCELLED, ["cancelled", "pending"]),
        (Fact.FAILED, ["failed", "pending"]),
        (Fact.COMPLETED, ["completed"]),
    ],
)
def test_a_removed_file_that_comes_back_runs_again_unless_it_was_completed(
    desk: Desk, fact: Fact, states: list[str]
) -> None:
    desk.put("a.json", picture())
    desk.see()
    desk.end("a.json", fact)
    desk.remove("a.json")
    desk.see()
    desk.see(10.0)
    desk.put("a.json", picture())
    desk.settle()
    assert desk.jobs("a.json") == states
    record = desk.record("a.json")
    assert record is not None
    assert not record.gone
    assert ("unchanged since run 1" in record.note) == (fact is Fact.COMPLETED)


def test_a_file_that_comes_back_before_its_job_was_taken_out_keeps_it(desk: Desk) -> None:
    desk.put("a.json", picture())
    desk.see()
    desk.ledger.change(replace(desk.job("a.json"), run=1, post=Post.ACCEPTED, state=JobState.RUNNING))
    desk.remove("a.json")
    desk.see()
    desk.see(10.0)
    assert desk.job("a.json").wish is Wish.REMOVE
    desk.put("a.json", picture())
    desk.settle()
    assert desk.job("a.json").wish is None
    assert desk.jobs("a.json") == ["running"]


def test_a_failed_file_that_is_only_touched_stays_failed(desk: Desk) -> None:
    desk.put("a.json", picture())
    desk.see()
    desk.end("a.json", Fact.FAILED)
    desk.put("a.json", picture())
    desk.settle()
    assert desk.jobs("a.json") == ["failed"]


# ---- a move


@pytest.mark.parametrize("new", ["film/workflows/b.json", "film/workflows/done/a.json", "show/workflows/a.json"])
@pytest.mark.parametrize("fact", [Fact.COMPLETED, Fact.FAILED, None])
def test_a_workflow_that_was_moved_takes_its_history_along_and_runs_nothing(
    desk: Desk, new: str, fact: Fact | None
) -> None:
    desk.put("a.json", picture())
    desk.see()
    if fact is not None:
        desk.end("a.json", fact)
    before = desk.jobs("a.json")
    desk.move("film/workflows/a.json", new)
    desk.settle()
    desk.see(20.0)
    project, _, path = new.split("/", 2)
    assert desk.record("a.json") is None
    assert desk.jobs(path, project) == before
    assert desk.job(path, project).wish is None


def test_a_whole_project_that_was_renamed_takes_its_history_along(desk: Desk) -> None:
    for color, path in enumerate(["a.json", "shots/b.json", "shots/c.json"]):
        desk.put(path, picture(color))
    desk.see()
    desk.end("a.json", Fact.COMPLETED)
    desk.move("film", "film-2")
    desk.settle()
    desk.see(20.0)
    assert desk.jobs("a.json", "film-2") == ["completed"]
    assert desk.jobs("shots/b.json", "film-2") == desk.jobs("shots/c.json", "film-2") == ["pending"]
    assert len(list(desk.ledger.store.files())) == 3


def test_a_moved_workflow_says_where_its_outputs_stayed(desk: Desk) -> None:
    desk.put("a.json", picture())
    desk.see()
    desk.end("a.json", Fact.COMPLETED)
    for new, place in (
        ("film/workflows/done/b.json", "outputs/a/001"),
        ("show/workflows/b.json", "../film/outputs/a/001"),
        ("show/workflows/c.json", "../film/outputs/a/001"),
    ):
        record = next(desk.ledger.store.files())
        desk.move(f"{record.project}/workflows/{record.path}", new)
        desk.settle()
        project, _, path = new.split("/", 2)
        assert desk.job(path, project).lies_in == place
        assert (desk.projects / project / place).is_dir()


def test_a_renamed_project_has_its_outputs_where_they_were(desk: Desk) -> None:
    desk.put("a.json", picture())
    desk.see()
    desk.end("a.json", Fact.COMPLETED)
    desk.move("film", "film-2")
    desk.settle()
    assert desk.job("a.json", "film-2").lies_in == "outputs/a/001"


def in_comfyui(desk: Desk, path: str) -> Job:
    """Its job was posted, and nothing came of it yet."""
    job = desk.job(path).after(Fact.ACCEPTED, run=1, post=Post.ACCEPTED, prompt_id=PROMPT_ID, server="s")
    return desk.ledger.change(job)


def test_a_project_that_was_renamed_while_comfyui_had_its_job_takes_the_job_along(desk: Desk) -> None:
    desk.put("a.json", picture())
    desk.see()
    job = in_comfyui(desk, "a.json")
    desk.move("film", "film-2")
    desk.settle()
    assert list(desk.ledger.jobs.values()) == [replace(job, project="film-2")]


def test_a_copy_in_another_project_is_its_own_while_the_first_is_unmounted_with_its_job_in_comfyui(desk: Desk) -> None:
    desk.put("a.json", picture())
    desk.see()
    job = in_comfyui(desk, "a.json")
    desk.projects.joinpath("film").rename(desk.projects.parent / "unmounted")
    desk.put("a.json", picture(), "show")
    desk.settle()
    assert desk.jobs("a.json", "show") == ["pending"]
    assert desk.ledger.jobs[job.id] == job


def test_the_same_content_in_another_project_runs_there_while_the_first_is_unmounted(desk: Desk) -> None:
    desk.put("a.json", picture())
    desk.see()
    desk.end("a.json", Fact.COMPLETED)
    desk.projects.joinpath("film").rename(desk.projects.parent / "unmounted")
    desk.put("copy.json", picture(), "show")
    desk.settle()
    assert desk.jobs("copy.json", "show") == ["pending"]
    (desk.projects.parent / "unmounted").rename(desk.projects / "film")
    desk.settle()
    assert desk.jobs("a.json") == ["completed"]


def test_what_was_removed_long_ago_is_no_reason_not_to_run_in_another_project(desk: Desk) -> None:
    desk.put("a.json", picture())
    desk.see()
    desk.end("a.json", Fact.COMPLETED)
    desk.remove("a.json")
    desk.see()
    desk.see(20.0)
    desk.put("a.json", picture(), "show")
    desk.settle()
    assert desk.jobs("a.json", "show") == ["pending"]


def test_of_two_old_paths_the_one_that_is_missed_just_now_was_moved(desk: Desk) -> None:
    """An old run of the same content, long gone, must not take the place of a job that waits."""
    desk.put("old.json", picture())
    desk.see()
    desk.end("old.json", Fact.COMPLETED)
    desk.put("z.json", picture())
    desk.settle()
    desk.remove("old.json")
    desk.see()
    desk.see(10.0)
    desk.move("film/workflows/z.json", "film/workflows/zz.json")
    desk.settle()
    desk.see(20.0)
    assert desk.jobs("zz.json") == ["pending"]
    assert desk.job("zz.json").wish is None
    assert desk.jobs("old.json") == ["completed"]


def test_a_moved_workflow_with_new_content_is_a_new_job(desk: Desk) -> None:
    desk.put("a.json", picture(1))
    desk.see()
    desk.remove("a.json")
    desk.put("b.json", picture(2))
    desk.settle()
    assert desk.jobs("b.json") == ["pending"]
    desk.see(10.0)
    assert desk.job("a.json").wish is Wish.REMOVE


# ---- what is not there


@pytest.mark.parametrize("gone", ["projects", "projects/film", "projects/film/workflows"])
def test_a_vanished_folder_is_not_everything_deleted(desk: Desk, gone: str, tmp_path: Path) -> None:
    desk.put("a.json", picture())
    desk.put("b.json", picture(), project="show")
    desk.see()
    (tmp_path / gone).rename(tmp_path / "unmounted")
    desk.event("a.json")
    for _ in range(5):
        desk.see(10.0)
    assert desk.job("a.json").wish is None
    assert desk.job("b.json", "show").wish is None
    shutil.rmtree(tmp_path / gone, ignore_errors=True)
    (tmp_path / "unmounted").rename(tmp_path / gone)
    desk.settle()
    assert desk.jobs("a.json") == ["pending"]


def test_an_unmounted_root_that_leaves_an_empty_folder_deletes_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.put("a.json", picture())
    desk.see()
    (tmp_path / "projects").rename(tmp_path / "unmounted")
    (tmp_path / "projects").mkdir()
    for _ in range(5):
        desk.see(10.0)
    assert desk.job("a.json").wish is None


@pytest.mark.skipif(sys.platform == "win32", reason="kinds of files that Windows does not have")
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_not_taken(desk: Desk, kind: str, tmp_path: Path) -> None:
    place = desk.workflows() / "a.json"
    match kind:
        case "link":
            (tmp_path / "x").write_text(json.dumps(picture()))
            place.symlink_to(tmp_path / "x")
        case "pipe":
            os.mkfifo(place)
        case _:
            place.mkdir()
    desk.event("a.json")
    desk.settle()
    assert desk.record("a.json") is None
    assert desk.intake.is_idle


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told_and_read_as_soon_as_it_may(desk: Desk) -> None:
    desk.put("a.json", picture())
    (desk.workflows() / "a.json").chmod(0)
    desk.settle()
    assert list(desk.intake.notices("film")) == ["workflows/a.json cannot be read: Permission denied"]
    (desk.workflows() / "a.json").chmod(0o644)
    desk.settle()
    assert list(desk.intake.notices("film")) == []
    assert desk.jobs("a.json") == ["pending"]


# ---- which paths


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("film/workflows/a.json", ("film", "a.json")),
        ("film/workflows/shots/B.JSON", ("film", "shots/B.JSON")),
        ("film/workflows/.a.json", None),
        ("film/workflows/.git/a.json", None),
        ("film/workflows/folder.json/a.json", None),
        (".film/workflows/a.json", None),
        ("film/workflows/a.txt", None),
        ("film/a.json", None),
        ("film/outputs/a/001/workflow.json", None),
        ("a.json", None),
        ("../elsewhere/film/workflows/a.json", None),
        (os.fsdecode(b"film/workflows/caf\xe9.json"), None),
        (os.fsdecode(b"caf\xe9/workflows/a.json"), None),
    ],
)
def test_an_event_is_looked_at_where_a_scan_would_look(desk: Desk, path: str, key: tuple[str, str] | None) -> None:
    assert desk.intake.classify(Path(os.path.normpath(desk.projects / path))) == key


@pytest.mark.parametrize(
    ("path", "is_of_no_interest"),
    [
        ("film/workflows/a.json", False),
        ("film/workflows", False),
        ("film/workflows/.a.json.part", True),
        ("film/.~comfywatch-1.tmp", True),
        (".stversions/film/workflows/a.json", True),
        ("../elsewhere/a.json", True),
    ],
)
def test_hidden_and_scratch_names_need_no_look(desk: Desk, path: str, is_of_no_interest: bool) -> None:
    assert desk.intake.is_of_no_interest(Path(os.path.normpath(desk.projects / path))) is is_of_no_interest


# ---- the first start


@pytest.fixture
def archive(tmp_path: Path, store: Store) -> Desk:
    """A desk that opens for the first time in a year to come: all that lies there is older."""
    return Desk(tmp_path, store, archive_before_ns=2**62)


def test_what_was_there_before_is_an_archive_and_not_an_order(archive: Desk) -> None:
    archive.put("a.json", picture())
    archive.see()
    job = archive.job("a.json")
    assert (job.state, job.held) == (JobState.PENDING, "was here before comfywatch")
    assert job.held == ARCHIVED


def test_what_comes_after_the_start_is_taken(tmp_path: Path, store: Store) -> None:
    desk = Desk(tmp_path, store, archive_before_ns=1)
    desk.put("a.json", picture())
    desk.see()
    assert desk.job("a.json").held == ""


def test_a_change_to_what_was_there_before_is_an_order(archive: Desk) -> None:
    archive.put("a.json", picture(1))
    archive.see()
    archive.put("a.json", picture(2))
    archive.settle()
    assert archive.job("a.json").held == ""
    assert archive.jobs("a.json") == ["cancelled", "pending"]


def test_existing_run_takes_the_archive_at_once(tmp_path: Path, store: Store) -> None:
    desk = Desk(tmp_path, store, archive_before_ns=2**62, hold_archive=False)
    desk.put("a.json", picture())
    desk.see()
    assert desk.job("a.json").held == ""


def finished(desk: Desk, run: int, state: str, content: Any) -> None:
    """The proof of a run that an earlier life of comfywatch left."""
    other = Desk(desk.projects.parent / "other", Store(":memory:"))
    other.put("a.json", content)
    other.see()
    digest = other.job("a.json").digest
    other.ledger.store.close()
    folder = desk.projects / "film" / "outputs" / "a" / f"{run:03}"
    folder.mkdir(parents=True)
    result = {"state": state, "digest": digest, "prompt_id": PROMPT_ID, "finished": NOON}
    (folder / "result.yaml").write_bytes(plain_yaml.dump(result))


@pytest.mark.parametrize("hold_archive", [True, False])
def test_what_has_its_result_is_known_to_be_finished(tmp_path: Path, store: Store, hold_archive: bool) -> None:
    desk = Desk(tmp_path, store, archive_before_ns=2**62, hold_archive=hold_archive)
    finished(desk, 1, "failed", picture())
    finished(desk, 2, "completed", picture())
    desk.put("a.json", picture())
    desk.settle()
    assert desk.jobs("a.json") == ["failed", "completed"]
    assert (desk.job("a.json").run, desk.job("a.json").finished) == (2, NOON)
    assert desk.ledger.jobs == {}


def test_a_result_of_other_content_proves_nothing_of_this_one(archive: Desk) -> None:
    finished(archive, 4, "completed", picture(1))
    archive.put("a.json", picture(2))
    archive.settle()
    assert archive.jobs("a.json") == ["completed", "pending"]
    assert archive.job("a.json").held
    assert archive.ledger.store.highest_run("film", "a.json") == 4


# ---- retry


def test_a_retry_runs_the_file_as_it_lies_there(desk: Desk) -> None:
    desk.put("a.json", picture(1))
    desk.see()
    desk.end("a.json", Fact.FAILED)
    desk.put("a.json", picture(2))
    record = desk.record("a.json")
    assert record is not None
    job = desk.intake.read_again(record, at=NOON)
    assert job is not None
    assert desk.ledger.prompt(job).prompt == picture(2)
    desk.settle()
    assert desk.jobs("a.json") == ["failed", "pending"]


@pytest.mark.parametrize("content", [None, b"{", {"nodes": []}])
def test_a_retry_of_what_cannot_be_read_changes_nothing(desk: Desk, content: Any) -> None:
    desk.put("a.json", picture(1))
    desk.see()
    desk.end("a.json", Fact.FAILED)
    desk.remove("a.json") if content is None else desk.put("a.json", content)
    record = desk.record("a.json")
    assert record is not None
    assert desk.intake.read_again(record, at=NOON) is None
    assert desk.jobs("a.json") == ["failed"]


# ---- anything at all

PATHS = ["a.json", "b.json", "shots/a.json"]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(PATHS), st.integers(1, 3)),
        st.tuples(st.just("half"), st.sampled_from(PATHS), st.integers(1, 3)),
        st.tuples(st.just("remove"), st.sampled_from(PATHS), st.just(0)),
        st.tuples(st.just("move"), st.sampled_from(PATHS), st.sampled_from([0, 1, 2])),
        st.tuples(st.just("event"), st.sampled_from(PATHS), st.just(0)),
        st.tuples(st.just("end"), st.sampled_from(PATHS), st.integers(0, 1)),
        st.tuples(st.just("wait"), st.just(""), st.sampled_from([0, 1, 5, 11])),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.booleans())
def test_whatever_people_do_what_lies_there_in_the_end_has_its_job(
    tmp_path_factory: pytest.TempPathFactory, done: list[tuple[str, str, int]], scans: bool
) -> None:
    folder = tmp_path_factory.mktemp("any")
    with closing(Store(":memory:")) as store:
        desk = Desk(folder, store)
        desk.put("keep.json", picture(99))  # a folder that is never empty
        for what, path, number in done:
            _do(desk, what, path, number)
            if scans:
                desk.scan()
            desk.take()
        for _ in range(4):
            desk.see(11.0)
        assert desk.intake.is_idle
        assert desk.ledger.jobs == {job.id: job for job in store.unfinished()}
        _what_lies_there_has_its_job(desk)
        _what_is_gone_is_wished_away(desk)
    shutil.rmtree(folder)


def _do(desk: Desk, what: str, path: str, number: int) -> None:
    file = desk.workflows() / path
    match what:
        case "put":
            desk.put(path, picture(number))
        case "half":
            desk.put(path, json.dumps(picture(number)).encode()[:30])
        case "remove":
            file.unlink(missing_ok=True)
        case "move" if file.exists():
            desk.move(f"film/workflows/{path}", f"film/workflows/{PATHS[number]}")
        case "event":
            desk.event(path)
        case "end" if desk.record(path) and desk.job(path).state is JobState.PENDING:
            desk.end(path, Fact.COMPLETED if number else Fact.FAILED)
        case "wait":
            desk.now += number
        case _:
            return


def _what_lies_there_has_its_job(desk: Desk) -> None:
    for path in [path for path in PATHS if (desk.workflows() / path).exists()]:
        data = (desk.workflows() / path).read_bytes()
        job = desk.job(path)
        record = desk.record(path)
        assert record is not None
        assert not record.gone
        assert record.job == job.id
        assert job.wish is None
        if not job.is_final:
            assert desk.ledger.store.dropped(job.id) == data or desk.ledger.can_be_read(job)
            assert (job.state is JobState.INVALID) == (not desk.ledger.can_be_read(job))
        if data.endswith(b"}"):
            assert job.digest == read_workflow(data).digest
            assert job.state is not JobState.CANCELLED


def _what_is_gone_is_wished_away(desk: Desk) -> None:
    for path in [path for path in PATHS if not (desk.workflows() / path).exists()]:
        assert all(job.wish is Wish.REMOVE for job in desk.ledger.unfinished_of("film", path))
