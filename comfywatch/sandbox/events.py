"""The websockets: who listens, and what they are told, in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from typing import Any, TypeAlias

from aiohttp import web

from comfywatch.sandbox.faults import Faults

Message: TypeAlias = str | bytes
JPEG = 1
NOISE: tuple[Message, ...] = (
    *("", "{", "[]", "null", '"text"', "[" * 5000, '{"type": "executing"}', '{"type": "status", "data": null}'),
    '{"type": "executing", "data": {"node": {}, "prompt_id": 7}}',
    '{"type": "progress", "data": {"value": "x", "max": NaN, "prompt_id": "nobody", "node": "1"}}',
    '{"type": "progress_state", "data": {"prompt_id": "nobody", "nodes": {"1": null}}}',
    '{"type": "execution_success", "data": {"prompt_id": "00000000-0000-4000-8000-000000000000"}}',
    '{"type": "execution_cached", "data": {"prompt_id": "nobody", "nodes": 3}}',
    *(b"", b"\0", b"\0\0\0\1", b"\0\0\0\1\0\0\0\1no picture", b"\0\0\0\4\xff\xff\xff\xff{}", b"\xff" * 4096),
)
"""What no ComfyUI should say; ``socket_noise`` says it between the rest."""


class Events:
    """Messages wait in one line and go out one after the other, so that a slow listener holds up nobody's work."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._reads_metadata: set[str] = set()
        self._line: asyncio.Queue[tuple[str | None, Message]] = asyncio.Queue()

    def add(self, client_id: str, socket: web.WebSocketResponse) -> None:
        """From now on ``client_id`` is this socket; an older one with the same name hears nothing more."""
        self._sockets[client_id] = socket
        self._reads_metadata.discard(client_id)

    def remove(self, client_id: str, socket: web.WebSocketResponse) -> None:
        """This socket is closed."""
        if self._sockets.get(client_id) is socket:
            del self._sockets[client_id]

    def reads_metadata(self, client_id: str) -> None:
        """This client wants to be told of what its previews are."""
        self._reads_metadata.add(client_id)

    def is_heard(self, client_id: str | None) -> bool:
        """Whether a message to ``client_id`` (``None``: to all) would reach anyone."""
        return bool(self._sockets) if client_id is None else client_id in self._sockets

    def send(self, event: str, data: dict[str, Any], client_id: str | None = None) -> None:
        """Tell one client, or all of them."""
        if self.is_heard(client_id):
            self._line.put_nowait((client_id, json.dumps({"type": event, "data": data})))

    def send_preview(self, jpeg: bytes, about: dict[str, Any], client_id: str) -> None:
        """Show one client what is being made; ``about`` says of which node, to who can read that."""
        if not self.is_heard(client_id):
            return
        if client_id in self._reads_metadata:
            told = json.dumps({**about, "image_type": "image/jpeg"}).encode()
            self._line.put_nowait((client_id, struct.pack(">II", 4, len(told)) + told + jpeg))
        else:
            self._line.put_nowait((client_id, struct.pack(">II", 1, JPEG) + jpeg))

    async def publish_forever(self) -> None:
        """Send what is in the line."""
        while True:
            client_id, message = await self._line.get()
            names = list(self._sockets) if client_id is None else [client_id]
            for name in names:
                socket = self._sockets.get(name)
                if socket is not None and not socket.closed:
                    with contextlib.suppress(ConnectionError, RuntimeError):  # it went away just now
                        await self._publish(socket, message)

    async def _publish(self, socket: web.WebSocketResponse, message: Message) -> None:
        if self._faults.socket_silent:
            return
        for each in (*NOISE, message) if self._faults.socket_noise else (message,):
            await (socket.send_bytes(each) if isinstance(each, bytes) else socket.send_str(each))
        if self._faults.uses_socket_drop():
            await socket.close()
