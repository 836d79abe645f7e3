"""The daemon: the loop that takes events in, commits what the engine decided, and has the effects performed.

Threads: this one owns the engine and the database; the watcher's says "look at this path"; one for each ComfyUI asks
and posts; a small pool moves files. All answer through one inbox.
"""

from __future__ import annotations

import math
import queue
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType

from loguru import logger

from comfywatch import service
from comfywatch.effects import Event, Woken
from comfywatch.engine import Engine
from comfywatch.lock import Held, Lock
from comfywatch.performer import Performer, written
from comfywatch.settings import Settings
from comfywatch.state_folder import StateRefused, prepare
from comfywatch.store import Store

LONGEST_WAIT = 30.0
SHORTEST_WAIT = 0.005
"""Seconds between two rounds in which nothing was to be done and nothing happens."""
STOP_SECONDS = 0.4
"""How long a stop waits for downloads and writes under way; they are taken up at the next start."""
BATCH = 500
"""Events that are taken in before what they led to is committed."""

__all__ = ["AlreadyRunning", "Daemon", "StateRefused"]


class AlreadyRunning(Exception):
    """Another daemon has this state."""


class Daemon:
    """One daemon, from its lock to its stop; ``run`` may be called once."""

    def __init__(self, settings: Settings, *, once: bool = False) -> None:
        self._settings = settings
        self._once = once
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._must_stop = threading.Event()

    def stop(self) -> None:
        """End ``run`` soon; may be called from a signal handler or another thread."""
        self._must_stop.set()
        self._inbox.put(Woken())

    def run(self) -> int:
        """Until stopped: 0. With ``once``: 0, 1 if anything ended or stands badly, 3 if ComfyUI stayed down.

        Raises ``AlreadyRunning``, ``StateRefused``, ``store.NewerSchema`` or ``store.Damaged`` before anything is done.
        """
        started_ns = time.time_ns()
        prepare(self._settings)
        with self._locked(), self._signals():
            store = Store(self._settings.database)
            try:
                return self._work(store, started_ns)
            finally:
                store.close()

    def _work(self, store: Store, started_ns: int) -> int:
        engine = Engine(self._settings, store, now=time.monotonic(), started_ns=started_ns, once=self._once)
        performer = Performer(self._settings, engine.dispatcher.servers.addresses, self._inbox.put)
        performer.start()
        for key in self._settings.without_effect():
            logger.warning("the setting {} has no effect in this version", key)
        logger.info("watching {}", self._settings.projects)
        service.notify("READY=1")
        try:
            return self._loop(engine, performer)
        finally:
            service.notify("STOPPING=1")
            performer.stop(timeout=STOP_SECONDS)
            self._last_words(engine)
            logger.info("stopped; what ComfyUI has will be picked up at the next start")

    def _loop(self, engine: Engine, performer: Performer) -> int:
        alive_every = service.watchdog_seconds() or math.inf
        while not self._must_stop.is_set():
            now, at = time.monotonic(), datetime.now(UTC)
            effects = engine.plan(now=now, at=at)
            engine.store.commit()
            for effect in effects:
                performer.perform(effect)
            service.notify("WATCHDOG=1")
            if self._once and not effects:
                code = self._code(engine, now)
                if code is not None:
                    return code
            pause = min(engine.next_due(now=now) - time.monotonic(), alive_every, LONGEST_WAIT)
            self._take_in(engine, pause if effects else max(pause, SHORTEST_WAIT))
        return 0

    def _take_in(self, engine: Engine, pause: float) -> None:
        """Wait for an event, and take in all that have come by then."""
        try:
            event = self._inbox.get(timeout=pause) if pause > 0 else self._inbox.get_nowait()
            for _ in range(BATCH):
                engine.handle(event, now=time.monotonic(), at=datetime.now(UTC))
                event = self._inbox.get_nowait()
            engine.handle(event, now=time.monotonic(), at=datetime.now(UTC))
        except queue.Empty:
            return

    def _code(self, engine: Engine, now: float) -> int | None:
        """The exit code of ``run --once``, ``None`` while there is something to do."""
        if engine.is_done():
            return 1 if engine.has_findings() else 0
        if engine.dispatcher.down_for(now=now) > self._settings.api_timeout_seconds:
            logger.warning("ComfyUI is not reachable at {}; the files stay pending", self._settings.comfyui_url)
            return 3
        return None

    def _last_words(self, engine: Engine) -> None:
        """Every project's ``status.yaml`` says that nobody is at work."""
        now, at = time.monotonic(), datetime.now(UTC)
        for project in engine.ledger.files:
            if engine.projects[project].is_there and engine.projects[project].is_ours:
                written(engine.board.write(project, now=now, at=at, is_stopping=True))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            lock = Lock(self._settings.lock)
        except Held as error:
            raise AlreadyRunning(
                f"another comfywatch already works on {self._settings.state} ({error}). "
                "Stop that one first, or give this one a state of its own (state: in config.yaml)."
            ) from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM, SIGINT and SIGHUP end the loop; only the main thread may say so."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        names = [name for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
        before = {name: signal.signal(getattr(signal, name), self._signalled) for name in names}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(getattr(signal, name), handler)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stop()
