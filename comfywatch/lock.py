"""One daemon per state: a lock that the operating system holds for a process and lets go when it dies."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

TRIES = 5
PAUSE = 0.02
"""Seconds; ``is_held`` has the lock for a moment when it looks, and that must not refuse a daemon."""

if sys.platform == "win32":
    import msvcrt

    def _take(handle: BinaryIO) -> None:
        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(handle: BinaryIO) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Held(Exception):
    """Another process has the lock; ``pid`` is what it wrote there, 0 if it cannot be read."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"held by process {pid}" if pid else "held by another process")
        self.pid = pid


class Lock:
    """The lock on ``path``, held from construction to ``release``; raises ``Held``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = path.open("a+b", buffering=0)
        for tries_left in reversed(range(TRIES)):
            try:
                _take(self._handle)
                break
            except OSError as error:
                if not tries_left:
                    pid = _pid_in(self._handle)
                    self._handle.close()
                    raise Held(pid) from error
                time.sleep(PAUSE)
        with suppress(OSError):  # who holds it is only a courtesy, and must not matter on a full disk
            self._handle.truncate(0)
            self._handle.write(b"%d\n" % os.getpid())

    def is_there(self) -> bool:
        """Whether its file is still the one at its path: what was removed or replaced keeps nobody else out."""
        try:
            return os.path.samestat(os.fstat(self._handle.fileno()), self._path.stat())
        except OSError:
            return False

    def release(self) -> None:
        """Let it go; the file stays."""
        self._handle.close()


def is_held(path: Path) -> bool:
    """Whether a process has the lock on ``path`` now."""
    try:
        handle = path.open("r+b")
    except OSError:
        return False
    with handle:
        try:
            _take(handle)
        except OSError:
            return True
    return False


def _pid_in(handle: BinaryIO) -> int:
    try:
        handle.seek(0)
        return int(handle.read(20) or 0)
    except (OSError, ValueError):
        return 0
