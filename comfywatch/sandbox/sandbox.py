"""A sandbox in a thread of its own, to be started, stopped, restarted and put into trouble from tests."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from types import FrameType
from typing import Any, Self, TypeVar

from comfywatch.sandbox.faults import Faults
from comfywatch.sandbox.installation import Installation
from comfywatch.sandbox.life import Life
from comfywatch.sandbox.record import Post, Record
from comfywatch.sandbox.server import Server
from comfywatch.sandbox.settings import SandboxSettings

T = TypeVar("T")
PATIENCE = 10.0


class Sandbox:
    """A stand-in for ComfyUI; a context manager that starts and stops it.

    ``stop`` ends the process: connections are refused, and ``start`` begins with an empty queue and history, on the
    same port. ``close_port`` and ``open_port`` are a network that is away for a while: the server goes on working.
    Files, models, faults and the record outlive all of that.
    """

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        self.settings = settings or SandboxSettings()
        self.folder = self.settings.folder or Path(tempfile.mkdtemp(prefix="comfywatch-sandbox-"))
        if self.settings.folder is None:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.installation = Installation(self.settings.version, self.folder.absolute())
        self.faults = Faults()
        self.record = Record()
        self._port = self.settings.port
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._life: Life | None = None
        self._server: Server | None = None
        self._end: asyncio.Event | None = None
        self._turn = threading.RLock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port; 0 before the first start if a free one is to be taken."""
        return self._port

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://{self.settings.host}:{self._port}"

    @property
    def models(self) -> dict[str, list[str]]:
        """Model files by folder; may be changed at any time."""
        return self.installation.models

    @property
    def node_classes(self) -> set[str]:
        """Installed node classes; may be changed at any time."""
        return self.installation.node_classes

    @property
    def posts(self) -> list[Post]:
        """Every ``POST /prompt`` that was seen, in order."""
        return self.record.posts

    @property
    def executed(self) -> list[str]:
        """The ids of the prompts that were begun, in order."""
        return self.record.executed

    @property
    def interrupted(self) -> list[str]:
        """The ids of the prompts that were stopped while they ran."""
        return self.record.interrupted

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and path of each request, in order."""
        return self.record.requests

    def start(self) -> None:
        """Listen; nothing happens if it does already. Raises ``OSError`` if the port is taken."""
        with self._turn:
            if self._thread is not None:
                return
            ready: Future[int] = Future()
            thread = threading.Thread(target=self._live, args=(ready,), name="sandbox", daemon=True)
            thread.start()
            self._port = ready.result(PATIENCE)
            self._thread = thread

    def stop(self) -> None:
        """End the server; its memory is lost."""
        with self._turn:
            if self._thread is None or self._loop is None or self._end is None:
                return
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(PATIENCE)
            self._thread = self._loop = None

    def restart(self) -> None:
        """Stop and start."""
        with self._turn:
            self.stop()
            self.start()

    def close_port(self) -> None:
        """Refuse connections and drop those there are, and go on working."""
        if self._server is not None:
            self._do(self._server.close_port())

    def open_port(self) -> None:
        """Listen again on the same port."""
        if self._server is not None:
            self._do(self._server.open_port(self._port))

    def _live(self, ready: Future[int]) -> None:
        try:
            asyncio.run(self._main(ready))
        except OSError as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _main(self, ready: Future[int]) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        life = self._life = Life(self.settings, self.installation, faults=self.faults, record=self.record)
        self.faults.listen(life.changes.tell_from_thread, self._forget)
        server = self._server = Server(life, self._restart_soon)
        try:
            ready.set_result(await server.open(self._port))
            await self._end.wait()
        finally:
            await server.close()

    def _forget(self, history: bool, queue: bool) -> None:
        life = self._life
        if life is None or self._loop is None:
            return
        if self._thread is threading.current_thread():
            life.forget(history, queue)
            return

        async def forget() -> None:
            life.forget(history, queue)

        self._do(forget())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Have something done in the server's thread, and wait for it."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the sandbox is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def _restart_soon(self) -> None:
        threading.Thread(target=self.restart, name="sandbox-restart", daemon=True).start()


def serve(settings: SandboxSettings, on_listen: Callable[[str], None]) -> None:
    """Run until SIGINT or SIGTERM; ``on_listen`` gets the address. Raises ``OSError`` if the port is taken."""
    stop = threading.Event()

    def end(_signum: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Sandbox(settings) as sandbox:
            on_listen(sandbox.url)
            while not stop.wait(1):  # with a limit, since Windows tells of a signal only between two waits
                pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
