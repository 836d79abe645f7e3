"""The websockets: who listens, and what they are told, in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from aiohttp import web


class Events:
    """Messages wait in one line and go out one after the other, so that a slow listener holds up nobody's work."""

    def __init__(self) -> None:
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._line: asyncio.Queue[tuple[str | None, str]] = asyncio.Queue()

    def add(self, client_id: str, socket: web.WebSocketResponse) -> None:
        """From now on ``client_id`` is this socket; an older one with the same name hears nothing more."""
        self._sockets[client_id] = socket

    def remove(self, client_id: str, socket: web.WebSocketResponse) -> None:
        """This socket is closed."""
        if self._sockets.get(client_id) is socket:
            del self._sockets[client_id]

    def is_heard(self, client_id: str | None) -> bool:
        """Whether a message to ``client_id`` (``None``: to all) would reach anyone."""
        return bool(self._sockets) if client_id is None else client_id in self._sockets

    def send(self, event: str, data: dict[str, Any], client_id: str | None = None) -> None:
        """Tell one client, or all of them."""
        if self.is_heard(client_id):
            self._line.put_nowait((client_id, json.dumps({"type": event, "data": data})))

    async def publish_forever(self) -> None:
        """Send what is in the line."""
        while True:
            client_id, text = await self._line.get()
            names = list(self._sockets) if client_id is None else [client_id]
            for name in names:
                socket = self._sockets.get(name)
                if socket is not None and not socket.closed:
                    with contextlib.suppress(ConnectionError, RuntimeError):  # it went away just now
                        await socket.send_str(text)
