"""A way to ComfyUI on which no websocket opens, as behind some proxies; everything else passes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit

CHUNK_BYTES = 64 * 1024
REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextmanager
def without_websocket(url: str) -> Iterator[str]:
    """The URL of such a way to the ComfyUI at ``url``."""
    way = _Way(url)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="way", daemon=True)
    thread.start()
    try:
        port = asyncio.run_coroutine_threadsafe(way.open(), loop).result()
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


class _Way:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80

    async def open(self) -> int:
        """The port at which it begins."""
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(OSError, asyncio.IncompleteReadError):
            first = await reader.readline()
            if b"/ws?" in first:
                writer.write(REFUSAL)
                await writer.drain()
                return
            there, back = await asyncio.open_connection(self._host, self._port)
            with closing(back):
                back.write(first)
                await asyncio.gather(_relay(reader, back), _relay(there, writer))


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
