"""Folders that are away: unmounted, renamed, or with another disk in their place. They are waited for.

An unmounted project leaves an empty folder behind, on another disk. That is no project whose people removed everything,
and nothing of it counts as removed until it is back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from loguru import logger

from comfywatch.store import Store
from comfywatch.tree import Forest, ProjectTree

Known = Callable[[str | None], int]
"""How many workflows were there when they were last looked at, of one project or of all."""
DEVICES = "devices"
ANOTHER_DISK = "the folder lies on another disk than before, and is empty: its own disk is waited for"


def is_another(tree: ProjectTree, *, known: Callable[[str], int], device: int | None) -> bool:
    """Whether a project is not the one that it was; ``device`` was its disk."""
    return tree.is_there and tree.is_empty and device not in {None, tree.device} and known(tree.name) > 0


class Away:
    """Keeps in the database on which disk each project lay at its last scan."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._devices: dict[str, int] = store.fact(DEVICES) or {}
        self._said: set[str] = set()

    def judged(self, forest: Forest, known: Known) -> Forest:
        """The forest without the projects that are others than they were."""
        workflows = 0 if forest.is_there else known(None)
        self._say(
            "projects/",
            workflows > 0,
            f"is empty or not there, with {workflows} workflows known",
        )
        before = dict(self._devices)
        trees = {name: self._judged(tree, known) for name, tree in forest.projects.items()}
        if self._devices != before:
            self._store.save_fact(DEVICES, self._devices)
        return replace(forest, projects=trees)

    def _judged(self, tree: ProjectTree, known: Known) -> ProjectTree:
        is_away = is_another(tree, known=known, device=self._devices.get(tree.name))
        self._say(f"projects/{tree.name}", is_away, ANOTHER_DISK)
        if is_away:
            return ProjectTree(name=tree.name, is_there=False, device=tree.device)
        if tree.is_there:
            self._devices[tree.name] = tree.device
        return tree

    def _say(self, what: str, is_away: bool, why: str) -> None:
        if is_away and what not in self._said:
            self._said.add(what)
            logger.warning("{}: {}; nothing counts as removed until it is back", what, why)
        elif not is_away and what in self._said:
            self._said.discard(what)
            logger.info("{} is back", what)
