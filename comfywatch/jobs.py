"""A job is one run of one workflow file; this module says what it is and which state follows which.

The rule it keeps: states change in ``TRANSITIONS`` and nowhere else. What has happened is a ``Fact``; ``Job.after``
looks the next state up and refuses a fact that the state does not know, so that a false ``completed`` is a crash in a
test and never an entry in ``status.yaml``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from comfywatch.names import natural
from comfywatch.problems import Problem


class JobState(StrEnum):
    """The states of a job as ``status.yaml`` names them."""

    PENDING = "pending"
    BLOCKED = "blocked"
    INVALID = "invalid"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Fact(StrEnum):
    """What can happen to a job."""

    BLOCKED = "blocked"
    """Validation, or ComfyUI's refusal, says that the server or the project lacks something."""
    INVALID = "invalid"
    """No server could run it."""
    FREED = "freed"
    """What it was blocked or invalid for has changed."""
    ACCEPTED = "accepted"
    """ComfyUI has it in its queue."""
    STARTED = "started"
    """ComfyUI is at it."""
    LOST = "lost"
    """ComfyUI no longer knows it, and something speaks for a restart."""
    COMPLETED = "completed"
    """Every output is in place, and so is ``result.yaml``."""
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: dict[JobState, dict[Fact, JobState]] = {
    JobState.PENDING: {
        Fact.BLOCKED: JobState.BLOCKED,
        Fact.INVALID: JobState.INVALID,
        Fact.ACCEPTED: JobState.QUEUED,
        Fact.STARTED: JobState.RUNNING,
        Fact.COMPLETED: JobState.COMPLETED,
        Fact.FAILED: JobState.FAILED,
        Fact.CANCELLED: JobState.CANCELLED,
    },
    JobState.BLOCKED: {
        Fact.FREED: JobState.PENDING,
        Fact.BLOCKED: JobState.BLOCKED,
        Fact.INVALID: JobState.INVALID,
        Fact.CANCELLED: JobState.CANCELLED,
    },
    JobState.INVALID: {
        Fact.FREED: JobState.PENDING,
        Fact.CANCELLED: JobState.CANCELLED,
    },
    JobState.QUEUED: {
        Fact.STARTED: JobState.RUNNING,
        Fact.LOST: JobState.PENDING,
        Fact.BLOCKED: JobState.BLOCKED,
        Fact.INVALID: JobState.INVALID,
        Fact.COMPLETED: JobState.COMPLETED,
        Fact.FAILED: JobState.FAILED,
        Fact.CANCELLED: JobState.CANCELLED,
    },
    JobState.RUNNING: {
        Fact.LOST: JobState.PENDING,
        Fact.BLOCKED: JobState.BLOCKED,
        Fact.INVALID: JobState.INVALID,
        Fact.COMPLETED: JobState.COMPLETED,
        Fact.FAILED: JobState.FAILED,
        Fact.CANCELLED: JobState.CANCELLED,
    },
    JobState.COMPLETED: {},
    JobState.FAILED: {},
    JobState.CANCELLED: {},
}

FINAL = frozenset(state for state, onward in TRANSITIONS.items() if not onward)
STOPPED = frozenset({JobState.BLOCKED, JobState.INVALID})
"""What waits for something to change, in the file or around it."""


class ImpossibleFact(Exception):
    """A fact that the job's state does not know: a fault of ours, never of a workflow."""


class Post(StrEnum):
    """How far the job's ``POST /prompt`` has come."""

    NONE = "none"
    INTENDED = "intended"
    """The prompt id is saved; whether ComfyUI has it is not known until it has been asked."""
    ACCEPTED = "accepted"


class Wish(StrEnum):
    """What a person wants of an unfinished job; saved, and carried out when it can be."""

    CANCEL = "cancel"
    """End it, and interrupt it if it runs."""
    REMOVE = "remove"
    """Its file is gone or has new content: take it out unless it runs already."""
    TAKE_BACK = "take back"
    """ComfyUI would run only some of its outputs, and ``partial: hold`` says not to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of one workflow file.

    ``path`` is below ``workflows/``, with ``/``. ``run`` and ``prompt_id`` are given at the first submission.
    ``number`` is ComfyUI's queue number. ``life`` counts the lives of the ComfyUI process as far as we saw them.
    ``suspected`` is when a loss was last laid to it. ``outcome`` is what history said, saved before the first download.
    ``held`` says why a person has to release it. ``fingerprint`` is that of the schemas and inventory for which it was
    last found blocked. ``outputs`` is where its run lies, seen from its project, if its file has been moved since it
    ended. ``source`` is the SHA-256 of a saved workflow as it was dropped, empty for a prompt. ``new_seeds``: other
    seeds than the file has are wanted. All times are UTC.
    """

    id: int
    project: str
    path: str
    digest: str
    first_seen: datetime
    state: JobState = JobState.PENDING
    held: str = ""
    run: int | None = None
    prompt_id: str = ""
    post: Post = Post.NONE
    server: str = ""
    number: float | None = None
    life: int = 0
    losses: int = 0
    suspected: datetime | None = None
    refusals: int = 0
    reruns: int = 0
    wish: Wish | None = None
    outcome: dict[str, Any] | None = None
    problems: tuple[Problem, ...] = ()
    hint: str = ""
    fingerprint: str = ""
    outputs: str = ""
    source: str = ""
    new_seeds: bool = False
    submitted: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None

    def after(self, fact: Fact, **changes: Any) -> Job:
        """The job once ``fact`` has happened; raises ``ImpossibleFact`` for one that its state does not know."""
        try:
            state = TRANSITIONS[self.state][fact]
        except KeyError:
            raise ImpossibleFact(f"job {self.id} is {self.state}: it cannot be {fact}") from None
        return replace(self, state=state, **changes)

    @property
    def place(self) -> tuple[datetime, list[tuple[int, int, str]], int]:
        """Its place among those of its project that wait: by first sight, then natural name.

        One that may have taken ComfyUI down stands behind all that waited then: it shall not take them with it.
        """
        return self.suspected or self.first_seen, natural(self.path), self.id

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL

    @property
    def is_in_flight(self) -> bool:
        """Whether ComfyUI has it or may have it."""
        return self.post is not Post.NONE and self.outcome is None and not self.is_final

    @property
    def run_name(self) -> str:
        """The name of the run's folder: three digits, more when needed."""
        return f"{self.run or 0:03d}"

    @property
    def folder(self) -> str:
        """The run's folder below ``outputs/``, with ``/``."""
        return f"{workflow_name(self.path)}/{self.run_name}"

    @property
    def lies_in(self) -> str:
        """Where its run lies, seen from its project, with ``/``."""
        return self.outputs or f"outputs/{self.folder}"


def workflow_name(path: str) -> str:
    """``shots/a.json`` is the workflow ``shots/a``; any ending but ``.json`` stays."""
    pure = PurePosixPath(path)
    return str(pure.with_suffix("")) if pure.suffix.lower() == ".json" else path
