"""What a ComfyUI has installed: from its answers, to and from ``state/``.

The configured server's files are ``state/inventory.json`` and ``state/object_info.json``; those of a server that a
manifest names lie in ``state/servers/HOST-PORT/``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from loguru import logger

from comfywatch import files
from comfywatch.asks import Installed, Ours
from comfywatch.effects import WriteFile
from comfywatch.inventory import Inventory, NotAnInventory, merge
from comfywatch.schemas import Schemas
from comfywatch.settings import Settings
from comfywatch.urls import safe_url

MAX_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where what is known of one server lies."""

    inventory: Path
    object_info: Path

    @classmethod
    def of(cls, settings: Settings, url: str) -> Place:
        """The files of the server at ``url``."""
        if url == safe_url(settings.comfyui_url):
            return cls(inventory=settings.inventory_file, object_info=settings.object_info_file)
        folder = settings.state / "servers" / re.sub(r"[^A-Za-z0-9.-]+", "-", url.partition("://")[2]).strip("-")
        return cls(inventory=folder / "inventory.json", object_info=folder / "object_info.json")


def from_disk(place: Place) -> tuple[Inventory | None, Schemas | None]:
    """What was known before; what cannot be read is said, and counts as not known."""
    return read_inventory(place.inventory), _schemas(place.object_info)


def read_inventory(path: Path) -> Inventory | None:
    """The inventory in a file, ``None`` if there is none that can be read."""
    try:
        return Inventory.parse(files.read_regular(path, max_bytes=MAX_BYTES)[0])
    except FileNotFoundError:
        return None
    except (OSError, NotAnInventory) as error:
        logger.warning("{} cannot be read ({}); ComfyUI will be asked instead", path.name, error)
        return None


def from_server(found: Installed, before: Inventory | None, *, at: datetime) -> tuple[Inventory, Schemas]:
    """What the server answered, merged into what was there."""
    packages = packages_of(found.object_info)
    new = Inventory.online(found.stats, found.object_info.keys(), found.models, at, packages=packages)
    return merge(before, new), Schemas.read(found.object_info)


def packages_of(object_info: Mapping[str, Any]) -> set[str]:
    """The packages in ``custom_nodes/`` that its node classes come from."""
    modules = [schema.get("python_module") for schema in object_info.values() if isinstance(schema, Mapping)]
    prefix = "custom_nodes."
    return {name.removeprefix(prefix) for name in modules if isinstance(name, str) and name.startswith(prefix)}


def written(place: Place, found: Installed, inventory: Inventory) -> list[WriteFile]:
    """The two files as they are to be written."""
    object_info = json.dumps(found.object_info, separators=(",", ":")).encode()
    return [
        WriteFile(path=place.object_info, data=object_info),
        WriteFile(path=place.inventory, data=inventory.dump()),
    ]


def body_of(ours: Ours) -> bytes:
    """The kept body of a prompt that was found again in ComfyUI."""
    return json.dumps({"prompt": ours.prompt, "prompt_id": ours.prompt_id}).encode()


def _schemas(path: Path) -> Schemas | None:
    try:
        plain = json.loads(files.read_regular(path, max_bytes=MAX_BYTES)[0])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        logger.warning("{} cannot be read ({}); ComfyUI will be asked instead", path.name, error)
        return None
    return Schemas.read(plain) if isinstance(plain, Mapping) else None
