"""One websocket with one ComfyUI, and the only place that knows ``websocket``.

The rule it keeps: as with HTTP, our headers go nowhere but to the configured address, there is no ``Origin``, and the
environment's proxies are not used for this machine itself. A message that is too long is passed over and not kept.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, unquote

import websocket

from comfywatch.comfy_address import Address, address, checked_headers, environment_proxy, identity, trust

MAX_MESSAGE_BYTES = 16 * 2**20
"""Longer ones hold pictures in full size, which is not what is listened for."""
_CHUNK_BYTES = 64 * 1024
_TEXT, _BINARY = websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY
_FEATURES = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}


class Silent(Exception):
    """Nothing came in time; what was begun goes on with the next ``receive``."""


class Closed(Exception):
    """The socket cannot be opened, or is no more; the words say why."""


class ComfySocket:
    """An open websocket, for one thread but for ``break_off``.

    ``timeout`` is in seconds and is for opening it. Raises ``Closed``, and ``ValueError`` for what cannot be used.
    """

    def __init__(
        self, url: str, *, client_id: str, timeout: float, headers: Mapping[str, str], ca_file: Path | None
    ) -> None:
        where = address(url)
        try:
            self._socket: Any = websocket.create_connection(
                f"{_scheme(where)}/api/ws?clientId={quote(client_id, safe='')}",
                timeout=timeout,
                header=_headers(where, headers),
                suppress_origin=True,
                redirect_limit=0,
                skip_utf8_validation=True,
                sslopt={"context": trust(ca_file)} if _is_tls(where) else {},
                **_proxy(where),
            )
        except (websocket.WebSocketException, OSError, ValueError) as error:
            raise Closed(_why(error)) from error
        frames = self._socket.frame_buffer
        self._ahead, self._read, frames.recv = b"", frames.recv, self._next_bytes
        self._message = bytearray()
        self._kind = 0
        self._is_too_long = False
        self._is_passing_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.shutdown()

    def ask_for_previews(self) -> None:
        """Have pictures say which prompt they are of; it has to be the first thing that ComfyUI hears."""
        self._send(json.dumps(_FEATURES).encode(), _TEXT)

    def ping(self) -> None:
        """Have the other side say that it is there."""
        self._send(b"", websocket.ABNF.OPCODE_PING)

    def receive(self, *, timeout: float) -> str | bytes | None:
        """The next message, ``None`` for one that is no message; raises ``Silent`` or ``Closed``."""
        try:
            if not self._ahead:
                self._socket.settimeout(timeout)
            if self._is_passing_over or self._is_frame_too_long():
                self._pass_over()
                return None
            return self._taken(self._socket.recv_frame())
        except websocket.WebSocketTimeoutException as error:
            raise Silent from error
        except (websocket.WebSocketException, OSError, ValueError) as error:
            raise Closed(_why(error)) from error

    def break_off(self) -> None:
        """End whatever waits in ``receive``; may be called from another thread."""
        with suppress(OSError, AttributeError):
            self._socket.sock.shutdown(socket.SHUT_RDWR)

    def _next_bytes(self, most: int) -> bytes:
        """At most so many, which must not be 0; one read of the system brings many small messages."""
        if not self._ahead:
            self._ahead = self._read(_CHUNK_BYTES)
        taken, self._ahead = self._ahead[:most], self._ahead[most:]
        return taken

    def _is_frame_too_long(self) -> bool:
        """Reads as far as the length of the next frame; all that follows goes on from there."""
        frame = self._socket.frame_buffer
        if frame.needs_header():
            frame.recv_header()
        if frame.needs_length():
            frame.recv_length()
        return len(self._message) + (frame.length or 0) > MAX_MESSAGE_BYTES

    def _pass_over(self) -> None:
        """Read a frame to its end, and keep nothing of it."""
        self._is_passing_over = True
        frame = self._socket.frame_buffer
        if frame.needs_mask():
            frame.recv_mask()
        while frame.length:
            frame.length -= len(frame.recv_strict(min(frame.length, _CHUNK_BYTES)))
        is_last = bool(frame.header and frame.header[0])
        frame.clear()
        self._is_passing_over = False
        self._message.clear()
        self._is_too_long = not is_last

    def _taken(self, frame: Any) -> str | bytes | None:
        match frame.opcode:
            case websocket.ABNF.OPCODE_CLOSE:
                raise Closed("ComfyUI closed it")
            case websocket.ABNF.OPCODE_PING:
                self._send(bytes(frame.data), websocket.ABNF.OPCODE_PONG)
                return None
            case websocket.ABNF.OPCODE_PONG:
                return None
            case kind if kind in {_TEXT, _BINARY}:
                self._message, self._kind, self._is_too_long = bytearray(), kind, False
        self._message += frame.data
        return self._finished() if frame.fin else None

    def _finished(self) -> str | bytes | None:
        message, self._message = bytes(self._message), bytearray()
        if self._is_too_long:
            return None
        return message if self._kind == _BINARY else message.decode("utf-8", "replace")

    def _send(self, data: bytes, kind: int) -> None:
        try:
            self._socket.send(data, kind)
        except (websocket.WebSocketException, OSError) as error:
            raise Closed(_why(error)) from error


def _is_tls(where: Address) -> bool:
    return where.url.startswith("https:")


def _scheme(where: Address) -> str:
    return f"ws{where.url.removeprefix('http')}"


def _headers(where: Address, headers: Mapping[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in identity(where, checked_headers(headers)).items()]


def _proxy(where: Address) -> dict[str, Any]:
    """What the environment says for this address; else the library would ask it for this machine's own too."""
    proxy = environment_proxy(where)
    if proxy is None:
        return {"http_proxy_host": "none", "http_proxy_port": 1, "http_no_proxy": ["*"]}
    auth = (unquote(proxy.username), unquote(proxy.password or "")) if proxy.username else None
    return {
        "http_proxy_host": proxy.hostname,
        "http_proxy_port": proxy.port or 80,
        "http_proxy_auth": auth,
        "http_no_proxy": ["none.invalid"],  # an empty list would have it ask the environment
    }


def _why(error: Exception) -> str:
    """In few words: a refusal's own holds the whole answer, and with it what may be secret."""
    if isinstance(error, websocket.WebSocketBadStatusException):
        return f"ComfyUI, or what stands before it, answered with {error.status_code}"
    if isinstance(error, websocket.WebSocketException):
        return "it is no websocket, or was broken off"
    return getattr(error, "strerror", None) or type(error).__name__
