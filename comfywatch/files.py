"""Files: read without following links, written whole or not at all.

Everything that comfywatch writes is written to a scratch name in the same folder, fsynced and renamed; the scratch name
is one that common sync tools ignore (``.~…*.tmp``). Modes are those of a plain write: 0666 less the umask.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from comfywatch.settling import Stamp

SCRATCH_PREFIX = ".~comfywatch-"
SCRATCH_SUFFIX = ".tmp"


class NotRegular(OSError):
    """A link, folder, pipe, socket or device stands where a file was expected."""


class TooBig(OSError):
    """The file has more bytes than may be read; ``size`` says how many."""

    def __init__(self, size: int) -> None:
        super().__init__(errno.EFBIG, f"{size} bytes")
        self.size = size


def stamp_of(status: os.stat_result) -> Stamp:
    """What is kept of a file's state to see later whether it changed."""
    return Stamp(
        size=status.st_size,
        mtime_ns=min(status.st_mtime_ns, 2**63 - 1),  # a year after 2262 is more than SQLite's integers hold
        ctime_ns=min(status.st_ctime_ns, 2**63 - 1),
        inode=status.st_ino % 2**63,
    )


@contextmanager
def open_regular(path: Path) -> Iterator[BufferedReader]:
    """A regular file to read from; raises ``NotRegular`` for anything else, follows no link, waits for no pipe."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
            raise NotRegular(error.errno, "not a regular file", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegular(errno.EINVAL, "not a regular file", str(path))
    with os.fdopen(descriptor, "rb") as handle:
        yield handle


def read_regular(path: Path, *, max_bytes: int) -> tuple[bytes, Stamp]:
    """The bytes of a regular file and its stamp before they were read.

    Raises ``NotRegular``, ``TooBig`` or another ``OSError``.
    """
    with open_regular(path) as handle:
        status = os.fstat(handle.fileno())
        if status.st_size > max_bytes:
            raise TooBig(status.st_size)
        data = handle.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TooBig(len(data))
    return data, stamp_of(status)


@contextmanager
def whole(target: Path) -> Iterator[BinaryIO]:
    """A scratch file that becomes ``target``, fsynced, if the block ends well, and vanishes if not."""
    scratch = target.parent / f"{SCRATCH_PREFIX}{secrets.token_hex(6)}{SCRATCH_SUFFIX}"
    try:
        with scratch.open("xb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        scratch.replace(target)
    except BaseException:
        with suppress(OSError):
            scratch.unlink()
        raise


def write_whole(target: Path, data: bytes) -> None:
    """``target`` has exactly ``data``, or what it had before."""
    with whole(target) as handle:
        handle.write(data)


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable, where the system lets folders be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Path, *, on_error: Callable[[OSError], None] = lambda _: None) -> int:
    """Remove our scratch files directly in ``folder``, left by a kill; returns how many."""
    removed = 0
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name.startswith(SCRATCH_PREFIX)]
    except OSError:
        return 0
    for name in names:
        if name.endswith(SCRATCH_SUFFIX):
            try:
                (folder / name).unlink()
                removed += 1
            except OSError as error:
                on_error(error)
    return removed
