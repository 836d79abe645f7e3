"""Which ``index.html`` is due: only what has changed, one at a time, and the larger the rarer.

It follows ``status.yaml``: a project whose file was written may have something new to show, and what a kill left there
is gone by then. What a page is made of is read by the thread that writes it, so that a page costs the jobs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime

from loguru import logger

from comfywatch.board import Board
from comfywatch.effects import PageWritten, StatusWritten, WriteOverview, WritePage
from comfywatch.ledger import Ledger
from comfywatch.page import Card
from comfywatch.projects import Projects
from comfywatch.settings import Settings

SHORTEST_PAUSE = 5.0
"""Seconds between two writes of one page, at least."""
BYTES_A_SECOND = 100_000
"""Of one page, over time: sync tools send all of it to everybody at each write."""
COST_FACTOR = 20
"""A page is written no sooner after the last time than this many times what the work for it took."""
ASKED_SOON_SECONDS = 1.0
"""Just after the start, nothing is known of ComfyUI yet: what a page says of it would not be true for long."""
LONGEST_PAUSE = 60.0
"""What the work took is told by a clock that also counts what else the thread happened to do."""
AGAIN_SECONDS = 60.0
"""After a write that failed."""
OVERVIEW = ""
"""What stands for the page over all projects where the others have the names of theirs."""


class PageBoard:
    """``changed`` are the projects whose page may be out of date. Times are monotonic, by project."""

    def __init__(self, settings: Settings, ledger: Ledger, projects: Projects, board: Board) -> None:
        self.changed: set[str] = set()
        self._settings = settings
        self._ledger = ledger
        self._projects = projects
        self._board = board
        self._cards: dict[str, Card] = {}
        self._not_before: dict[str, float] = {}
        self._writing: str | None = None
        self._failed: dict[str, str] = {}

    def follow(self, event: StatusWritten) -> None:
        """What says something new elsewhere may look different here."""
        if self._settings.page:
            self.changed.add(event.project)

    def plan(self, *, now: float, at: datetime) -> Iterator[WritePage | WriteOverview]:
        """The page that is due, if none is being written."""
        if self._writing is not None:
            return
        due = [name for name in self.changed if self._not_before.get(name, 0) <= now]
        for project in sorted(due, key=lambda name: (self._not_before.get(name, 0), name)):
            self.changed.discard(project)
            effect = self._overview(at=at) if project == OVERVIEW else self._page(project, now=now, at=at)
            if effect is not None:
                self._writing = project
                yield effect
                return

    def last_words(self, *, now: float, at: datetime) -> Iterator[WritePage | WriteOverview]:
        """What is not on the disk yet, at the end; each is answered before the next is asked for."""
        left = self.changed | (self._ledger.changed if self._settings.page else set())
        left |= {self._writing} if self._writing is not None else set()
        for project in sorted(left - {OVERVIEW}):
            if (effect := self._page(project, now=now, at=at)) is not None:
                yield effect
        if (left or self.changed) and (overview := self._overview(at=at)) is not None:
            yield overview

    def written(self, event: PageWritten, *, now: float) -> None:
        """A page is in place, or could not be written."""
        project, result = event.project, event.result
        self._writing = None
        for job, shown in result.found.items():
            self._ledger.store.save_shown(job, shown)
        if result.found:
            self.changed.add(project)
        pause = max(SHORTEST_PAUSE, COST_FACTOR * result.took, result.size / BYTES_A_SECOND)
        self._not_before[project] = now + min(pause, LONGEST_PAUSE)
        if result.error is not None:
            self._put_off(project, result.error, now=now)
        else:
            self._failed.pop(project, None)
        if result.card is not None and self._cards.get(project) != result.card:
            self._cards[project] = result.card
            self.changed.add(OVERVIEW)

    def next_due(self) -> float:
        """When ``plan`` has something to do even if nothing happens."""
        if self._writing is not None:
            return math.inf
        return min((self._not_before.get(name, 0) for name in self.changed), default=math.inf)

    def _put_off(self, project: str, error: Exception, *, now: float) -> None:
        why = str(error)
        if self._failed.get(project) != why:
            logger.bind(project=project or "all projects").warning("index.html is not written: {}", why)
        self._failed[project] = why
        self._not_before[project] = now + AGAIN_SECONDS
        self.changed.add(project)

    def _page(self, project: str, *, now: float, at: datetime) -> WritePage | None:
        if not self._board.is_to_be_written(project):
            self._forget(project)
            return None
        sheet = self._board.sheet(project, now=now, at=at)
        if not sheet.project.link.was_asked:
            self.changed.add(project)
            self._not_before[project] = now + ASKED_SOON_SECONDS
            return None
        return WritePage(project=project, folder=self._projects.folder(project), sheet=sheet, at=at)

    def _forget(self, project: str) -> None:
        """It is not there any more, or another machine's."""
        self._not_before.pop(project, None)
        if self._cards.pop(project, None) is not None:
            self.changed.add(OVERVIEW)

    def _overview(self, *, at: datetime) -> WriteOverview | None:
        """None where it is another machine's to write: of several on one folder, the first by name does."""
        others = [project for project in self._projects if not project.is_ours]
        names = {project.at_work or (project.manifest.owner if project.manifest else "") for project in others}
        if any(name and name < self._settings.owner for name in names):
            return None
        there = tuple(project.name for project in others if project.is_there)
        return WriteOverview(cards=tuple(self._cards.values()), others=there, at=at)
