"""Where what a workflow lacks can be had, for a command that checks many files: looked up once, and only if need be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from comfywatch.commands.options import open_comfy
from comfywatch.problems import MissingClass, Problem

if TYPE_CHECKING:
    from comfywatch.inventory import Inventory
    from comfywatch.mends import Sources
    from comfywatch.packages import PackageMap
    from comfywatch.schemas import Schemas
    from comfywatch.settings import Settings

MANAGERS_PATIENCE = 2.0
"""Seconds in which ComfyUI's Manager has to say who has a class: a check does not hang on that."""


class Mends:
    """What says where missing things can be had: found once, and only if something is missing.

    Without ``settings`` that is only what comes with the workflow and with comfywatch.
    """

    def __init__(self, schemas: Schemas | None, inventory: Inventory | None, settings: Settings | None) -> None:
        self._schemas = schemas
        self._inventory = inventory
        self._settings = settings
        self.version: str | None = None
        """ComfyUI's, if a person says it."""
        self._sources: Sources | None = None
        self._has_asked_manager = False

    def add(
        self, prompt: Mapping[str, Any], problems: tuple[Problem, ...], *, saved: Mapping[str, Any] | None
    ) -> tuple[Problem, ...]:
        """The problems of a prompt, with what mends them; ``saved`` is the workflow that it comes from, if any."""
        from comfywatch.mends import lacks_something, mended, needed_later
        from comfywatch.model_folders import ModelInputs

        if not lacks_something(problems):
            return problems
        sources = self._found(is_class_missing=any(isinstance(problem.lacks, MissingClass) for problem in problems))
        models = ModelInputs(schemas=self._schemas, inventory=self._inventory)
        later = needed_later(prompt, problems, models, sources, saved=saved)
        return (*mended(problems, sources, saved=saved), *later)

    def _found(self, *, is_class_missing: bool) -> Sources:
        if self._sources is None:
            self._sources = self._without_manager()
        if is_class_missing and not self._has_asked_manager:
            self._has_asked_manager = True
            self._sources = replace(self._sources, manager=self._manager())
        return self._sources

    def _without_manager(self) -> Sources:
        from comfywatch.mends import Sources
        from comfywatch.references import References
        from comfywatch.shelf import Shelf

        references = Shelf(self._settings.references_file).references() if self._settings else References()
        sources = Sources.of(self._schemas, self._inventory, references=references)
        return sources if self.version is None else replace(sources, comfyui_version=self.version)

    def _manager(self) -> PackageMap | None:
        """Of the server if it answers at once, else of this machine."""
        from comfywatch.package_search import find_packages

        if self._settings is None:
            return None
        with open_comfy(self._settings, timeout=MANAGERS_PATIENCE) as comfy:
            return find_packages(comfy, self._inventory.comfyui_path if self._inventory else None)
