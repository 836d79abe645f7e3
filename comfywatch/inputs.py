"""Input files that a workflow names: which, where they lie in the project, and how they are called on the server.

Looked for in this order: the project's ``inputs/``, ``assets/``, ``characters/*/references/``, and last on the server.
Nothing is read through a link or from outside the project.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any

from comfywatch.names import safe_name
from comfywatch.problems import Problem
from comfywatch.schemas import InputSpec, Schemas
from comfywatch.tree import INPUTS, look_at

MISSING = "input_file_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """A file that an input of a node names; ``path`` is where it lies in the project, ``None`` if it does not."""

    node: str
    class_type: str
    input: str
    name: str
    path: Path | None
    may_be_on_server: bool


def input_files(prompt: Mapping[str, Any], schemas: Schemas | None, project: Path) -> Iterator[InputFile]:
    """Every file that an upload input names; none while the schemas are not known."""
    if schemas is None:
        return
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
                path=find(project, value),
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


def find(project: Path, name: str) -> Path | None:
    """Where ``name`` lies in the project."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or any(part in {"..", "/"} or part.startswith("~") or "\0" in part or ":" in part for part in parts):
        return None
    for folder in (project / INPUTS, project / "assets", *_references(project)):
        here = folder.joinpath(*parts)
        steps = [project.joinpath(*here.relative_to(project).parts[:depth]) for depth in range(1, len(here.parts))]
        if look_at(here) is not None and not any(step.is_symlink() for step in steps):
            return here
    return None


def name_on_server(source: BufferedReader, name: str) -> tuple[str, str]:
    """Subfolder and name to upload ``source`` under: never another content under a name. Rewinds it."""
    digest = hashlib.file_digest(source, "sha256").hexdigest()
    source.seek(0)
    return f"comfywatch/{digest[:12]}", safe_name(name)


def _references(project: Path) -> list[Path]:
    try:
        return sorted(folder / "references" for folder in (project / "characters").iterdir() if folder.is_dir())
    except OSError:
        return []


def _may_be_there(value: str, spec: InputSpec) -> bool:
    """Files in subfolders and annotated names (``x.png [output]``) are not in the server's list."""
    if spec.choices is None or "/" in value or "\\" in value or value.endswith("]"):
        return True
    return value in spec.choices
