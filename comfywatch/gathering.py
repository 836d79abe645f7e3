"""When word is sent, and what is in it: many ends become few messages.

The rule it keeps: what ends within ``COLLECT_SECONDS`` is told together. ``BURST`` messages may follow one another so;
then one more may go every ``REFILL_SECONDS``, however many jobs end, and it tells of all of them. Once nothing is left
to do, one is lent, so that this is not told late. Time is an argument, in seconds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from comfywatch.bulletin import Bulletin, End, bulletin
from comfywatch.choices import NotifyOn
from comfywatch.jobs import JobState

COLLECT_SECONDS = 10.0
BURST = 4
REFILL_SECONDS = 600.0
MAX_KEPT = 2000
"""Ends that are remembered one by one until they are told; of more than these only the number is."""

_MOMENTS = {
    JobState.COMPLETED: NotifyOn.COMPLETED,
    JobState.FAILED: NotifyOn.FAILED,
    JobState.BLOCKED: NotifyOn.BLOCKED,
    JobState.INVALID: NotifyOn.BLOCKED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What has happened at once: jobs at an end, those that were blocked and are so no more, and who still works.

    ``busy`` are the projects that have something to do, ``None`` where nobody looked.
    """

    ends: tuple[End, ...] = ()
    freed: frozenset[int] = frozenset()
    busy: frozenset[str] | None = None


@dataclass(slots=True)
class Gathering:
    """What is to be told to one receiver: of ``projects``, or of all if there are none, and of ``on`` alone."""

    on: Collection[NotifyOn]
    projects: Collection[str]
    host: str
    _ends: dict[int, End] = field(default_factory=dict)
    _left_out: int = 0
    _since_drained: Counter[JobState] = field(default_factory=Counter)
    _is_drained: bool = False
    _tells_drained: bool = False
    _first: float | None = None
    _left: float = BURST
    _refilled: float = -math.inf

    def take_in(self, news: News, *, now: float) -> None:
        """Something has happened."""
        for job in news.freed:
            self._ends.pop(job, None)
        for end in filter(self._is_mine, news.ends):
            self._since_drained[end.state] += 1
            self._keep(end)
        if news.busy is not None:
            self._looked(news.busy)
        if not self._ends and not self._tells_drained:
            self._first = None
        elif self._first is None:
            self._first = now

    def due(self, *, now: float) -> float:
        """When there is something to send; never, if there is nothing."""
        if self._first is None:
            return math.inf
        self._refill(now)
        missing = (0.0 if self._is_drained else 1.0) - self._left
        return max(self._first + COLLECT_SECONDS, now + missing * REFILL_SECONDS)

    def take_out(self, *, now: float) -> Bulletin | None:
        """The message that is due, or is sent at the very end, with all that is in it; ``None`` if there is nothing."""
        if self._first is None:
            return None
        self._refill(now)
        self._left -= 1
        drained = self._since_drained if self._tells_drained else None
        message = bulletin(self._ends.values(), drained=drained, host=self.host, left_out=self._left_out)
        if self._is_drained:
            self._since_drained = Counter()
        self._ends, self._left_out, self._first, self._tells_drained = {}, 0, None, False
        return message

    def _looked(self, busy: Iterable[str]) -> None:
        self._is_drained = not any(not self.projects or project in self.projects for project in busy)
        has_done = any(self._since_drained.values())
        self._tells_drained = self._is_drained and has_done and NotifyOn.DRAINED in self.on

    def _keep(self, end: End) -> None:
        if _MOMENTS[end.state] not in self.on:
            return
        if len(self._ends) >= MAX_KEPT and end.id not in self._ends:
            self._left_out += 1
            return
        self._ends.pop(end.id, None)
        self._ends[end.id] = end

    def _is_mine(self, end: End) -> bool:
        return not self.projects or end.project in self.projects

    def _refill(self, now: float) -> None:
        """The first look finds all of ``BURST``."""
        self._left = min(BURST, self._left + max(0.0, now - self._refilled) / REFILL_SECONDS)
        self._refilled = now
