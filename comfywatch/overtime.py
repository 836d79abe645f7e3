"""When a running job takes long: what is said, and when it is interrupted (DESIGN 6)."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from comfywatch.jobs import Job, JobState

USUAL_FACTOR = 2
STUCK_FACTOR = 3
UNKNOWN_FACTOR = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``warn_after`` and ``longest`` in seconds; ``None``: a job may run for ever."""

    warn_after: float
    longest: float | None


class Stopwatch:
    """When running jobs were first seen, on the monotonic clock: a clock that is set forward makes no job older.

    What a job ran before this daemon's start does not count, for then only the other clock could tell.
    """

    def __init__(self) -> None:
        self._since: dict[int, float] = {}

    def saw(self, jobs: Iterable[Job], *, now: float, at: datetime, every: float) -> None:
        """These run; they are looked at ``every`` so many seconds."""
        began = {job.id: now - min(seconds_running(job, at=at), every) for job in jobs}
        self._since = {job_id: self._since.get(job_id, since) for job_id, since in began.items()}

    def time_for(self, job: Job, *, now: float, at: datetime) -> datetime:
        """``at``, but no later than both clocks allow."""
        if job.started is None or job.id not in self._since:
            return at
        return min(at, job.started + timedelta(seconds=now - self._since[job.id]))


def seconds_running(job: Job, *, at: datetime) -> float:
    """How long a job has been running, 0 if it is not; a clock that was set back does not count."""
    if job.state is not JobState.RUNNING or job.outcome is not None or job.started is None:
        return 0.0
    return max(0.0, (at - job.started).total_seconds())


def is_over(job: Job, limits: Limits, *, at: datetime) -> bool:
    """Whether it is to be interrupted."""
    return limits.longest is not None and seconds_running(job, at=at) > limits.longest


def patience(limits: Limits, *, usual: Sequence[float]) -> float:
    """Seconds that a queue may stand still while a prompt runs: three times as long as its workflow ever took.

    Of what never ran before, and of other people's prompts, nothing is known: they have twelve times ``warn_after``.
    """
    return max(limits.warn_after, STUCK_FACTOR * max(usual)) if usual else UNKNOWN_FACTOR * limits.warn_after


def warning_due_after(limits: Limits, *, usual: Sequence[float]) -> float:
    """Seconds until it is worth a word: the setting, or twice what this workflow usually takes if that is more."""
    return max(limits.warn_after, USUAL_FACTOR * statistics.median(usual) if usual else 0.0)
