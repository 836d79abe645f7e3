"""Asking who has a class of node: the server's own Manager, else the map of a ComfyUI-Manager on this machine.

Most have neither, and what goes wrong here keeps nobody from anything: it is not said.
"""

from __future__ import annotations

import json
from pathlib import Path

from comfywatch import files
from comfywatch.comfy import Comfy
from comfywatch.comfy_errors import ComfyError
from comfywatch.packages import PackageMap

MAX_BYTES = 32 * 2**20
_MAP = "extension-node-map.json"
_FOLDERS = ("ComfyUI-Manager", "comfyui-manager")


def find_packages(comfy: Comfy | None, comfyui_path: str | None) -> PackageMap | None:
    """What a Manager knows; ``None`` if there is none that answers. ``comfy`` is ``None`` if it is not to be asked."""
    return (None if comfy is None else _from_server(comfy)) or _from_disk(comfyui_path)


def _from_server(comfy: Comfy) -> PackageMap | None:
    try:
        mappings = comfy.node_mappings()
    except ComfyError:
        return None
    return PackageMap.of_manager(mappings) if mappings else None


def _from_disk(comfyui_path: str | None) -> PackageMap | None:
    for folder in _FOLDERS if comfyui_path else ():
        path = Path(str(comfyui_path)) / "custom_nodes" / folder / _MAP
        try:
            mappings = json.loads(files.read_regular(path, max_bytes=MAX_BYTES)[0])
        except (OSError, ValueError, RecursionError):
            continue
        return PackageMap.of_manager(mappings)
    return None
