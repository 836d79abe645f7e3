"""Which ``status.yaml`` is due, and what goes into it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta

from loguru import logger

from comfywatch import status
from comfywatch.controls import Controls
from comfywatch.dispatch import Dispatcher
from comfywatch.effects import StatusWritten, WriteStatus
from comfywatch.forecast import Forecasts
from comfywatch.intake import Intake
from comfywatch.ledger import Ledger
from comfywatch.link import ServerState
from comfywatch.progress import Progress
from comfywatch.projects import Projects
from comfywatch.settings import Settings
from comfywatch.sheet import Sheet

SHORTEST_PAUSE = 1.0
"""Seconds between two writes of one project's file, at least."""
COST_FACTOR = 20
"""A file is written no sooner after the last time than this many times what that took."""
AT_ONCE = 3
"""Files whose writing is under way: at the start all are due, and nothing else shall wait for them."""
AGAIN_SECONDS = 10.0
"""After a write that failed."""
SIGN_OF_LIFE_SECONDS = 60.0
IDLE_SIGN_OF_LIFE_SECONDS = 3600.0
MARGIN = timedelta(minutes=5)
"""How long after the promised sign of life a reader may conclude that the daemon is off."""


class Board:
    """``misplaced`` and ``troubles`` are notices for every project. Times are monotonic, by project."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        projects: Projects,
        intake: Intake,
        dispatcher: Dispatcher,
        controls: Controls,
    ) -> None:
        self.misplaced: tuple[str, ...] = ()
        self.troubles: tuple[str, ...] = ()
        self._settings = settings
        self._ledger = ledger
        self._projects = projects
        self._intake = intake
        self._dispatcher = dispatcher
        self._controls = controls
        self._forecasts = Forecasts(ledger, dispatcher.poster)
        self._not_before: dict[str, float] = {}
        self._life_due: dict[str, float] = {}
        self._writing: set[str] = set()
        self._failed: dict[str, str] = {}

    def plan(self, *, now: float, at: datetime) -> Iterator[WriteStatus]:
        """The files that are due."""
        for project in [name for name, due in self._life_due.items() if due <= now]:
            self._ledger.changed.add(project)
        for project in sorted(filter(self._projects.knows, self._ledger.changed)):
            if len(self._writing) >= AT_ONCE:
                return
            if project not in self._writing and self._not_before.get(project, 0) <= now:
                self._ledger.changed.discard(project)
                if self.is_to_be_written(project):
                    yield self.write(project, now=now, at=at)
                else:
                    self._life_due.pop(project, None)

    def write_all(self, *, now: float, at: datetime, is_stopping: bool = False) -> Iterator[WriteStatus]:
        """The files of all projects, first of those in which something is to be done."""
        for project in sorted(filter(self.is_to_be_written, self._ledger.projects), key=self._is_at_rest):
            yield self.write(project, now=now, at=at, is_stopping=is_stopping)

    def write(self, project: str, *, now: float, at: datetime, is_stopping: bool = False) -> WriteStatus:
        """The file of one project as it should be now."""
        sheet = self.sheet(project, now=now, at=at, is_stopping=is_stopping)
        self._life_due[project] = now + self._pause_of(project)
        self._writing.add(project)
        return WriteStatus(project=project, folder=self._projects.folder(project), sheet=sheet)

    def sheet(self, project: str, *, now: float, at: datetime, is_stopping: bool = False) -> Sheet:
        """All that is to be said of a project beside what the database knows."""
        return Sheet(
            project=self._project(project, now=now, is_stopping=is_stopping),
            at=at,
            next_within=timedelta(seconds=self._pause_of(project)) + MARGIN,
            held=self._projects.waits_for(project),
            on_hold=frozenset(path for name, path in self._ledger.on_hold if name == project),
            waits_for=self._waits_for(project),
            progress=self._progress(project, now=now, at=at),
            expected={} if is_stopping else self._expected(project, now=now, at=at),
            heeded=self._controls.notes(project),
        )

    def written(self, event: StatusWritten, *, now: float) -> None:
        """A file is in place, or could not be written."""
        self._writing.discard(event.project)
        self._not_before[event.project] = now + max(SHORTEST_PAUSE, COST_FACTOR * event.took)
        if event.error is None:
            self._failed.pop(event.project, None)
            return
        why = getattr(event.error, "strerror", None) or str(event.error)
        if self._failed.get(event.project) != why:
            logger.bind(project=event.project).warning(
                "status.yaml cannot be written ({}); trying again every {} s", why, AGAIN_SECONDS
            )
        self._failed[event.project] = why
        self._not_before[event.project] = now + AGAIN_SECONDS
        self._ledger.changed.add(event.project)

    def next_due(self) -> float:
        """When ``plan`` has something to do even if nothing happens."""
        if len(self._writing) >= AT_ONCE:
            return min(self._life_due.values(), default=math.inf)
        times = [
            self._not_before.get(project, 0)
            for project in self._ledger.changed
            if project not in self._writing and self.is_to_be_written(project)
        ]
        return min([*times, *self._life_due.values()], default=math.inf)

    def _is_at_rest(self, project: str) -> bool:
        return not self._ledger.unfinished_in(project)

    def _pause_of(self, project: str) -> float:
        """Seconds until the next sign of life."""
        is_busy = bool(self._ledger.unfinished_in(project))
        return max(SIGN_OF_LIFE_SECONDS, self._settings.progress_seconds) if is_busy else IDLE_SIGN_OF_LIFE_SECONDS

    def is_to_be_written(self, project: str) -> bool:
        """Whether it is there and ours, as far as it was looked at: before, its file may tell of another machine."""
        known = self._projects[project]
        return self._projects.knows(project) and known.is_there and known.is_ours

    def _project(self, project: str, *, now: float, is_stopping: bool) -> status.Project:
        known = self._projects[project]
        link = self._dispatcher.servers.at(known.url, now=now).link
        arriving = {
            path: f"being written: it does not parse yet (since {arriving.since:%H:%M:%S} UTC)"
            for (name, path), arriving in self._intake.arriving.items()
            if name == project and self._ledger.file(name, path) is None
        }
        troubles = (*self.troubles, *([f"ComfyUI is stuck: {link.message}"] if link.state is ServerState.STUCK else []))
        notices = (*troubles, *known.notices, *known.misplaced, *self._unheeded(project), *self.misplaced)
        return status.Project(
            name=project,
            link=link,
            host=self._settings.owner,
            arriving=arriving,
            notices=notices,
            is_stopping=is_stopping,
        )

    def _unheeded(self, project: str) -> Iterator[str]:
        """Files that are not read, or ask for nothing that can be done."""
        yield from self._intake.notices(project)
        yield from self._controls.notices(project)

    def _waits_for(self, project: str) -> dict[int, str]:
        reasons, jobs = self._dispatcher.follower.waits_for, self._ledger.jobs
        return {job: why for job, why in reasons.items() if job in jobs and jobs[job].project == project}

    def _expected(self, project: str, *, now: float, at: datetime) -> dict[int, datetime]:
        return self._forecasts.of(self._dispatcher.servers.at(self._projects[project].url, now=now), now=now, at=at)

    def _progress(self, project: str, *, now: float, at: datetime) -> dict[int, Progress]:
        hearing = self._dispatcher.hearing
        jobs = [job for job in hearing.meters.running() if job.project == project]
        found = ((job.id, hearing.progress(job, now=now, at=at)) for job in jobs)
        return {job_id: progress for job_id, progress in found if progress is not None}
