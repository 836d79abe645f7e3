"""What people do with their project folders, and how many runs each of it orders at most."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfywatch.workflow import digest_of
from tests.lives import Clock

Key = tuple[str, str]
"""A project and a path below its ``workflows/``."""
SHARED_COLORS = 3
"""Colors below this are contents that people drop again and again; every other is dropped once."""


def prompt_of(color: int) -> dict[str, Any]:
    """A workflow that tells its color, with one picture or, for every third, two."""
    savers = {
        str(node): {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": f"take{node}"}}
        for node in range(2, 4 if color % 3 == 0 else 3)
    }
    inputs = {"width": 64, "height": 64, "batch_size": 1, "color": color}
    return {"1": {"class_type": "EmptyImage", "inputs": inputs}, **savers}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A file that somebody moved out of its project."""

    data: bytes
    digest: str


class Folders:
    """``lying`` maps paths to digests of what lies there now; ``orders`` counts, by digest, the runs that were asked
    for.

    ``disturbed`` are contents that a person took from where they lay: only those may be cancelled for a removal.
    ``is_known`` says whether the daemon has taken a path, ``is_done`` whether its latest content is this and
    completed.
    """

    def __init__(
        self, root: Path, clock: Clock, *, is_known: Callable[[Key], bool], is_done: Callable[[Key, str], bool]
    ) -> None:
        self.root = root
        self._is_known = is_known
        self._is_done = is_done
        self.projects = root / "projects"
        self.prompts: dict[str, dict[str, Any]] = {}
        self.lying: dict[Key, str] = {}
        self.half: dict[Key, str] = {}
        self.aside: dict[Key, Taken] = {}
        self.orders: Counter[str] = Counter()
        self.disturbed: set[tuple[Key, str]] = set()
        self.away: set[str] = set()
        self.moved_from: dict[Key, str] = {}
        self._clock = clock
        self._colors = itertools.count(SHARED_COLORS)
        self._ticks = itertools.count(1)
        self.projects.mkdir(parents=True)

    def path(self, key: Key) -> Path:
        return self.projects / key[0] / "workflows" / key[1]

    @property
    def are_there(self) -> bool:
        return not self.away

    def file_time(self) -> int:
        """The clock of file times, in nanoseconds: no two files have the same."""
        return int(self._clock.at.timestamp()) * 10**9 + next(self._ticks)

    def drop(self, key: Key, color: int | None, *, in_place: bool) -> None:
        """Put a workflow there, over what may lie there; ``None`` is a content that was never dropped before."""
        prompt = prompt_of(next(self._colors) if color is None else color)
        digest = digest_of(prompt)
        self.prompts[digest] = prompt
        self._put(key, json.dumps(prompt).encode(), digest, in_place=in_place)

    def drop_half(self, key: Key) -> None:
        """A writer that has got half way, or broke off there."""
        data = json.dumps(prompt_of(0)).encode()[:60]
        self._displace(key)
        self._write(key, data, in_place=True)
        self.half[key] = hashlib.sha256(data).hexdigest()

    def remove(self, key: Key) -> None:
        """Take it out of the project."""
        data = self.path(key).read_bytes()
        digest = self.lying.get(key, "")
        self._displace(key)
        self.path(key).unlink()
        if digest:
            self.aside[key] = Taken(data=data, digest=digest)

    def restore(self, key: Key) -> None:
        """Put back what was taken out, over what may lie there."""
        taken = self.aside.pop(key)
        self._put(key, taken.data, taken.digest, in_place=False)

    def move(self, old: Key, new: Key) -> None:
        """Rename a workflow; to a path that is known already it counts as an order, as it is new content there."""
        digest = self.lying[old]
        if new in self.lying or new in self.half or self._is_known(new):
            self.orders[digest] += 1
        self._displace(old)
        self._displace(new)
        self.moved_from[old] = digest
        self.path(new).parent.mkdir(parents=True, exist_ok=True)
        self._stamped(self.path(old)).rename(self.path(new))
        self.lying[new] = digest

    def move_project(self, old: str, new: str) -> None:
        """Rename a whole project to a name that is free."""
        for key in [key for key in (*self.lying, *self.half) if key[0] == old]:
            moved = (new, key[1])
            if key in self.lying:
                digest = self.lying[moved] = self.moved_from[key] = self.lying.pop(key)
                self.orders[digest] += self._is_known(moved)
            else:
                digest = self.half[moved] = self.half.pop(key)
            self.disturbed.add((key, digest))
        (self.projects / old).rename(self.projects / new)

    # --- what is unmounted, or paused by a sync tool

    def vanish(self, name: str, *, leaves_folder: bool) -> None:
        """A project, or with an empty name all of them, is no longer there."""
        here = self.projects / name if name else self.projects
        here.rename(self.root / f"away-{name}")
        if leaves_folder:
            here.mkdir()
        self.away.add(name)

    def come_back(self) -> None:
        """Whatever vanished is there again."""
        for name in list(self.away):
            here = self.projects / name if name else self.projects
            if here.exists():
                shutil.rmtree(here)
            (self.root / f"away-{name}").rename(here)
        self.away.clear()

    def _put(self, key: Key, data: bytes, digest: str, *, in_place: bool) -> None:
        if self.lying.get(key) != digest and not self._is_done(key, digest):
            self.orders[digest] += 1
        self._displace(key)
        self._write(key, data, in_place=in_place)
        self.lying[key] = digest

    def _displace(self, key: Key) -> None:
        """What lies there will not any more."""
        digest = self.lying.pop(key, None) or self.half.pop(key, None)
        if digest is not None:
            self.disturbed.add((key, digest))
        moved = self.moved_from.pop(key, None)
        if moved is not None:
            self.orders[moved] += 1  # its old path may have been taken again before anybody saw that it moved

    def _write(self, key: Key, data: bytes, *, in_place: bool) -> None:
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        if in_place:
            target.write_bytes(data)
            self._stamped(target)
        else:
            scratch = target.with_name(f".{target.name}.part")
            scratch.write_bytes(data)
            self._stamped(scratch).replace(target)

    def _stamped(self, path: Path) -> Path:
        os.utime(path, ns=(self.file_time(),) * 2)
        return path
