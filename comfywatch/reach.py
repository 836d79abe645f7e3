"""What may be read for the projects, and how: links are followed within a project, and to where ``allow_links`` says.

Where a link leads is found out first; that place is then entered without a link on the way, so that another one put
there meanwhile is not followed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from stat import S_ISREG

from comfywatch import files
from comfywatch.files import NotRegular
from comfywatch.inside import Folder, LeadsOut, Place, entered, path_of
from comfywatch.settling import Stamp

MOST_OPEN = 16
"""Folders that stay open during a visit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What may be read for the projects below ``projects``: each one's own files, and what lies in ``allow_links``.

    A link is followed if what it leads to in the end lies in its own project, or in one of these folders. All paths
    are below ``projects``. ``inside`` enters a folder as ``entered`` does.
    """

    projects: Path
    allow_links: tuple[Path, ...] = ()
    inside: Callable[[Place], AbstractContextManager[Folder]] = entered

    @contextmanager
    def visit(self) -> Iterator[Reach]:
        """The same for many questions at once: a folder that was entered stays open to the end of the block."""
        with ExitStack() as stack:
            yield replace(self, inside=_Visited(stack).entered)

    def opened(self, path: Path) -> BufferedReader:
        """A regular file to read from; raises ``NotRegular`` for anything else, else another ``OSError``."""
        try:
            return self._opened(self.place(path))
        except NotRegular:
            return self._opened(self.led_to(path))

    def read(self, path: Path, *, max_bytes: int) -> tuple[bytes, Stamp]:
        """The bytes of a regular file and its stamp; raises as ``files.read_regular`` does."""
        return files.read_all(self.opened(path), max_bytes=max_bytes)

    def stamp(self, path: Path) -> Stamp | None:
        """The stamp of a regular file, ``None`` if there is none that may be read.

        Raises an ``OSError`` if the system does not say, as where no more files can be opened.
        """
        try:
            status = self._status(path)
        except (FileNotFoundError, NotADirectoryError, NotRegular, ValueError):
            return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return None
            raise
        return files.stamp_of(status) if S_ISREG(status.st_mode) else None

    def is_gone(self, path: Path) -> bool:
        """Whether it is known that there is no such file.

        Network drives and FUSE show for a while what another machine has moved away; opening it finds out.
        """
        try:
            if self.stamp(path) is None:
                return True
            self.opened(path).close()
        except OSError as error:
            return error.errno in {errno.ENOENT, errno.ESTALE}
        return False

    def is_folder(self, path: Path) -> bool:
        """Whether there is a folder that may be read."""
        try:
            with self.entered(path):
                return True
        except (OSError, ValueError):
            return False

    @contextmanager
    def entered(self, path: Path) -> Iterator[Folder]:
        """A folder to read in; raises as the function of this name does."""
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(self.inside(self.place(path)))
            except LeadsOut:
                folder = stack.enter_context(self.inside(self.led_to(path)))
            yield folder

    def place(self, path: Path) -> Place:
        """The steps of ``path``, of which none may be a link; raises ``LeadsOut`` if it is not below ``projects``."""
        try:
            return self.projects, path.relative_to(self.projects).parts
        except ValueError:
            raise LeadsOut(f"{path.name} is in no project") from None

    def led_to(self, path: Path) -> Place:
        """Where the links in ``path`` lead, without a link on the way just now; raises ``LeadsOut`` if out of reach."""
        project, *steps = self.place(path)[1]
        real = Path(os.path.realpath(path))
        for root in (self.projects / project, *self.allow_links):
            place = self._root(root)
            if real.is_relative_to(path_of(place)):
                return place[0], (*place[1], *real.relative_to(path_of(place)).parts)
        raise LeadsOut(f"{'/'.join(steps) or project} is a link and is not followed")

    def is_elsewhere(self, place: Place) -> bool:
        """Whether it has nothing to do with ``projects``: a run's own outputs are never read as new workflows."""
        there, projects = path_of(place), Path(os.path.realpath(self.projects))
        return not there.is_relative_to(projects) and not projects.is_relative_to(there)

    def _status(self, path: Path) -> os.stat_result:
        with self.entered(path.parent) as folder:
            status = folder.status(path.name)
        if not files.is_link(status):
            return status
        base, steps = self.led_to(path)
        with self.inside((base, steps[:-1])) as folder:
            return folder.status(steps[-1]) if steps else status

    def _opened(self, place: Place) -> BufferedReader:
        base, steps = place
        if not steps:
            raise NotRegular(errno.EISDIR, "not a regular file", str(base))
        with self.inside((base, steps[:-1])) as folder:
            return folder.opened(steps[-1])

    def _root(self, folder: Path) -> Place:
        """A folder that may be read. Of one among the projects each step counts: others can write there."""
        folder, projects = Path(os.path.normpath(folder)), Path(os.path.realpath(self.projects))
        for above in (self.projects, projects):
            if folder.is_relative_to(above):
                return projects, folder.relative_to(above).parts
        return Path(os.path.realpath(folder)), ()


class _Visited:
    """Folders by their places, open until ``stack`` is closed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._open: dict[Place, Folder] = {}

    @contextmanager
    def entered(self, place: Place) -> Iterator[Folder]:
        """The folder as it was found first."""
        if place not in self._open:
            if len(self._open) == MOST_OPEN:
                self._open.clear()
                self._stack.close()
            self._open[place] = self._stack.enter_context(entered(place))
        yield self._open[place]
