"""A scripted HTTP server on loopback: it gives one reply after the other, good or bad, and keeps what it was asked.

It speaks through a plain socket, so that it can do what no decent server does: answer early, too little or not at all.
"""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from enum import Enum
from http.client import parse_headers
from types import TracebackType
from typing import Any, BinaryIO, Self, cast
from urllib.parse import parse_qs, urlsplit

_KEPT_BYTES = 1_000_000


class After(Enum):
    """What becomes of the connection after a reply."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"
    """It stays open, and nothing more comes until the server ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer; ``raw`` replaces it all, and ``None`` as ``status`` is no answer.

    ``promised`` is a ``Content-Length`` other than the true one. ``is_early``: answered before the body of the request
    is read; where the connection is kept, it is read and thrown away afterwards.
    """

    status: int | None = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    promised: int | None = None
    raw: bytes | None = None
    after: After = After.KEEP
    is_early: bool = False

    def encoded(self) -> bytes:
        """The bytes that are sent."""
        if self.raw is not None or self.status is None:
            return self.raw or b""
        length = len(self.body) if self.promised is None else self.promised
        lines = [f"HTTP/1.1 {self.status} Whatever"]
        lines += [f"{name}: {value}" for name, value in {"Content-Length": length, **self.headers}.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request; of its body the first megabyte and the whole ``length``. ``connection`` counts from 1."""

    method: str
    target: str
    headers: Message
    body: bytes
    length: int
    connection: int

    @property
    def path(self) -> str:
        """The target as it was sent, without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The decoded query."""
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


def reply(answer: Any, status: int = 200, **more: Any) -> Reply:
    """``answer`` as JSON."""
    return Reply(status=status, body=json.dumps(answer).encode(), headers={"Content-Type": "application/json"}, **more)


def page(title: str, status: int = 200) -> Reply:
    """A page for people."""
    html = f"<!doctype html><html><head><title>{title}</title></head><body>…</body></html>"
    return Reply(status=status, body=html.encode(), headers={"Content-Type": "text/html; charset=utf-8"})


class StubHttp:
    """Serves ``replies`` in order, the last one again and again, until its ``with`` block ends.

    With ``greets`` it speaks first, whatever it is asked; with ``tls`` nothing is heard that is not encrypted.
    ``closed`` is set once a connection was closed at this end.
    """

    def __init__(self, *replies: Reply, greets: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.connections = 0
        self.greets = greets
        self.closed = threading.Event()
        self.ending = threading.Event()
        self._replies = list(replies)
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.stub = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.end_connections()
        self._server.server_close()
        self._thread.join()

    def connected(self) -> int:
        """The number of a new connection."""
        with self._lock:
            self.connections += 1
            return self.connections

    def next_reply(self) -> Reply:
        """The next of the script."""
        with self._lock:
            return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    stub: StubHttp

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close at once: a ``shutdown`` before would turn a reset into a decent end."""
        self._open.discard(request)
        request.close()
        self.stub.closed.set()

    def end_connections(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        stub = cast(_Server, self.server).stub
        with suppress(ConnectionError):
            if stub.greets:
                self.wfile.write(stub.next_reply().encoded())
                self.rfile.read()
            else:
                self._talk(stub)

    def _talk(self, stub: StubHttp) -> None:
        number = stub.connected()
        while line := self.rfile.readline():
            method, target, _ = line.decode("latin-1").split(" ", 2)
            headers = parse_headers(cast(BinaryIO, self.rfile))
            answer = stub.next_reply()
            body, length = (b"", 0) if answer.is_early else self._body(headers)
            stub.asked.append(
                Asked(method=method, target=target, headers=headers, body=body, length=length, connection=number)
            )
            self.wfile.write(answer.encoded())
            if answer.after is not After.KEEP:
                self._end(answer.after, stub)
                break
            if answer.is_early:
                self._body(headers)

    def _body(self, headers: Message) -> tuple[bytes, int]:
        kept, length = b"", 0
        for chunk in self._chunks(int(headers.get("Content-Length", "0"))):
            kept += chunk[: _KEPT_BYTES - len(kept)]
            length += len(chunk)
        return kept, length

    def _chunks(self, left: int) -> Iterator[bytes]:
        while left and (chunk := self.rfile.read(min(left, 65536))):
            left -= len(chunk)
            yield chunk

    def _end(self, after: After, stub: StubHttp) -> None:
        if after is After.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif after is After.HANG:
            stub.ending.wait()
