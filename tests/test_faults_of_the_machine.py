"""The machine's faults: no room, no right, no descriptor, a damaged database, a wrong clock, a second machine, signals.

``docs/reliability.md`` has a row for each. More are in ``test_promises``.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from comfywatch import daemon as daemon_module
from comfywatch import files, plain_yaml, trouble
from comfywatch.collect import Collected, highest_run_on_disk
from comfywatch.daemon import Daemon
from comfywatch.effects import Effect, Scan, Scanned, StatusWritten, WriteStatus
from comfywatch.engine import Engine
from comfywatch.history import Outcome
from comfywatch.inherit import catch_up
from comfywatch.inside import open_folder
from comfywatch.jobs import Job, JobState, Post
from comfywatch.ledger import Ledger
from comfywatch.lock import Held, Lock
from comfywatch.neighbours import LONGEST_PROMISE, Neighbours, Sign, read_sign
from comfywatch.overtime import Limits, Stopwatch, is_over
from comfywatch.projects import Projects
from comfywatch.settings import Settings
from comfywatch.state_folder import StateRefused
from comfywatch.store import Damaged, Store, Unavailable
from comfywatch.tree import ProjectTree, read_forest
from tests import documents
from tests.made import NOON, STAMP, a_job
from tests.world import World, picture

TESTS = Path(__file__).parent
RELIABILITY = documents.DOCS / "reliability.md"


class Told:
    """An engine over real folders whose clocks are told; nothing that it wants done is done, but scans."""

    def __init__(self, root: Path, *, started: datetime) -> None:
        self.settings = Settings(root=root, comfyui_url="http://127.0.0.1:9", owner="here", settle_seconds=0)
        self.workflows = root / "projects/film/workflows"
        self.workflows.mkdir(parents=True)
        self.store = Store(":memory:")
        self.now, self.at = 100.0, started
        self.engine = Engine(self.settings, self.store, now=self.now, started_ns=int(started.timestamp() * 1e9))

    def pass_by(self, seconds: float = 1.0, *, clock_set: float = 0.0) -> list[Effect]:
        """Time goes on, the clock of the day is set besides, and it is planned until there is nothing more to plan."""
        self.now += seconds
        self.at += timedelta(seconds=seconds + clock_set)
        effects: list[Effect] = []
        while more := self.engine.plan(now=self.now, at=self.at):
            effects += more
            self.store.commit()
            if any(isinstance(effect, Scan) for effect in more):
                forest = read_forest(self.settings.projects)
                self.engine.handle(Scanned(forest=forest, took=0.0), now=self.now, at=self.at)
        return effects

    def drop(self, name: str, color: int) -> None:
        (self.workflows / name).write_text(str(picture(color)).replace("'", '"'))

    def job(self, name: str) -> Job:
        return next(job for job in self.engine.ledger.jobs.values() if job.path == name)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    made = Told(tmp_path, started=datetime.now(UTC))
    yield made
    made.store.close()


# --- a disk that refuses


class Disk:
    """Refuses to write some files, as the system does: ``refuses`` is a part of their path, ``why`` an errno."""

    def __init__(self) -> None:
        self.refuses = ""
        self.why = errno.ENOSPC
        self.refused = 0
        self._becoming = files.becoming

    @contextmanager
    def becoming(self, target: Path, folder: int | None) -> Iterator[int]:
        with self._becoming(target, folder) as descriptor:
            yield descriptor
            if self.refuses and self.refuses in target.as_posix():
                self.refused += 1
                raise OSError(self.why, os.strerror(self.why))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """All files that the daemon writes are written through it."""
    made = Disk()
    monkeypatch.setattr(files, "becoming", made.becoming)
    return made


@pytest.mark.parametrize("why", [errno.ENOSPC, errno.EACCES])
def test_outputs_that_cannot_be_written_are_told_and_written_when_they_can(world: World, disk: Disk, why: int) -> None:
    disk.refuses, disk.why = "outputs/a/", why
    world.start()
    world.drop("a.json", picture())
    world.until(lambda: os.strerror(why) in world.entry("a.json").get("reason", ""))
    assert world.entry("a.json")["state"] in {"queued", "running"}
    assert world.outputs("a.json") == []
    disk.refuses = ""
    world.until_state("a.json", "completed")
    assert len(world.outputs("a.json")) == 1
    assert len(world.sandbox.posts) == 1


def test_a_status_that_cannot_be_written_delays_no_job(
    world: World, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfywatch.board.AGAIN_SECONDS", 0.1)
    disk.refuses = "status.yaml"
    world.start()
    world.drop("a.json", picture())
    world.until(lambda: (world.projects / "film/outputs/a/001/result.yaml").exists())
    world.until(lambda: disk.refused > 1)
    assert world.status() == {}
    disk.refuses = ""
    world.until_state("a.json", "completed")


def test_a_project_that_vanishes_while_its_job_runs_gets_its_outputs_when_it_is_back(world: World) -> None:
    world.start()
    world.sandbox.faults.hold = True
    world.drop("a.json", picture(1))
    world.until_state("a.json", "running")
    world.drop("b.json", picture(2))
    world.until_state("b.json", "queued")
    (world.projects / "film").rename(world.root / "unmounted")
    world.drop("c.json", picture(3), project="other")
    world.sandbox.faults.clear()
    world.until_state("c.json", "completed", project="other")
    (world.root / "unmounted").rename(world.projects / "film")
    world.until_state("a.json", "completed")
    world.until_state("b.json", "completed")
    assert len(world.sandbox.posts) == 3


def test_which_run_comes_next_is_never_guessed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    may_be_read = threading.Event()

    def highest(project: Path, path: str) -> int:
        if not may_be_read.is_set():
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return highest_run_on_disk(project, path)

    monkeypatch.setattr("comfywatch.engine.highest_run_on_disk", highest)
    (world.workflows().parent / "outputs/a/007").mkdir(parents=True)
    world.start()
    world.drop("a.json", picture())
    world.until(lambda: "which run this is" in world.entry("a.json").get("reason", ""))
    assert world.sandbox.posts == []
    may_be_read.set()
    assert world.until_state("a.json", "completed")["run"] == 8


@contextmanager
def _no_descriptors() -> Iterator[None]:
    """No file can be opened."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are limited as on Linux")
def test_a_folder_that_cannot_be_opened_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "outputs/a/007").mkdir(parents=True)
    with _no_descriptors(), pytest.raises(OSError, match="Too many open files"):
        highest_run_on_disk(tmp_path, "a.json")
    assert highest_run_on_disk(tmp_path, "a.json") == 7


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are limited as on Linux")
def test_a_run_folder_is_not_called_moved_away_because_nothing_can_be_opened(tmp_path: Path) -> None:
    with open_folder(tmp_path, "outputs", make=True) as folder, _no_descriptors():
        assert folder.is_in_place()


class Seen:
    """A project that is looked at and scanned, at times that are told."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "projects/film"
        (self.folder / "workflows").mkdir(parents=True)
        self.projects = Projects(Settings(root=root, owner="here", settle_seconds=1))

    def scan(self, *, now: float) -> str:
        """Why its jobs wait, after a look round."""
        self.projects.look("film", now=now, at=NOON)
        self.projects.take(now=now)
        is_there = (self.folder / "workflows").is_dir()
        self.projects.saw("film", ProjectTree(name="film", is_there=is_there))
        return self.projects.waits_for("film")


def test_what_the_manifest_of_a_project_says_holds_from_the_moment_that_it_is_back(tmp_path: Path) -> None:
    seen = Seen(tmp_path)
    (seen.folder / "manifest.yaml").write_text("status: paused")
    assert "is paused" in seen.scan(now=0)
    seen.folder.rename(tmp_path / "away")
    assert seen.scan(now=10) == seen.scan(now=20) == "the project folder is not there"
    (tmp_path / "away").rename(seen.folder)
    assert "is paused" in seen.scan(now=30)


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are limited as on Linux")
@pytest.mark.parametrize("text", ["priority: 1", None])
def test_a_manifest_that_the_system_refuses_is_read_as_soon_as_it_does_not(tmp_path: Path, text: str | None) -> None:
    seen = Seen(tmp_path)
    if text is not None:
        (seen.folder / "manifest.yaml").write_text(text)
    with _no_descriptors():
        assert seen.scan(now=0) == "its manifest cannot be read"
    assert seen.scan(now=30) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="limits are set from outside, and descriptors counted in /proc")
def test_without_descriptors_it_waits_and_goes_on_when_there_are_some(world: World) -> None:
    import resource

    with _process(world, "watch: polling") as process:
        world.drop("a.json", picture(1))
        world.until_state("a.json", "completed")
        before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        open_now = sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir())
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (open_now - 1, before[1]))
        world.drop("b.json", picture(2))
        world.drop("c.json", picture(3))
        _passes(world, 0.7)
        assert process.poll() is None
        assert len(world.sandbox.posts) == 1
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
        for name in "bc":
            world.until((world.projects / "film/outputs" / name / "001/result.yaml").exists)
    assert set(Counter(world.sandbox.executed).values()) == {1}


# --- a database that refuses


class SmallStore(Store):
    """While ``is_full``, SQLite may not make the database any larger."""

    is_full = threading.Event()

    def commit(self) -> None:
        self._limit()
        super().commit()

    def _write(self, sql: str, values: Any) -> Any:
        self._limit()
        return super()._write(sql, values)

    def _limit(self) -> None:
        size = self._connection.execute("PRAGMA page_count").fetchone()[0]
        self._connection.execute(f"PRAGMA max_page_count = {size if self.is_full.is_set() else 2**30}")


class ShakyStore(Store):
    """Every so often something cannot be written or committed, until there were enough failures."""

    every = 3
    left = 0
    calls = 0

    def commit(self) -> None:
        if self.has_changes:
            self._shake()
        super().commit()

    def _write(self, sql: str, values: Any) -> Any:
        self._shake()
        return super()._write(sql, values)

    @classmethod
    def _shake(cls) -> None:
        cls.calls += 1
        if cls.left and cls.calls % cls.every == 0:
            cls.left -= 1
            raise Unavailable("disk I/O error")


class BreakingStore(Store):
    """Found to be damaged, once, when ``breaks`` is set."""

    breaks = threading.Event()

    def commit(self) -> None:
        if self.breaks.is_set():
            self.breaks.clear()
            raise Damaged("database disk image is malformed")
        super().commit()


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that could not be used is tried again soon."""
    monkeypatch.setattr(trouble, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(trouble, "LONGEST_PAUSE", 0.1)


@pytest.mark.usefixtures("hurry")
def test_a_full_disk_under_the_database_is_told_and_nothing_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_module, "Store", SmallStore)
    world.start()
    world.drop("a.json", picture(1))
    world.until_state("a.json", "completed")
    SmallStore.is_full.set()
    large = picture(2)
    large["2"]["_meta"] = {"title": "x" * 100_000}
    world.drop("b.json", large)
    world.until(lambda: any("database or disk is full" in notice for notice in world.status()["notices"]))
    assert len(world.sandbox.posts) == 1
    SmallStore.is_full.clear()
    world.until_state("b.json", "completed")
    world.until(lambda: world.status()["notices"] == [])
    assert len(world.sandbox.posts) == 2


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("every", [2, 7])
def test_whatever_cannot_be_saved_has_not_happened(world: World, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    monkeypatch.setattr(daemon_module, "Store", ShakyStore)
    ShakyStore.every, ShakyStore.left = every, 0
    world.start()
    world.until(lambda: world.sandbox.requests)
    ShakyStore.left = 12
    for number in range(6):
        world.drop(f"{number}.json", picture(number))
    world.until(lambda: world.status().get("counts", {}).get("completed") == 6)
    assert ShakyStore.left == 0
    assert set(Counter(world.sandbox.executed).values()) == {1}
    assert len(world.sandbox.executed) == 6
    world.stop()
    with closing(Store(world.settings.database)) as store:
        assert list(store.unfinished()) == []


def test_what_was_collected_for_another_prompt_ends_nothing(told: Told) -> None:
    outcome = Outcome(state=JobState.COMPLETED).as_dict()
    under_way = a_job(state=JobState.RUNNING, post=Post.ACCEPTED, prompt_id="new", run=1, outcome=outcome)
    job = told.engine.ledger.add(under_way, b"", STAMP)
    late = Collected(job=job.id, prompt_id="of a database that was damaged")
    told.engine.handle(late, now=told.now, at=told.at)
    assert told.engine.ledger.jobs[job.id].state is JobState.RUNNING
    told.engine.handle(dataclasses.replace(late, prompt_id="new"), now=told.now, at=told.at)
    assert job.id not in told.engine.ledger.jobs


def test_sqlites_errors_are_told_apart(tmp_path: Path) -> None:
    store = SmallStore(tmp_path / "db")
    SmallStore.is_full.set()
    with pytest.raises(Unavailable, match="full"):
        store.add_job(a_job(), b"x" * 100_000)
    SmallStore.is_full.clear()
    store.roll_back()
    assert list(store.unfinished()) == []
    store._connection.execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(tmp_path / "db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            store.add_job(a_job(), b"x")
    store.add_job(a_job(), b"x")
    store.commit()
    store.close()
    with pytest.raises(Unavailable):
        Store(tmp_path)


@pytest.mark.usefixtures("hurry")
def test_a_state_that_is_removed_under_the_daemon_is_as_good_as_lost(world: World) -> None:
    world.start()
    world.drop("a.json", picture(1))
    world.until_state("a.json", "completed")
    shutil.rmtree(world.settings.state)
    world.until(lambda: world.settings.database.exists())
    with pytest.raises(Held):
        Lock(world.settings.lock)
    world.until_state("a.json", "completed")
    world.drop("b.json", picture(2))
    world.until_state("b.json", "completed")
    assert len(world.sandbox.posts) == 2


def test_what_is_dropped_right_after_the_state_was_moved_away_is_run(world: World) -> None:
    """It is what wakes the daemon, which then sees that its state is gone: an order all the same, and no archive."""
    world.start()
    world.drop("a.json", picture(1))
    world.until_state("a.json", "completed")
    world.settings.state.rename(world.root / "elsewhere")
    world.drop("b.json", picture(2))
    world.until_state("b.json", "completed")
    assert len(world.sandbox.posts) == 2


def test_what_was_finished_after_an_older_state_was_saved_is_not_run_again(world: World) -> None:
    world.start()
    world.drop("a.json", picture(1))
    world.until_state("a.json", "completed")
    world.stop()
    shutil.copytree(world.settings.state, world.root / "backup")
    world.start()
    world.drop("b.json", picture(2))
    world.until_state("b.json", "completed")
    world.stop()
    shutil.rmtree(world.settings.state)
    (world.root / "backup").rename(world.settings.state)
    world.start()
    world.until_state("b.json", "completed")
    world.drop("b.json", picture(3))
    world.until(lambda: world.entry("b.json").get("run") == 2)
    world.until_state("b.json", "completed")
    assert len(world.sandbox.posts) == 3


def test_a_database_that_cannot_be_had_is_waited_for(world: World) -> None:
    world.settings.state.mkdir(parents=True)
    in_the_way = world.settings.database
    in_the_way.mkdir()
    world.start()
    world.drop("a.json", picture())
    _passes(world, 0.2)
    in_the_way.rmdir()
    world.until_state("a.json", "completed")


def test_run_once_does_not_wait_for_its_database(world: World) -> None:
    world.settings.database.mkdir(parents=True)
    with pytest.raises(StateRefused, match="cannot be used"):
        Daemon(world.settings, once=True).run()


@pytest.mark.usefixtures("hurry")
def test_a_damaged_database_is_kept_aside_and_rebuilt_from_the_results_and_comfyui(world: World) -> None:
    world.settings = world.settings.model_copy(update={"max_in_flight": 2})
    world.start()
    world.drop("done.json", picture(1))
    world.until_state("done.json", "completed")
    world.sandbox.faults.hold = True
    world.drop("running.json", picture(2))
    world.until_state("running.json", "running")
    world.drop("queued.json", picture(3))
    world.until_state("queued.json", "queued")
    world.drop("waiting.json", picture(4))
    world.until_state("waiting.json", "pending")
    world.stop()
    damaged = b"SQLite format 3\0" + os.urandom(8192)
    world.settings.database.write_bytes(damaged)
    world.start()
    world.until_state("running.json", "running")
    world.sandbox.faults.clear()
    for name in ("done.json", "running.json", "queued.json"):
        world.until_state(name, "completed")
    assert "was here before" in world.until_state("waiting.json", "pending")["reason"]
    assert "was damaged" in world.status()["notices"][0]
    (aside,) = world.settings.state.glob("comfywatch.db.damaged-*[0-9]")
    assert aside.read_bytes() == damaged
    assert len(world.sandbox.executed) == 3


@pytest.mark.usefixtures("hurry")
def test_a_database_that_is_found_damaged_at_work_ends_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_module, "Store", BreakingStore)
    world.start()
    world.drop("done.json", picture(1))
    world.until_state("done.json", "completed")
    world.sandbox.faults.hold = True
    world.drop("a.json", picture(2))
    world.until_state("a.json", "running")
    BreakingStore.breaks.set()
    world.until(lambda: any("was damaged" in notice for notice in world.status()["notices"]))
    world.sandbox.faults.clear()
    world.until_state("a.json", "completed")
    world.until_state("done.json", "completed")
    world.drop("new.json", picture(3))
    world.until_state("new.json", "completed")
    assert len(world.sandbox.executed) == 3


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"), reason="only root may mount a small disk"
)
@pytest.mark.usefixtures("hurry")
def test_a_disk_that_is_really_full_under_everything(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfywatch.board.AGAIN_SECONDS", 0.1)
    world.root.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", world.root], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        world.projects.mkdir()
        world.start()
        world.drop("a.json", picture(1))
        world.until_state("a.json", "completed")
        world.sandbox.faults.hold = True
        world.drop("b.json", picture(2))
        world.until_state("b.json", "running")
        ballast = world.root / "ballast"
        with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as handle:
            while True:
                handle.write(b"x" * 4096)
        world.sandbox.faults.clear()
        _passes(world, 1.0)
        assert not (world.projects / "film/outputs/b/001/result.yaml").exists()
        ballast.unlink()
        world.until_state("b.json", "completed")
        assert len(world.outputs("b.json")) == 1
        assert len(world.sandbox.executed) == 2
        world.stop()
    finally:
        subprocess.run(["umount", "-l", world.root], check=True)


# --- clocks


def test_a_clock_that_was_set_back_lets_nobody_jump_the_queue(told: Told) -> None:
    told.pass_by()
    told.drop("z-first.json", 1)
    told.pass_by(60)
    told.drop("a-second.json", 2)
    told.pass_by(60, clock_set=-7200)
    assert told.job("z-first.json").first_seen <= told.job("a-second.json").first_seen


def test_a_clock_that_was_set_back_after_the_first_start_makes_no_drop_an_old_file(tmp_path: Path) -> None:
    told = Told(tmp_path, started=datetime.now(UTC) + timedelta(hours=2))
    told.pass_by()
    told.pass_by(clock_set=-7200)
    told.drop("a.json", 1)
    told.pass_by(60)
    assert told.job("a.json").held == ""
    told.store.close()


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_when_a_clock_jumps_the_folders_are_looked_through_and_every_status_promises_anew(
    told: Told, jump: float
) -> None:
    told.drop("a.json", 1)
    told.pass_by()
    assert not any(isinstance(effect, Scan) for effect in told.pass_by(2))
    effects = told.pass_by(2, clock_set=jump)
    assert any(isinstance(effect, Scan) for effect in effects)
    told.engine.handle(StatusWritten(project="film"), now=told.now, at=told.at)
    status = [effect for effect in (*effects, *told.pass_by(2)) if isinstance(effect, WriteStatus)]
    assert status[-1].sheet.at + status[-1].sheet.next_within > told.at
    assert told.job("a.json").state is JobState.PENDING


def test_a_clock_that_is_set_forward_makes_no_job_too_long() -> None:
    limits = Limits(warn_after=600, longest=60)
    job = a_job(state=JobState.RUNNING, started=NOON)
    watch = Stopwatch()
    watch.saw([job], now=5.0, at=NOON, every=5)
    tomorrow = NOON + timedelta(days=1)
    assert not is_over(job, limits, at=watch.time_for(job, now=30.0, at=tomorrow))
    assert is_over(job, limits, at=watch.time_for(job, now=70.0, at=tomorrow))


def test_what_a_job_ran_before_our_start_or_while_the_machine_slept_does_not_count() -> None:
    limits = Limits(warn_after=600, longest=60)
    job = a_job(state=JobState.RUNNING, started=NOON)
    watch = Stopwatch()
    watch.saw([job], now=5.0, at=NOON + timedelta(hours=8), every=5)
    watch.saw([job], now=10.0, at=NOON + timedelta(hours=9), every=5)
    assert not is_over(job, limits, at=watch.time_for(job, now=15.0, at=NOON + timedelta(hours=10)))


def test_a_clock_that_was_set_back_makes_no_job_younger_than_nothing() -> None:
    job = a_job(state=JobState.RUNNING, started=NOON)
    watch = Stopwatch()
    watch.saw([job], now=5.0, at=NOON - timedelta(days=1), every=5)
    assert not is_over(job, Limits(warn_after=1, longest=1), at=watch.time_for(job, now=6.5, at=NOON))


# --- a second machine


def _sign(project: Path, host: str, *, seconds: float, state: str = "running") -> None:
    """The ``status.yaml`` that another machine wrote, which promises to write again."""
    until = (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)
    head = {"schema": 1, "project": project.name, "updated": datetime.now(UTC).replace(microsecond=0)}
    daemon = plain_yaml.Flow(host=host, state=state, next_update_by=until)
    project.mkdir(parents=True, exist_ok=True)
    (project / "status.yaml").write_bytes(plain_yaml.dump({**head, "daemon": daemon, "comfyui": {}}))


def test_a_project_that_another_machine_serves_is_left_to_it_until_its_sign_of_life_is_over(world: World) -> None:
    world.settings = world.settings.model_copy(update={"rescan_seconds": 0.2})
    film = world.projects / "film"
    _sign(film, "elsewhere", seconds=3600)
    before = (film / "status.yaml").read_bytes()
    world.start()
    world.drop("a.json", picture(1))
    world.drop("b.json", picture(2), project="ours")
    world.until_state("b.json", "completed", project="ours")
    world.until(lambda: "1 project is left to another machine" in str(world.status("ours")["notices"]))
    assert (film / "status.yaml").read_bytes() == before
    assert len(world.sandbox.posts) == 1
    _sign(film, "elsewhere", seconds=-1)
    world.until_state("a.json", "completed")
    assert world.status()["daemon"]["host"] == "here"


def test_nothing_is_written_over_a_status_before_it_was_looked_at(told: Told) -> None:
    told.drop("a.json", 1)
    told.pass_by()
    _sign(told.workflows.parent, "elsewhere", seconds=3600)
    again = Engine(told.settings, told.store, now=told.now, started_ns=0)
    effects = again.plan(now=told.now, at=told.at)
    assert any(isinstance(effect, Scan) for effect in effects)
    assert not any(isinstance(effect, WriteStatus) for effect in (*effects, *again.board.write_all(now=0, at=told.at)))


def test_what_another_machine_finished_is_not_run_again_by_the_one_that_takes_over(world: World) -> None:
    one, other = (
        world,
        World(world.root, world.sandbox, owner="there", state=world.root / "state-2", rescan_seconds=0.2),
    )
    one.start()
    one.drop("a.json", picture(1))
    one.until_state("a.json", "completed")
    other.start()
    one.drop("b.json", picture(2))
    one.until_state("b.json", "completed")
    assert one.status()["daemon"]["host"] == "here"
    one.stop()
    one.drop("c.json", picture(3))
    one.until_state("c.json", "completed")
    other.stop()
    assert one.status()["daemon"]["host"] == "there"
    assert one.status()["counts"]["completed"] == 3
    one.start()
    one.until(lambda: one.status()["daemon"] == {**one.status()["daemon"], "host": "here", "state": "running"})
    one.until(lambda: one.status()["counts"]["completed"] == 3)
    assert len(world.sandbox.executed) == 3


def test_a_job_that_waited_for_us_ends_as_the_other_machine_ended_it(world: World) -> None:
    world.sandbox.stop()
    world.start()
    world.drop("a.json", picture(1))
    world.until_state("a.json", "pending")
    world.stop()
    world.sandbox.start()
    other = World(world.root, world.sandbox, owner="there", state=world.root / "state-2", existing="run")
    other.start()
    other.until_state("a.json", "completed")
    other.stop()
    world.start()
    world.until(lambda: world.status()["daemon"]["host"] == "here")
    world.until_state("a.json", "completed")
    assert len(world.sandbox.executed) == 1


def test_a_run_number_that_another_machine_used_is_given_up(tmp_path: Path) -> None:
    film = tmp_path / "film"
    run = film / "outputs/a/001"
    run.mkdir(parents=True)
    result = {"schema": 1, "project": "film", "workflow": "a.json", "digest": "other", "run": 1, "state": "completed"}
    (run / "result.yaml").write_bytes(plain_yaml.dump(result))
    with closing(Store(":memory:")) as store:
        ledger = Ledger(store)
        waiting = ledger.add(a_job(run=1), b"", STAMP)
        blocked = ledger.add(a_job(path="b.json", state=JobState.BLOCKED, digest="same"), b"", STAMP)
        (film / "outputs/b").mkdir()
        shutil.copytree(run, film / "outputs/b/004")
        (film / "outputs/b/004/result.yaml").write_bytes(plain_yaml.dump({**result, "digest": "same", "run": 4}))
        catch_up(ledger, film)
        assert ledger.jobs[waiting.id] == dataclasses.replace(waiting, run=None)
        ended = store.job(blocked.id)
        assert ended is not None
        assert (ended.state, ended.run) == (JobState.COMPLETED, 4)


def test_an_owner_in_the_manifest_decides_whatever_the_status_says(world: World) -> None:
    film = world.projects / "film"
    _sign(film, "elsewhere", seconds=3600)
    (film / "manifest.yaml").write_text("owner: here\n")
    world.start()
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")


def test_a_machine_that_was_renamed_knows_its_own_sign(world: World) -> None:
    world.start()
    world.drop("a.json", picture(1))
    world.until_state("a.json", "completed")
    world.stop()
    _sign(world.projects / "film", "here", seconds=3600)
    world.settings = world.settings.model_copy(update={"owner": "new name"})
    world.start()
    world.until(lambda: world.status()["daemon"]["host"] == "new name")


def test_of_two_that_begin_at_once_the_first_by_name_stays(tmp_path: Path) -> None:
    film = tmp_path / "film"
    film.mkdir()
    first, second = Neighbours(frozenset(), name="a"), Neighbours(frozenset(), name="b")
    assert first.at_work(film, at=datetime.now(UTC)) == ""
    assert second.at_work(film, at=datetime.now(UTC)) == ""
    _sign(film, "b", seconds=60)
    assert first.at_work(film, at=datetime.now(UTC)) == ""
    _sign(film, "a", seconds=61)
    assert second.at_work(film, at=datetime.now(UTC)) == "a"


def test_a_sign_counts_while_it_promises_another_and_no_longer() -> None:
    sign = Sign(host="elsewhere", until=NOON)
    assert sign.is_alive(NOON - timedelta(seconds=1))
    assert not sign.is_alive(NOON)
    assert not sign.is_alive(NOON - LONGEST_PROMISE - timedelta(seconds=1))
    assert not Sign(host="elsewhere", until=None).is_alive(NOON)


@pytest.mark.parametrize(
    "text", ["", "[]", "daemon: 3\n", "daemon: {host: 3}\n", "\0", "a: &a [*a]\n", "daemon: {host: x"]
)
def test_a_status_that_says_nothing_keeps_nobody_off(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.yaml").write_text(text)
    assert read_sign(tmp_path) is None


# --- signals


@contextmanager
def _process(world: World, *settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """The daemon as people run it, in a process of its own."""
    lines = (f"comfyui_url: {world.sandbox.url}", "owner: here", "poll_seconds: 0.2", "settle_seconds: 0.1", *settings)
    if not any(line.startswith("rescan_seconds") for line in settings):
        lines += ("rescan_seconds: 1",)
    (world.root / "config.yaml").write_text("\n".join(lines))
    env = {key: value for key, value in os.environ.items() if not key.startswith(("COMFYWATCH", "COMFYUI"))}
    command = [sys.executable, "-m", "comfywatch", "run", "--config", str(world.root / "config.yaml")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=env) as process:
        try:
            world.until(lambda: world.settings.database.exists() and world.sandbox.requests)
            yield process
        finally:
            process.kill()


def _passes(world: World, seconds: float) -> None:
    """Time in which something might happen that must not."""
    deadline = time.monotonic() + seconds
    world.until(lambda: time.monotonic() > deadline)


def _has_ended(process: subprocess.Popen[bytes], number: int) -> bool:
    """Whether it has; if not, the signal is sent again: two that come before one was taken in count as one."""
    if process.poll() is None:
        process.send_signal(number)
    return process.poll() is not None


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
def test_ctrl_c_ends_it_well_and_a_second_one_at_once(world: World) -> None:
    world.sandbox.faults.hang = "/view"
    with _process(world) as process:
        for number in range(4):
            world.drop(f"{number}.json", picture(number))
        world.until(lambda: sum("/view" in path for _, path in world.sandbox.requests) == 4)
        world.until(lambda: _has_ended(process, signal.SIGINT))
        assert process.returncode == 130
    world.sandbox.faults.clear()
    with _process(world) as process:
        world.until(lambda: world.status().get("counts", {}).get("completed") == 4)
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
    assert world.status()["daemon"]["state"] == "stopped"
    assert len(world.sandbox.executed) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
def test_sighup_has_it_look_at_everything_anew(world: World) -> None:
    with _process(world, "watch: polling", "rescan_seconds: 3600") as process:
        world.drop("first.json", picture(1))
        _passes(world, 0.2)
        process.send_signal(signal.SIGHUP)
        world.until_state("first.json", "completed")
        asked = world.sandbox.requests.count(("GET", "/api/object_info"))
        (world.projects / "film/manifest.yaml").write_text("status: paused\n")
        world.drop("second.json", picture(2))
        process.send_signal(signal.SIGHUP)
        world.until(lambda: "paused" in world.entry("second.json").get("reason", ""))
        world.until(lambda: world.sandbox.requests.count(("GET", "/api/object_info")) > asked)
        assert process.poll() is None


# --- docs/reliability.md


def _tests_named() -> list[tuple[str, list[str]]]:
    """Each fault of the tables, with the tests that show it."""
    text = RELIABILITY.read_text(encoding="utf-8")
    return [
        (cells[0], [word for word in documents.words(cells[-1]) if word.startswith("test_")])
        for cells in documents.rows(text)
    ]


def test_each_fault_in_the_document_is_shown_by_a_test_that_exists() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)\(", sources, re.MULTILINE))
    named = _tests_named()
    assert len(named) > 30
    for fault, tests in named:
        assert tests, f"nothing shows what is said of: {fault}"
        assert set(tests) <= there, f"{fault}: {set(tests) - there}"


def test_each_test_of_a_fault_is_in_the_document() -> None:
    named = {test for _, tests in _tests_named() for test in tests}
    for module in ("test_faults_of_comfyui.py", "test_faults_of_the_machine.py"):
        source = (TESTS / module).read_text(encoding="utf-8")
        own = set(re.findall(r"^def (test_\w+)\(\s*world", source, re.MULTILINE))
        assert own <= named, own - named
