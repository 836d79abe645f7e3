"""What lies in the project folders, read from the disk: the truth that events only hint at.

Nothing here follows a link. What people put in the wrong place becomes a notice, a sentence for ``status.yaml``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from comfywatch.files import stamp_of
from comfywatch.settling import Stamp

WORKFLOWS = "workflows"
INPUTS = "inputs"
_OURS = frozenset({"status.yaml", "index.html", "outputs"})
_KEPT_BY_SYSTEMS = frozenset({"@eadir", "#recycle", "@recycle", "$recycle.bin", "system volume information"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectTree:
    """One project as it lay on the disk; ``files`` maps paths below ``workflows/`` to stamps.

    ``is_there`` is false where the folder or its ``workflows/`` is missing or cannot be read: then nothing is known of
    its files, and none of them counts as removed. ``unread`` names the folders below ``workflows/`` of which the same
    holds.
    """

    name: str
    is_there: bool
    files: dict[str, Stamp] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def knows(self, path: str) -> bool:
        """Whether a path that is not in ``files`` is known to be missing."""
        return self.is_there and not any(path.startswith(f"{folder}/") for folder in self.unread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """All projects; ``is_there`` is false where ``projects/`` itself is missing, unreadable or empty."""

    is_there: bool
    projects: dict[str, ProjectTree] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


def is_ignored(name: str) -> bool:
    """Names that are never looked at: hidden, scratch and backup files, and what systems keep for themselves."""
    return name.startswith((".", "~", "#")) or name.endswith("~") or name.casefold() in _KEPT_BY_SYSTEMS


def is_workflow_name(name: str) -> bool:
    """Whether a file of this name under ``workflows/`` is taken."""
    return name.lower().endswith(".json") and not is_ignored(name)


def is_text(name: str) -> bool:
    """Whether a name is UTF-8, as everything that we write is."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def read_forest(projects: Path) -> Forest:
    """Everything below ``projects/``."""
    try:
        with os.scandir(projects) as entries:
            listed = [entry for entry in entries if not is_ignored(entry.name)]
    except OSError:
        return Forest(is_there=False)
    folders = [entry.name for entry in listed if entry.is_dir(follow_symlinks=False) and is_text(entry.name)]
    return Forest(
        is_there=bool(folders),
        projects={name: read_project(projects / name) for name in sorted(folders)},
        notices=tuple(_misplaced(entry, f"projects/NAME/{WORKFLOWS}/") for entry in listed if _looks_dropped(entry)),
    )


def read_project(folder: Path) -> ProjectTree:
    """One project."""
    try:
        with os.scandir(folder) as entries:
            listed = [entry for entry in entries if not is_ignored(entry.name) and entry.name not in _OURS]
    except OSError:
        return ProjectTree(name=folder.name, is_there=False)
    notices = [_misplaced(entry, f"{WORKFLOWS}/") for entry in listed if _looks_dropped(entry)]
    is_there = any(entry.name == WORKFLOWS and entry.is_dir(follow_symlinks=False) for entry in listed)
    if not is_there and any(entry.name == WORKFLOWS and entry.is_symlink() for entry in listed):
        notices.append(f"{WORKFLOWS} is a link and is not followed; make it a folder")
    files: dict[str, Stamp] = {}
    unread: list[str] = []
    for found in _walk(folder / WORKFLOWS, PurePosixPath(), unread) if is_there else ():
        if isinstance(found, str):
            notices.append(found)
        else:
            files[found[0]] = found[1]
    is_there = is_there and "." not in unread
    return ProjectTree(
        name=folder.name, is_there=is_there, files=files, notices=tuple(sorted(notices)), unread=tuple(unread)
    )


def look_at(path: Path) -> Stamp | None:
    """The stamp of a regular file, ``None`` if there is none."""
    try:
        status = path.lstat()
    except (OSError, ValueError):
        return None
    return stamp_of(status) if stat.S_ISREG(status.st_mode) else None


def _walk(folder: Path, below: PurePosixPath, unread: list[str]) -> Iterator[tuple[str, Stamp] | str]:
    """Paths with their stamps, and notices; folders that cannot be read are added to ``unread``."""
    folders = [(folder, below)]
    while folders:
        here, name = folders.pop()
        try:
            with os.scandir(here) as entries:
                listed = [entry for entry in entries if not is_ignored(entry.name)]
        except OSError as error:
            unread.append(str(name))
            yield f"{PurePosixPath(WORKFLOWS) / name} cannot be read: {error.strerror}"
            continue
        for entry in listed:
            if entry.is_dir(follow_symlinks=False) and not is_workflow_name(entry.name):
                folders.append((here / entry.name, name / entry.name))
            else:
                yield from _entry(entry, name)


def _entry(entry: os.DirEntry[str], below: PurePosixPath) -> Iterator[tuple[str, Stamp] | str]:
    shown = f"{WORKFLOWS}/{below / entry.name}"
    if not is_text(entry.name) or not is_text(str(below)):
        yield f"{ascii(shown)[1:-1]} is not read: its name is not UTF-8; rename it"
    elif not is_workflow_name(entry.name):
        if _looks_dropped(entry):
            yield f"{shown} is not read; rename it to {entry.name[: entry.name.lower().index('.json')]}.json"
    elif entry.is_symlink():
        yield f"{shown} is a link and is not followed; put the file itself there"
    else:
        yield from _workflow(entry, shown, str(below / entry.name))


def _workflow(entry: os.DirEntry[str], shown: str, path: str) -> Iterator[tuple[str, Stamp] | str]:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return  # gone meanwhile: the next look will tell
    if stat.S_ISREG(status.st_mode):
        yield path, stamp_of(status)
    else:
        yield f"{shown} is not a file and is not read"


def _looks_dropped(entry: os.DirEntry[str]) -> bool:
    """``x.json`` in the wrong place, or ``x.json.txt`` anywhere: somebody waits for something."""
    name = entry.name.lower()
    wrong_ending = name.endswith((".json.txt", ".json.json.txt", ".json.download", ".json.json5"))
    return (name.endswith(".json") or wrong_ending) and not entry.is_dir(follow_symlinks=False)


def _misplaced(entry: os.DirEntry[str], where: str) -> str:
    return f"{ascii(entry.name)[1:-1] if not is_text(entry.name) else entry.name} is not read; move it to {where}"
