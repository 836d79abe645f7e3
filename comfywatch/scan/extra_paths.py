"""``extra_model_paths.yaml``: more folders of models and of packages, as ComfyUI takes them from that file.

The rule is ComfyUI's: ``~`` and ``$NAME`` stand for something in ``base_path`` alone; a ``base_path`` that is relative
counts from the file, and so does a folder of a section without one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfywatch import files, plain_yaml

NAME = "extra_model_paths.yaml"
MAX_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraFolder:
    """One more place of a folder of models; those that are ``first`` are searched before ComfyUI's own."""

    folder: str
    path: Path
    first: bool = False


class NotRead(Exception):
    """The file cannot be used; the message is a sentence."""


def extra_folders(file: Path) -> tuple[ExtraFolder, ...]:
    """The folders that it names, none if it is not there; raises ``NotRead``."""
    try:
        plain = plain_yaml.load(files.read_all(file.open("rb"), max_bytes=MAX_BYTES)[0])
    except FileNotFoundError:
        return ()
    except (OSError, plain_yaml.NotYaml) as error:
        raise NotRead(f"{file} cannot be read: {error}") from error
    if plain is None:
        return ()
    if not isinstance(plain, dict):
        raise NotRead(f"{file} has no sections, so no folder of it is taken")
    return tuple(found for section in plain.values() for found in _section(section, file.parent))


def _section(section: Any, beside: Path) -> Iterator[ExtraFolder]:
    if not isinstance(section, dict):
        return
    base = _base(section.get("base_path"), beside)
    first = bool(section.get("is_default", False))
    for folder, places in section.items():
        if folder in {"base_path", "is_default"} or not isinstance(folder, str) or not isinstance(places, str):
            continue
        for place in filter(None, places.split("\n")):
            yield ExtraFolder(folder=folder, path=Path(os.path.normpath(base / place)), first=first)


def _base(given: Any, beside: Path) -> Path:
    if not isinstance(given, str) or not given:
        return beside
    try:
        home = Path(given).expanduser()
    except RuntimeError:  # nobody of that name is known here
        home = Path(given)
    return beside / os.path.expandvars(home)
