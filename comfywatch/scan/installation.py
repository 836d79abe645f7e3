"""A ComfyUI folder as an inventory: what its files tell, and a sentence for each that cannot be read.

An inventory that was made so confirms what it lists and denies nothing: packages may add classes and folders when they
run, and ComfyUI may be started with other folders.
"""

from __future__ import annotations

import ast
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from comfywatch import files
from comfywatch.folder_names import mirrored
from comfywatch.inventory import ClassesFrom, Inventory, Mode
from comfywatch.scan.extra_paths import NAME, ExtraFolder, NotRead, extra_folders
from comfywatch.scan.models import models_below
from comfywatch.scan.node_classes import node_classes
from comfywatch.scan.sources import parsed
from comfywatch.scan.values import Failed

MAX_DEPTH = 2
"""How far below the folder that was named ComfyUI is looked for: ``ComfyUI_windows_portable/ComfyUI``."""
_MAX_TOML = 2**20


class NoComfyUI(Exception):
    """There is none, or more than one; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What was found, and what could not be read."""

    inventory: Inventory
    notices: tuple[str, ...]


def scan(folder: Path, *, at: datetime) -> Scanned:
    """The ComfyUI in ``folder`` or below it; raises ``NoComfyUI``."""
    root = find(folder)
    notices: list[str] = []
    extra = _extra(root, notices)
    models = models_below(root, extra)
    packages = dict.fromkeys([*(one.path for one in extra if one.folder == "custom_nodes"), root / "custom_nodes"])
    found = node_classes(root, packages)
    inventory = Inventory(
        last_updated=at.astimezone(UTC),
        mode=Mode.OFFLINE,
        comfyui_version=_version(root),
        comfyui_path=str(root),
        models=mirrored(models.models),
        custom_nodes=found.packages,
        node_classes=found.classes or None,
        classes_from=ClassesFrom.SOURCES if found.classes else None,
    )
    return Scanned(inventory=inventory, notices=(*notices, *models.notices, *found.notices))


def over(old: Inventory | None, new: Inventory) -> Inventory:
    """What was found on the disk over what the file said; folders that were not found stay as they were."""
    if old is None:
        return new
    return replace(
        new,
        comfyui_version=new.comfyui_version or old.comfyui_version,
        system=old.system,
        models={**old.models, **{folder: names for folder, names in new.models.items() if names is not None}},
        node_classes=old.node_classes if new.node_classes is None else new.node_classes,
        classes_from=old.classes_from if new.node_classes is None else new.classes_from,
        extra=old.extra,
    )


def find(folder: Path) -> Path:
    """ComfyUI's own folder: this one, or the only one below it."""
    top = Path(os.path.abspath(folder))  # noqa: PTH100  # a link is called as it was named
    if not top.is_dir():
        raise NoComfyUI(f"{folder} is not there, or no folder.")
    candidates = [top]
    for _ in range(MAX_DEPTH + 1):
        found = [place for place in candidates if _is_comfyui(place)]
        if len(found) == 1:
            return found[0]
        if found:
            raise NoComfyUI(f"There is more than one ComfyUI in {folder}; name one: {', '.join(map(str, found))}")
        candidates = [below for place in candidates for below in _folders_in(place)]
    raise NoComfyUI(f"There is no ComfyUI in {folder}: it has main.py and nodes.py, or models and custom_nodes.")


def _is_comfyui(place: Path) -> bool:
    """Its sources, or a folder beside them that only holds what people put there."""
    has_sources = (place / "main.py").is_file() and (place / "nodes.py").is_file()
    return has_sources or ((place / "models").is_dir() and (place / "custom_nodes").is_dir())


def _folders_in(place: Path) -> Iterator[Path]:
    try:
        yield from sorted(below for below in place.iterdir() if below.is_dir() and not below.name.startswith("."))
    except OSError:
        return


def _extra(root: Path, notices: list[str]) -> tuple[ExtraFolder, ...]:
    try:
        return extra_folders(root / NAME)
    except NotRead as error:
        notices.append(str(error))
        return ()


def _version(root: Path) -> str | None:
    try:
        statements = parsed(root / "comfyui_version.py").body
    except Failed:
        return _version_of_project(root / "pyproject.toml")
    for node in statements:
        match node:
            case ast.Assign(targets=[ast.Name(id="__version__")], value=ast.Constant(value=str(version))):
                return version
    return _version_of_project(root / "pyproject.toml")


def _version_of_project(file: Path) -> str | None:
    try:
        project = tomllib.loads(files.read_all(file.open("rb"), max_bytes=_MAX_TOML)[0].decode("utf-8"))["project"]
        version = project["version"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return version if isinstance(version, str) else None
