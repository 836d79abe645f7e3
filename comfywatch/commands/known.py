"""What a command knows of ComfyUI's nodes: from a file, from ``state/``, or from ComfyUI itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from comfywatch.commands.options import Unusable, open_comfy

if TYPE_CHECKING:
    from comfywatch.inventory import Inventory
    from comfywatch.schemas import Schemas
    from comfywatch.settings import Settings

_PATIENCE = 10.0
"""Seconds in which ComfyUI has to answer a command."""

with_version = click.option(
    "--comfyui-version", metavar="V", help="ComfyUI's version, if its schemas should not tell it."
)


def schemas_in(path: str) -> Schemas:
    """Those in the file that ``--object-info`` names; raises ``Unusable``."""
    try:
        return _read(Path(path))
    except (OSError, ValueError) as error:
        raise Unusable(f"--object-info: {path} cannot be read: {why(error)}.") from error


def schemas_known(settings: Settings) -> tuple[Schemas | None, str]:
    """Those that comfywatch keeps, else ComfyUI's own; or why there are none."""
    inventory = inventory_known(settings)
    try:
        schemas = _read(settings.object_info_file)
    except (OSError, ValueError):
        return _from_server(settings)
    schemas.set_version((inventory and inventory.comfyui_version) or "")
    return schemas, ""


def inventory_known(settings: Settings) -> Inventory | None:
    """What comfywatch knows to be installed, if it can be read."""
    from comfywatch.inventory import Inventory, NotAnInventory

    try:
        return Inventory.parse(settings.inventory_file.read_bytes())
    except (OSError, NotAnInventory):
        return None


def set_version(schemas: Schemas | None, version: str | None) -> None:
    """Without ``version`` the schemas themselves tell which it is; raises ``Unusable``."""
    if version is None:
        return
    from comfywatch.schemas import Schemas

    if not (Schemas.read({}) if schemas is None else schemas).set_version(version):
        raise Unusable(f"--comfyui-version: expected a version such as 0.3.64, got '{version}'.")


def why(error: Exception) -> str:
    """An error in a few words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _from_server(settings: Settings) -> tuple[Schemas | None, str]:
    from comfywatch import replacements
    from comfywatch.comfy_errors import ComfyError
    from comfywatch.schemas import Schemas

    try:
        with open_comfy(settings, timeout=min(_PATIENCE, settings.api_timeout_seconds)) as comfy:
            schemas = Schemas.read(comfy.object_info())
            schemas.set_version(str(comfy.system_stats()["system"].get("comfyui_version")))
            answer = comfy.node_replacements()
            if answer is not None:
                schemas.replacements = replacements.read(answer)
            return schemas, ""
    except ComfyError as error:
        return None, str(error)


def _read(path: Path) -> Schemas:
    """Raises ``OSError`` or ``ValueError`` for what is no answer of ``/object_info``."""
    from comfywatch.schemas import Schemas

    try:
        plain = json.loads(path.read_bytes())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(plain, dict):
        raise ValueError("it is not a JSON object of node classes")
    return Schemas.read(plain)
