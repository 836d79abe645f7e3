"""What to do next with a job, decided from values alone; doing it is the daemon's part.

The rules are DESIGN 3, "Posting" and "In neither queue nor history": nothing is posted a second time before ComfyUI was
asked twice, and what vanished is *lost* only if something speaks for a restart.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from comfywatch.jobs import Fact, Job, JobState, Post, Wish
from comfywatch.names import natural

UNSURE_GAP = 5.0
"""Seconds between the two looks that must both miss a prompt whose POST had an unknown outcome."""
VANISHED_GAP = 0.5
"""Seconds between the two looks that must both miss a prompt that ComfyUI had accepted."""
MAX_REFUSALS = 3
"""Tries of a prompt that ComfyUI answers with 500."""
MAX_LOSSES = 2
MAX_RERUNS = 1
"""Runs again, with a new prefix, of a prompt whose outputs were gone when they were to be fetched."""
LARGEST_WINDOW = 64


class Step(Enum):
    """What is due for a job."""

    WAIT = auto()
    POST = auto()
    POST_AGAIN = auto()
    LOOK = auto()
    TAKE_OUT = auto()
    END_CANCELLED = auto()
    COLLECT = auto()


class Witness(Enum):
    """What an earlier prompt of the same life says about a restart."""

    PRESENT = auto()
    FORGOTTEN = auto()
    NONE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """ComfyUI was asked and had the prompt in neither queue nor history.

    ``first`` is when the first such answer came, ``last`` when the last such look was asked for: no less lies between
    the two looks, however long an answer was under way.
    """

    first: float
    last: float

    def proves(self, job: Job) -> bool:
        """Whether it was asked twice, far enough apart for what is known of the job."""
        gap = UNSURE_GAP if job.post is Post.INTENDED else VANISHED_GAP
        return self.last - self.first >= gap


def next_step(job: Job, *, absence: Absence | None, may_start: bool) -> Step:
    """What is due for a job that nothing is under way for; ``may_start``: nothing outside it stands against a POST."""
    if job.is_final:
        return Step.WAIT
    if job.outcome is not None:
        return Step.COLLECT
    if job.post is Post.NONE:
        return _before_post(job, may_start=may_start)
    if absence is not None and absence.proves(job):
        return _when_absent(job)
    if job.post is Post.ACCEPTED and _wants_out(job):
        return Step.TAKE_OUT
    return Step.LOOK


def _before_post(job: Job, *, may_start: bool) -> Step:
    if job.wish is not None:
        return Step.END_CANCELLED
    if job.state is JobState.PENDING and may_start and not job.held:
        return Step.POST
    return Step.WAIT


def _when_absent(job: Job) -> Step:
    """Asked twice, ComfyUI does not have it: a POST of unknown outcome did not arrive."""
    if job.post is Post.INTENDED:
        return Step.END_CANCELLED if job.wish is not None else Step.POST_AGAIN
    return Step.LOOK


def _wants_out(job: Job) -> bool:
    """A removal leaves alone what runs; a cancel and a partial prompt do not."""
    if job.wish is Wish.REMOVE:
        return job.state is not JobState.RUNNING
    return job.wish is not None


def after_absence(job: Job, *, life: int, witness: Witness) -> Fact:
    """What it means that an accepted prompt was missed twice: ``LOST`` or ``CANCELLED``; ``life`` is today's."""
    if job.wish is not None:
        return Fact.CANCELLED
    if job.life == life and witness is Witness.PRESENT:
        return Fact.CANCELLED
    return Fact.LOST


def was_there_before(other: Job, job: Job) -> bool:
    """Whether ``other`` was accepted before ``job``: only then its presence says that ComfyUI did not restart since."""
    return other.number is not None and job.number is not None and other.number < job.number


def counts_as_loss(job: Job, *, in_flight: Iterable[Job]) -> bool:
    """A loss counts for a job that ran, and for the foremost queued one: those may have taken ComfyUI down.

    One of no known life may have been taken out at our own word.
    """
    if not job.life:
        return False
    if job.state is JobState.RUNNING:
        return True
    others = [other for other in in_flight if other.server == job.server and other.post is Post.ACCEPTED]
    if any(other.state is JobState.RUNNING for other in others):
        return False
    return all((job.number or 0, job.id) <= (other.number or 0, other.id) for other in others)


def window(recent_seconds: Sequence[float], *, setting: int | None) -> int:
    """How many prompts may lie in ComfyUI's queue: about a second of work, at least 2; 1 where jobs take minutes."""
    if setting is not None:
        return setting
    if not recent_seconds:
        return 2
    seconds = statistics.median(recent_seconds)
    if seconds >= 60:
        return 1
    return max(2, min(LARGEST_WINDOW, math.ceil(1 / max(seconds, 0.001))))


def next_to_post(
    ready: Collection[Job], *, room: int, priorities: Mapping[str, float], turns: Mapping[str, int]
) -> list[Job]:
    """At most ``room`` jobs: by priority, then in turn over the projects, then by their place.

    ``turns`` says, per project, when it last had its turn (a counter; absent: never).
    """
    by_project: dict[str, list[Job]] = {}
    for job in ready:
        by_project.setdefault(job.project, []).append(job)
    for jobs in by_project.values():
        jobs.sort(key=lambda job: job.place, reverse=True)
    turn = {project: turns.get(project, 0) for project in by_project}
    chosen: list[Job] = []
    while by_project and len(chosen) < room:
        project = min(by_project, key=lambda name: (-priorities.get(name, 0), turn[name], natural(name)))
        chosen.append(by_project[project].pop())
        turn[project] = max(turn.values()) + 1
        if not by_project[project]:
            del by_project[project]
    return chosen
