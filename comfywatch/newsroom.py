"""What the engine hands to those outside who want to know: word of what has ended, and figures.

The rule it keeps: it only looks. Everything comes from one list, ``Ledger.turned``, and from the events that pass by;
nothing is asked, and no decision depends on it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from comfywatch import __version__
from comfywatch.asks import Answer
from comfywatch.bulletin import End
from comfywatch.collect import Collected
from comfywatch.effects import Event, ShowFigures, StatusWritten, Tell
from comfywatch.figures import Figures, ServerFigures, Tally
from comfywatch.gathering import News
from comfywatch.inputs import NOT_MADE
from comfywatch.jobs import STOPPED, Job, JobState
from comfywatch.ledger import Ledger, Turn
from comfywatch.link import ServerState
from comfywatch.problems import errors
from comfywatch.projects import Projects
from comfywatch.server import Server
from comfywatch.servers import Servers
from comfywatch.settings import Settings

FIGURES_SECONDS = 15.0
"""How often figures are made: as often as they are looked at, as a rule."""
LOOK_SECONDS = 1.0
"""How often it is looked who still has something to do, at most; that costs a look at each job."""
QUEUE_SECONDS = 60.0
"""What was last seen in ComfyUI's queue is no figure any more after this time."""

_UNFINISHED = (JobState.PENDING, JobState.BLOCKED, JobState.INVALID, JobState.QUEUED, JobState.RUNNING)


class Newsroom:
    """Owned by the engine. Where the settings want neither word nor figures it does next to nothing."""

    def __init__(self, settings: Settings, ledger: Ledger, projects: Projects, servers: Servers, *, now: float) -> None:
        self._ledger = ledger
        self._projects = projects
        self._servers = servers
        self._tells = bool(settings.notify)
        self._counts = settings.metrics_file is not None or settings.metrics_port is not None
        self._tally = Tally()
        self._figures_due = now if self._counts else math.inf
        self._must_look = False
        self._look_due = now
        self._told = {job.id: _what_stops(job) for job in ledger.jobs.values() if job.state in STOPPED}

    @property
    def has_more(self) -> bool:
        """Whether something that has happened is still to be told."""
        return self._tells and (self._must_look or bool(self._ledger.turned))

    def saw(self, event: Event) -> None:
        """Count what passes by, before it is handled."""
        match event:
            case Answer(error=error) if error is not None:
                self._tally.errors["comfyui", type(error).__name__] += 1
            case Collected():
                self._collected(event)
            case StatusWritten(error=error) if error is not None:
                self._tally.errors["status", type(error).__name__] += 1

    def plan(self, *, now: float, at: datetime) -> Iterator[Tell | ShowFigures]:
        """What is to be handed over now."""
        turned, self._ledger.turned = self._ledger.turned, []
        for turn in turned:
            if _is_our_end(turn.job):
                self._tally.has_ended(turn.job)
        if self._tells:
            yield from self._tell(turned, now=now)
        if self._figures_due <= now:
            self._figures_due = now + FIGURES_SECONDS
            yield ShowFigures(figures=self._snapshot(now=now, at=at))

    def next_due(self) -> float:
        """When ``plan`` has something to do even if nothing happens."""
        return min(self._figures_due, self._look_due if self._must_look else math.inf)

    def _collected(self, event: Collected) -> None:
        if event.error is not None:
            self._tally.errors["outputs", type(event.error).__name__] += 1
        job = self._ledger.jobs.get(event.job)
        if job is not None:
            self._tally.fetched[self._tally.label(job.project)] += event.fetched

    # --- word

    def _tell(self, turned: Iterable[Turn], *, now: float) -> Iterator[Tell]:
        ends = tuple(End.of(turn.job) for turn in turned if self._is_news(turn.job))
        freed = frozenset(turn.job.id for turn in turned if turn.before in STOPPED and turn.job.state not in STOPPED)
        self._must_look = self._must_look or bool(turned)
        busy = None
        if self._must_look and self._look_due <= now:
            self._must_look, self._look_due = False, now + LOOK_SECONDS
            busy = self._busy()
        if ends or freed or busy is not None:
            yield Tell(news=News(ends=ends, freed=freed, busy=busy))

    def _is_news(self, job: Job) -> bool:
        """What was told before is none, nor is one that only waits until another workflow is done."""
        if job.state not in STOPPED:
            self._told.pop(job.id, None)
            return job.state is not JobState.CANCELLED and _is_our_end(job)
        before, stops = self._told.get(job.id), _what_stops(job)
        self._told[job.id] = stops
        return stops != before and any(code != NOT_MADE for code, _ in stops)

    def _busy(self) -> frozenset[str]:
        """The projects of which something goes on without a person."""
        busy: set[str] = set()
        for job in self._ledger.jobs.values():
            if job.project not in busy and (job.id in self._ledger.active or self._waits(job)):
                busy.add(job.project)
        return frozenset(name for name in busy if not self._projects.waits_for(name) or self._is_at_work(name))

    def _waits(self, job: Job) -> bool:
        """Whether it is pending, and nobody holds it."""
        return job.state is JobState.PENDING and not job.held and (job.project, job.path) not in self._ledger.on_hold

    def _is_at_work(self, project: str) -> bool:
        return any(job.project == project for job in self._ledger.active.values())

    # --- figures

    def _snapshot(self, *, now: float, at: datetime) -> Figures:
        tally = self._tally
        waiting, running = self._longest(at)
        return Figures(
            version=__version__,
            at=at,
            jobs=self._unfinished(),
            longest_waiting=waiting,
            longest_running=running,
            ended=dict(tally.ended),
            waited=dict(tally.waited),
            ran=dict(tally.ran),
            fetched=dict(tally.fetched),
            errors=dict(tally.errors),
            servers=tuple(_of_server(server, now=now) for server in self._servers),
        )

    def _unfinished(self) -> dict[tuple[str, JobState], int]:
        """How many jobs are in each state, by the project's label; 0 where a project has others."""
        counts = Counter((job.project, job.state) for job in self._ledger.jobs.values())
        labels = {project: self._tally.label(project) for project, _ in counts}
        found = {(label, state): 0 for label in labels.values() for state in _UNFINISHED}
        for (project, state), count in counts.items():
            found[labels[project], state] += count
        return found

    def _longest(self, at: datetime) -> tuple[dict[str, float], dict[str, float]]:
        """Since when the foremost jobs wait, and run, in seconds by the project's label."""
        waiting: dict[str, datetime] = {}
        running: dict[str, datetime] = {}
        for job in self._ledger.jobs.values():
            if job.state is JobState.RUNNING and job.started is not None:
                running[job.project] = min(running.get(job.project, at), job.started)
            elif job.state is JobState.QUEUED or self._waits(job):
                waiting[job.project] = min(waiting.get(job.project, at), job.first_seen)
        return self._seconds(waiting, at), self._seconds(running, at)

    def _seconds(self, since: Mapping[str, datetime], at: datetime) -> dict[str, float]:
        longest: dict[str, float] = {}
        for project, begin in since.items():
            label = self._tally.label(project)
            longest[label] = max(longest.get(label, 0.0), (at - begin).total_seconds())
        return longest


def _of_server(server: Server, *, now: float) -> ServerFigures:
    queue = server.standstill
    is_known = server.link.answers and now - queue.last <= QUEUE_SECONDS and queue.last > 0
    return ServerFigures(
        url=server.url,
        is_up=server.link.state is ServerState.UP,
        running=len(queue.running) if is_known else None,
        waiting=len(queue.pending) if is_known else None,
        inventory_updated=server.inventory.last_updated if server.inventory else None,
    )


def _is_our_end(job: Job) -> bool:
    """Whether it ended here: what another machine, or an earlier state, finished is old news."""
    return job.is_final and (job.outcome is not None or job.state is JobState.CANCELLED)


def _what_stops(job: Job) -> frozenset[tuple[str, str]]:
    return frozenset((problem.code, problem.message) for problem in errors(job.problems))
