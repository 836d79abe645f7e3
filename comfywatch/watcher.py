"""File system events, as hints: "look at this path". The only importer of ``watchdog``.

Which event it was does not matter, because no single one is reliable: a rename shows the final name only as the target
of ``moved``, a hard link only as ``created``. So every path of every event is passed on, and a rescan finds what was
missed. Watches are used sparingly: the root, each project's folder, its ``inputs/``, and its ``workflows/`` with what
is below.

Each costs a thread. On Linux none is recursive: watchdog would walk into whatever somebody puts there, and a folder
nested a thousand deep ends its one thread for all of them.
"""

from __future__ import annotations

import errno
import logging
import queue
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog.events import (
    EVENT_TYPE_CLOSED_NO_WRITE,
    EVENT_TYPE_DELETED,
    EVENT_TYPE_MOVED,
    EVENT_TYPE_OPENED,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from comfywatch.tree import INPUTS, WORKFLOWS

_IS_RECURSIVE = sys.platform != "linux"
_LIMITS = {errno.ENOSPC, errno.EMFILE}
"""After one of these no further watch is to be had."""


class CannotWatch(OSError):
    """The system gives no more watches, or none for this folder; polling is what remains."""


class Watcher:
    """Calls ``touched`` on its own thread with each path that may have changed, ``overflowed`` when some were not told.

    ``refused`` are the folders that could not be watched at the last ``watch``.
    """

    def __init__(
        self,
        touched: Callable[[Path], None],
        *,
        is_ours: Callable[[str], bool],
        overflowed: Callable[[], None] = lambda: None,
    ) -> None:
        self.refused: dict[Path, CannotWatch] = {}
        self._overflow = _Overflow(overflowed)
        self._handler = _PassOn(touched, is_ours)
        self._observer: BaseObserver | None = None
        self._watches: dict[tuple[Path, bool], ObservedWatch] = {}
        self._identities: dict[Path, tuple[int, int]] = {}

    def start(self) -> None:
        """Begin; raises ``CannotWatch``."""
        try:
            self._observer = Observer()  # takes an inotify instance, of which there may be no more
            self._observer.start()
        except OSError as error:
            raise CannotWatch(error.errno, error.strerror) from error
        logging.getLogger("watchdog").addHandler(self._overflow)

    def stop(self) -> None:
        """End the thread."""
        logging.getLogger("watchdog").removeHandler(self._overflow)
        if self._observer is not None and self._observer.is_alive():
            self._observer.stop()
            self._observer.join(timeout=1)

    def watch(self, projects: Path, names: Iterable[str], folders: Iterable[str] = ()) -> bool:
        """Watch exactly these projects below ``projects``; true if a watch was added.

        ``folders`` are those below a ``workflows/``, for systems where each is watched by itself.
        What was written before a watch was added is found by a scan after it, so scan again. A folder that was removed,
        moved or unmounted takes its watch along; another one of that name gets its watch here.
        """
        wanted = {(projects, False)}
        for name in names:
            project = projects / name
            wanted.add((project, False))
            wanted |= {(project / WORKFLOWS, _IS_RECURSIVE)} if _is_folder(project / WORKFLOWS) else set()
            wanted |= {(project / INPUTS, False)} if _is_folder(project / INPUTS) else set()
        if not _IS_RECURSIVE:
            wanted |= {(projects / folder, False) for folder in folders}
        lost = self._handler.take_lost()
        stale = {key for key in self._watches if any(key[0].is_relative_to(folder) for folder in lost)}
        stale |= {key for key in self._watches if _identity(key[0]) != self._identities.get(key[0])}
        for key in self._watches.keys() - wanted | stale:
            self._drop(key)
        new = wanted - self._watches.keys()
        self._add_all(sorted(new))
        self._handler.watched = frozenset(folder for folder, _ in self._watches)
        return any(folder not in self.refused for folder, _ in new)

    def _add_all(self, keys: list[tuple[Path, bool]]) -> None:
        """What cannot be watched stands in ``refused``; at a limit of the system that is all that is left."""
        self.refused = {}
        limit: CannotWatch | None = None
        for key in keys:
            try:
                if limit is not None:
                    raise limit
                self._add(key)
            except CannotWatch as error:
                limit = error if error.errno in _LIMITS else None
                self.refused[key[0]] = error

    def _add(self, key: tuple[Path, bool]) -> None:
        folder, recursive = key
        identity = _identity(folder)
        if self._observer is None:
            raise CannotWatch(None, "not started", str(folder))
        try:
            self._watches[key] = self._observer.schedule(self._handler, str(folder), recursive=recursive)
        except FileNotFoundError:
            return  # gone meanwhile; the next scan will tell
        except OSError as error:
            raise CannotWatch(error.errno, error.strerror, str(folder)) from error
        except RuntimeError as error:  # no more threads
            raise CannotWatch(None, str(error), str(folder)) from error
        if identity is not None:
            self._identities[folder] = identity

    def _drop(self, key: tuple[Path, bool]) -> None:
        watch = self._watches.pop(key)
        self._identities.pop(key[0], None)
        try:
            if self._observer is not None:
                self._observer.unschedule(watch)
        except (KeyError, OSError):
            return  # the folder is gone, and its watch with it


class _PassOn(FileSystemEventHandler):
    def __init__(self, touched: Callable[[Path], None], is_ours: Callable[[str], bool]) -> None:
        self.watched: frozenset[Path] = frozenset()
        self._touched = touched
        self._is_ours = is_ours
        self._lost: queue.SimpleQueue[Path] = queue.SimpleQueue()

    def take_lost(self) -> list[Path]:
        """The watched folders that were removed or moved since the last time."""
        return [self._lost.get() for _ in range(self._lost.qsize())]

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in {EVENT_TYPE_OPENED, EVENT_TYPE_CLOSED_NO_WRITE}:
            return
        if event.event_type in {EVENT_TYPE_DELETED, EVENT_TYPE_MOVED} and Path(_text(event.src_path)) in self.watched:
            self._lost.put(Path(_text(event.src_path)))
        for path in map(_text, {event.src_path, event.dest_path}):
            if path and not self._is_ours(path):
                self._touched(Path(path))


class _Overflow(logging.Handler):
    """What watchdog tells of events that were lost, it tells its log alone."""

    def __init__(self, overflowed: Callable[[], None]) -> None:
        super().__init__()
        self._overflowed = overflowed

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._overflowed()


def _identity(folder: Path) -> tuple[int, int] | None:
    """What tells a folder from another one in its place."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir() and not path.is_symlink()
    except OSError:
        return False


def _text(path: bytes | str) -> str:
    return path.decode("utf-8", "surrogateescape") if isinstance(path, bytes) else path
