"""Input files that a workflow names: which, where they lie in the project, and how they are called on the server.

Looked for in this order: the project's ``inputs/``, ``assets/``, ``characters/*/references/``, and last on the server.
No link is followed out of the project, unless to where ``allow_links`` says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any

from comfywatch.names import safe_name
from comfywatch.problems import Problem
from comfywatch.reach import Reach
from comfywatch.schemas import InputSpec, Schemas
from comfywatch.tree import INPUTS

MISSING = "input_file_missing"
MAX_NAME = 1000
"""Characters of a name that is looked for; what is longer is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """A file that an input of a node names; ``path`` is where it lies in the project, ``None`` if it does not."""

    node: str
    class_type: str
    input: str
    name: str
    path: Path | None
    may_be_on_server: bool


def input_files(
    prompt: Mapping[str, Any], schemas: Schemas | None, project: Path, *, allow_links: tuple[Path, ...] = ()
) -> Iterator[InputFile]:
    """Every file that an upload input names; none while the schemas are not known."""
    if schemas is None:
        return
    reach = Reach(projects=project.parent, allow_links=allow_links)
    for node_id, node in prompt.items():
        for name, value in node.get("inputs", {}).items():
            spec = schemas.input(node["class_type"], name)
            if spec is None or not spec.is_upload or not isinstance(value, str) or not value:
                continue
            yield InputFile(
                node=node_id,
                class_type=node["class_type"],
                input=name,
                name=value,
                path=find(project, value, reach),
                may_be_on_server=_may_be_there(value, spec),
            )


def missing(file: InputFile, project: str) -> Problem:
    """It lies neither in the project nor on the server."""
    return Problem(
        code=MISSING,
        message=f"The input file '{file.name}' is neither in the project nor in ComfyUI's input folder.",
        fix=f"Put it into projects/{project}/inputs/; the workflow then runs by itself.",
        node=file.node,
        class_type=file.class_type,
        input=file.input,
    )


def find(project: Path, name: str, reach: Reach) -> Path | None:
    """Where ``name`` lies in the project."""
    parts = PurePosixPath(name.replace("\\", "/")).parts if len(name) <= MAX_NAME else ()
    if not parts or any(part in {"..", "/"} or part.startswith("~") or "\0" in part or ":" in part for part in parts):
        return None
    for folder in (project / INPUTS, project / "assets", *_references(project, reach)):
        here = folder.joinpath(*parts)
        with suppress(OSError):  # what cannot be looked at is not there yet
            if reach.stamp(here) is not None:
                return here
    return None


def name_on_server(source: BufferedReader, name: str) -> tuple[str, str]:
    """Subfolder and name to upload ``source`` under: never another content under a name. Rewinds it."""
    digest = hashlib.file_digest(source, "sha256").hexdigest()
    source.seek(0)
    return f"comfywatch/{digest[:12]}", safe_name(name)


def _references(project: Path, reach: Reach) -> list[Path]:
    characters = project / "characters"
    try:
        with reach.entered(characters) as folder, folder.entries() as entries:
            return sorted(characters / entry.name / "references" for entry in entries)
    except OSError:
        return []


def _may_be_there(value: str, spec: InputSpec) -> bool:
    """Files in subfolders and annotated names (``x.png [output]``) are not in the server's list."""
    if spec.choices is None or "/" in value or "\\" in value or value.endswith("]"):
        return True
    return value in spec.choices
