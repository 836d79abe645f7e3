"""Looking through the project folders again and again, at the cost of what may have changed.

A folder whose times are as they were has the same files in it; what is written into one of those where it lies, events
tell while the folder is watched. So a project of which all that holds is passed over. As neither is sure on every file
system, each project is looked through in full once in ``FULL_EVERY`` times, and always where other machines write into
it unseen, or where something is not as the database knows it. What is found is compared here with what the database
knows: only the differences are told.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from comfywatch.reach import Reach
from comfywatch.settling import Stamp
from comfywatch.tree import FolderStamp, Forest, ProjectTree, folder_stamp, names_in, read_project, read_root

FULL_EVERY = 120
FILES_AT_ONCE = 2000
"""After so many the part is told, so that what is found in it does not wait for the rest."""
COARSEST_NS = 3 * 10**9
"""Times of folders may be as coarse as two seconds: one that changed just before may have changed again since."""

Known = Callable[[str], Mapping[str, Stamp | None] | None]
"""What the database knows of a project: see ``ProjectTree.differences``; ``None`` while it cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A project as it was seen last, without its files; ``names`` are those in its own folder.

    ``own`` is that folder as it was when they were listed, if its times can tell of a change; ``is_steady`` if those of
    the other folders can.
    """

    tree: ProjectTree
    names: frozenset[str]
    is_steady: bool
    own: FolderStamp | None = None


class Survey:
    """One look after the other through ``projects``, each in parts; for one thread.

    ``watched`` are the folders, by their paths below ``projects``, in which events tell of each change, whoever makes
    it; another thread may exchange it.
    """

    def __init__(self, projects: Path, *, allow_links: tuple[Path, ...] = ()) -> None:
        self.watched: frozenset[str] = frozenset()
        self._projects = projects
        self._reach = Reach(projects=projects, allow_links=allow_links)
        self._seen: dict[str, _Seen] = {}
        self._to_do: list[str] = []
        self._untouched: set[str] = set()
        self._root = Forest(is_there=False)
        self._round = 0

    def part(self, known: Known, *, now_ns: int, in_full: bool = False) -> tuple[Forest, bool]:
        """The next part of the look that is under way; true if that was the last.

        The first of a look has the names of all projects, and none of the projects themselves.
        ``now_ns`` is on the clock of file times. ``in_full``: nothing is passed over.
        """
        if not self._to_do:
            self._begin()
            return replace(self._root, projects={}), not self._to_do
        found: dict[str, ProjectTree] = {}
        self._untouched.clear()
        count = 0
        while self._to_do and count < FILES_AT_ONCE:
            name = self._to_do.pop()
            tree = None if in_full else self._passed_over(name, now_ns=now_ns)
            if tree is None:
                tree, files = self._looked_through(name, known, now_ns=now_ns)
                count += files
            found[name] = tree
        return replace(self._root, projects=found, untouched=frozenset(self._untouched)), not self._to_do

    def give_up(self) -> None:
        """What is under way could not be ended: the next part is the first of a new look."""
        self._to_do.clear()

    def _begin(self) -> None:
        """Those come first in which something changed last: what was dropped just now is there."""
        self._round += 1
        root = read_root(self._projects)
        self._seen = {name: seen for name, seen in self._seen.items() if name in root.projects}
        changed = {name: self._changed_ns(name) for name in root.projects}
        self._to_do = sorted(changed, key=lambda name: (changed[name], name))
        self._root = replace(root, names=tuple(reversed(self._to_do)))

    def _changed_ns(self, name: str) -> int:
        stamp = self._stamp(name, "workflows")
        return stamp.mtime_ns if stamp else 0

    def _passed_over(self, name: str, *, now_ns: int) -> ProjectTree | None:
        """What was seen of it last, if it cannot have changed since; ``None`` if it is to be looked through."""
        seen = self._seen.get(name)
        if seen is None or not seen.is_steady or self._is_its_turn(name):
            return None
        folders = seen.tree.folders
        is_told = all(_below(name, path) in self.watched for path in folders)
        is_as_it_was = is_told and all(self._is_as_it_was(name, path, stamp) for path, stamp in folders.items())
        return seen.tree if is_as_it_was and self._has_its_names(seen, now_ns=now_ns) else None

    def _is_as_it_was(self, name: str, path: str, before: FolderStamp) -> bool:
        """Whether a folder is the same one, and nothing came or went; in the project's own we write too."""
        now = self._stamp(name, path)
        return now is not None and (now == before or (path == "." and now.identity == before.identity))

    def _has_its_names(self, seen: _Seen, *, now_ns: int) -> bool:
        """Whether people have put nothing into its own folder; that is listed if we, or they, wrote into it since."""
        name = seen.tree.name
        own = self._stamp(name, ".")
        if own is not None and own == seen.own:
            self._untouched.add(name)
            return True
        is_still = own is not None and own.mtime_ns < now_ns - COARSEST_NS
        self._seen[name] = replace(seen, own=own if is_still else None)
        return self._names_in(name) == seen.names

    def _is_its_turn(self, name: str) -> bool:
        return zlib.crc32(name.encode()) % FULL_EVERY == self._round % FULL_EVERY

    def _looked_through(self, name: str, known: Known, *, now_ns: int) -> tuple[ProjectTree, int]:
        """What is in it now, compared with what is known; and how many files that were."""
        watched, names = self.watched, self._names_in(name)
        tree = read_project(self._projects / name, self._reach)
        stamps = known(name)
        if stamps is None:
            self._seen.pop(name, None)
            return tree, len(tree.files)
        differences = tuple(tree.differences(stamps)) if tree.is_there else ()
        bare = replace(tree.without_files(), to_look=())
        inner = {path: stamp for path, stamp in tree.folders.items() if path != "."}
        is_sure = tree.is_there and not tree.unread and not tree.has_links and not differences
        is_told = all(_below(name, path) in watched for path in tree.folders)
        is_still = all(stamp.mtime_ns < now_ns - COARSEST_NS for stamp in inner.values())
        self._seen[name] = _Seen(tree=bare, names=names, is_steady=is_sure and is_told and is_still)
        return replace(bare, to_look=differences), len(tree.files)

    def _names_in(self, name: str) -> frozenset[str]:
        try:
            return names_in(self._projects / name)
        except OSError:
            return frozenset()

    def _stamp(self, name: str, path: str) -> FolderStamp | None:
        try:
            return folder_stamp(os.lstat(f"{self._projects}/{name}/{path}"))
        except OSError:
            return None


def _below(name: str, path: str) -> str:
    """The path of a project's folder below ``projects``, as watches have it."""
    return name if path == "." else f"{name}/{path}"
