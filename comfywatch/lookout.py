"""When the project folders are looked through, and which of them are watched meanwhile.

A look comes in parts: the next is asked for once the last was taken up, so that nothing else waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from loguru import logger

from comfywatch.effects import Effect, Scan, Scanned, WatchProjects
from comfywatch.tree import MAX_WATCHED, Forest, ProjectTree, to_watch

COST_FACTOR = 10
"""A look that an event asks for comes no sooner after the last than this many times what that one took."""
WATCHES_A_PROJECT = 3
"""Its folder, its workflows, its inputs."""


class Lookout:
    """``trees`` is what was seen of each project last, without its files. Times are monotonic, in seconds."""

    def __init__(self, *, rescan_seconds: float, now: float) -> None:
        self.trees: dict[str, ProjectTree] = {}
        self._every = rescan_seconds
        self._due = now
        self._cost = 0.0
        self._is_under_way = False
        self._goes_on = False
        self._in_full = True
        self._next_in_full = True
        self._has_looked = False
        self._to_watch: list[WatchProjects] = [WatchProjects(names=frozenset())]
        self._watched: dict[str, tuple[int, int]] = {}
        self._left_out = 0

    @property
    def is_looking(self) -> bool:
        """Whether a look is not at its end."""
        return self._is_under_way or self._goes_on

    def look_soon(self, *, now: float, in_full: bool = False) -> None:
        """Something may have changed; ``in_full`` if it may be anything."""
        self._due = now
        self._next_in_full |= in_full

    def was_told(self, *, is_all: bool, now: float) -> None:
        """An event told of something that only a look can tell; ``is_all``: events were lost."""
        self._next_in_full |= is_all
        self._due = min(self._due, now + COST_FACTOR * self._cost)

    def saw(self, event: Scanned) -> None:
        """A part of a look came back."""
        forest = event.forest
        self._is_under_way, self._goes_on = False, not event.is_last
        self._cost += event.took
        self.trees |= {name: tree.without_files() for name, tree in forest.projects.items()}
        if event.is_last:
            names = forest.names or tuple(forest.projects)
            self.trees = {name: self.trees[name] for name in names if name in self.trees}
            self._choose(replace(forest, projects=self.trees))
            self._has_looked = True
        elif not self._has_looked and not forest.projects:
            self._watch(forest.names[: MAX_WATCHED // WATCHES_A_PROJECT], ())  # so that what is dropped now is told

    def plan(self, *, now: float) -> Iterator[Effect]:
        """What is to be watched and looked at now."""
        yield from self._to_watch
        self._to_watch.clear()
        if self._is_under_way or not (self._goes_on or self._due <= now):
            return
        goes_on = self._goes_on
        if not goes_on:
            self._due, self._cost = now + self._every, 0.0
            self._in_full, self._next_in_full = self._next_in_full, False
        self._is_under_way = True
        yield Scan(goes_on=goes_on, in_full=self._in_full)

    def next_due(self, *, now: float) -> float:
        """When ``plan`` has something to do even if nothing happens."""
        if self._to_watch or (self._goes_on and not self._is_under_way):
            return now
        return float("inf") if self._is_under_way else self._due

    def _choose(self, forest: Forest) -> None:
        before = self._watched
        self._watched = {path: stamp.identity for path, stamp in to_watch(forest).items()}
        if self._watched != before:
            self._watch((PurePosixPath(folder).parts[0] for folder in self._watched), self._watched)
        watched = {PurePosixPath(folder).parts[0] for folder in self._watched}
        left_out = sum(bool(tree.folders) for tree in forest.projects.values()) - len(watched)
        if left_out > self._left_out:
            every = self._every
            logger.info("projects too many to be watched: {}; changes in them are seen every {} s", left_out, every)
        self._left_out = left_out

    def _watch(self, names: Iterable[str], folders: Iterable[str]) -> None:
        self._to_watch.append(WatchProjects(names=frozenset(names), folders=frozenset(folders)))
