"""The promises of DESIGN 1 under anything that may happen, in any order.

People drop, overwrite, remove, rename and bring back; the daemon is killed between any two steps; ComfyUI restarts,
forgets, fails and hangs; the network and the disk break. After every step, and once everything is well again, nothing
is lost, nothing ran twice, and nothing that was said is false.

A fixed budget runs by default, always the same. ``COMFYWATCH_STATEFUL_EXAMPLES=2000`` makes it that many, at random.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from loguru import logger

from comfywatch.comfy_errors import Busy, CutOff, Truncated
from comfywatch.effects import Touched
from comfywatch.jobs import Job, JobState, Wish
from comfywatch.settings import Settings
from tests.audit import Audit
from tests.fake_comfy import End, FakeComfy, PostFate, Road
from tests.folders import SHARED_COLORS, Key
from tests.lives import Clock, Lives

EXAMPLES = int(os.environ.get("COMFYWATCH_STATEFUL_EXAMPLES", "0"))
FAST_DISK = Path("/dev/shm")
GRACE = 10.0
RESCAN = 30.0

keys = st.sampled_from(
    [("film", "a.json")] * 3 + [("film", "b.json"), ("film", "deep/c.json"), ("movie", "a.json"), ("movie", "b.json")]
)
new_keys = keys | st.sampled_from([("film", "x.json"), ("film", "y.json"), ("movie", "z.json")])
colors = st.none() | st.none() | st.integers(0, SHARED_COLORS - 1)
ends = st.sampled_from([End.SUCCESS] * 5 + [End.ERROR, End.NO_FILES])
pauses = st.sampled_from([0.05, 0.6, 1.2, 5.5, 12.0, 45.0])


class Stage(Enum):
    """How far a prompt is brought before something else happens."""

    QUEUED = auto()
    RUNNING = auto()
    ENDED = auto()
    TOLD = auto()
    DONE = auto()


@pytest.fixture(autouse=True)
def _in_silence() -> Iterator[None]:
    """Ten thousand kills make a long log."""
    logger.disable("comfywatch")
    yield
    logger.enable("comfywatch")


class Promises(RuleBasedStateMachine):
    """One root, one ComfyUI, and one daemon after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="comfywatch-", dir=FAST_DISK if FAST_DISK.is_dir() else None))
        self.clock = Clock()

    @initialize(cancels_jobs=st.booleans())
    def begin(self, cancels_jobs: bool) -> None:
        self.comfy = FakeComfy(self.clock.read, cancels_jobs=cancels_jobs)
        self.audit = Audit(self.root, self.clock, self.comfy)
        self.folders = self.audit.folders
        settings = Settings(
            root=self.root,
            comfyui_url="http://127.0.0.1:8188",
            owner="here",
            delete_grace_seconds=GRACE,
            rescan_seconds=RESCAN,
        )
        self.lives = Lives(settings, self.comfy, self.clock, self.audit)
        self.start()
        self.lives.run(2)

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.all_is_well_again()
        finally:
            if hasattr(self, "lives"):
                self.lives.die()
            shutil.rmtree(self.root)

    # --- people

    @precondition(lambda self: self.folders.are_there)
    @rule(key=keys, color=colors, in_place=st.booleans(), is_seen=st.booleans())
    def drop(self, key: Key, color: int | None, in_place: bool, is_seen: bool) -> None:
        self.folders.drop(key, color, in_place=in_place)
        self._seen(is_seen, key)

    @precondition(lambda self: self.folders.are_there)
    @rule(key=keys, color=colors, stage=st.sampled_from(Stage), end=ends)
    def bring(self, key: Key, color: int | None, stage: Stage, end: End) -> None:
        """Drop a workflow, and let all go on until ComfyUI and the daemon are so far with something."""
        self.folders.drop(key, color, in_place=False)
        self._seen(True, key)
        self._live()
        before = len(self.comfy.executions), len(self.audit.ended)
        works = (lambda: False) if stage is Stage.QUEUED else lambda: self._comfy_works(end, until=stage)
        self.lives.run(12, meanwhile=works, until=lambda: self._is_at(stage, *before))

    @precondition(lambda self: self.folders.are_there)
    @rule(key=keys, is_seen=st.booleans())
    def drop_half(self, key: Key, is_seen: bool) -> None:
        self.folders.drop_half(key)
        self._seen(is_seen, key)

    @precondition(lambda self: self.folders.are_there and self.folders.lying)
    @rule(data=st.data(), is_seen=st.booleans())
    def remove(self, data: st.DataObject, is_seen: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.folders.lying)))
        self.folders.remove(key)
        self._seen(is_seen, key)

    @precondition(lambda self: self.folders.are_there and self.folders.aside)
    @rule(data=st.data(), is_seen=st.booleans())
    def restore(self, data: st.DataObject, is_seen: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.folders.aside)))
        self.folders.restore(key)
        self._seen(is_seen, key)

    @precondition(lambda self: self.folders.are_there and self.folders.lying)
    @rule(data=st.data(), new=new_keys, is_seen=st.booleans())
    def rename(self, data: st.DataObject, new: Key, is_seen: bool) -> None:
        old = data.draw(st.sampled_from(sorted(self.folders.lying)))
        if old != new:
            self.folders.move(old, new)
            self._seen(is_seen, old, new)

    @precondition(lambda self: self.folders.are_there)
    @rule(old=st.sampled_from(["film", "film", "movie", "third"]), new=st.sampled_from(["third", "film", "movie"]))
    def rename_project(self, old: str, new: str) -> None:
        if (self.folders.projects / old).is_dir() and not (self.folders.projects / new).exists():
            self.folders.move_project(old, new)

    @precondition(lambda self: self.audit.latest)
    @rule(command=st.sampled_from(["retry", "cancel"]), data=st.data())
    def ask(self, command: str, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.audit.latest)))
        request = self.lives.request(command, f"{key[0]}/{key[1]}")
        self.audit.asked(request, key)

    @precondition(lambda self: self.folders.are_there)
    @rule(
        name=st.sampled_from(["", "", "film"]), leaves_folder=st.booleans(), seconds=st.sampled_from([0.0, 12.0, 80.0])
    )
    def vanish(self, name: str, leaves_folder: bool, seconds: float) -> None:
        """A folder is unmounted, or its sync tool paused; sometimes until later."""
        if (self.folders.projects / name).is_dir():
            self._finish_writing()
            self.folders.vanish(name, leaves_folder=leaves_folder)
            if seconds:
                self.lives.run(seconds)
                self.folders.come_back()

    @precondition(lambda self: not self.folders.are_there)
    @rule()
    def come_back(self) -> None:
        self.folders.come_back()

    # --- the daemon, step by step and undisturbed

    @precondition(lambda self: self.lives.engine is not None)
    @rule(steps=st.lists(st.integers(0, 9), min_size=1, max_size=12))
    def steps(self, steps: list[int]) -> None:
        for step in steps:
            match step % 4:
                case 0 if self.lives.engine is not None:
                    self.lives.turn()
                case 1:
                    self.lives.ask_next(step // 4)
                case 2:
                    self.lives.work_next(step // 4)
                case _:
                    self.lives.hear_next(step // 4)

    @rule(seconds=pauses)
    def run_daemon(self, seconds: float) -> None:
        self._live()
        self.lives.run(seconds)

    @rule(seconds=st.sampled_from([0.05, 5.5, 65.0, 4000.0]))
    def wait(self, seconds: float) -> None:
        """The daemon is not running, or does not get its turn."""
        self.clock.advance(seconds)
        self.comfy.arrive_late()

    @rule(seconds=pauses, end=ends)
    def work(self, seconds: float, end: End) -> None:
        self._live()
        self.lives.run(seconds, meanwhile=lambda: self._comfy_works(end))

    @precondition(lambda self: self.lives.engine is not None)
    @rule(points=st.integers(0, 25))
    def kill_soon(self, points: int) -> None:
        self.lives.die_after(points)

    @precondition(lambda self: self.lives.engine is not None)
    @rule(late=st.sampled_from([0.0, 1.0, 4.0]), is_started=st.booleans())
    def kill(self, late: float, is_started: bool) -> None:
        """A POST that was just sent may arrive yet."""
        post = self.lives.post_on_the_way()
        if post is not None and late and self.comfy.road is Road.OPEN:
            self.audit.posts(post, now=self.clock.now)
            self.comfy.send_late(post.body, after=late)
        self.lives.die()
        if is_started:
            self._live()

    @precondition(lambda self: self.folders.are_there)
    @rule(really=st.sampled_from([False, False, True]))
    def lose_state(self, really: bool) -> None:
        if really:
            self.lives.die()
            self.lives.image = b""
            shutil.rmtree(self.root / "state", ignore_errors=True)
            self.audit.state_lost()

    # --- ComfyUI

    @precondition(lambda self: self.comfy.running is not None)
    @rule(end=ends)
    def comfy_finishes(self, end: End) -> None:
        self.comfy.finish(end)

    @precondition(lambda self: self.comfy.pending and self.comfy.running is None)
    @rule()
    def comfy_begins(self) -> None:
        self.comfy.begin()

    @rule(is_seen=st.booleans())
    def comfy_restarts(self, is_seen: bool) -> None:
        self.comfy.restart()
        self.audit.forgotten()
        if is_seen:
            self.comfy.road = Road.REFUSED
            self.lives.run(6)
            self.comfy.road = Road.OPEN

    @precondition(lambda self: self.comfy.running is not None)
    @rule()
    def somebody_interrupts(self) -> None:
        self.comfy.somebody_interrupts()

    @precondition(lambda self: self.comfy.pending)
    @rule(index=st.integers(0, 2))
    def somebody_deletes(self, index: int) -> None:
        self.comfy.somebody_deletes(index)

    @precondition(lambda self: self.comfy.disk)
    @rule()
    def somebody_tidies(self) -> None:
        self.comfy.somebody_tidies()

    @precondition(lambda self: self.comfy.remembered)
    @rule()
    def somebody_wipes(self) -> None:
        self.comfy.wipe()
        self.audit.forgotten()

    @rule()
    def somebody_posts(self) -> None:
        self.comfy.somebody_posts()

    # --- the road between, and the disk

    @rule(road=st.sampled_from([Road.OPEN, Road.OPEN, *Road]))
    def road(self, road: Road) -> None:
        self.comfy.road = road

    @rule(fates=st.lists(st.sampled_from(PostFate), min_size=1, max_size=3))
    def posts_meet(self, fates: list[PostFate]) -> None:
        self.comfy.fates = fates

    @rule(kind=st.sampled_from([Busy, CutOff]), count=st.integers(1, 3))
    def asks_fail(self, kind: type[Busy] | type[CutOff], count: int) -> None:
        self.comfy.trips = [kind("it broke off") for _ in range(count)]

    @rule(what=st.sampled_from(["disk", "cut", "short"]))
    def download_fails(self, what: str) -> None:
        faults = {"disk": OSError(28, "No space left on device"), "cut": CutOff("cut"), "short": Truncated("short")}
        self.comfy.download_fault = faults[what]

    # --- the promises

    @invariant()
    def nothing_twice_and_nothing_false(self) -> None:
        if hasattr(self, "audit"):
            self.audit.nothing_ran_twice()
            self.audit.runs_go_up()
            self.audit.completed_is_whole()

    def all_is_well_again(self) -> None:
        """Given time, everything comes to its end, and nothing happens after it."""
        self.folders.come_back()
        self._mend()
        self._live()
        self.lives.run(GRACE + RESCAN + 5)
        begun = len(self.comfy.executions)
        for _ in range(20):
            self.lives.run(20, meanwhile=lambda: self._comfy_works(End.SUCCESS))
            if not any(map(_goes_on, self.audit.jobs.values())):
                break
        self.nothing_removed_was_begun(begun)
        self.nothing_was_lost()
        begun = len(self.comfy.executions)
        self.lives.die()
        self.start()
        self.lives.run(12, meanwhile=lambda: self._comfy_works(End.SUCCESS))
        assert len(self.comfy.executions) == begun, "a restart of the daemon ran something again"
        self.nothing_was_lost()
        self.nothing_twice_and_nothing_false()
        self.audit.results_are_true()

    def nothing_removed_was_begun(self, begun: int) -> None:
        """What was taken out of its folder did not begin after the grace."""
        wanted = set(self.folders.lying.values())
        unknown = {job.prompt_id for job in self.audit.jobs.values() if not self._is_there(job)} | self.audit.orphans
        for execution in self.comfy.executions[begun:]:
            is_wanted = not execution.digest or execution.digest in wanted or execution.prompt_id in unknown
            assert is_wanted, "what was removed ran after its grace"

    def nothing_was_lost(self) -> None:
        """Each workflow that lies there is known by its content, and at an end, or waits and says why."""
        for job in self.audit.jobs.values():
            is_left = _goes_on(job) and self._is_there(job)
            assert not is_left, f"job {job.id} of {job.project}/{job.path} is still {job.state}"
        for key, digest in self.folders.lying.items():
            latest = self.audit.latest.get(key)
            assert latest is not None, f"{key} was never taken"
            assert latest.digest == digest, f"{key} was taken with another content"
            is_removed = latest.state is JobState.CANCELLED and latest.wish is Wish.REMOVE
            assert not is_removed, f"{key} is cancelled as removed and lies there"

    # --- how

    def _seen(self, is_seen: bool, *keys: Key) -> None:
        if is_seen:
            self.lives.touch(*(Touched(path=self.folders.path(key)) for key in keys))

    def _finish_writing(self) -> None:
        """What is being written to cannot be unmounted."""
        while self.lives.work_next():
            pass

    def _is_there(self, job: Job) -> bool:
        """Whether its project is; else it may have been unmounted, and nobody knows whether the job is still wanted."""
        return (self.folders.projects / job.project / "workflows").is_dir()

    def _live(self) -> None:
        if self.lives.engine is None:
            self.start()

    def _mend(self) -> None:
        self.comfy.road = Road.OPEN
        self.comfy.trips = []
        self.comfy.fates = []
        self.comfy.download_fault = None
        self.lives.die_after(10**9)

    def start(self) -> None:
        self.lives.start(started_ns=self.folders.file_time())

    def _comfy_works(self, end: End, *, until: Stage = Stage.DONE) -> bool:
        """It begins what waits, and ends what runs if it is to come so far."""
        if self.comfy.running is None:
            return self.comfy.begin()
        if until is not Stage.RUNNING:
            self.comfy.finish(end)
        return until is not Stage.RUNNING

    def _is_at(self, stage: Stage, executions: int, ended: int) -> bool:
        match stage:
            case Stage.QUEUED:
                return bool(self.comfy.pending)
            case Stage.RUNNING:
                return self.comfy.running is not None
            case Stage.ENDED:
                return len(self.comfy.executions) > executions and self.comfy.running is None
            case Stage.TOLD:
                return len(self.audit.ended) > ended
            case Stage.DONE:
                return False


def _goes_on(job: Job) -> bool:
    """Whether it is neither at an end nor waiting for a person."""
    return not (job.is_final or job.held or job.state in {JobState.BLOCKED, JobState.INVALID})


TestPromises = Promises.TestCase
TestPromises.settings = settings(
    max_examples=EXAMPLES or 150,
    stateful_step_count=30,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    print_blob=False,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
