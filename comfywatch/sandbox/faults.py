"""Switches that make the sandbox behave like a server in trouble; each can be set from any thread at any time.

A *pattern* names requests: ``"/view"`` (this path and all below it, with or without ``/api``), ``"POST /prompt"``, or
``"/"`` for every one. The sandbox's own ``/sandbox/…`` is never in trouble.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal


class NoSuchFault(ValueError):
    """A switch that does not exist, or a value it cannot take."""


def matches(pattern: str, method: str, path: str) -> bool:
    """Whether ``pattern`` names this request; ``path`` is without ``/api``. An empty pattern names none."""
    verb, _, where = pattern.rpartition(" ")
    if not where or (verb and verb != method):
        return False
    return path == where or path.startswith(where.rstrip("/") + "/")


@dataclass(kw_only=True)
class Faults:
    """All off at first but ``history_late``, which is as on a real server.

    ``hang``: never answered and not acted upon, until ``release()``; ``hang_after``: acted upon, then not answered.
    ``error_500``: plain-text 500s, ``error_500_count`` times (``None``: until switched off). ``slow``: seconds before
    acting, by pattern. ``reset_post``: the connection breaks in ``POST /prompt`` before or after it was accepted,
    ``reset_post_count`` times. ``html``, ``redirect`` (to that address), ``status`` (401, 403, 502, …) and
    ``too_large`` (413) answer all requests that ``where`` names. ``view_truncated``: that many bytes of a file are
    sent, then the connection breaks. ``pause``: no prompt is begun (``step()`` lets one through); ``hold``: what was
    begun does not go on; ``dead_worker``: the same, and an interrupt does not help either. ``history_late``: seconds
    between the last message of a prompt and its entry in history. ``socket_silent``: websockets open, and nothing is
    heard on them; ``socket_drop``: each is closed after so many messages; ``socket_noise``: there is nonsense between
    the messages. A websocket is refused by ``status`` and the like, with ``where`` set to ``/ws``.
    """

    hang: str = ""
    hang_after: str = ""
    error_500: str = ""
    error_500_count: int | None = None
    slow: dict[str, float] = field(default_factory=dict)
    reset_post: Literal["", "before", "after"] = ""
    reset_post_count: int | None = 1
    where: str = "/"
    html: bool = False
    redirect: str = ""
    status: int = 0
    too_large: bool = False
    view_404: bool = False
    view_truncated: int | None = None
    pause: bool = False
    hold: bool = False
    dead_worker: bool = False
    history_late: float = 0.002
    socket_silent: bool = False
    socket_drop: int | None = None
    socket_noise: bool = False

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._steps = 0
        self._said = 0
        self._on_change: Callable[[], None] = lambda: None
        self._on_forget: Callable[[bool, bool], None] = lambda _history, _queue: None

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if not name.startswith("_") and "_on_change" in self.__dict__:
            self._on_change()

    def listen(self, on_change: Callable[[], None], on_forget: Callable[[bool, bool], None]) -> None:
        """Who is told of a change and of ``forget`` (history, queue); the running server."""
        self._on_change, self._on_forget = on_change, on_forget

    def apply(self, switches: Mapping[str, Any]) -> None:
        """Set many at once, as ``POST /sandbox/faults`` does; ``release``, ``clear``, ``step`` and ``forget`` act."""
        for name, value in switches.items():
            self._apply_one(name, value)

    def as_dict(self) -> dict[str, Any]:
        """The switches as they are."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def release(self) -> None:
        """Let go of whatever hangs, is paused or held."""
        self.hang = self.hang_after = ""
        self.pause = self.hold = False

    def clear(self) -> None:
        """All off, as at first."""
        for name, value in type(self)().as_dict().items():
            setattr(self, name, value)

    def step(self, count: int = 1) -> None:
        """While paused, let so many prompts through."""
        with self._lock:
            self._steps += count
        self._on_change()

    def forget(self, *, history: bool = True, queue: bool = True) -> None:
        """Wipe the server's memory of what is finished and of what waits; what runs goes on."""
        self._on_forget(history, queue)

    def take_step(self) -> bool:
        """Whether a prompt may be begun; uses up one step while paused."""
        with self._lock:
            if not self.pause:
                return True
            if not self._steps:
                return False
            self._steps -= 1
            return True

    @property
    def may_begin(self) -> bool:
        """Whether ``take_step`` would say yes."""
        return not self.pause or self._steps > 0

    def uses_500(self, method: str, path: str) -> bool:
        """Whether this request is to fail, counting it."""
        with self._lock:
            return matches(self.error_500, method, path) and self._count_down("error_500")

    def uses_reset(self, when: Literal["before", "after"]) -> bool:
        """Whether this POST's connection is to break now, counting it."""
        with self._lock:
            return self.reset_post == when and self._count_down("reset_post")

    def uses_socket_drop(self) -> bool:
        """Whether the websocket on which a message went out is to be closed, counting it."""
        with self._lock:
            self._said += 1
            return self.socket_drop is not None and self._said % max(1, self.socket_drop) == 0

    def _count_down(self, name: str) -> bool:
        left: int | None = getattr(self, f"{name}_count")
        if left is None:
            return True
        if left <= 1:
            setattr(self, name, "")
            setattr(self, f"{name}_count", None if name == "error_500" else 1)
        else:
            setattr(self, f"{name}_count", left - 1)
        return left > 0

    def _apply_one(self, name: str, value: Any) -> None:
        if name in {"release", "clear"}:
            getattr(self, name)()
        elif name == "step":
            self.step(int(value))
        elif name == "forget":
            self.forget(history="history" in value, queue="queue" in value)
        elif name in {f.name for f in fields(self)}:
            setattr(self, name, value)
        else:
            raise NoSuchFault(f"no such fault: {name}")
