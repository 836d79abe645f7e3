"""Input files that a workflow names: which, where they lie in the project, and how they are called on the server.

Looked for in this order: the project's ``inputs/``, ``assets/``, ``characters/*/references/``, and last on the server.
No link is followed out of the project, unless to where ``allow_links`` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from comfywatch.chains import Made, Reference, is_reference, may_be_read, newest_made, reference
from comfywatch.comfy_upload import FORM_BYTES
from comfywatch.names import safe_name
from comfywatch.own_checks import OwnCheck, own_check
from comfywatch.problems import Problem
from comfywatch.reach import Reach
from comfywatch.schemas import InputSpec, Schemas
from comfywatch.tree import INPUTS

MISSING = "input_file_missing"
NOT_MADE = "input_not_made_yet"
TOO_LARGE = "input_file_too_large"
CIRCLE = "workflow_cycle"
WAITS_FOR_FILES = frozenset({MISSING, NOT_MADE, TOO_LARGE, CIRCLE})
"""Problems that may be over when a file comes, or another one takes its place."""
MAX_NAME = 1000
"""Characters of a name that is looked for; what is longer is none."""
_OWN_UPLOAD = re.compile(r"^comfywatch/[0-9a-f]{12}/")
"""Where we put it for an earlier run, whose workflow came back in a picture."""
_SENT = frozenset({OwnCheck.FILE, OwnCheck.UNLISTED_FILE})
_IN_INPUT = re.compile(r"\s*\[input\]$")
_ELSEWHERE = re.compile(r"\[(output|temp)\]$")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """A file that an input of a node names; ``path`` is where it lies in the project, ``None`` if it does not.

    ``size`` is in bytes. ``wanted`` is set where the name is a reference to another workflow, and ``made`` where there
    is what that one makes.
    """

    node: str
    class_type: str
    input: str
    name: str
    path: Path | None
    may_be_on_server: bool
    size: int = 0
    wanted: Reference | None = None
    made: Made | None = None


def input_files(
    prompt: Mapping[str, Any], schemas: Schemas | None, project: Path, *, allow_links: tuple[Path, ...] = ()
) -> Iterator[InputFile]:
    """Every file that an input names which takes files; none while the schemas are not known."""
    if schemas is None:
        return
    reach = Reach(projects=project.parent, allow_links=allow_links)
    for node_id, node in prompt.items():
        for name, value in node.get("inputs", {}).items():
            spec = schemas.input(node["class_type"], name)
            if spec is None or not isinstance(value, str) or not value or not _takes_files(schemas, node, spec):
                continue
            yield _looked_for(
                InputFile(
                    node=node_id,
                    class_type=node["class_type"],
                    input=name,
                    name=value,
                    path=None,
                    may_be_on_server=_may_be_there(value, spec),
                ),
                spec,
                project,
                reach,
            )


def lacking(file: InputFile, project: str, *, limit: int | None) -> Problem | None:
    """What stands against sending a file; ``limit`` is how many bytes ComfyUI takes at once."""
    if file.wanted is not None and file.made is None:
        return _not_made(file, file.wanted)
    if file.path is None:
        return None if file.may_be_on_server else _missing(file, project)
    return _too_large(file, limit) if limit is not None and file.size > limit - FORM_BYTES else None


def in_a_circle(circle: tuple[Reference, ...]) -> Problem:
    """Workflows that each wait for what the next one makes."""
    way = " → ".join(reference.workflow for reference in circle)
    return Problem(
        code=CIRCLE,
        message=f"These workflows wait for each other's outputs, so that none can begin: {way}.",
        fix="Give one of them a file of its own in place of the reference (@…), and save it again.",
    )


def _takes_files(schemas: Schemas, node: Mapping[str, Any], spec: InputSpec) -> bool:
    return spec.is_upload or own_check(schemas.version_hint, node["class_type"], spec) in _SENT


def _looked_for(file: InputFile, spec: InputSpec, project: Path, reach: Reach) -> InputFile:
    """The file where it lies now, in the project or among what another workflow made."""
    path = find(project, file.name, reach)
    if path is None and is_reference(file.name):
        wanted = reference(file.name, project.name, reach)
        made = newest_made(wanted, spec, reach) if may_be_read(wanted, project.name, reach) else None
        file = replace(file, wanted=wanted, made=made, may_be_on_server=False)
        path = None if made is None else made.path
    stamp = None if path is None else reach.stamp(path)
    return file if path is None or stamp is None else replace(file, path=path, size=stamp.size)


def _missing(file: InputFile, project: str) -> Problem:
    return _problem(
        file,
        code=MISSING,
        message=f"The input file '{file.name}' is neither in the project nor in ComfyUI's input folder.",
        fix=f"Put it into projects/{project}/inputs/; the workflow then runs by itself.",
    )


def _not_made(file: InputFile, wanted: Reference) -> Problem:
    return _problem(
        file,
        code=NOT_MADE,
        message=f"'{file.name}' means what {wanted} makes, and that has not made a file yet that this input takes.",
        fix=f"It runs by itself once workflows/{wanted.workflow}.json of {wanted.project} is completed. For another "
        f"project, name its folder in allow_links in config.yaml.",
    )


def _too_large(file: InputFile, limit: int) -> Problem:
    return _problem(
        file,
        code=TOO_LARGE,
        message=f"The input file '{file.name}' has {file.size / 2**20:.0f} MiB, and this ComfyUI takes "
        f"{limit / 2**20:.0f} MiB at most.",
        fix="Start ComfyUI with a larger --max-upload-size (in MB), or put a smaller file in its place; "
        "the workflow then runs by itself.",
    )


def _problem(file: InputFile, *, code: str, message: str, fix: str) -> Problem:
    return Problem(code=code, message=message, fix=fix, node=file.node, class_type=file.class_type, input=file.input)


def find(project: Path, name: str, reach: Reach) -> Path | None:
    """Where ``name`` lies in the project; one that names another folder of ComfyUI's (``x.png [output]``) does not."""
    name = _OWN_UPLOAD.sub("", _IN_INPUT.sub("", name))
    if _ELSEWHERE.search(name):
        return None
    parts = PurePosixPath(name.replace("\\", "/")).parts if len(name) <= MAX_NAME else ()
    if not parts or any(part in {"..", "/"} or part.startswith("~") or "\0" in part or ":" in part for part in parts):
        return None
    for folder in (project / INPUTS, project / "assets", *_references(project, reach)):
        here = folder.joinpath(*parts)
        with suppress(OSError):  # what cannot be looked at is not there yet
            if reach.stamp(here) is not None:
                return here
    return None


def path_on_server(digest: str, name: str) -> tuple[str, str]:
    """Subfolder and name to upload a file of this SHA-256 under: never another content under a name."""
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
