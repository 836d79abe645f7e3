"""One prompt being run: its messages, its progress and its interruption."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from comfywatch.sandbox.events import Events
from comfywatch.sandbox.installation import Installation
from comfywatch.sandbox.queue import Item
from comfywatch.sandbox.settings import SandboxSettings

Json = dict[str, Any]


class Interrupted(Exception):
    """Someone asked for this prompt to stop."""


class Run:
    """What a node may do while it runs, and what is told of it."""

    def __init__(self, item: Item, installation: Installation, settings: SandboxSettings, events: Events) -> None:
        self.item = item
        self.installation = installation
        self.settings = settings
        self.messages: list[tuple[str, Json]] = []
        self.stopped = asyncio.Event()
        self.node_id = ""
        self._client_id: str | None = item.extra_data.get("client_id")
        self._events = events
        self._states: dict[str, Json] = {}

    @property
    def pnginfo(self) -> Json:
        """What a saved picture carries: the prompt, and what the client sent along."""
        extra = self.item.extra_data.get("extra_pnginfo")
        return {"prompt": self.item.prompt, **(extra if isinstance(extra, dict) else {})}

    def check(self) -> None:
        """Raise ``Interrupted`` if that is so."""
        if self.stopped.is_set():
            raise Interrupted

    async def sleep(self, seconds: float) -> None:
        """Take so long, unless interrupted."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopped.wait(), seconds)
        self.check()

    @property
    def wants_previews(self) -> bool:
        """Whether a sampler is to show what it makes: newer servers let each prompt say so."""
        asked = self.item.extra_data.get("preview_method") if self.installation.newer else None
        return (asked or self.settings.preview_method) != "none"

    def progress(self, value: int, maximum: int, *, jpeg: bytes = b"") -> None:
        """How far the node is, and what it looks like by now."""
        self._show(self.node_id, value, maximum, "running")
        if jpeg and self._client_id is not None:
            ids = dict.fromkeys(("node_id", "display_node_id", "real_node_id"), self.node_id)
            about = {"prompt_id": self.item.prompt_id, "parent_node_id": None, **ids}
            self._events.send_preview(jpeg, about, self._client_id)
        data = {"value": value, "max": maximum, "prompt_id": self.item.prompt_id, "node": self.node_id}
        self._events.send("progress", data, self._client_id)

    def begin(self, node_id: str) -> None:
        """This node is the one that runs from now on."""
        self.node_id = node_id
        self._show(node_id, 0.0, 1.0, "running")
        if self._client_id is not None:
            data = {"node": node_id, "display_node": node_id, "prompt_id": self.item.prompt_id}
            self._events.send("executing", data, self._client_id)

    def finish(self, node_id: str, ui: Json | None) -> None:
        """This node is done; ``ui`` is what it has to show."""
        if ui is not None and self._client_id is not None:
            data = {"node": node_id, "display_node": node_id, "output": ui, "prompt_id": self.item.prompt_id}
            self._events.send("executed", data, self._client_id)
        maximum = self._states.get(node_id, {}).get("max", 1)
        self._show(node_id, maximum, maximum, "finished")

    def message(self, event: str, data: Json, *, to_all: bool = False) -> None:
        """Say something that is kept in history too; ``to_all`` also if the prompt is nobody's."""
        stamped = {"prompt_id": self.item.prompt_id, **data, "timestamp": int(time.time() * 1000)}
        self.messages.append((event, stamped))
        if self._client_id is not None or to_all:
            self._events.send(event, stamped, self._client_id)

    def say_goodbye(self) -> None:
        """The last word on this prompt, after it is in history."""
        if self._client_id is not None:
            self._events.send("executing", {"node": None, "prompt_id": self.item.prompt_id}, self._client_id)

    def _show(self, node_id: str, value: float, maximum: float, state: str) -> None:
        self._states[node_id] = {
            "value": value,
            "max": maximum,
            "state": state,
            "node_id": node_id,
            "prompt_id": self.item.prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }
        data = {"prompt_id": self.item.prompt_id, "nodes": self._states}
        self._events.send("progress_state", data, self._client_id)
