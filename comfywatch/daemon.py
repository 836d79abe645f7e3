"""The daemon: the loop that takes events in, commits what the engine decided, and has the effects performed.

Threads: this one owns the engine and the database; the watcher's says "look at this path"; one for each ComfyUI asks
and posts; a small pool moves files. All answer through one inbox. What the database cannot save has not happened: then
the engine is given up, as by a kill, and another goes on from what is durable.
"""

from __future__ import annotations

import math
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from types import FrameType

from loguru import logger

from comfywatch import service
from comfywatch.effects import Event, Woken
from comfywatch.engine import Engine
from comfywatch.lock import Held, Lock
from comfywatch.performer import Performer, page_written, written
from comfywatch.settings import Settings
from comfywatch.state_folder import StateRefused, prepare, set_aside
from comfywatch.store import Damaged, Store, Unavailable
from comfywatch.trouble import Trouble

LONGEST_WAIT = 30.0
SHORTEST_WAIT = 0.005
"""Seconds between two rounds in which nothing was to be done and nothing happens."""
STOP_SECONDS = 0.4
"""How long a stop waits for downloads and writes under way; they are taken up at the next start."""
LAST_WORDS_SECONDS = 2.0
"""For each ``status.yaml`` to say that nobody is at work; of hundreds, the last say it by ``next_update_by``."""
FAREWELL_SECONDS = 10.0
"""How long ``run --once`` waits at its end for the services that are told of it."""
LAST_PAGES_SECONDS = 30.0
"""How long ``run --once`` may write pages at its end."""
GLANCE_SECONDS = 0.5
"""How often it is seen, while nothing happens, whether a command asks for something and whether ``state/`` is there."""
BELL_FACTOR = 10
"""So much rarer where the bell tells of requests."""
BATCH = 500
"""Events that are taken in before what they led to is committed."""
TELL_SECONDS = 60.0
"""How often each ``status.yaml`` says that nothing can be saved."""
KILLED_BY_SIGINT = 130

__all__ = ["AlreadyRunning", "Daemon", "StateRefused"]


class AlreadyRunning(Exception):
    """Another daemon has this state."""


class StateGone(Exception):
    """``state/`` was removed while the daemon worked: its database and its lock are nobody's any more."""


class Daemon:
    """One daemon, from its lock to its stop; ``run`` may be called once.

    ``began_ns`` is when its process began, on the clock of file times: what is dropped while it still gets ready is an
    order, and no archive. Without it that is when ``run`` is called.
    """

    def __init__(self, settings: Settings, *, once: bool = False, began_ns: int | None = None) -> None:
        self._settings = settings
        self._once = once
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._must_stop = threading.Event()
        self._must_look = threading.Event()
        self._began_ns = began_ns
        self._lock: Lock | None = None
        self._engine: Engine | None = None
        self._trouble = Trouble()
        self._tell_due = -math.inf
        self._glance_seconds = GLANCE_SECONDS
        self._state_seen_ns = 0

    def stop(self) -> None:
        """End ``run`` soon; may be called from a signal handler or another thread."""
        self._must_stop.set()
        self._inbox.put(Woken())

    def look_again(self) -> None:
        """Look at everything anew, soon; may be called from a signal handler or another thread."""
        self._must_look.set()
        self._inbox.put(Woken())

    def run(self) -> int:
        """Until stopped: 0. With ``once``: 0, 1 if anything ended or stands badly, 3 if ComfyUI stayed down.

        Raises ``AlreadyRunning``, ``StateRefused`` or ``store.NewerSchema`` before anything is done.
        """
        self._began_ns = time.time_ns() if self._began_ns is None else self._began_ns
        while True:
            try:
                return self._run()
            except StateGone:
                logger.error("{} was removed while comfywatch ran; it goes on without", self._settings.state)
                self._began_ns, self._engine = self._state_seen_ns, None

    def _run(self) -> int:
        prepare(self._settings)
        with self._locked() as lock, self._signals():
            self._lock = lock
            store = self._opened()
            return 0 if store is None else self._work(store)

    def _work(self, store: Store | None) -> int:
        """Engine after engine: what the database fails ends as by a kill, and what is durable goes on."""
        performer = Performer(self._settings, {}, self._inbox.put)
        performer.start()
        self._glance_seconds = GLANCE_SECONDS * (BELL_FACTOR if performer.hears_bell else 1)
        for key in self._settings.without_effect():
            logger.warning("the setting {} has no effect in this version", key)
        logger.info("watching {}", self._settings.projects)
        service.notify("READY=1")
        try:
            while store is not None and not self._must_stop.is_set():
                try:
                    return self._live(store, performer)
                except Unavailable as error:
                    store.roll_back()
                    self._tell(error, performer)
                    self._pause()
                except Damaged as error:
                    _close(store)
                    self._put_aside(error)
                    store = self._opened()
                except BaseException:
                    store.roll_back()  # half a round must not become durable
                    raise
            return 0
        finally:
            service.notify("STOPPING=1")
            performer.stop(timeout=STOP_SECONDS, last_words=FAREWELL_SECONDS if self._once else STOP_SECONDS)
            if store is not None:
                self._last_words()
                _close(store)
            logger.info("stopped; what ComfyUI has will be picked up at the next start")

    def _live(self, store: Store, performer: Performer) -> int:
        """One engine over what is durable, until it is stopped."""
        now, before = time.monotonic(), self._engine
        engine = Engine(self._settings, store, now=now, started_ns=self._began_ns or 0, once=self._once)
        engine.dispatcher.has_failed = before is not None and before.dispatcher.has_failed
        engine.board.troubles = self._trouble.notices()
        performer.addresses = engine.dispatcher.servers.addresses
        engine.dispatcher.are_posted(performer.posting, now=now)
        self._engine = engine
        return self._loop(engine, performer)

    def _loop(self, engine: Engine, performer: Performer) -> int:
        alive_every = service.watchdog_seconds() or math.inf
        while not self._must_stop.is_set():
            if not self._has_its_state():
                raise StateGone
            now, at = time.monotonic(), datetime.now(UTC)
            if self._must_look.is_set():
                self._must_look.clear()
                engine.look_again(now=now)
            effects = engine.plan(now=now, at=at)
            self._commit(engine)
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

    def _commit(self, engine: Engine) -> None:
        had_changes = engine.store.has_changes
        engine.store.commit()
        if had_changes and self._trouble.is_over():
            engine.board.troubles = self._trouble.notices()
            engine.ledger.changed.update(engine.ledger.projects)

    def _take_in(self, engine: Engine, pause: float) -> None:
        """Wait for an event, and take in all that have come by then."""
        try:
            event = self._next_event(engine, pause)
            for _ in range(BATCH):
                engine.handle(event, now=time.monotonic(), at=datetime.now(UTC))
                event = self._inbox.get_nowait()
            engine.handle(event, now=time.monotonic(), at=datetime.now(UTC))
        except queue.Empty:
            return

    def _next_event(self, engine: Engine, pause: float) -> Event:
        """Wait for it, and see now and then to what no event tells of; raises ``queue.Empty`` if there is none."""
        until = time.monotonic() + pause
        while (left := until - time.monotonic()) > self._glance_seconds:
            with suppress(queue.Empty):
                return self._inbox.get(timeout=self._glance_seconds)
            if engine.desk.glance() or not self._has_its_state():
                raise queue.Empty
        return self._inbox.get(timeout=left) if left > 0 else self._inbox.get_nowait()

    def _has_its_state(self) -> bool:
        """What is dropped after the last time that it was there is an order, and no archive."""
        now_ns = time.time_ns()
        if self._lock is not None and not self._lock.is_there():
            return False
        self._state_seen_ns = now_ns
        return True

    # --- a database that fails

    def _opened(self) -> Store | None:
        """The database, a damaged one put aside; ``None`` if stopped before it can be had."""
        while not self._must_stop.is_set():
            try:
                return Store(self._settings.database)
            except Unavailable as error:
                if self._once:
                    raise StateRefused(f"{self._settings.database} cannot be used: {error}") from error
                self._trouble.cannot_save(error)
            except Damaged as error:
                self._put_aside(error)
            self._pause()
        return None

    def _tell(self, error: Unavailable, performer: Performer) -> None:
        """Say it in the log, and in each ``status.yaml``: the projects may lie on a disk that has room."""
        now = time.monotonic()
        if (not self._trouble.cannot_save(error) and now < self._tell_due) or self._engine is None:
            return
        self._tell_due = now + TELL_SECONDS
        self._engine.board.troubles = self._trouble.notices()
        with suppress(Unavailable, Damaged):
            for effect in self._engine.board.write_all(now=now, at=datetime.now(UTC)):
                performer.perform(effect)

    def _put_aside(self, error: Damaged) -> None:
        """Treat it as an empty one: ``result.yaml`` says what is finished, ComfyUI what it has."""
        try:
            aside = set_aside(self._settings.database, at=datetime.now(UTC))
        except OSError as refusal:
            raise StateRefused(f"{self._settings.database} is damaged ({error}), and cannot be renamed") from refusal
        self._trouble.was_damaged(error, aside=aside.name)
        self._began_ns = time.time_ns()

    def _pause(self) -> None:
        service.notify("WATCHDOG=1")
        self._must_stop.wait(self._trouble.pause())

    # --- the end

    def _code(self, engine: Engine, now: float) -> int | None:
        """The exit code of ``run --once``, ``None`` while there is something to do."""
        if engine.is_done():
            return 1 if engine.has_findings() else 0
        if engine.dispatcher.down_for(now=now) > self._settings.api_timeout_seconds:
            logger.warning("ComfyUI is not at work at {}; the files stay as they are", self._settings.comfyui_url)
            return 3
        return None

    def _last_words(self) -> None:
        """Every project's ``status.yaml`` says that nobody is at work, as far as there is time for that."""
        if self._engine is None:
            return
        with suppress(Unavailable, Damaged):
            self._engine.store.commit()  # what was taken in last is read from there
            now, at = time.monotonic(), datetime.now(UTC)
            for effect in self._engine.board.write_all(now=now, at=at, is_stopping=True):
                written(effect, self._settings.database)
                if time.monotonic() - now > LAST_WORDS_SECONDS:
                    break
            self._last_pages(now=now, at=at)

    def _last_pages(self, *, now: float, at: datetime) -> None:
        """The pages show what ended last, as far as that takes no time that a stop does not have."""
        if self._engine is None:
            return
        until = time.monotonic() + (LAST_PAGES_SECONDS if self._once else STOP_SECONDS)
        for effect in self._engine.pages.last_words(now=now, at=at):
            self._engine.pages.written(page_written(effect, self._settings), now=now)
            if time.monotonic() > until:
                return

    @contextmanager
    def _locked(self) -> Iterator[Lock]:
        try:
            lock = Lock(self._settings.lock)
        except Held as error:
            raise AlreadyRunning(
                f"another comfywatch already works on {self._settings.state} ({error}). "
                "Stop that one first, or give this one a state of its own (state: in config.yaml)."
            ) from error
        try:
            yield lock
        finally:
            lock.release()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the loop; SIGHUP has it look at everything anew. Only the main thread may say so."""
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
        """A second Ctrl-C ends at once, for a kill loses nothing. SIGHUP from a terminal means that it was closed."""
        del frame
        name = signal.Signals(number).name
        if name == "SIGINT" and self._must_stop.is_set():
            os._exit(KILLED_BY_SIGINT)
        elif name == "SIGHUP" and not os.isatty(2):
            self.look_again()
        else:
            self.stop()


def _close(store: Store) -> None:
    """What cannot be saved any more is found out anew at the next start."""
    try:
        store.close()
    except (Unavailable, Damaged) as error:
        logger.warning("the last changes could not be saved ({}); they are found out anew at the next start", error)
