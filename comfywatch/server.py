"""One ComfyUI as the daemon keeps it: its link, what it has installed, and what is being asked of it.

One ask is under way at a time of each kind; the pause between two looks starts short, grows while nothing changes,
and is never shorter than ten times what a look costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from comfywatch.asks import Answer, Ask, Installed, Look, Lying, Peek, Probe, Refresh
from comfywatch.comfy_errors import Busy, CutOff, NotComfy, Unreachable
from comfywatch.effects import FindPackages
from comfywatch.inventory import Inventory, Mode
from comfywatch.link import Link, ServerState, Standstill
from comfywatch.packages import PackageMap
from comfywatch.schemas import Schemas
from comfywatch.settling import Stamp

FIRST_LOOK_PAUSE = 0.02
LOOK_GROWTH = 1.2
LOOK_COST_FACTOR = 10
HINTED_COST_FACTOR = 2
"""The same where something seems to have happened: in a flood of small jobs that is all the time."""
LONGEST_GAP = 60.0
"""Seconds between two looks at the queue, or twice the pause between them: after more, nobody knows what happened."""
SHORT_STANDSTILL = 1.0
"""Seconds that are not worth a question of how long is too long."""
PEEK_SECONDS = 30.0
"""How often the folders of missing models are looked at while a job is blocked by one."""
HEARD_SECONDS = 60.0
"""By which it is asked later whether it is there, while its websocket answers every ``poll_seconds``."""
REFRESH_SECONDS = 3600.0
REFRESH_AGAIN_SECONDS = 60.0
"""After a refresh that ComfyUI did not answer."""


class Asked(Enum):
    """Who was asked which package has a class: nobody yet, this machine alone, or the server as well."""

    NOBODY = "nobody"
    DISK = "disk"
    SERVER = "server"


@dataclass(slots=True)
class Server:
    """Owned by the engine. Times are monotonic; ``asking`` holds the kinds of ask that are under way."""

    link: Link
    inventory: Inventory | None = None
    schemas: Schemas | None = None
    system: Mapping[str, Any] = field(default_factory=dict)
    max_upload_bytes: int | None = None
    """What it takes in one request; ``None`` if it does not say."""
    inventory_stamp: Stamp | None = None
    """Of ``inventory.json`` as it was last read; other tools write it too."""
    fingerprint: str = ""
    is_fresh: bool = False
    """Whether the inventory is of this life of the server, or asking for it has failed."""
    must_adopt: bool = False
    asking: set[type[Ask]] = field(default_factory=set)
    posting: set[int] = field(default_factory=set)
    taking_out: set[int] = field(default_factory=set)
    in_history: set[str] = field(default_factory=set)
    """Prompts of ours of which ComfyUI said that its history has them now."""
    packages: PackageMap | None = None
    """What a Manager knows of packages and their classes; asked for once a job lacks a class."""
    wants_packages: bool = False
    asked_for_packages: Asked = Asked.NOBODY
    """Since it was last asked what it has: a Manager may have been installed meanwhile."""
    next_refresh: float = 0.0
    next_peek: float = 0.0
    next_adopt: float = 0.0
    next_look: float = 0.0
    look_pause: float = FIRST_LOOK_PAUSE
    look_cost: float = 0.0
    look_asked: float = 0.0
    """When the newest look was asked for: what it says is not older."""
    look_life: int = 0
    """And in which life of the server, as far as that was known then."""
    last_look: float = -math.inf
    is_hinted: bool = False
    """Whether something happened, as it seems, after the look that is under way was asked for."""
    standstill: Standstill = field(default_factory=Standstill)
    down_since: float | None = None
    heard_since: float | None = None
    """Since when its websocket is open, and answers; ``None`` while it does not."""
    recent: list[float] = field(default_factory=list)
    """Seconds of the newest completed jobs, for the window."""

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return self.link.url

    def take(self, answer: Answer, *, now: float) -> bool:
        """What an answer of any kind says of the link; true if the server has just come (back) up."""
        was = self.link
        self.asking.discard(type(answer.ask))
        match answer.error:
            case Unreachable(refused=refused):
                self.link = was.refused(str(answer.error), now=now, speaks_for_restart=refused)
            case Busy() | CutOff():
                self.link = was.timed_out(str(answer.error), now=now)
            case NotComfy():
                self.link = was.strange(str(answer.error), now=now)
            case _:
                self.link = was.answered(now=now)
        came_up = self.link.state is ServerState.UP and was.state is not ServerState.UP
        if came_up and (was.state is ServerState.DOWN or was.was_refused):
            self.next_refresh, self.is_fresh = now, False
        self._note_down(now)
        return came_up

    def moved_on(self, *, now: float) -> None:
        """Something happened to a prompt: look again soon."""
        self.look_pause = FIRST_LOOK_PAUSE
        self.next_look = min(self.next_look, now + self._shortest_pause())

    def hinted(self, *, now: float) -> None:
        """Something seems to have happened: look at once, and once more if a look is under way that may not see it."""
        self.look_pause = FIRST_LOOK_PAUSE
        self.next_look = max(now, self.last_look + HINTED_COST_FACTOR * self.look_cost)
        self.is_hinted = Look in self.asking

    def looked(self, *, took: float, now: float) -> None:
        """A look is done: the next is a little later."""
        self.look_cost = took
        self.last_look = now
        self.next_look = now + (HINTED_COST_FACTOR * took if self.is_hinted else self._shortest_pause())
        self.is_hinted = False
        self.look_pause = min(self.look_pause * LOOK_GROWTH, self.link.poll_seconds)

    def saw_queue(
        self,
        lying: Lying,
        *,
        withdrawn: frozenset[str],
        is_told_to_stop: bool,
        patience: Callable[[], float],
        now: float,
    ) -> None:
        """Judge by its queue whether it works; ``patience`` says how many seconds what runs may take."""
        self.standstill = self.standstill.seen(
            lying.running,
            lying.pending,
            withdrawn=withdrawn,
            is_told_to_stop=is_told_to_stop,
            longest_gap=max(LONGEST_GAP, 2 * max(self._shortest_pause(), self.link.poll_seconds)),
            now=now,
        )
        is_short = self.standstill.seconds < SHORT_STANDSTILL
        self.link = self.link.at_work("" if is_short else self.standstill.complaint(patience=patience()))

    def set_installed(self, inventory: Inventory | None, schemas: Schemas | None) -> bool:
        """What it has; true if that is something else than before."""
        before = self.fingerprint
        self.inventory, self.schemas = inventory, schemas
        known = (inventory.fingerprint if inventory else "", schemas.fingerprint if schemas else "")
        self.fingerprint = f"{known[0]}-{known[1]}-{self.max_upload_bytes or ''}"
        return self.fingerprint != before

    def wants_to_be_asked(self, *, now: float) -> bool:
        """Ask it anew if the inventory is not its own any more and it can be asked; true if it is."""
        is_own = self.inventory is not None and self.inventory.mode is Mode.ONLINE
        if is_own or not self.link.answers:
            return False
        self.next_refresh, self.is_fresh = now, False
        return True

    def refreshed(self, installed: Installed | None, *, now: float) -> None:
        """A refresh came back, or failed."""
        self.is_fresh = True
        self.wants_packages, self.asked_for_packages = False, Asked.NOBODY
        self.next_refresh = now + (REFRESH_SECONDS if installed else REFRESH_AGAIN_SECONDS)
        if installed is not None:
            self.system = installed.stats
            limit = installed.features.get("max_upload_size")
            self.max_upload_bytes = limit if isinstance(limit, int) else None
            self.link = _with_version(self.link, installed.stats)

    def find_packages(self) -> FindPackages | None:
        """What to ask, if a job lacks a class and nobody was asked who has it."""
        to_ask = Asked.SERVER if self.link.answers else Asked.DISK
        if not self.wants_packages or self.asked_for_packages in {to_ask, Asked.SERVER}:
            return None
        self.asked_for_packages = to_ask
        path = self.inventory.comfyui_path if self.inventory else None
        return FindPackages(url=self.url, answers=self.link.answers, comfyui_path=path)

    def routine(self, *, now: float, peek: Callable[[], Peek | None]) -> list[Ask]:
        """What is due to be asked that has nothing to do with one job; ``peek`` says what to look for, if anything."""
        if not self.link.answers:
            return self.if_due(Probe(), self.link.next_ask, now)
        due = self.if_due(Refresh(), self.next_refresh, now)
        if Refresh not in self.asking and self.next_peek <= now:
            self.next_peek = now + PEEK_SECONDS
            wanted = peek()
            due += self.if_due(wanted, 0, now) if wanted is not None else []
        if not due and not self.asking and not self.posting:
            due += self.if_due(Probe(), self._next_probe(), now)
        return due

    def next_due(self) -> float:
        """When ``routine`` has something next, if nothing is asked meanwhile."""
        if not self.link.answers:
            return math.inf if Probe in self.asking else self.link.next_ask
        times = [] if Refresh in self.asking else [self.next_refresh, self.next_peek]
        if not self.asking and not self.posting:
            times.append(self._next_probe())
        return min(times, default=math.inf)

    def heard(self, *, is_open: bool, now: float) -> None:
        """Its websocket is open, or no longer: then it may be gone."""
        self.heard_since = now if is_open else None
        if not is_open:
            self.link = replace(self.link, next_ask=min(self.link.next_ask, now))

    def _next_probe(self) -> float:
        return self.link.next_ask + (0 if self.heard_since is None else HEARD_SECONDS)

    def is_busy_with(self, job_id: int) -> bool:
        """Whether an ask for this very job is under way."""
        return job_id in self.posting or job_id in self.taking_out

    def if_due(self, ask: Ask, due: float, now: float) -> list[Ask]:
        """``ask`` if it is due and not under way already."""
        if due > now or type(ask) in self.asking:
            return []
        self.asking.add(type(ask))
        return [ask]

    def _shortest_pause(self) -> float:
        return max(self.look_pause, LOOK_COST_FACTOR * self.look_cost)

    def _note_down(self, now: float) -> None:
        if self.link.state in {ServerState.DOWN, ServerState.STUCK}:
            self.down_since = now if self.down_since is None else self.down_since
        else:
            self.down_since = None


def _with_version(link: Link, stats: Mapping[str, Any]) -> Link:
    system = stats.get("system")
    version = system.get("comfyui_version") if isinstance(system, Mapping) else None
    return replace(link, version=str(version or ""))
