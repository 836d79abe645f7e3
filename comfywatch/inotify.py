"""Linux's inotify, by one descriptor and one thread for however many folders. The only module that knows it.

What is being written is told when it is closed: a look before that finds half a file, and the next look would have to
wait. What only appears, as a hard link does, or is written on and not closed, is told ``SOON`` after.
"""

from __future__ import annotations

import ctypes
import os
import queue
import select
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

SOON = 0.25
"""Seconds until a file is told that was touched and not closed since."""
_READ_BYTES = 256 * 1024
_HEAD = struct.Struct("iIII")

_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
_CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x100, 0x200, 0x400, 0x800
_UNMOUNT, _OVERFLOW, _ONLY_FOLDERS, _IS_FOLDER = 0x2000, 0x4000, 0x1000000, 0x40000000
_WANTED = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
_UNFINISHED = _MODIFY | _CREATE
_NON_BLOCKING, _CLOSE_ON_EXEC = 0o4000, 0o2000000


class Inotify:
    """Calls ``touched`` on its own thread with each path that may have changed.

    ``overflowed`` is called when events were lost; ``is_ours`` says which names are never told.
    """

    def __init__(
        self, touched: Callable[[Path], None], *, overflowed: Callable[[], None], is_ours: Callable[[str], bool]
    ) -> None:
        self._touched = touched
        self._overflowed = overflowed
        self._is_ours = is_ours
        self._descriptor = -1
        self._wake: tuple[int, int] = (-1, -1)
        self._folders: dict[int, Path] = {}
        self._watches: dict[Path, int] = {}
        self._lost: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._soon: dict[Path, float] = {}
        self._thread = threading.Thread(target=self._run, name="inotify", daemon=True)

    def start(self) -> None:
        """Begin; raises ``OSError`` where the system has no inotify, or gives no more of it."""
        self._descriptor = _called("inotify_init1", _NON_BLOCKING | _CLOSE_ON_EXEC)
        self._wake = os.pipe()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        if not self._thread.is_alive():
            return
        os.close(self._wake[1])
        self._thread.join(timeout=1)

    def add(self, folder: Path) -> None:
        """Watch what happens directly in a folder; raises ``OSError``."""
        watch = _called("inotify_add_watch", self._descriptor, os.fsencode(folder), _WANTED | _ONLY_FOLDERS)
        self._folders[watch] = folder
        self._watches[folder] = watch

    def drop(self, folder: Path) -> None:
        """Watch it no longer; one that is gone took its watch along."""
        watch = self._watches.pop(folder, None)
        if watch is None or self._folders.get(watch) != folder:
            return
        del self._folders[watch]
        with suppress(OSError):
            _called("inotify_rm_watch", self._descriptor, watch)

    def take_lost(self) -> list[Path]:
        """The watched folders that were removed, moved or unmounted since the last time."""
        return [self._lost.get() for _ in range(self._lost.qsize())]

    # --- the thread

    def _run(self) -> None:
        while True:
            due = min(self._soon.values(), default=None)
            pause = None if due is None else max(0.0, due - time.monotonic())
            readable, _, _ = select.select([self._descriptor, self._wake[0]], [], [], pause)
            if self._wake[0] in readable:
                os.close(self._descriptor)
                os.close(self._wake[0])
                return
            told = dict.fromkeys(self._read()) if readable else {}
            now = time.monotonic()
            for path in [path for path, due in self._soon.items() if due <= now]:
                del self._soon[path]
                told[path] = None
            for path in told:
                self._touched(path)

    def _read(self) -> Iterator[Path]:
        """The paths of all events that have come, as far as they are to be told now."""
        with suppress(BlockingIOError):
            data = os.read(self._descriptor, _READ_BYTES)
            start = 0
            while start < len(data):
                watch, mask, _, size = _HEAD.unpack_from(data, start)
                start += _HEAD.size + size
                yield from self._event(watch, mask, data[start - size : start].rstrip(b"\0"))

    def _event(self, watch: int, mask: int, name: bytes) -> Iterator[Path]:
        folder = self._folders.get(watch)
        if mask & _OVERFLOW:
            self._overflowed()
        if folder is None:
            return
        if not name:
            if mask & (_DELETE_SELF | _MOVE_SELF | _UNMOUNT):
                self._lost.put(folder)
                yield folder
            return
        path = folder / os.fsdecode(name)
        if self._is_ours(str(path)):
            return
        if mask & _UNFINISHED and not mask & _IS_FOLDER and not path.is_symlink():
            self._soon.setdefault(path, time.monotonic() + SOON)
        else:
            self._soon.pop(path, None)
            yield path


def _called(name: str, *arguments: int | bytes) -> int:
    """What a function of the C library answers; its error as ``OSError``."""
    try:
        function = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (AttributeError, OSError) as error:
        raise OSError(f"this system has no {name}") from error
    answer: int = function(*arguments)
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
