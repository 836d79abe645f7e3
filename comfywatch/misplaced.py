"""What people and their tools put where it is not read, and what is said of it in ``status.yaml``."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from comfywatch.foreign_names import is_conflict_copy, possible_copies
from comfywatch.names import is_portable
from comfywatch.pictures import is_picture

CONTROLS = (".retry", ".cancel", ".hold")
"""Endings of files that ask for something, see ``controls``."""
_WRONG_ENDINGS = (".json.txt", ".json.json.txt", ".json.json5")


def is_text(name: str) -> bool:
    """Whether a name is UTF-8, as everything that we write is."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def readable(name: str) -> str:
    """``name``, with escapes for all that is not ASCII if it is no text."""
    return name if is_text(name) else ascii(name)[1:-1]


def is_of_a_workflow(name: str) -> bool:
    """Whether a file of this name is a workflow, or a conflict copy of one: some tools put their mark at the end."""
    return ".json" in name.lower() or is_picture(name)


def is_control(name: str) -> bool:
    """Whether a file of this name beside a workflow asks for something."""
    return name.lower().endswith(CONTROLS)


def remarks(names: Collection[str]) -> Iterator[tuple[str, str]]:
    """What is to be said of names in one folder of workflows that are taken all the same."""
    for name in names:
        if not is_portable(name) and is_text(name):
            yield name, "has a name that Windows does not take, nor its outputs; rename it"
    for name, original in possible_copies([name for name in names if is_of_a_workflow(name)]):
        yield name, f"may be OneDrive's conflict copy of {readable(original)}; if it is, remove it"


def looks_dropped(entry: os.DirEntry[str]) -> bool:
    """``x.json`` in the wrong place, or ``x.json.txt`` anywhere: somebody waits for something."""
    return entry.name.lower().endswith((".json", *_WRONG_ENDINGS)) and not entry.is_dir(follow_symlinks=False)


def name_meant(name: str) -> str:
    """What ``x.json.txt`` or ``x.retry.txt`` was most likely to be called, empty for any other name."""
    if name.lower().endswith(_WRONG_ENDINGS):
        return f"{name[: name.lower().index('.json')]}.json"
    plain = name[: -len(".txt")]
    return plain if name.lower().endswith(".txt") and is_control(plain) else ""


def misplaced(entry: os.DirEntry[str], where: str) -> str:
    """Where a workflow belongs that lies elsewhere."""
    return f"{readable(entry.name)} is not read; move it to {where}"


def beside_projects(entry: os.DirEntry[str]) -> str:
    """What is to be said of something in ``projects/``, often nothing."""
    name = readable(entry.name)
    if looks_dropped(entry):
        return misplaced(entry, "projects/NAME/workflows/")
    if entry.is_symlink():
        return f"projects/{name} is a link and is not followed; make it a folder"
    if not entry.is_dir(follow_symlinks=False):
        return ""
    if not is_text(entry.name):
        return f"projects/{name} is not read: its name is not UTF-8; rename it"
    if is_conflict_copy(entry.name):
        return f"projects/{name} is a conflict copy; rename it to run what is in it"
    return ""
