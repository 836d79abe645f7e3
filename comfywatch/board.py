"""Which ``status.yaml`` is due, and what goes into it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from loguru import logger

from comfywatch import status
from comfywatch.controls import Controls
from comfywatch.dispatch import Dispatcher
from comfywatch.effects import StatusWritten, WriteStatus
from comfywatch.forecast import Forecasts
from comfywatch.intake import Intake
from comfywatch.jobs import Job, JobState, workflow_name
from comfywatch.ledger import Ledger
from comfywatch.link import Link, ServerState
from comfywatch.projects import Projects
from comfywatch.settings import Settings
from comfywatch.store import FileRecord

SHORTEST_PAUSE = 1.0
"""Seconds between two writes of one project's file, at least."""
AGAIN_SECONDS = 10.0
"""After a write that failed."""
SIGN_OF_LIFE_SECONDS = 60.0
IDLE_SIGN_OF_LIFE_SECONDS = 3600.0
MARGIN = timedelta(minutes=5)
"""How long after the promised sign of life a reader may conclude that the daemon is off."""
LARGE_BYTES = 64 * 1024
DRAG_HINT = "meanwhile the file can be dragged into ComfyUI's window"


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
            if project not in self._writing and self._not_before.get(project, 0) <= now:
                self._ledger.changed.discard(project)
                if self._is_to_be_written(project):
                    yield self.write(project, now=now, at=at)
                else:
                    self._life_due.pop(project, None)

    def write_all(self, *, now: float, at: datetime, is_stopping: bool = False) -> Iterator[WriteStatus]:
        """The files of all projects."""
        for project in filter(self._is_to_be_written, self._ledger.files):
            yield self.write(project, now=now, at=at, is_stopping=is_stopping)

    def write(self, project: str, *, now: float, at: datetime, is_stopping: bool = False) -> WriteStatus:
        """The file of one project as it should be now."""
        content = self._content(project, now=now, at=at, is_stopping=is_stopping)
        is_busy = any(not entry.job.is_final for entry in content.entries)
        every = max(SIGN_OF_LIFE_SECONDS, self._settings.progress_seconds) if is_busy else IDLE_SIGN_OF_LIFE_SECONDS
        self._life_due[project] = now + every
        self._writing.add(project)
        pause = SHORTEST_PAUSE * max(1.0, len(content.entries) / 200)
        self._not_before[project] = now + pause
        document = status.document(content, at=at, next_within=timedelta(seconds=every) + MARGIN)
        return WriteStatus(project=project, folder=self._projects.folder(project), document=document)

    def written(self, event: StatusWritten, *, now: float) -> None:
        """A file is in place, or could not be written."""
        self._writing.discard(event.project)
        if event.error is None:
            self._failed.pop(event.project, None)
            return
        why = event.error.strerror or str(event.error)
        if self._failed.get(event.project) != why:
            logger.bind(project=event.project).warning(
                "status.yaml cannot be written ({}); trying again every {} s", why, AGAIN_SECONDS
            )
        self._failed[event.project] = why
        self._not_before[event.project] = now + AGAIN_SECONDS
        self._ledger.changed.add(event.project)

    def next_due(self) -> float:
        """When ``plan`` has something to do even if nothing happens."""
        times = [
            self._not_before.get(project, 0)
            for project in self._ledger.changed
            if project not in self._writing and self._is_to_be_written(project)
        ]
        return min([*times, *self._life_due.values()], default=math.inf)

    def _is_to_be_written(self, project: str) -> bool:
        """Whether it is there and ours, as far as it was looked at: before, its file may tell of another machine."""
        known = self._projects[project]
        return self._projects.knows(project) and known.is_there and known.is_ours

    def _content(self, project: str, *, now: float, at: datetime, is_stopping: bool) -> status.Project:
        known = self._projects[project]
        server = self._dispatcher.servers.at(known.url, now=now)
        link = server.link
        expected = {} if is_stopping else self._forecasts.of(server, now=now, at=at)
        listed = self._ledger.store.listing(project)
        notes = self._controls.notes(project)
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
            entries=tuple(
                replace(entry, expected=expected.get(entry.job.id))
                for entry in (
                    self._entry(record, job, link, notes.get(record.path, ""), now=now, at=at) for record, job in listed
                )
            ),
            arriving=arriving,
            notices=notices,
            is_stopping=is_stopping,
        )

    def _unheeded(self, project: str) -> Iterator[str]:
        """Files that are not read, or ask for nothing that can be done."""
        yield from self._intake.notices(project)
        yield from self._controls.notices(project)

    def _entry(
        self, record: FileRecord, job: Job, link: Link, heeded: str, *, now: float, at: datetime
    ) -> status.Entry:
        return status.Entry(
            path=record.path,
            job=replace(job),
            reason=self._reason(job, link),
            progress=self._dispatcher.hearing.progress(job, now=now, at=at),
            note="; ".join(filter(None, (record.note, heeded))),
            is_gone=record.gone and job.is_final,
        )

    def _reason(self, job: Job, link: Link) -> str:
        """Why an unfinished job waits, in words."""
        if job.is_final or job.state in {JobState.BLOCKED, JobState.INVALID}:
            return ""
        waits_for = self._dispatcher.follower.waits_for.get(job.id, "")
        if job.state is not JobState.PENDING:
            return waits_for
        if job.held:
            return f"{job.held}; to run it: comfywatch retry {job.project}/{job.path.removesuffix('.json')}"
        if (job.project, job.path) in self._ledger.on_hold:
            return f"on hold; to run it: remove {workflow_name(job.path)}.hold"
        held = self._projects.waits_for(job.project)
        if held:
            return held
        if link.state is ServerState.STUCK:
            return f"ComfyUI is stuck at {link.url}: {link.message}"
        if link.state is not ServerState.UP:
            return f"ComfyUI is {link.state} at {link.url} ({link.message}); {DRAG_HINT}"
        return waits_for or "waits for its turn"
