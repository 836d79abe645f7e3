"""Files: read without following links, written whole or not at all.

Everything that comfywatch writes is written to a scratch name in the same folder, fsynced and renamed; the scratch name
is one that common sync tools ignore (``.~…*.tmp``). Modes are those of a plain write: 0666 less the umask.
"""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, FileIO
from pathlib import Path
from typing import BinaryIO

from comfywatch.settling import Stamp

SCRATCH_PREFIX = ".~comfywatch-"
SCRATCH_SUFFIX = ".tmp"
_PROCESS, _serial = secrets.token_hex(6), itertools.count()
_BUFFER_BYTES = 64 * 1024
_PLAIN = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


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


def open_regular(path: Path, *, folder: int | None = None) -> BufferedReader:
    """A regular file to read from; raises ``NotRegular`` for anything else, follows no link, waits for no pipe.

    ``folder`` is a descriptor of the folder that the file lies in; then only the name in ``path`` counts.
    """
    name = path if folder is None else path.name
    if not hasattr(os, "O_NOFOLLOW") and is_link(os.lstat(name)):
        raise NotRegular(errno.ELOOP, "not a regular file", str(path))
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | _PLAIN
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
            raise NotRegular(error.errno, "not a regular file", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegular(errno.EINVAL, "not a regular file", str(path))
    return BufferedReader(FileIO(descriptor), _BUFFER_BYTES)


def is_link(status: os.stat_result) -> bool:
    """Whether this is a link, or what Windows has for a link to a folder; ``status`` is that of ``lstat``."""
    tag = getattr(status, "st_reparse_tag", 0)
    return stat.S_ISLNK(status.st_mode) or (tag != 0 and tag == getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0))


def read_regular(path: Path, *, max_bytes: int) -> tuple[bytes, Stamp]:
    """The bytes of a regular file and its stamp before they were read.

    Raises ``NotRegular``, ``TooBig`` or another ``OSError``.
    """
    return read_all(open_regular(path), max_bytes=max_bytes)


def read_all(handle: BufferedReader, *, max_bytes: int) -> tuple[bytes, Stamp]:
    """As ``read_regular``, of a file that is open; closes it."""
    with handle:
        status = os.fstat(handle.fileno())
        if status.st_size > max_bytes:
            raise TooBig(status.st_size)
        data = handle.read(status.st_size + 1)
        if len(data) > status.st_size:  # it grows
            data += handle.read(max_bytes + 1 - len(data))
    if len(data) > max_bytes:
        raise TooBig(len(data))
    return data, stamp_of(status)


@contextmanager
def whole(target: Path, *, folder: int | None = None) -> Iterator[BinaryIO]:
    """A scratch file that becomes ``target``, fsynced, if the block ends well, and vanishes if not.

    ``folder`` is a descriptor of the folder that ``target`` lies in; then only the name in ``target`` counts.
    """
    with (
        becoming(target, folder) as descriptor,
        os.fdopen(descriptor, "wb", buffering=_BUFFER_BYTES, closefd=False) as handle,
    ):
        yield handle


def write_whole(target: Path, data: bytes, *, folder: int | None = None) -> None:
    """``target`` has exactly ``data``, or what it had before; ``folder`` as for ``whole``."""
    with becoming(target, folder) as descriptor:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]


@contextmanager
def becoming(target: Path, folder: int | None) -> Iterator[int]:
    """As ``whole``, by a descriptor to write to."""
    here = target.parent if folder is None else Path()
    scratch = here / _scratch_name()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN
    descriptor = os.open(scratch, flags, 0o666, dir_fd=folder)
    try:
        try:
            yield descriptor
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(scratch, here / target.name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(scratch, dir_fd=folder)
        raise


def _scratch_name() -> str:
    """One that no other process, and nothing before in this one, has given."""
    return f"{SCRATCH_PREFIX}{_PROCESS}-{next(_serial):x}{SCRATCH_SUFFIX}"


def write_for_now(target: Path, data: bytes) -> None:
    """As ``write_whole``, for what is of no worth after a crash of the machine: nothing waits for the disk."""
    scratch = target.with_name(_scratch_name())
    try:
        scratch.write_bytes(data)
        scratch.replace(target)
    except BaseException:
        with suppress(OSError):
            scratch.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable, where the system lets folders be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(
    folder: Path, *, descriptor: int | None = None, on_error: Callable[[OSError], None] = lambda _: None
) -> int:
    """Remove our scratch files directly in ``folder``, left by a kill; returns how many.

    With a ``descriptor`` of the folder, its path does not count.
    """
    here = folder if descriptor is None else Path()
    removed = 0
    try:
        with os.scandir(here if descriptor is None else descriptor) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(SCRATCH_PREFIX)]
    except OSError:
        return 0
    for name in names:
        if name.endswith(SCRATCH_SUFFIX):
            try:
                os.unlink(here / name, dir_fd=descriptor)
                removed += 1
            except OSError as error:
                on_error(error)
    return removed
