"""Folders that are away: unmounted, renamed, or with another disk in their place. They are waited for.

An unmounted project leaves an empty folder behind, on another disk. That is no project whose people removed everything,
and nothing of it counts as removed until it is back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from loguru import logger

from comfywatch.store import FileRecord, Store
from comfywatch.tree import Forest, ProjectTree

Known = Mapping[str, Mapping[str, FileRecord]]
DEVICES = "devices"
ANOTHER_DISK = "the folder lies on another disk than before, and is empty: its own disk is waited for"


def is_another(tree: ProjectTree, *, known: Collection[str], device: int | None) -> bool:
    """Whether a project is not the one that it was; ``known`` are its workflows, and ``device`` was its disk."""
    return tree.is_there and bool(known) and not tree.files and device not in {None, tree.device}


def lying(records: Mapping[str, FileRecord]) -> list[str]:
    """The paths that were there when they were last looked at."""
    return [path for path, record in records.items() if not record.gone]


class Away:
    """Keeps in the database on which disk each project lay at its last scan."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._devices: dict[str, int] = store.fact(DEVICES) or {}
        self._said: set[str] = set()

    def judged(self, forest: Forest, known: Known) -> Forest:
        """The forest without the projects that are others than they were."""
        workflows = sum(len(lying(records)) for records in known.values())
        self._say(
            "projects/",
            not forest.is_there and workflows > 0,
            f"is empty or not there, with {workflows} workflows known",
        )
        before = dict(self._devices)
        trees = {name: self._judged(tree, known.get(name, {})) for name, tree in forest.projects.items()}
        if self._devices != before:
            self._store.save_fact(DEVICES, self._devices)
        return replace(forest, projects=trees)

    def _judged(self, tree: ProjectTree, records: Mapping[str, FileRecord]) -> ProjectTree:
        is_away = is_another(tree, known=lying(records), device=self._devices.get(tree.name))
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
