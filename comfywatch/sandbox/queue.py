"""The prompts that wait, run and are finished; in memory only, as in ComfyUI."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from comfywatch.sandbox.installation import Installation

Json = dict[str, Any]
MAXIMUM_HISTORY_SIZE = 10_000
SENSITIVE = ("auth_token_comfy_org", "api_key_comfy_org")


@dataclass(order=True, slots=True, kw_only=True)
class Item:
    """One prompt in the queue; the lowest number runs first."""

    number: float
    serial: int
    prompt_id: str = field(compare=False)
    prompt: Json = field(compare=False)
    extra_data: Json = field(compare=False)
    outputs: tuple[str, ...] = field(compare=False)

    def as_row(self, *, hide: bool) -> list[Any]:
        """The five fields of the wire; ``hide`` leaves out what is secret."""
        extra = {key: value for key, value in self.extra_data.items() if not (hide and key in SENSITIVE)}
        return [self.number, self.prompt_id, self.prompt, extra, list(self.outputs)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a prompt ended: what goes into history beside the prompt."""

    success: bool
    messages: list[tuple[str, Json]]
    outputs: Json
    meta: Json


class PromptQueue:
    """``on_change`` is called after each change of what waits or runs."""

    def __init__(self, installation: Installation, on_change: Callable[[], None]) -> None:
        self._hides = installation.newer
        self._on_change = on_change
        self._serial = itertools.count()
        self._counter = 0
        self.pending: list[Item] = []
        self.running: list[Item] = []
        self.history: dict[str, Json] = {}

    @property
    def remaining(self) -> int:
        """How many are waiting or running."""
        return len(self.pending) + len(self.running)

    def next_number(self, *, front: bool) -> int:
        """A number for a prompt that brings none: ever higher, or below all for the front."""
        number = self._counter
        self._counter += 1
        return -number if front else number

    def put(self, number: float, prompt_id: str, prompt: Json, extra_data: Json, outputs: tuple[str, ...]) -> None:
        """Add one; an id that is there already is no obstacle."""
        item = Item(
            number=number,
            serial=next(self._serial),
            prompt_id=prompt_id,
            prompt=prompt,
            extra_data=extra_data,
            outputs=outputs,
        )
        heapq.heappush(self.pending, item)
        self._on_change()

    def take(self) -> Item:
        """The next one, which runs from now on."""
        item = heapq.heappop(self.pending)
        self.running.append(item)
        self._on_change()
        return item

    def done(self, item: Item, ending: Ending) -> None:
        """Move one from running to history, in one go."""
        self.running.remove(item)
        if len(self.history) > MAXIMUM_HISTORY_SIZE:
            self.history.pop(next(iter(self.history)))
        status = "success" if ending.success else "error"
        messages = [list(message) for message in ending.messages]
        self.history[item.prompt_id] = {
            "prompt": item.as_row(hide=True),
            "outputs": ending.outputs,
            "status": {"status_str": status, "completed": ending.success, "messages": messages},
            "meta": ending.meta,
        }
        self._on_change()

    def delete(self, prompt_id: str) -> bool:
        """Take one out that waits; whether there was one."""
        for item in self.pending:
            if item.prompt_id == prompt_id:
                self.pending.remove(item)
                heapq.heapify(self.pending)
                self._on_change()
                return True
        return False

    def clear(self) -> None:
        """Take all out that wait."""
        self.pending.clear()
        self._on_change()

    def is_running(self, prompt_id: str) -> bool:
        """Whether this one is being worked on."""
        return any(item.prompt_id == prompt_id for item in self.running)

    def as_dict(self) -> Json:
        """What ``GET /queue`` answers; pending ones lie as in the heap."""
        return {
            "queue_running": [item.as_row(hide=self._hides) for item in self.running],
            "queue_pending": [item.as_row(hide=self._hides) for item in self.pending],
        }

    def some_history(self, *, max_items: int | None, offset: int) -> Json:
        """The newest ``max_items``, or so many from ``offset`` on, oldest first."""
        if max_items is None:
            return dict(itertools.islice(self.history.items(), max(0, offset), None))
        start = max(0, len(self.history) - max_items) if offset < 0 else offset
        return dict(itertools.islice(self.history.items(), start, start + max(1, max_items)))
