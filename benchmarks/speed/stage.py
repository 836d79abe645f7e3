"""A ComfyUI and a daemon, each in a process of its own, and what can be seen of both from outside."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.soak.processes import ComfyProcess, DaemonProcess, Usage

PATIENCE = 120.0
"""Seconds until what is waited for counts as hanging."""
TICK = 0.0005
"""Seconds between two looks at what says nothing by itself."""


class Hanging(Exception):
    """What is measured does not come to its end."""


class Observer:
    """Hears on a websocket of its own how many prompts ComfyUI has: each change is a moment on ``perf_counter``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._seen: list[tuple[float, int]] = []
        self._news = threading.Condition()
        self._is_listening = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._listen()), name="observer", daemon=True).start()
        self._is_listening.wait(PATIENCE)

    def forget(self) -> None:
        """What counts comes from now on."""
        with self._news:
            self._seen.clear()

    def until(self, holds: Callable[[int], bool], *, after: float) -> float:
        """When the number of prompts was first as wanted, later than ``after``."""

        def found() -> float | None:
            return next((moment for moment, number in self._seen if moment > after and holds(number)), None)

        with self._news:
            if not self._news.wait_for(lambda: found() is not None, PATIENCE):
                raise Hanging("ComfyUI's queue does not become what it should")
            return found() or after

    async def _listen(self) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self._url}/ws?clientId=observer", max_msg_size=0) as socket,
        ):
            async for message in socket:
                moment = time.perf_counter()
                event = json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else {}
                if event.get("type") == "status":
                    self._is_listening.set()
                    with self._news:
                        self._seen.append((moment, event["data"]["status"]["exec_info"]["queue_remaining"]))
                        self._news.notify_all()


class Ledger:
    """What is durable, read beside the daemon."""

    def __init__(self, root: Path) -> None:
        self._path = root / "state" / "comfywatch.db"
        self._connection: sqlite3.Connection | None = None

    def completed(self) -> int:
        """How many jobs are completed."""
        return int(self._value("SELECT count(*) FROM jobs WHERE state = 'completed'"))

    def has_ended(self, path: str) -> bool:
        """Whether the newest job of this path is completed."""
        sql = "SELECT state FROM jobs WHERE path = ? ORDER BY id DESC LIMIT 1"
        return bool(self._value(sql, path) == "completed")

    def close(self) -> None:
        """Let go of it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _value(self, sql: str, *values: Any) -> Any:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)
            row = self._connection.execute(sql, values).fetchone()
        except sqlite3.OperationalError:  # not there yet
            return 0
        return row[0] if row else 0


class Stage:
    """``root`` is the daemon's; ``url`` is ComfyUI's."""

    def __init__(self, root: Path, url: str, **settings: Any) -> None:
        self.root = root
        self.url = url
        self.daemon = DaemonProcess(root, url, existing="run", **settings)
        self.ledger = Ledger(root)

    def project(self, name: str) -> Path:
        """Its folder."""
        return self.root / "projects" / name

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The daemon runs, and has looked round once."""
        self.daemon.start()
        try:
            yield
        finally:
            self.ledger.close()
            self.daemon.stop()
            if self.daemon.faults:
                raise Hanging("; ".join(self.daemon.faults))

    def usage(self) -> Usage:
        """Of the daemon."""
        if self.daemon.pid is None:
            raise Hanging("the daemon does not run")
        return Usage.of(self.daemon.pid)

    def until(self, holds: Callable[[], bool], *, every: float = TICK) -> float:
        """The moment at which it holds."""
        deadline = time.perf_counter() + PATIENCE
        while not holds():
            if time.perf_counter() > deadline or not self.daemon.is_running:
                raise Hanging("; ".join(self.daemon.faults) or f"it did not happen in {PATIENCE} s")
            time.sleep(every)
        return time.perf_counter()


@contextmanager
def comfyui(given: str) -> Iterator[str]:
    """The URL of the given ComfyUI, or of a sandbox that is there meanwhile."""
    if given:
        yield given.rstrip("/")
        return
    with folder() as where:
        process = ComfyProcess(where / "comfyui")
        try:
            yield process.url
        finally:
            process.end()


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    where = Path(tempfile.mkdtemp(prefix="comfywatch-speed-"))
    try:
        yield where
    finally:
        shutil.rmtree(where, ignore_errors=True)
