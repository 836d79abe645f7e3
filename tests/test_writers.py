"""However a program writes a workflow, and however long it takes, its final content runs exactly once."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfywatch.jobs import Fact, JobState
from comfywatch.store import Store
from comfywatch.workflow import digest_of
from tests.test_intake import PACE, Desk
from tests.world import World, picture

OLD, NEW = picture(1), picture(2)
OLD_BYTES, NEW_BYTES = json.dumps(OLD, indent=16).encode(), json.dumps(NEW, indent=1).encode()
FUTURE_NS = 4_102_444_800 * 10**9

Steps = Iterator[None]
Writer = Callable[[Path, bytes], Steps]
"""Writes a file in steps, between which time may pass."""


def in_one_go(target: Path, data: bytes) -> Steps:
    target.write_bytes(data)
    yield


def in_chunks(target: Path, data: bytes) -> Steps:
    """Cut short at first, as ``cp``, ``scp``, SMB and a browser's download into the place do."""
    with target.open("wb", buffering=0) as handle:
        yield
        for start in range(0, len(data), 70):
            handle.write(data[start : start + 70])
            yield


def over_the_old(target: Path, data: bytes) -> Steps:
    """In place, and what is too much is cut off at the end: ``rsync --inplace``, some editors."""
    with target.open("r+b" if target.exists() else "wb", buffering=0) as handle:
        for start in range(0, len(data), 70):
            handle.write(data[start : start + 70])
            yield
        handle.truncate()
    yield


def cut_short_then_written(target: Path, data: bytes) -> Steps:
    target.write_bytes(b"")
    yield
    target.write_bytes(data)
    yield


def by_rename(target: Path, data: bytes) -> Steps:
    """As Syncthing, rsync, Nextcloud and most editors do."""
    scratch = target.with_name(f".syncthing.{target.name}.tmp")
    for _ in in_chunks(scratch, data):
        yield
    scratch.replace(target)
    yield


def away_and_back(target: Path, data: bytes) -> Steps:
    """Remove, then put there: tools that know no replacing."""
    target.unlink(missing_ok=True)
    yield
    target.write_bytes(data)
    yield


def by_backup(target: Path, data: bytes) -> Steps:
    """As Vim does with ``backupcopy=no``: the old one is renamed to a backup, the new one written."""
    backup = target.with_name(f"{target.name}~")
    if target.exists():
        target.replace(backup)
    yield
    for _ in in_chunks(target, data):
        yield
    backup.unlink(missing_ok=True)
    yield


def allocated_first(target: Path, data: bytes) -> Steps:
    """The whole size at once, in zeros, then the content from back to front: downloaders."""
    with target.open("wb", buffering=0) as handle:
        handle.truncate(len(data))
        yield
        for start in reversed(range(0, len(data), 70)):
            handle.seek(start)
            handle.write(data[start : start + 70])
            yield


def with_a_future_time(target: Path, data: bytes) -> Steps:
    target.write_bytes(data)
    os.utime(target, ns=(FUTURE_NS, FUTURE_NS))
    yield


def with_an_old_time(target: Path, data: bytes) -> Steps:
    """The time comes last, as ``cp -p`` and all sync tools set it: it is no other content."""
    target.write_bytes(data)
    yield
    os.utime(target, ns=(10**18, 10**18))
    yield


WRITERS = (
    in_one_go,
    in_chunks,
    over_the_old,
    cut_short_then_written,
    by_rename,
    away_and_back,
    by_backup,
    allocated_first,
    with_a_future_time,
    with_an_old_time,
)
each_writer = pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__.replace("_", " "))


class Counting(Desk):
    """A desk that runs at once whatever may run, and counts by content."""

    _marks = itertools.count(1)
    _before = b""

    def look(self, seconds: float) -> None:
        """Time passes, the daemon looks, and what it takes runs to its end."""
        self._tell_apart()
        self.see(seconds)
        for job in list(self.ledger.jobs.values()):
            if job.state is JobState.PENDING and not job.held:
                self.end("a.json", Fact.COMPLETED)

    def runs(self, digest: str) -> int:
        jobs = self.ledger.store.jobs_of("film", "a.json")
        return sum(job.digest == digest and job.state is JobState.COMPLETED for job in jobs)

    def _tell_apart(self) -> None:
        """Two writes in one tick of the disk's clock have the same time there; here each has its own."""
        file = self.workflows() / "a.json"
        content = file.read_bytes() if file.exists() else b""
        if content not in (b"", self._before):
            stamp = file.stat().st_mtime_ns + next(self._marks)
            os.utime(file, ns=(stamp, stamp))
        self._before = content


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Counting]:
    with closing(Store(":memory:")) as store:
        yield Counting(tmp_path, store)


PAUSES = (0.0, 0.4, PACE.settle_seconds, 3 * PACE.settle_seconds, 20 * PACE.delete_grace_seconds)


@each_writer
@pytest.mark.parametrize("pause", PAUSES)
def test_a_new_file_runs_once_when_it_is_whole(desk: Counting, writer: Writer, pause: float) -> None:
    for _ in writer(desk.workflows() / "a.json", NEW_BYTES):
        desk.look(pause)
    finish(desk)
    assert desk.runs(digest_of(NEW)) == 1
    assert desk.jobs("a.json").count("completed") == 1


@each_writer
@pytest.mark.parametrize("pause", PAUSES)
def test_a_rewritten_file_runs_once_when_it_is_whole(desk: Counting, writer: Writer, pause: float) -> None:
    target = desk.workflows() / "a.json"
    target.write_bytes(OLD_BYTES)
    finish(desk)
    for _ in writer(target, NEW_BYTES):
        desk.look(pause)
    finish(desk)
    assert desk.runs(digest_of(OLD)) == 1
    assert desk.runs(digest_of(NEW)) == 1
    assert desk.jobs("a.json").count("completed") == 2


@each_writer
def test_the_same_content_written_again_runs_nothing(desk: Counting, writer: Writer) -> None:
    """A tool that copies everything each time."""
    target = desk.workflows() / "a.json"
    target.write_bytes(NEW_BYTES)
    finish(desk)
    for _ in writer(target, NEW_BYTES):
        desk.look(0.1)
    finish(desk)
    assert desk.runs(digest_of(NEW)) == 1
    assert desk.jobs("a.json").count("completed") == 1


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(WRITERS), st.lists(st.sampled_from(PAUSES[:4]), min_size=1)), max_size=4))
def test_of_a_burst_the_last_version_runs_once_and_no_mixture_ever(
    writers: list[tuple[Writer, list[float]]],
) -> None:
    """The versions differ, so that none is nothing new; which of them run in between depends on the pauses."""
    with TemporaryDirectory() as folder, closing(Store(":memory:")) as store:
        desk = Counting(Path(folder), store)
        target = desk.workflows() / "a.json"
        versions = [picture(10 + number, prefix="x" * (300 - 50 * number)) for number in range(len(writers) + 1)]
        target.write_bytes(json.dumps(versions[0]).encode())
        desk.look(0)
        for version, (writer, pauses) in zip(versions[1:], writers, strict=True):
            for _, pause in zip(writer(target, json.dumps(version).encode()), itertools.cycle(pauses), strict=False):
                desk.look(pause)
        finish(desk)
        counts = {digest_of(version): desk.runs(digest_of(version)) for version in versions}
        assert counts[digest_of(versions[-1])] == 1
        assert max(counts.values()) == 1
        assert sum(counts.values()) == desk.jobs("a.json").count("completed")


def finish(desk: Counting) -> None:
    for _ in range(5):
        desk.look(PACE.settle_seconds)


# ---- the daemon, with the system's own events


@each_writer
def test_the_daemon_runs_the_final_content_once(world: World, writer: Writer) -> None:
    world.start()
    target = world.workflows() / "a.json"
    for _ in writer(target, NEW_BYTES):
        pass
    world.until_state("a.json", "completed")
    for _ in writer(target, OLD_BYTES):
        pass
    world.until(lambda: world.entry("a.json").get("run") == 2 and world.entry("a.json")["state"] == "completed")
    world.stop()
    assert [post.prompt["1"]["inputs"]["color"] for post in world.sandbox.posts] == [2, 1]


def test_a_file_that_stops_half_way_is_said_to_be_written_and_runs_when_it_is_whole(world: World) -> None:
    world.start()
    target = world.workflows() / "a.json"
    with target.open("wb", buffering=0) as handle:
        handle.write(NEW_BYTES[:100])
        world.until_state("a.json", "pending", "invalid")
        handle.write(NEW_BYTES[100:])
    world.until_state("a.json", "completed")
    assert len(world.sandbox.posts) == 1


# ---- people tidy


def test_whatever_people_tidy_nothing_runs_again(world: World) -> None:
    """Ten finished workflows into a folder, a project renamed, a file restored, a node moved on the canvas."""
    world.start()
    names = [f"shot-{number:02d}.json" for number in range(10)]
    for number, name in enumerate(names):
        world.drop(name, picture(number))
    world.until(lambda: world.status().get("counts", {}).get("completed") == 10)
    (world.workflows() / "done").mkdir()
    for name in names:
        (world.workflows() / name).rename(world.workflows() / "done" / name)
    world.until(lambda: set(world.status()["workflows"]) == {f"done/{name}" for name in names})
    (world.projects / "film").rename(world.projects / "movie")
    world.until(lambda: set(world.status("movie").get("workflows", ())) == {f"done/{name}" for name in names})
    taken = world.workflows("movie") / "done" / names[3]
    shutil.move(taken, world.root / "aside")
    world.until(lambda: "note" in world.entry(f"done/{names[3]}", project="movie"))
    shutil.move(world.root / "aside", taken)
    world.until(lambda: "unchanged" in world.entry(f"done/{names[3]}", project="movie").get("note", ""))
    moved = {key: {**node, "_meta": {"title": "moved"}} for key, node in picture(4).items()}
    world.drop(f"done/{names[4]}", moved, project="movie")
    world.until(lambda: "unchanged" in world.entry(f"done/{names[4]}", project="movie").get("note", ""))
    assert len(world.sandbox.posts) == 10
    assert world.status("movie")["counts"]["completed"] == 10
