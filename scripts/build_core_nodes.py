"""Make ``comfywatch/data/core_nodes.json``, the classes of ComfyUI itself, from the answer of its ``/object_info``.

curl http://127.0.0.1:8188/object_info > object_info.json
python scripts/build_core_nodes.py object_info.json --version 0.33.0
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "comfywatch" / "data" / "core_nodes.json"
PARTNERS = "comfy_api_nodes"
OWN = frozenset({"nodes", "comfy_extras", PARTNERS})
"""Where ComfyUI's own classes come from; what packages add lies in ``custom_nodes``."""


def main(arguments: list[str]) -> None:
    """Write the table of the server that gave ``arguments``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("object_info", metavar="FILE", type=Path)
    parser.add_argument("--version", metavar="V", required=True, help="ComfyUI's version.")
    parser.add_argument("--output", metavar="FILE", type=Path, default=TARGET)
    given = parser.parse_args(arguments)
    text = core_nodes(json.loads(given.object_info.read_bytes()), given.version)
    given.output.write_bytes(text.encode("utf-8"))


def core_nodes(object_info: dict[str, Any], version: str) -> str:
    """The table as it lies in the file: each class with the name that people see."""
    own = {name: entry for name, entry in object_info.items() if _module(entry) in OWN}
    plain = {
        "about": "The node classes of ComfyUI itself, with the names that people see.",
        "made_by": "scripts/build_core_nodes.py",
        "version": version,
        "nodes": {name: _shown(name, own[name]) for name in sorted(own) if _module(own[name]) != PARTNERS},
        "partner_nodes": {name: _shown(name, own[name]) for name in sorted(own) if _module(own[name]) == PARTNERS},
    }
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


def _module(entry: dict[str, Any]) -> str:
    return str(entry.get("python_module", "")).partition(".")[0]


def _shown(name: str, entry: dict[str, Any]) -> str:
    return str(entry.get("display_name") or name)


if __name__ == "__main__":
    main(sys.argv[1:])
