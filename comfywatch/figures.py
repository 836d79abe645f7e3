"""What is counted for those who run it: one snapshot as values, and the tally that it is taken from.

The engine's thread owns the ``Tally``; a ``Figures`` is good for any thread. Names of projects are labels, and a label
costs whoever stores it, so the first ``MAX_PROJECTS`` have their own, and the others share one.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from comfywatch.jobs import Job, JobState

BOUNDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, math.inf)
"""Seconds up to which times are told apart."""
MAX_PROJECTS = 200
OTHERS = "(others)"

ByProject = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How long something took: how often up to each of ``BOUNDS``, each time counted once, and all of it together."""

    counts: tuple[int, ...] = (0,) * len(BOUNDS)
    total: float = 0.0

    def plus(self, seconds: float) -> Spread:
        """With one more; a clock that was set makes no time negative."""
        seconds = max(seconds, 0.0)
        place = bisect_left(BOUNDS, seconds)
        counts = (*self.counts[:place], self.counts[place] + 1, *self.counts[place + 1 :])
        return Spread(counts=counts, total=self.total + seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFigures:
    """One ComfyUI; ``running`` and ``waiting`` are the prompts in its queue, whoever's, ``None`` if unknown."""

    url: str
    is_up: bool
    running: int | None = None
    waiting: int | None = None
    inventory_updated: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How everything stands at one moment; what is counted is counted from the daemon's start on.

    ``waited`` is from the drop to ComfyUI's beginning, ``ran`` from there to the end. ``longest_waiting`` and
    ``longest_running`` are of the jobs that do so now.
    """

    version: str
    at: datetime
    is_running: bool = True
    jobs: Mapping[tuple[str, JobState], int] = field(default_factory=dict)
    longest_waiting: ByProject = field(default_factory=dict)
    longest_running: ByProject = field(default_factory=dict)
    ended: Mapping[tuple[str, JobState], int] = field(default_factory=dict)
    waited: Mapping[str, Spread] = field(default_factory=dict)
    ran: Mapping[str, Spread] = field(default_factory=dict)
    fetched: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[tuple[str, str], int] = field(default_factory=dict)
    servers: tuple[ServerFigures, ...] = ()


class Tally:
    """What has been counted; ``errors`` are by where they came from and what they are called."""

    def __init__(self) -> None:
        self.ended: Counter[tuple[str, JobState]] = Counter()
        self.waited: dict[str, Spread] = {}
        self.ran: dict[str, Spread] = {}
        self.fetched: Counter[str] = Counter()
        self.errors: Counter[tuple[str, str]] = Counter()
        self._projects: set[str] = set()

    def label(self, project: str) -> str:
        """Under which name a project is counted."""
        if project not in self._projects and len(self._projects) >= MAX_PROJECTS:
            return OTHERS
        self._projects.add(project)
        return project

    def has_ended(self, job: Job) -> None:
        """One more job is at its end."""
        project = self.label(job.project)
        self.ended[project, job.state] += 1
        if job.started is None:
            return
        self.waited[project] = self.waited.get(project, Spread()).plus((job.started - job.first_seen).total_seconds())
        seconds = (job.outcome or {}).get("seconds")
        if seconds is None and job.finished is not None:
            seconds = (job.finished - job.started).total_seconds()
        if seconds is not None:
            self.ran[project] = self.ran.get(project, Spread()).plus(seconds)
