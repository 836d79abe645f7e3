"""The daemon's decisions: events come in, changes go to the ledger, effects come out.

One thread owns an ``Engine``. ``handle`` takes one event in, ``plan`` says what is to be done now; what it returns
may be done only after ``store.commit()``, so that nothing happens outside that the database does not know. Time is an
argument: ``now`` is monotonic, in seconds; ``at`` is UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from comfywatch import __version__
from comfywatch.asks import Answer
from comfywatch.board import Board
from comfywatch.collect import Collected, highest_run_on_disk
from comfywatch.desk import Desk
from comfywatch.dispatch import Dispatcher
from comfywatch.effects import (
    Effect,
    Event,
    Scan,
    Scanned,
    StatusWritten,
    Touched,
    Uploaded,
    WatchAdded,
    WatchProjects,
    Woken,
)
from comfywatch.follow import Follower
from comfywatch.intake import Intake, Pace
from comfywatch.jobs import Fact, JobState
from comfywatch.ledger import Ledger
from comfywatch.projects import MANIFESTS, Projects
from comfywatch.settings import Settings
from comfywatch.store import Store
from comfywatch.submit import Rules, Submitter

SCAN_COST_FACTOR = 10
"""A scan that an event asks for comes no sooner after the last than this many times what that one took."""
FIRST_SCAN = "first scan"
VERSION = "comfywatch version"


class Engine:
    """All that is known and decided. ``started_ns`` is when the daemon started, on the clock of file times."""

    def __init__(self, settings: Settings, store: Store, *, now: float, started_ns: int, once: bool = False) -> None:
        self.settings = settings
        self.store = store
        self.ledger = Ledger(store)
        self.projects = Projects(settings)
        is_first_start = store.fact(FIRST_SCAN) is None
        self.intake = Intake(
            self.ledger,
            settings.projects,
            _pace(settings),
            archive_before_ns=started_ns if is_first_start else None,
            hold_archive=settings.existing == "hold" and not once,
        )
        submitter = Submitter(
            self.ledger,
            _rules(settings),
            aliases=self._aliases,
            folder=self.projects.folder,
            highest_run_on_disk=self._highest_run_on_disk,
        )
        follower = Follower(self.ledger, hold_partial=settings.partial == "hold")
        self.dispatcher = Dispatcher(
            settings, self.ledger, self.projects, submitter, follower, must_adopt=is_first_start, now=now
        )
        self.desk = Desk(self.ledger, self.intake, self.dispatcher)
        self.board = Board(settings, self.ledger, self.projects, self.intake, self.dispatcher)
        self._read_invalid_again()
        self.has_scanned = False
        self._scan_due = now
        self._scan_cost = 0.0
        self._is_scanning = False
        self._watched: frozenset[tuple[str, bool]] = frozenset()
        self._must_watch = True

    # --- events

    def handle(self, event: Event, *, now: float, at: datetime) -> None:
        """Take in what has happened."""
        match event:
            case Touched():
                self._touched(event, now=now)
            case Scanned():
                self._scanned(event, now=now, at=at)
            case WatchAdded():
                self._scan_due = now
            case Woken():
                self.desk.wake()
            case _:
                self._came_back(event, now=now, at=at)

    def _came_back(self, event: Answer | Collected | Uploaded | StatusWritten, *, now: float, at: datetime) -> None:
        """Something that was asked for is done, or could not be done."""
        match event:
            case Answer():
                self.dispatcher.answered(event, now=now, at=at)
            case Collected():
                self.dispatcher.collected(event, now=now, at=at)
            case Uploaded():
                self.dispatcher.poster.uploaded(event, now=now)
            case StatusWritten():
                self.board.written(event, now=now)

    def _touched(self, event: Touched, *, now: float) -> None:
        if self.intake.is_of_no_interest(event.path):
            return
        key = self.intake.classify(event.path)
        if event.path.name in MANIFESTS and event.path.parent.parent == self.settings.projects:
            self.projects.look(event.path.parent.name, now=now)
        elif key is not None and not event.path.is_dir():
            self.projects.look(key[0], now=now)
            self.intake.look(key, now=now)
        else:
            self._scan_due = min(self._scan_due, now + SCAN_COST_FACTOR * self._scan_cost)

    def _scanned(self, event: Scanned, *, now: float, at: datetime) -> None:
        self._is_scanning = False
        self._scan_cost = event.took
        forest = event.forest
        self.board.misplaced = forest.notices
        for name in forest.projects.keys() | self.ledger.files.keys():
            tree = forest.projects.get(name)
            self.projects.look(name, now=now)
            notices = tree.notices if tree else ()
            if self.projects.saw(name, is_there=tree is not None and tree.is_there, misplaced=notices):
                self.ledger.changed.add(name)
        watched = frozenset((name, tree.is_there) for name, tree in forest.projects.items())
        self._must_watch = self._must_watch or watched != self._watched
        self._watched = watched
        self.dispatcher.files_changed(now=now)
        self.intake.look_through(forest, now=now)
        self.intake.take(now=now, at=at)
        if not self.has_scanned:
            self.has_scanned = self.dispatcher.knows_files = True
            self.store.save_fact(FIRST_SCAN, at.isoformat())

    # --- what is to be done

    def plan(self, *, now: float, at: datetime) -> list[Effect]:
        """What is to be done now; commit first."""
        self.intake.take(now=now, at=at)
        self.ledger.changed.update(self.projects.take(now=now))
        self.desk.serve(now=now, at=at)
        return [*self._scanning(now), *self.dispatcher.plan(now=now, at=at), *self.board.plan(now=now, at=at)]

    def next_due(self, *, now: float) -> float:
        """When ``plan`` has something to do even if nothing happens."""
        times = [self.dispatcher.next_due(now=now), self.board.next_due(), self.desk.next_due()]
        if not self._is_scanning:
            times.append(self._scan_due)
        times += [due for due in (self.intake.next_due(), self.projects.next_due()) if due is not None]
        return min(times)

    def is_done(self) -> bool:
        """For ``run --once``: nothing is pending, queued or running but what is held."""
        if not self.has_scanned or not self.intake.is_idle or self._is_scanning:
            return False
        return self.dispatcher.is_idle() and not self.desk.is_asked()

    def has_findings(self) -> bool:
        """Whether anything that this daemon saw ended, or stands, failed, blocked or invalid."""
        stopped = {JobState.BLOCKED, JobState.INVALID}
        return self.dispatcher.has_failed or any(job.state in stopped for job in self.ledger.jobs.values())

    def _scanning(self, now: float) -> Iterator[Effect]:
        if self._must_watch:
            self._must_watch = False
            yield WatchProjects(names=frozenset(name for name, _ in self._watched))
        if self._scan_due <= now and not self._is_scanning:
            self._is_scanning = True
            self._scan_due = now + self.settings.rescan_seconds
            yield Scan()

    def _read_invalid_again(self) -> None:
        """A newer comfywatch may read what an older one called invalid."""
        if self.store.fact(VERSION) == __version__:
            return
        self.store.save_fact(VERSION, __version__)
        for job in [job for job in self.ledger.jobs.values() if job.state is JobState.INVALID]:
            if self.ledger.can_be_read(job):
                self.ledger.change(job.after(Fact.FREED, problems=()))

    def _aliases(self, project: str) -> dict[str, str]:
        manifest = self.projects[project].manifest
        return {**self.settings.models, **(manifest.models if manifest else {})}

    def _highest_run_on_disk(self, project: str, path: str) -> int:
        return highest_run_on_disk(self.projects.folder(project), path)


def _pace(settings: Settings) -> Pace:
    return Pace(
        settle_seconds=settings.settle_seconds,
        delete_grace_seconds=settings.delete_grace_seconds,
        max_workflow_bytes=settings.max_workflow_mb * 2**20,
    )


def _rules(settings: Settings) -> Rules:
    return Rules(
        deny_nodes=frozenset(settings.deny_nodes),
        hold_partial=settings.partial == "hold",
        provenance=settings.provenance,
    )
