"""A scripted websocket server on loopback: it says what no decent server does, and keeps what it was told.

It speaks through a plain socket: every byte after the handshake is the test's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import queue
import socket
import ssl
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(data: bytes | str, kind: int | None = None, *, last: bool = True, length: int | None = None) -> bytes:
    """One frame as a server sends it; ``length`` is a promise other than the truth."""
    body = data.encode() if isinstance(data, str) else data
    code = (TEXT if isinstance(data, str) else BINARY) if kind is None else kind
    promised = len(body) if length is None else length
    head = bytes([code | (0x80 if last else 0)])
    if promised < 126:
        return head + bytes([promised]) + body
    if promised < 2**16:
        return head + bytes([126]) + struct.pack(">H", promised) + body
    return head + bytes([127]) + struct.pack(">Q", promised) + body


def message(kind: str, **data: Any) -> bytes:
    """A message as ComfyUI sends it."""
    return frame(json.dumps({"type": kind, "data": data}))


class StubSocket:
    """Says ``talks``, one a connection and the last again and again; then hangs, or hangs up with ``drops``.

    ``answer`` replaces the handshake. ``heads`` are the requests; ``told`` are kind and bytes of each frame heard.
    """

    def __init__(
        self,
        *talks: bytes,
        answer: bytes = b"",
        drops: bool = False,
        pongs: bool = True,
        tls: ssl.SSLContext | None = None,
        is_proxy: bool = False,
    ) -> None:
        self.heads: list[str] = []
        self.told: queue.Queue[tuple[int, bytes]] = queue.Queue()
        self._talks = list(talks or (b"",))
        self._answer = answer
        self._drops = drops
        self._pongs = pongs
        self._tls = tls
        self._is_proxy = is_proxy
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self.port = self._listening.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def say(self, data: bytes) -> None:
        """Say more on what is open."""
        for each in self._open:
            each.sendall(data)

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(accepted)
            thread = threading.Thread(target=self._talk, args=(accepted,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _talk(self, accepted: socket.socket) -> None:
        with accepted, suppress(OSError, ValueError):
            talking = self._tls.wrap_socket(accepted, server_side=True) if self._tls else accepted
            with talking, talking.makefile("rb") as heard:
                if self._is_proxy:
                    self.heads.append(_head(heard))
                    talking.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                head = _head(heard)
                self.heads.append(head)
                talking.sendall(self._answer or _handshake(head))
                if self._answer:
                    return
                talking.sendall(self._talks.pop(0) if len(self._talks) > 1 else self._talks[0])
                if not self._drops:
                    self._hear(heard, talking)

    def _hear(self, heard: Any, talking: socket.socket) -> None:
        while begin := heard.read(2):
            length = begin[1] & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", heard.read(2))
            mask = heard.read(4)
            body = bytes(byte ^ mask[place % 4] for place, byte in enumerate(heard.read(length)))
            self.told.put((begin[0] & 0xF, body))
            if begin[0] & 0xF == PING and self._pongs:
                talking.sendall(frame(body, PONG))


def _head(heard: Any) -> str:
    lines = []
    while (line := heard.readline()) not in {b"", b"\r\n"}:
        lines.append(line.decode("latin-1").strip())
    return "\n".join(lines)


def _handshake(head: str) -> bytes:
    (key,) = (line.split(": ")[1] for line in head.splitlines() if line.lower().startswith("sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1((key + MAGIC).encode()).digest()).decode()
    lines = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade")
    return "\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept}", "", ""]).encode()
