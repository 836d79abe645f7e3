"""``projects/inventory.yaml``: what ComfyUI has, for people elsewhere who write workflows against it.

It holds names and no path of the machine, and nothing that changes by itself: it is written whole, and only when
something else is installed than before, or somebody has edited it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from comfywatch import files, plain_yaml
from comfywatch.effects import WriteFile
from comfywatch.inventory import Inventory
from comfywatch.schemas import Schemas
from comfywatch.settings import Settings

PUBLISHED = "inventory.yaml"
HEADER = "Written by comfywatch; edits are overwritten. What the machine with ComfyUI has installed."
MAX_BYTES = 64 * 2**20
_SAMPLER = "KSampler"
_PATH = re.compile(r"^([/\\]|[A-Za-z]:)|(^|[/\\])\.\.([/\\]|$)")


class Publisher:
    """Says when the file is due."""

    def __init__(self, settings: Settings) -> None:
        self._projects = settings.projects
        self._is_on = settings.publish_inventory

    def due(self, inventory: Inventory, schemas: Schemas | None) -> Iterator[WriteFile]:
        """The file, unless it says this already; none where there is no ``projects/`` to put it into."""
        if not self._is_on or not self._projects.is_dir():
            return
        path = self._projects / PUBLISHED
        data = plain_yaml.dump(document(inventory, schemas), header=HEADER)
        try:
            before, _ = files.read_regular(path, max_bytes=MAX_BYTES)
        except OSError:
            before = b""
        if before != data:
            yield WriteFile(path=path, data=data)


def document(inventory: Inventory, schemas: Schemas | None) -> dict[str, Any]:
    """What is published of an inventory; a list that is not known is left out."""
    plain = {
        "schema": 1,
        "comfyui_version": inventory.comfyui_version,
        "gpu": inventory.system.get("gpu"),
        "vram_total_gb": inventory.system.get("vram_total_gb"),
        "samplers": _choices(schemas, "sampler_name"),
        "schedulers": _choices(schemas, "scheduler"),
        "models": _models(inventory.models),
        "custom_nodes": _names(inventory.custom_nodes),
        "nodes": _names(inventory.node_classes),
    }
    return {key: value for key, value in plain.items() if value not in (None, "", [], {})}


def _models(lists: Mapping[str, Any]) -> dict[str, list[str]]:
    return {folder: _names(names) for folder, names in sorted(lists.items()) if names}


def _names(names: Any) -> list[str]:
    """Names as people write them into a workflow; what is a path of that machine is left out."""
    return sorted(name for name in names or () if isinstance(name, str) and not _PATH.search(name))


def _choices(schemas: Schemas | None, name: str) -> list[str]:
    found = schemas.input(_SAMPLER, name) if schemas is not None and _SAMPLER in schemas else None
    return [str(choice) for choice in (found.choices or ())] if found is not None else []
