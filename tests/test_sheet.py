"""``status.yaml`` as it is written beside the thread that owns the jobs: what that said holds only while it does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from comfywatch import plain_yaml, status
from comfywatch.jobs import Job, JobState, Post
from comfywatch.link import Link
from comfywatch.progress import Progress
from comfywatch.settling import Stamp
from comfywatch.sheet import Sheet, write_sheet
from comfywatch.store import FileRecord, Store
from tests.made import NOON, a_job

UP = Link(url="http://127.0.0.1:8188", poll_seconds=5.0).answered(now=0.0)
HALF = Progress(percent=50, node="KSampler", eta_seconds=4)


class Desk:
    """A project with its database, and what its file says."""

    def __init__(self, root: Path) -> None:
        self.database = root / "comfywatch.db"
        self.folder = root / "film"
        self.folder.mkdir()
        self.store = Store(self.database)

    def saved(self, **changes: Any) -> Job:
        job = self.store.add_job(a_job(**changes), b"{}")
        stamp = Stamp(size=1, mtime_ns=1)
        self.store.save_file(
            FileRecord(project="film", path=job.path, digest="d", job=job.id, stamp=stamp, note="seen")
        )
        self.store.commit()
        return job

    def says(self, link: Link = UP, **said: Any) -> dict[str, Any]:
        """What the file says of the workflow."""
        project = status.Project(name="film", link=link, host="here")
        sheet = Sheet(project=project, at=NOON, next_within=timedelta(hours=1), **said)
        write_sheet(sheet, self.folder, database=self.database)
        document = plain_yaml.load((self.folder / "status.yaml").read_bytes())
        found: dict[str, Any] = document["workflows"]["a.json"]
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()


def test_progress_and_the_expected_end_are_told_of_a_job_that_runs(desk: Desk) -> None:
    job = desk.saved(state=JobState.RUNNING, post=Post.ACCEPTED, run=1)
    told = desk.says(progress={job.id: HALF}, expected={job.id: NOON})
    assert told["progress"] == {"percent": 50, "node": "KSampler", "eta_seconds": 4}
    assert told["expected"] == NOON


def test_of_a_job_that_has_ended_since_neither_is_told(desk: Desk) -> None:
    job = desk.saved(state=JobState.RUNNING, post=Post.ACCEPTED, run=1)
    desk.store.save_job(replace(job, state=JobState.COMPLETED, finished=NOON))
    desk.store.commit()
    told = desk.says(progress={job.id: HALF}, expected={job.id: NOON}, waits_for={job.id: "takes long"})
    assert told["state"] == "completed"
    assert not {"progress", "expected", "reason"} & told.keys()


def test_what_was_done_for_a_control_file_stands_beside_the_note(desk: Desk) -> None:
    desk.saved()
    assert desk.says(heeded={"a.json": "a.retry seen: run 2"})["note"] == "seen; a.retry seen: run 2"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({}, "waits for its turn"),
        ({"waits_for": {1: "its input files cannot be sent yet"}}, "its input files cannot be sent yet"),
        ({"held": "the project is paused"}, "the project is paused"),
        ({"held": "the project is paused", "on_hold": {"a.json"}}, "on hold; to run it: remove a.hold"),
        ({"on_hold": {"b.json"}}, "waits for its turn"),
    ],
)
def test_what_waits_says_what_holds_it(desk: Desk, said: dict[str, Any], reason: str) -> None:
    desk.saved()
    assert desk.says(**said)["reason"] == reason


def test_it_is_written_although_a_newer_comfywatch_has_been_at_the_database(desk: Desk) -> None:
    desk.saved()
    with closing(sqlite3.connect(desk.database)) as newer:
        newer.execute("PRAGMA user_version = 1000")
    assert desk.says()["state"] == "pending"
