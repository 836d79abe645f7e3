"""The daemon's decisions: events come in, changes go to the ledger, effects come out.

One thread owns an ``Engine``. ``handle`` takes one event in, ``plan`` says what is to be done now; what it returns
may be done only after ``store.commit()``, so that nothing happens outside that the database does not know. Time is an
argument: ``now`` is monotonic, in seconds; ``at`` is UTC.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from loguru import logger

from comfywatch import __version__
from comfywatch.asks import Answer
from comfywatch.away import Away
from comfywatch.board import Board
from comfywatch.choices import Previews
from comfywatch.collect import Collected, highest_run_on_disk
from comfywatch.controls import Controls
from comfywatch.desk import Desk
from comfywatch.dispatch import Dispatcher
from comfywatch.effects import (
    UNHEARD,
    Effect,
    Event,
    Heard,
    PackagesFound,
    PageWritten,
    PreviewShown,
    Scanned,
    StatusWritten,
    Touched,
    Unheard,
    Uploaded,
    WatchAdded,
    Woken,
)
from comfywatch.follow import Follower
from comfywatch.inherit import catch_up
from comfywatch.intake import Intake, Pace
from comfywatch.jobs import Fact, JobState
from comfywatch.ledger import Ledger
from comfywatch.lookout import Lookout
from comfywatch.newsroom import Newsroom
from comfywatch.page_board import PageBoard
from comfywatch.projects import MANIFESTS, Projects
from comfywatch.prompts import digest_for
from comfywatch.reading import Key
from comfywatch.settings import Settings
from comfywatch.shelf import Shelf
from comfywatch.store import Store
from comfywatch.submit import Rules, Submitter
from comfywatch.tree import Forest
from comfywatch.workflow import Dropped

CLOCK_JUMP = 10.0
"""Seconds by which the clocks may come apart between two rounds; if it is more, one of them was set or stood still."""
FIRST_SCAN = "first scan"
VERSION = "comfywatch version"
NAMES = "owners"
CLIENT_ID = "client id"


class Engine:
    """All that is known and decided. ``started_ns`` is when the daemon started, on the clock of file times."""

    def __init__(self, settings: Settings, store: Store, *, now: float, started_ns: int, once: bool = False) -> None:
        self.settings = settings
        self.store = store
        self.ledger = Ledger(store)
        self.shelf = Shelf(settings.references_file)
        self.projects = Projects(settings, names=_names(settings, store))
        is_first_start = store.fact(FIRST_SCAN) is None
        self.intake = Intake(
            self.ledger,
            settings.projects,
            _pace(settings),
            archive_before_ns=started_ns if is_first_start else None,
            hold_archive=settings.existing == "hold" and not once,
            allow_links=settings.allow_links,
            inherited=self.projects.neighbours.inherited,
            digest_for=self._digest_for,
        )
        client_id = _client_id(store)
        submitter = Submitter(
            self.ledger,
            _rules(settings, client_id),
            aliases=self._aliases,
            folder=self.projects.folder,
            references=self.shelf.references,
            highest_run_on_disk=self._highest_run_on_disk,
        )
        follower = Follower(self.ledger, hold_partial=settings.partial == "hold", mended=submitter.refusal_mended)
        self.dispatcher = Dispatcher(
            settings,
            self.ledger,
            self.projects,
            submitter,
            follower,
            client_id=client_id,
            must_adopt=is_first_start,
            now=now,
        )
        self.dispatcher.knows_files = not is_first_start
        self.desk = Desk(self.ledger, self.intake, self.dispatcher)
        self.controls = Controls(self.ledger, self.desk, settings.projects, is_first_start=is_first_start)
        self.board = Board(settings, self.ledger, self.projects, self.intake, self.dispatcher, self.controls)
        self.pages = PageBoard(settings, self.ledger, self.projects, self.board)
        self._away = Away(store)
        self._newsroom = Newsroom(settings, self.ledger, self.projects, self.dispatcher.servers, now=now)
        self._read_invalid_again()
        self.has_scanned = False
        self.lookout = Lookout(rescan_seconds=settings.rescan_seconds, now=now)
        self._clocks_apart: float | None = None
        self._touched: dict[Path, None] = {}

    # --- events

    def handle(self, event: Event, *, now: float, at: datetime) -> None:
        """Take in what has happened."""
        self._newsroom.saw(event)
        match event:
            case Touched():
                self._touch(event.path)
            case Scanned():
                self._scanned(event, now=now, at=at)
            case WatchAdded():
                self.lookout.look_soon(now=now)
            case Woken():
                self.desk.wake()
            case Heard():
                self.dispatcher.heard(event, now=now)
            case Unheard():
                self.store.save_fact(UNHEARD, dict(event.projects))
            case _:
                self._came_back(event, now=now, at=at)

    def _touch(self, path: Path) -> None:
        if not self.intake.is_of_no_interest(path):
            self._touched[path] = None

    def _came_back(
        self,
        event: Answer | Collected | Uploaded | PackagesFound | StatusWritten | PreviewShown | PageWritten,
        *,
        now: float,
        at: datetime,
    ) -> None:
        """Something that was asked for is done, or could not be done."""
        match event:
            case Answer():
                self.dispatcher.answered(event, now=now, at=at)
            case Collected():
                self.dispatcher.collected(event, now=now, at=at)
            case Uploaded():
                self.dispatcher.poster.uploaded(event, now=now)
            case PackagesFound():
                self.dispatcher.packages_found(event, now=now)
            case StatusWritten():
                self.board.written(event, now=now)
                self.pages.follow(event)
            case PreviewShown():
                self.dispatcher.hearing.shown(event, now=now)
            case PageWritten():
                self.pages.written(event, now=now)

    def _look_at_touched(self, *, now: float, at: datetime) -> None:
        """What events have told of: each path once, however often it was named, and each project once."""
        keys, projects = [], []
        for path in self._touched:
            key = self.intake.classify(path)
            if path.name in MANIFESTS and path.parent.parent == self.settings.projects:
                projects.append(path.parent.name)
            elif key is not None:
                keys.append(key)
            else:
                self.lookout.was_told(is_all=path == self.settings.projects, now=now)
        self._touched.clear()
        for name in dict.fromkeys([*projects, *(key[0] for key in keys)]):
            self.projects.look(name, now=now, at=at)
        self._look_at_files([key for key in keys if self.projects[key[0]].is_ours], now=now)

    def _look_at_files(self, keys: list[Key], *, now: float) -> None:
        if any(map(self.intake.is_folder, self.intake.look(keys, now=now))):
            self.lookout.was_told(is_all=False, now=now)
        beside = [key for key in keys if self.controls.glance(*key)]
        if beside:
            self.lookout.look_soon(now=now)

    def _scanned(self, event: Scanned, *, now: float, at: datetime) -> None:
        """A part of a look; what it found is taken up before the next part is looked for."""
        event = replace(event, forest=self._away.judged(event.forest, self.store.lying))
        self.lookout.saw(event)
        for name in event.forest.projects:
            if name not in event.forest.untouched or not self.projects.is_settled(name):
                self._saw_project(name, now=now, at=at)
        self._catch_up()
        self._take_up(event.forest, now=now, at=at, is_last=event.is_last)
        if event.is_last:
            self._looked_through(event.forest, now=now, at=at)

    def _take_up(self, forest: Forest, *, now: float, at: datetime, is_last: bool) -> None:
        ours = {name: tree for name, tree in forest.projects.items() if self.projects[name].is_ours}
        self.intake.look_through(replace(forest, projects=ours), now=now)
        self.intake.take(now=now, at=at)
        self.controls.look_through(replace(forest, projects=ours), at=at, is_last=is_last)
        self.dispatcher.poster.looked_through |= forest.projects.keys()

    def _saw_project(self, name: str, *, now: float, at: datetime) -> None:
        self.projects.look(name, now=now, at=at)
        was_there = self.projects[name].is_there
        if self.projects.saw(name, self.lookout.trees.get(name)):
            self.ledger.changed.add(name)
        if self.projects[name].is_there and not was_there:
            self.dispatcher.is_back(name)

    def _looked_through(self, forest: Forest, *, now: float, at: datetime) -> None:
        """The last part was taken up: what was not found is not there."""
        for name in self.ledger.projects - self.lookout.trees.keys():
            self._saw_project(name, now=now, at=at)
        self.board.misplaced = (*forest.notices, *self.projects.notices_of_others())
        self.dispatcher.files_changed(now=now)
        if self.shelf.has_changed():
            self.dispatcher.mend_again(now=now)
        self.dispatcher.poster.looked_through |= self.ledger.projects
        if not self.has_scanned:
            self.has_scanned = self.dispatcher.knows_files = True
            self.store.save_fact(FIRST_SCAN, at.isoformat())

    def _catch_up(self) -> None:
        """What another machine has finished in projects that are ours now is not run again."""
        waiting = self.projects.neighbours.to_catch_up
        for name in [name for name in waiting if self.projects[name].is_ours and self.projects[name].is_there]:
            catch_up(self.ledger, self.projects.folder(name))
            waiting.discard(name)

    # --- what is to be done

    def plan(self, *, now: float, at: datetime) -> list[Effect]:
        """What is to be done now; commit first."""
        self._compare_clocks(now=now, at=at)
        if self._touched:
            self._look_at_touched(now=now, at=at)
        self.intake.take(now=now, at=at)
        if settled := self.projects.take(now=now):
            self.ledger.changed.update(settled)
            self.lookout.look_soon(now=now)
        self.desk.serve(now=now, at=at)
        effects = [*self.lookout.plan(now=now), *self.dispatcher.plan(now=now, at=at), *self.board.plan(now=now, at=at)]
        return [*effects, *self.pages.plan(now=now, at=at), *self._newsroom.plan(now=now, at=at)]

    def look_again(self, *, now: float) -> None:
        """Look at everything anew: the folders, each manifest, and what each ComfyUI has."""
        self.lookout.look_soon(now=now, in_full=True)
        for project in list(self.projects):
            self.ledger.changed.add(self.projects.read(project.name).name)
        for server in self.dispatcher.servers:
            server.next_refresh = now

    def next_due(self, *, now: float) -> float:
        """When ``plan`` has something to do even if nothing happens."""
        times = [
            self.dispatcher.next_due(now=now),
            self.board.next_due(),
            self.pages.next_due(),
            self.lookout.next_due(now=now),
            self._newsroom.next_due(),
        ]
        times += [due for due in (self.intake.next_due(), self.projects.next_due()) if due is not None]
        return min(times)

    def is_done(self) -> bool:
        """For ``run --once``: nothing is pending, queued or running but what is held."""
        if not self.has_scanned or not self.intake.is_idle or self.lookout.is_looking:
            return False
        return self.dispatcher.is_idle() and not self.desk.is_asked() and not self._newsroom.has_more

    def has_findings(self) -> bool:
        """Whether anything that this daemon saw ended, or stands, failed, blocked or invalid."""
        return self.dispatcher.has_failed or bool(self.ledger.stopped)

    def _compare_clocks(self, *, now: float, at: datetime) -> None:
        """After a clock was set or the machine slept, what was promised by the clock no longer holds."""
        apart = at.timestamp() - now
        before, self._clocks_apart = self._clocks_apart, apart
        if before is None or abs(apart - before) < CLOCK_JUMP:
            return
        logger.info("the clock was set, or this machine slept: {} s", round(apart - before))
        if apart < before:
            self.intake.clock_was_set_back(before - apart)
        self.lookout.look_soon(now=now, in_full=True)
        self.ledger.changed.update(self.ledger.projects)

    def _read_invalid_again(self) -> None:
        """A newer comfywatch may read what an older one called invalid."""
        if self.store.fact(VERSION) == __version__:
            return
        self.store.save_fact(VERSION, __version__)
        for job in [job for job in self.ledger.jobs.values() if job.state is JobState.INVALID]:
            if self.ledger.can_be_read(job):
                self.ledger.change(job.after(Fact.FREED, problems=()))

    def _digest_for(self, project: str, dropped: Dropped) -> str:
        """What a workflow is as content, as far as the schemas of its project's server are known."""
        server = self.dispatcher.servers.get(self.projects[project].url)
        return digest_for(dropped, None if server is None else server.schemas)

    def _aliases(self, project: str) -> dict[str, str]:
        manifest = self.projects[project].manifest
        return {**self.settings.models, **(manifest.models if manifest else {})}

    def _highest_run_on_disk(self, project: str, path: str) -> int:
        return highest_run_on_disk(self.projects.folder(project), path)


def _names(settings: Settings, store: Store) -> frozenset[str]:
    """The names that this daemon has had: a ``status.yaml`` under an earlier one is its own."""
    known = frozenset(store.fact(NAMES) or ())
    if settings.owner not in known:
        store.save_fact(NAMES, sorted(known | {settings.owner}))
    return known


def _pace(settings: Settings) -> Pace:
    return Pace(
        settle_seconds=settings.settle_seconds,
        delete_grace_seconds=settings.delete_grace_seconds,
        max_workflow_bytes=settings.max_workflow_mb * 2**20,
    )


def _client_id(store: Store) -> str:
    """By which ComfyUI knows this daemon's websocket from that of another comfywatch."""
    known = store.fact(CLIENT_ID)
    if not isinstance(known, str):
        known = f"comfywatch-{uuid.uuid4().hex[:12]}"
        store.save_fact(CLIENT_ID, known)
    return known


def _rules(settings: Settings, client_id: str) -> Rules:
    return Rules(
        client_id=client_id,
        previews=settings.previews is Previews.LIVE,
        deny_nodes=frozenset(settings.deny_nodes),
        hold_partial=settings.partial == "hold",
        provenance=settings.provenance,
        allow_links=settings.allow_links,
    )
