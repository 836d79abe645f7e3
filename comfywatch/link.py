"""What is known of one ComfyUI: whether it answers, which life it is in, and when to ask again.

Values only; ``Link`` changes by the methods named for what came back. A *life* is the time between two starts of the
ComfyUI process as far as they can be told from outside: there is no instance id, so a refused connection, a queue
number that fell and a history that forgot each begin a new one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

FIRST_PAUSE = 0.25
"""Seconds until a ComfyUI that refused is asked again; doubled each time up to ``poll_seconds``."""


class ServerState(StrEnum):
    """``comfyui.state`` of ``status.yaml``."""

    UP = "up"
    BUSY = "busy"
    DOWN = "down"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One ComfyUI as we see it. ``next_ask`` is on the monotonic clock; ``None`` version: never seen up."""

    url: str
    poll_seconds: float
    state: ServerState = ServerState.DOWN
    message: str = "not asked yet"
    version: str = ""
    life: int = 1
    last_number: float | None = None
    failures: int = 0
    was_refused: bool = False
    next_ask: float = 0.0

    @property
    def takes_jobs(self) -> bool:
        """Whether prompts may be posted."""
        return self.state is ServerState.UP

    def answered(self, *, now: float) -> Link:
        """It answered as ComfyUI does; after a refusal this is a new life."""
        return replace(
            self,
            state=ServerState.UP,
            message="",
            failures=0,
            was_refused=False,
            life=self.life + 1 if self.was_refused else self.life,
            last_number=None if self.was_refused else self.last_number,
            next_ask=now + self.poll_seconds,
        )

    def refused(self, message: str, *, now: float, speaks_for_restart: bool = True) -> Link:
        """Nobody listens there: it is down. A host that cannot be found says nothing about ComfyUI's life."""
        was_refused = self.was_refused or speaks_for_restart
        return replace(self._failed(now), state=ServerState.DOWN, message=message, was_refused=was_refused)

    def timed_out(self, message: str, *, now: float) -> Link:
        """It did not answer in time: slow is not dead."""
        return replace(self._failed(now), state=ServerState.BUSY, message=message)

    def strange(self, message: str, *, now: float) -> Link:
        """Something answered that is not ComfyUI, or not for us."""
        return replace(self._failed(now), state=ServerState.DOWN, message=message)

    def accepted(self, number: float) -> Link:
        """A prompt got this queue number; one that fell speaks for a restart."""
        if self.last_number is not None and number < self.last_number:
            return replace(self, life=self.life + 1, last_number=number)
        return replace(self, last_number=number)

    def forgot(self) -> Link:
        """Its history no longer knows a job that it knew: it was restarted, or wiped."""
        return replace(self, life=self.life + 1, last_number=None)

    def _failed(self, now: float) -> Link:
        pause = min(FIRST_PAUSE * 2 ** min(self.failures, 20), self.poll_seconds)
        return replace(self, failures=self.failures + 1, next_ask=now + pause)
