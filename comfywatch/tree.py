"""What lies in the project folders, read from the disk: the truth that events only hint at.

No link is followed out of a project, unless to where ``allow_links`` says. What people put in the wrong place becomes a
notice, a sentence for ``status.yaml``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from comfywatch.files import is_link, stamp_of
from comfywatch.foreign_names import is_conflict_copy, is_kept, is_scratch
from comfywatch.inside import Place, entered, open_folder
from comfywatch.misplaced import (
    beside_projects,
    is_control,
    is_of_a_workflow,
    is_text,
    looks_dropped,
    misplaced,
    name_meant,
    readable,
    remarks,
)
from comfywatch.pictures import is_picture
from comfywatch.reach import Reach
from comfywatch.settling import Stamp

WORKFLOWS = "workflows"
INPUTS = "inputs"
MAX_DEPTH = 32
MAX_PATH_BYTES = 1000
"""Of a path below ``workflows/``: most systems open paths of 4096 bytes, some of 1024."""
TOO_DEEP = "is not read: it lies too deep or its path is too long; move it up"
MAX_PLAIN = 2 * MAX_DEPTH - 1
"""Characters of a path that is certainly neither too deep nor too long."""
MAX_SHOWN = 200
MAX_WATCHED = 2000
"""Folders in which a change is noticed at once. In others a rescan finds it."""
_OURS = frozenset({"status.yaml", "index.html", "outputs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderStamp:
    """``inode`` and ``device`` tell a folder from another one that has its name now."""

    inode: int
    mtime_ns: int
    device: int = 0

    @property
    def identity(self) -> tuple[int, int]:
        """What stays while it is the same folder."""
        return self.device, self.inode


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectTree:
    """One project as it lay on the disk; ``files`` maps paths below ``workflows/`` to stamps.

    ``to_look``, where it is known, are the paths at which something else lies than what the database knows; then
    ``files`` is empty, and ``left_out`` is how many there are.

    ``is_there`` is false where the folder or its ``workflows/`` is missing or cannot be read: then nothing is known of
    its files, and none of them counts as removed. ``unread`` names the folders below ``workflows/`` of which the same
    holds. ``folders`` are those that files may come into, by their paths in the project: its own is ``.``. ``controls``
    are paths of files beside workflows that ask for something. ``device`` is the disk of ``workflows/``.
    """

    name: str
    is_there: bool
    files: dict[str, Stamp] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    folders: dict[str, FolderStamp] = field(default_factory=dict)
    controls: tuple[str, ...] = ()
    device: int = 0
    has_links: bool = False
    left_out: int = 0
    to_look: tuple[str, ...] | None = None

    @property
    def changed_ns(self) -> int:
        """When something was last put into it or taken out, beside what we write."""
        return max((stamp.mtime_ns for path, stamp in self.folders.items() if path != "."), default=0)

    @property
    def is_empty(self) -> bool:
        """Whether there is no workflow."""
        return not self.files and not self.left_out

    def without_files(self) -> ProjectTree:
        """The same, with no more than how many files there are."""
        return replace(self, files={}, left_out=self.left_out + len(self.files)) if self.files else self

    def knows(self, path: str) -> bool:
        """Whether a path that is not in ``files`` is known to be missing."""
        return self.is_there and not any(path.startswith(f"{folder}/") for folder in self.unread)

    def differences(self, known: Mapping[str, Stamp | None]) -> list[str]:
        """The paths at which something else lies than what is known, which is ``None`` for what was gone."""
        found = [path for path, stamp in self.files.items() if known.get(path) != stamp]
        missed = (path for path, stamp in known.items() if stamp is not None and path not in self.files)
        return found + [path for path in missed if self.knows(path)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """All projects; ``is_there`` is false where ``projects/`` itself is missing, unreadable or empty.

    Of a look in parts, ``projects`` holds those of one part, and ``names`` are of all. ``untouched`` are those of
    ``projects`` in which nothing came or went since the look before, and events would tell of the rest.
    """

    is_there: bool
    names: tuple[str, ...] = ()
    projects: dict[str, ProjectTree] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    untouched: frozenset[str] = frozenset()


def is_workflow_name(name: str) -> bool:
    """Whether a file of this name under ``workflows/`` is taken."""
    return (name.lower().endswith(".json") or is_picture(name)) and not is_scratch(name) and not is_conflict_copy(name)


def is_too_deep(path: PurePosixPath) -> bool:
    """Whether a path below ``workflows/`` is too long, or nested too deeply, for its outputs to lie as it does."""
    return len(path.parts) > MAX_DEPTH or len(os.fsencode(path)) > MAX_PATH_BYTES


def read_forest(projects: Path, *, allow_links: tuple[Path, ...] = ()) -> Forest:
    """Everything below ``projects/``; ``allow_links`` are folders elsewhere that links may lead to."""
    reach = Reach(projects=projects, allow_links=allow_links)
    root = read_root(projects)
    return replace(root, projects={name: read_project(projects / name, reach) for name in root.projects})


def read_root(projects: Path) -> Forest:
    """What lies in ``projects/`` itself: of each project no more than that there is a folder."""
    try:
        with os.scandir(projects) as entries:
            listed = [entry for entry in entries if not _is_passed_over(entry)]
    except OSError:
        return Forest(is_there=False)
    folders = [entry.name for entry in listed if _is_project(entry)]
    return Forest(
        is_there=bool(folders),
        projects={name: ProjectTree(name=name, is_there=False) for name in sorted(folders)},
        notices=tuple(sorted(filter(None, map(beside_projects, listed)))),
    )


def names_in(folder: Path) -> frozenset[str]:
    """What people keep in a project's own folder; raises ``OSError``."""
    with open_folder(folder) as project, project.entries() as entries:
        return frozenset(entry.name for entry in entries if not _is_passed_over(entry) and entry.name not in _OURS)


def read_project(folder: Path, reach: Reach | None = None) -> ProjectTree:
    """One project."""
    try:
        with open_folder(folder) as project, project.entries() as entries:
            listed = [entry for entry in entries if not _is_passed_over(entry) and entry.name not in _OURS]
            notices = [misplaced(entry, f"{WORKFLOWS}/") for entry in listed if looks_dropped(entry)]
            folders = {".": folder_stamp(project.own_status())}
            if any(entry.name == INPUTS and entry.is_dir(follow_symlinks=False) for entry in listed):
                folders[INPUTS] = folder_stamp(project.status(INPUTS))
    except OSError:
        return ProjectTree(name=folder.name, is_there=False)
    walk = _Walk(reach or Reach(projects=folder.parent), folder)
    if any(entry.name == WORKFLOWS for entry in listed):
        walk.look_through()
    return ProjectTree(
        name=folder.name,
        is_there=walk.has_root,
        files=walk.files,
        notices=tuple(sorted(notices + walk.notices)),
        unread=tuple(walk.unread),
        folders=folders | walk.folders,
        controls=tuple(walk.controls),
        device=walk.device,
        has_links=walk.has_links,
    )


def to_watch(forest: Forest, *, most: int = MAX_WATCHED) -> dict[str, FolderStamp]:
    """The folders, by their paths below ``projects/``, in which a change is to be noticed at once.

    ``most`` of them at most, all of a project or none; the projects first in which something changed last.
    """
    chosen: dict[str, FolderStamp] = {}
    for tree in sorted(forest.projects.values(), key=lambda tree: (-tree.changed_ns, tree.name)):
        if len(chosen) + len(tree.folders) <= most:
            chosen |= {str(PurePosixPath(tree.name, path)): stamp for path, stamp in tree.folders.items()}
    return chosen


def look_at(path: Path, *, whatever: bool = False) -> Stamp | None:
    """The stamp of a regular file, or of ``whatever`` lies there, else ``None``; only to see whether to read it."""
    try:
        status = path.lstat()
    except (OSError, ValueError):
        return None
    return stamp_of(status) if whatever or stat.S_ISREG(status.st_mode) else None


class _Walk:
    """A look through the ``workflows/`` of a project; ``has_root`` says whether it is a folder that can be read."""

    def __init__(self, reach: Reach, project: Path) -> None:
        self.has_root = False
        self.has_links = False
        self.files: dict[str, Stamp] = {}
        self.notices: list[str] = []
        self.unread: list[str] = []
        self.folders: dict[str, FolderStamp] = {}
        self.controls: list[str] = []
        self.device = 0
        self._reach = reach
        self._root = project / WORKFLOWS
        self._to_do: list[tuple[PurePosixPath, Place]] = []

    def look_through(self) -> None:
        """Look into every folder; a link to one is followed where that may be, but none behind it."""
        if self._root.is_symlink():
            self._link(PurePosixPath(), is_behind=False)
        else:
            self._to_do.append((PurePosixPath(), self._reach.place(self._root)))
        while self._to_do:
            below, place = self._to_do.pop()
            if is_too_deep(below):
                self._leave_out(below, TOO_DEEP)
                continue
            try:
                self._look_into(below, place)
                self.has_root = True
            except OSError as error:
                self._leave_out(below, f"cannot be read: {error.strerror or error}")

    def _look_into(self, below: PurePosixPath, place: Place) -> None:
        is_behind = place[0] != self._reach.projects
        with entered(place) as folder, folder.entries() as entries:
            if not is_behind:
                self.folders[str(WORKFLOWS / below)] = folder_stamp(folder.own_status())
            if not below.parts:
                self.device = folder.own_status().st_dev
            names: list[str] = []
            prefix = f"{below}/" if below.parts else ""
            for entry in entries:
                if not _is_passed_over(entry):
                    names.append(entry.name)
                    if not self._is_plain_workflow(entry, prefix):
                        self._meet(entry, below / entry.name, place)
        for name, remark in remarks(names):
            self._say(below / name, remark)

    def _meet(self, entry: os.DirEntry[str], path: PurePosixPath, place: Place) -> None:
        base, steps = place
        if is_conflict_copy(entry.name):
            self._conflict_copy(entry, path)
        elif entry.is_dir(follow_symlinks=False) and not _is_link(entry) and not is_workflow_name(entry.name):
            self._to_do.append((path, (base, (*steps, entry.name))))
        else:
            self._take_note(entry, path, is_behind=base != self._reach.projects)

    def _is_plain_workflow(self, entry: os.DirEntry[str], prefix: str) -> bool:
        """Take a file by the short way, which nearly all go: there may be very many."""
        path = prefix + entry.name
        if not is_workflow_name(path) or len(path) > MAX_PLAIN or not path.isascii() or not _is_file(entry):
            return False
        if is_conflict_copy(entry.name):
            return False
        with suppress(OSError):  # gone meanwhile: the next look will tell
            stamp = _stamp_of(entry)
            if stamp is not None:
                self.files[path] = stamp
        return True

    def _take_note(self, entry: os.DirEntry[str], path: PurePosixPath, *, is_behind: bool) -> None:
        if is_too_deep(path):
            self._leave_out(path, TOO_DEEP)
        elif is_workflow_name(entry.name):
            self._workflow(entry, path)
        elif _is_link(entry):
            self._link(path, is_behind=is_behind)
        elif is_control(entry.name):
            self.controls += [str(path)] if entry.is_file(follow_symlinks=False) and is_text(str(path)) else []
        elif meant := name_meant(entry.name):
            self._say(path, f"is not read; rename it to {meant}")

    def _conflict_copy(self, entry: os.DirEntry[str], path: PurePosixPath) -> None:
        if entry.is_dir(follow_symlinks=False):
            self._leave_out(path, "is a conflict copy; rename it to run what is in it")
        elif is_of_a_workflow(entry.name):
            self._say(path, "is a conflict copy; rename it to run it")

    def _workflow(self, entry: os.DirEntry[str], path: PurePosixPath) -> None:
        if not is_text(str(path)):
            self._say(path, "is not read: its name is not UTF-8; rename it")
            return
        is_link = _is_link(entry)
        self.has_links |= is_link
        try:
            stamp = self._reach.stamp(self._root / path) if is_link else _stamp_of(entry)
        except OSError:
            return  # gone meanwhile: the next look will tell
        if stamp is not None:
            self.files[str(path)] = stamp
        elif is_link:
            self._say(path, "is a link and is not followed; put the file itself there")
        else:
            self._say(path, "is not a file and is not read")

    def _link(self, path: PurePosixPath, *, is_behind: bool) -> None:
        """A link that may be meant as a folder of workflows; ``is_behind`` another one that was followed."""
        self.has_links = True
        try:
            place = self._reach.led_to(self._root / path)
            with entered(place):
                is_followed = not is_behind and self._reach.is_elsewhere(place)
        except NotADirectoryError:
            return  # to a file that is no workflow
        except OSError:
            is_followed = False
        if is_followed:
            self._to_do.append((path, place))
        else:
            self._leave_out(path, "is a link and is not followed; make it a folder")

    def _leave_out(self, path: PurePosixPath, why: str) -> None:
        self.unread.append(str(path))
        self._say(path, why)

    def _say(self, path: PurePosixPath, what: str) -> None:
        shown = str(WORKFLOWS / path)
        shown = shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}…"
        self.notices.append(f"{readable(shown)} {what}")


def folder_stamp(status: os.stat_result) -> FolderStamp:
    """What is kept of a folder's state to see later whether something was put into it or taken out."""
    return FolderStamp(inode=status.st_ino, mtime_ns=status.st_mtime_ns, device=status.st_dev)


def _stamp_of(entry: os.DirEntry[str]) -> Stamp | None:
    """The stamp of a regular file, ``None`` for anything else; raises ``OSError``."""
    status = entry.stat(follow_symlinks=False)
    return stamp_of(status) if stat.S_ISREG(status.st_mode) else None


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


def _is_link(entry: os.DirEntry[str]) -> bool:
    """Windows has links to folders that ``is_symlink`` does not know, and there the status costs nothing."""
    return entry.is_symlink() if os.name == "posix" else is_link(entry.stat(follow_symlinks=False))


def _is_passed_over(entry: os.DirEntry[str]) -> bool:
    """What nothing is said of, and nobody looks at."""
    return is_kept(entry.name) if entry.is_dir(follow_symlinks=False) else is_scratch(entry.name)


def _is_project(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) and is_text(entry.name) and not is_conflict_copy(entry.name)
