"""What a running daemon says in a project's ``status.yaml``. Others can write there, so nothing is taken on trust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_BYTES = 2**20

Plain = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Empty where no daemon runs or nothing can be read."""

    comfyui: Plain = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    rows: Mapping[str, Plain] = field(default_factory=dict)


def said_in(folder: Path) -> Said:
    """What stands in the file of the project in ``folder``."""
    from comfywatch import files, plain_yaml

    try:
        content = plain_yaml.load(files.read_regular(folder / "status.yaml", max_bytes=MAX_BYTES)[0])
    except (OSError, plain_yaml.NotYaml):
        return Said()
    content = table(content)
    comfyui = table(content.get("comfyui"))
    notices = content.get("notices")
    return Said(
        comfyui={key: str(comfyui[key]) for key in ("url", "state", "version", "message") if key in comfyui},
        notices=tuple(map(str, notices)) if isinstance(notices, list) else (),
        rows={str(path): table(row) for path, row in table(content.get("workflows")).items()},
    )


def table(value: Any) -> Plain:
    """``value`` if it is a map; else an empty one."""
    return value if isinstance(value, dict) else {}
