"""Folders of projects, entered step by step so that no link leads out of them.

Whoever can write into a project can put a link anywhere in it, at any moment. So each folder is opened relative to the
one before it, as a folder and never as a link, and files are named relative to the folder that was opened: what is
exchanged for a link afterwards leads nowhere. A system without such calls (Windows) has each step looked at just before
it is taken; a link that is put there in between is not seen.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePath
from stat import S_ISDIR
from typing import BinaryIO, TypeAlias

from comfywatch import files
from comfywatch.files import NotRegular
from comfywatch.settling import Stamp

BY_DESCRIPTOR = (
    {os.open, os.mkdir, os.stat, os.rename, os.unlink} <= os.supports_dir_fd
    and os.scandir in os.supports_fd
    and hasattr(os, "O_NOFOLLOW")
    and hasattr(os, "O_DIRECTORY")
)
"""Whether this system opens a file relative to a folder that is open."""

Place: TypeAlias = tuple[Path, tuple[str, ...]]
"""A folder that is trusted, and the steps from there, each the name of a folder in the one before."""

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = _FOLDER | getattr(os, "O_NOFOLLOW", 0)


class LeadsOut(NotRegular):
    """A link stands where a folder or a file of the project should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder that was entered; nothing but what lies directly in it can be named."""

    place: Place
    descriptor: int | None
    lies_in: int | None = None
    """A descriptor of the folder around it, where it may have been made since that was durable last."""
    is_new: bool = False
    """Whether it was made just now: nothing lies in it."""

    @property
    def path(self) -> Path:
        return path_of(self.place)

    def own_status(self) -> os.stat_result:
        """Of the folder itself."""
        return self.path.stat() if self.descriptor is None else os.fstat(self.descriptor)

    def entries(self) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        """What is in it; an entry is good for as long as the folder is open."""
        return os.scandir(self.path if self.descriptor is None else self.descriptor)

    def status(self, name: str) -> os.stat_result:
        """What ``lstat`` says; raises ``FileNotFoundError`` and other ``OSError``."""
        named = self.path / _checked(name) if self.descriptor is None else _checked(name)
        return os.stat(named, dir_fd=self.descriptor, follow_symlinks=False)

    def opened(self, name: str) -> BufferedReader:
        """A regular file to read from; raises as ``files.open_regular`` does."""
        return files.open_regular(self.path / _checked(name), folder=self.descriptor)

    def read(self, name: str, *, max_bytes: int) -> tuple[bytes, Stamp]:
        """The bytes of a regular file and its stamp; raises as ``files.read_regular`` does."""
        return files.read_all(self.opened(name), max_bytes=max_bytes)

    def whole(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A file that appears whole or not at all; it takes a link's place, and leaves alone where that leads."""
        return files.whole(self.path / _checked(name), folder=self.descriptor)

    def write_whole(self, name: str, data: bytes) -> None:
        """The file has exactly ``data``, or what it had before."""
        files.write_whole(self.path / _checked(name), data, folder=self.descriptor)

    def unlink(self, name: str) -> None:
        """Remove a file, or a link and not what it leads to."""
        named = self.path / _checked(name) if self.descriptor is None else _checked(name)
        os.unlink(named, dir_fd=self.descriptor)

    def remove_leftovers(self) -> int:
        """Remove our scratch files, left by a kill; returns how many."""
        return files.remove_leftovers(self.path, descriptor=self.descriptor)

    def sync(self) -> None:
        """Make renames in it durable, and itself if it may be new, where the system can."""
        if self.descriptor is None:
            files.sync_folder(self.path)
            return
        _sync(self.descriptor)
        if self.lies_in is not None:
            _sync(self.lies_in)

    def is_in_place(self) -> bool:
        """Whether its path still leads to it: false if it was moved, removed or exchanged.

        Raises an ``OSError`` if the system does not say.
        """
        try:
            there = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return S_ISDIR(there.st_mode) if self.descriptor is None else os.path.samestat(os.fstat(self.descriptor), there)


@contextmanager
def entered(place: Place, *, make_from: int | None = None) -> Iterator[Folder]:
    """The folder at ``place``; ``make_from`` is the first step that is made if it is missing.

    The trusted folder may itself be a link. Raises ``LeadsOut`` for a link after it, else another ``OSError``.
    """
    base, steps = place
    makes = [make_from is not None and depth >= make_from for depth in range(len(steps))]
    if not BY_DESCRIPTOR:
        for depth, make in enumerate(makes):
            _look_at_step(place, depth, make=make)
        yield Folder(place=place, descriptor=None)
        return
    descriptor, lies_in, is_new = os.open(base, _FOLDER), None, False
    try:
        for depth, make in enumerate(makes):
            is_last = depth + 1 == len(steps)
            step, is_new = _step(descriptor, steps, depth, make=make, is_likely_new=is_last)
            if make and is_last:
                lies_in = descriptor  # durable by ``sync``, together with what is written; others may build on the rest
            else:
                if is_new:
                    _sync(descriptor)
                os.close(descriptor)
            descriptor = step
        yield Folder(place=place, descriptor=descriptor, lies_in=lies_in, is_new=is_new)
    finally:
        os.close(descriptor)
        if lies_in is not None:
            os.close(lies_in)


def open_folder(project: Path, *steps: str, make: bool = False) -> AbstractContextManager[Folder]:
    """A project's folder, or one in it; with ``make`` those in it are made as needed, never the project's own.

    What ``project`` lies in is trusted; itself it must not be a link. Raises as ``entered`` does.
    """
    return entered((project.parent, (project.name, *steps)), make_from=1 if make else None)


def path_of(place: Place) -> Path:
    """What a person calls it."""
    base, steps = place
    return base.joinpath(*steps)


def _step(
    folder: int, steps: tuple[str, ...], depth: int, *, make: bool, is_likely_new: bool = False
) -> tuple[int, bool]:
    """A descriptor of the next folder, which lies in the one that ``folder`` is open for; true if it was made."""
    name = _checked(steps[depth])
    is_new = make and is_likely_new and _made(name, folder)
    try:
        return os.open(name, _NO_LINK, dir_fd=folder), is_new
    except FileNotFoundError as error:
        if not make:
            raise FileNotFoundError(f"{_shown(steps, depth)} is not there") from error
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}:
            _refuse(os.stat(name, dir_fd=folder, follow_symlinks=False), _shown(steps, depth))
        raise
    _made(name, folder)
    return _step(folder, steps, depth, make=False)[0], True


def _made(name: str, folder: int) -> bool:
    """Whether it was not there before."""
    try:
        os.mkdir(name, dir_fd=folder)
    except FileExistsError:
        return False
    return True


def _look_at_step(place: Place, depth: int, *, make: bool) -> None:
    base, steps = place
    path = base.joinpath(*steps[:depth], _checked(steps[depth]))
    if make:
        with suppress(FileExistsError):
            path.mkdir()
    try:
        _refuse(path.lstat(), _shown(steps, depth))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{_shown(steps, depth)} is not there") from error


def _refuse(status: os.stat_result, shown: str) -> None:
    """Raise if this is no folder."""
    if files.is_link(status):
        raise LeadsOut(f"{shown} is a link; make it a folder")
    if not S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{shown} is no folder; move it away")


def _shown(steps: tuple[str, ...], depth: int) -> str:
    """The steps up to this one, of which the first is the project, as people see them who are in it."""
    return "/".join(steps[1 : depth + 1]) or steps[0]


def _checked(name: str) -> str:
    """``name``, if it names something in a folder and neither the folder itself nor anything elsewhere."""
    if name in {"", ".."} or PurePath(name).name != name:
        raise LeadsOut(f"{name!r} is no name of a file")
    return name


def _sync(descriptor: int) -> None:
    with suppress(OSError):  # not every file system can
        os.fsync(descriptor)
