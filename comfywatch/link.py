"""What is known of one ComfyUI: whether it answers and works, which life it is in, and when to ask again.

Values only; ``Link`` changes by the methods named for what came back. A *life* is the time between two starts of the
ComfyUI process as far as they can be told from outside: there is no instance id, so a refused connection, a queue
number that fell and a history that forgot each begin a new one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

FIRST_PAUSE = 0.25
"""Seconds until a ComfyUI that refused is asked again; doubled each time up to ``poll_seconds``."""
NOT_ASKED = "not asked yet"
IDLE_PATIENCE = 120.0
"""Seconds that prompts may wait while none runs; a ComfyUI that works begins the next one at once."""
STOP_PATIENCE = 600.0
"""Seconds that a prompt may run on after it was told to stop."""


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
    message: str = NOT_ASKED
    version: str = ""
    life: int = 1
    last_number: float | None = None
    failures: int = 0
    was_refused: bool = False
    next_ask: float = 0.0
    stuck: str = ""
    """Why it is taken to be stuck; whatever else happens to the link meanwhile, only its queue tells that it is not."""

    @property
    def was_asked(self) -> bool:
        """Whether anything is known of it."""
        return self.message != NOT_ASKED

    @property
    def takes_jobs(self) -> bool:
        """Whether prompts may be posted."""
        return self.state is ServerState.UP

    @property
    def answers(self) -> bool:
        """Whether it can be asked."""
        return self.state in {ServerState.UP, ServerState.STUCK}

    def answered(self, *, now: float) -> Link:
        """It answered as ComfyUI does; after a refusal this is a new life."""
        stuck = "" if self.was_refused else self.stuck
        return replace(
            self,
            state=ServerState.STUCK if stuck else ServerState.UP,
            message=stuck,
            stuck=stuck,
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

    def accepted(self, number: float, *, others: Iterable[float] = ()) -> Link:
        """A prompt got this queue number; one that is not above all before it speaks for a restart.

        ``others`` are numbers that it gave in this life, as far as they are kept beside ``last_number``.
        """
        before = [*others] if self.last_number is None else [*others, self.last_number]
        life = self.life + 1 if before and number <= max(before) else self.life
        return replace(self, life=life, last_number=number)

    def forgot(self) -> Link:
        """Its history no longer knows a job that it knew: it was restarted, or wiped."""
        return replace(self, life=self.life + 1, last_number=None)

    def at_work(self, complaint: str) -> Link:
        """It was asked for its queue: ``complaint`` says why it is taken to be stuck, empty if it is not."""
        return replace(
            self, state=ServerState.STUCK if complaint else ServerState.UP, message=complaint, stuck=complaint
        )

    def _failed(self, now: float) -> Link:
        pause = min(FIRST_PAUSE * 2 ** min(self.failures, 20), self.poll_seconds)
        return replace(self, failures=self.failures + 1, next_ask=now + pause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standstill:
    """How long ComfyUI's queue has been as it is, as far as it was looked at: from ``since`` to ``last``, monotonic.

    A worker that died leaves ComfyUI answering as ever, and its queue as it was. That a prompt takes long is no sign of
    it, so what runs has ``patience``, which is known from earlier runs; there are surer signs with shorter times.
    """

    running: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()
    is_told_to_stop: bool = False
    since: float = 0.0
    last: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return self.last - self.since

    def seen(
        self,
        running: frozenset[str],
        pending: frozenset[str],
        *,
        withdrawn: frozenset[str] = frozenset(),
        is_told_to_stop: bool,
        longest_gap: float,
        now: float,
    ) -> Standstill:
        """The queue was looked at; what runs ``is_told_to_stop`` if somebody wanted us to have it interrupted.

        It moves when another prompt runs and when one that waited is gone, but for those that were ``withdrawn``; a
        newcomer moves nothing. What happened while it was not looked at for ``longest_gap``, as by a machine that
        slept, nobody knows.
        """
        has_moved = running != self.running or not self.pending - withdrawn <= pending
        is_new = has_moved or is_told_to_stop != self.is_told_to_stop or now - self.last > longest_gap
        return Standstill(
            running=running,
            pending=pending,
            is_told_to_stop=is_told_to_stop,
            since=now if is_new else self.since,
            last=now,
        )

    def complaint(self, *, patience: float) -> str:
        """Why ComfyUI is taken to be stuck, empty if it is not; ``patience`` is in seconds."""
        if not self.running:
            why = "it begins none of the prompts that wait in its queue"
            return f"{why}; {_MEND}" if self.pending and self.seconds >= IDLE_PATIENCE else ""
        if self.is_told_to_stop and self.seconds >= STOP_PATIENCE:
            return f"it goes on with a prompt that it was told to stop {STOP_PATIENCE / 60:.0f} min ago; {_MEND}"
        if self.seconds >= patience:
            return f"its queue has not moved for more than {patience / 60:.0f} min, far longer than usual; {_MEND}"
        return ""


_MEND = "look into its log, and restart it if it does nothing: no job is lost by that"
