"""File system events, as hints: "look at this path". The only importer of ``watchdog``.

Which event it was does not matter, because no single one is reliable: a rename shows the final name only as the target
of ``moved``, a hard link only as ``created``. So every path of every event is passed on, and a rescan finds what was
missed. Watches are used sparingly: the root, each project's folder, its ``inputs/``, and its ``workflows/`` with what
is below.

On Linux ``inotify`` does it: watchdog has a thread for each folder that is watched, and three between an event and us.
None is recursive there, for a folder nested a thousand deep would have to be walked. Elsewhere ``workflows/`` is
watched with all that is below.
"""

from __future__ import annotations

import errno
import queue
import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Protocol

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

from comfywatch.inotify import Inotify
from comfywatch.tree import INPUTS, WORKFLOWS

_IS_RECURSIVE = sys.platform != "linux"
_LIMITS = {errno.ENOSPC, errno.EMFILE}
"""After one of these no further watch is to be had."""


class CannotWatch(OSError):
    """The system gives no more watches, or none for this folder; polling is what remains."""


class Events(Protocol):
    """What a system offers: events of single folders."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def add(self, folder: Path) -> None: ...

    def drop(self, folder: Path) -> None: ...

    def take_lost(self) -> list[Path]: ...


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
        self._watched: dict[Path, tuple[int, int] | None] = {}
        self._events: Events = (
            Observed(touched, is_ours) if _IS_RECURSIVE else Inotify(touched, overflowed=overflowed, is_ours=is_ours)
        )

    def start(self) -> None:
        """Begin; raises ``CannotWatch``."""
        try:
            self._events.start()
        except OSError as error:
            raise CannotWatch(error.errno, error.strerror or str(error)) from error

    def stop(self) -> None:
        """End the thread."""
        self._events.stop()

    @property
    def watched(self) -> Collection[Path]:
        """The folders in which each change is told."""
        return () if _IS_RECURSIVE else self._watched.keys()

    def watch(self, projects: Path, names: Iterable[str], folders: Iterable[str] = ()) -> bool:
        """Watch exactly these projects below ``projects``; true if a watch was added.

        ``folders`` are those below a ``workflows/``, for systems where each is watched by itself.
        What was written before a watch was added is found by a scan after it, so scan again. A folder that was removed,
        moved or unmounted takes its watch along; another one of that name gets its watch here.
        """
        wanted = {projects}
        for project in (projects / name for name in names):
            wanted.add(project)
            wanted |= {project / name for name in (WORKFLOWS, INPUTS) if _is_folder(project / name)}
        if not _IS_RECURSIVE:
            wanted |= {projects / folder for folder in folders}
        lost = self._events.take_lost()
        stale = {watched for watched in self._watched if any(watched.is_relative_to(folder) for folder in lost)}
        stale |= {watched for watched, identity in self._watched.items() if _identity(watched) != identity}
        for folder in self._watched.keys() - wanted | stale:
            del self._watched[folder]
            self._events.drop(folder)
        new = wanted - self._watched.keys()
        self._add_all(sorted(new))
        return not new <= self.refused.keys()

    def watch_also(self, folder: Path) -> bool:
        """Tell of a folder outside of the projects, too; whether that can be had."""
        try:
            self._events.add(folder)
        except OSError:
            return False
        return True

    def _add_all(self, folders: list[Path]) -> None:
        """What cannot be watched stands in ``refused``; at a limit of the system that is all that is left."""
        self.refused = {}
        limit: CannotWatch | None = None
        for folder in folders:
            try:
                if limit is not None:
                    raise limit
                self._add(folder)
            except CannotWatch as error:
                limit = error if error.errno in _LIMITS else None
                self.refused[folder] = error

    def _add(self, folder: Path) -> None:
        identity = _identity(folder)
        try:
            self._events.add(folder)
        except (FileNotFoundError, NotADirectoryError):
            return  # gone meanwhile; the next scan will tell
        except OSError as error:
            raise CannotWatch(error.errno, error.strerror, str(folder)) from error
        self._watched[folder] = identity


class Observed(FileSystemEventHandler):
    """watchdog, where the system's own events are not used by ``inotify``."""

    def __init__(self, touched: Callable[[Path], None], is_ours: Callable[[str], bool]) -> None:
        self._touched = touched
        self._is_ours = is_ours
        self._observer: BaseObserver = Observer()
        self._watches: dict[Path, ObservedWatch] = {}
        self._lost: queue.SimpleQueue[Path] = queue.SimpleQueue()

    def start(self) -> None:
        """Begin; raises ``OSError``."""
        self._observer.start()

    def stop(self) -> None:
        """End the threads."""
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join(timeout=1)

    def add(self, folder: Path) -> None:
        """Watch a folder, a ``workflows/`` with all that is below; raises ``OSError``."""
        try:
            self._watches[folder] = self._observer.schedule(self, str(folder), recursive=folder.name == WORKFLOWS)
        except RuntimeError as error:  # no more threads
            raise OSError(None, str(error)) from error

    def drop(self, folder: Path) -> None:
        """Watch it no longer."""
        watch = self._watches.pop(folder, None)
        if watch is None:
            return
        try:
            self._observer.unschedule(watch)
        except (KeyError, OSError):
            return  # the folder is gone, and its watch with it

    def take_lost(self) -> list[Path]:
        """The watched folders that were removed or moved since the last time."""
        return [self._lost.get() for _ in range(self._lost.qsize())]

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in {EVENT_TYPE_OPENED, EVENT_TYPE_CLOSED_NO_WRITE}:
            return
        source = Path(_text(event.src_path))
        if event.event_type in {EVENT_TYPE_DELETED, EVENT_TYPE_MOVED} and source in self._watches:
            self._lost.put(source)
        for path in map(_text, {event.src_path, event.dest_path}):
            if path and not self._is_ours(path):
                self._touched(Path(path))


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
