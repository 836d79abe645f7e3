"""When jobs will likely be done, from how long their workflows took before.

A guess for people who wait: it is as good as the past, knows nothing of what others have in ComfyUI's queue, and ends
at the first job of which nothing is known.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from comfywatch.jobs import Job, JobState
from comfywatch.ledger import Ledger
from comfywatch.posting import Poster
from comfywatch.server import Server

FORESEEN = 100
"""Jobs of one ComfyUI of which it is said; further ones are too far away for a guess to be worth its cost."""
GOOD_FOR_SECONDS = 5.0
"""How long a forecast is used if no job comes or goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    until: float
    census: tuple[int, int, int]
    times: dict[int, datetime]


class Forecasts:
    """One for each ComfyUI that is up."""

    def __init__(self, ledger: Ledger, poster: Poster) -> None:
        self._ledger = ledger
        self._poster = poster
        self._made: dict[str, _Made] = {}

    def of(self, server: Server, *, now: float, at: datetime) -> dict[int, datetime]:
        """By job when it will likely be done, as far as that can be said."""
        if not server.link.takes_jobs:
            return {}
        made, jobs = self._made.get(server.url), self._ledger.jobs
        census = (len(jobs), next(reversed(jobs), 0), len(self._ledger.active))
        if made is None or made.until <= now or made.census != census:
            lying = in_order(self._ledger.in_flight(server.url))
            queue = [*lying, *self._poster.upcoming(server, FORESEEN, now=now)]
            times = self._times(queue, server, at=at)
            made = self._made[server.url] = _Made(until=now + GOOD_FOR_SECONDS, census=census, times=times)
        return made.times

    def _times(self, queue: Sequence[Job], server: Server, *, at: datetime) -> dict[int, datetime]:
        usual = self._ledger.store.usual_seconds
        return finish_times(queue, lambda job: usual(job.project, job.path), otherwise=server.recent, at=at)


def in_order(in_flight: Iterable[Job]) -> list[Job]:
    """Jobs that a ComfyUI has, as it will come to them."""
    return sorted(in_flight, key=lambda job: (job.state is not JobState.RUNNING, job.number or 0, job.id))


def finish_times(
    queue: Sequence[Job], usual: Callable[[Job], Sequence[float]], *, otherwise: Sequence[float], at: datetime
) -> dict[int, datetime]:
    """By job when it will likely be done; ``usual`` are earlier times of its workflow, in seconds.

    ``otherwise`` are those of whatever this ComfyUI did last, for workflows that never ran.
    """
    times: dict[int, datetime] = {}
    end = at
    for job in queue[:FORESEEN]:
        known = usual(job) or otherwise
        if not known:
            break
        begun = job.started if job.state is JobState.RUNNING and job.started is not None else end
        end = max(end, begun + timedelta(seconds=statistics.median(known)))
        times[job.id] = end
    return times
