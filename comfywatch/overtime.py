"""When a running job takes long: what is said, and when it is interrupted (DESIGN 6)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from comfywatch.jobs import Job, JobState

USUAL_FACTOR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``warn_after`` and ``longest`` in seconds; ``None``: a job may run for ever."""

    warn_after: float
    longest: float | None


def seconds_running(job: Job, *, at: datetime) -> float:
    """How long a job has been running, 0 if it is not; a clock that was set back does not count."""
    if job.state is not JobState.RUNNING or job.outcome is not None or job.started is None:
        return 0.0
    return max(0.0, (at - job.started).total_seconds())


def is_over(job: Job, limits: Limits, *, at: datetime) -> bool:
    """Whether it is to be interrupted."""
    return limits.longest is not None and seconds_running(job, at=at) > limits.longest


def warning_due_after(limits: Limits, *, usual: Sequence[float]) -> float:
    """Seconds until it is worth a word: the setting, or twice what this workflow usually takes if that is more."""
    return max(limits.warn_after, USUAL_FACTOR * statistics.median(usual) if usual else 0.0)
