"""What was read of a file under ``workflows/``: a prompt with its digest, or the problem that says why it is none."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from comfywatch.files import stamp_of
from comfywatch.pictures import carried, is_picture
from comfywatch.problems import Problem
from comfywatch.reach import Reach
from comfywatch.settling import Stamp
from comfywatch.workflow import Dropped, NotAWorkflow, NotJson, read_workflow

NOT_JSON = "not_json"

Key = tuple[str, str]
"""A project and a path below its ``workflows/``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read of a file; ``problem`` is set where ``dropped`` is not. ``digest`` and ``source``: see ``Job``."""

    key: Key
    stamp: Stamp
    data: bytes
    digest: str
    source: str = ""
    dropped: Dropped | None = None
    problem: Problem | None = None


def read(reach: Reach, path: Path, *, max_bytes: int) -> tuple[bytes, Stamp]:
    """What is taken of a file, with its stamp before it was read: all of it, or the workflow that a picture carries.

    Raises ``NoWorkflow`` for a picture without one, else as ``Reach.read`` does.
    """
    if not is_picture(path.name):
        return reach.read(path, max_bytes=max_bytes)
    with reach.opened(path) as picture:
        stamp = stamp_of(os.fstat(picture.fileno()))
        return carried(picture, max_bytes=max_bytes), stamp


def parsed(key: Key, stamp: Stamp, data: bytes) -> Reading:
    """The bytes of a file as a workflow, or as the problem that they are."""
    try:
        dropped = read_workflow(data)
    except NotJson as error:
        problem = Problem(
            code=NOT_JSON,
            message=f"This is not JSON: {error}.",
            fix="Save it again in ComfyUI (Workflow > Save); it is read again when it changes.",
        )
    except NotAWorkflow as error:
        problem = error.problem
    else:
        source = dropped.digest if dropped.is_saved else ""
        return Reading(key=key, stamp=stamp, data=data, digest=dropped.digest, source=source, dropped=dropped)
    return Reading(key=key, stamp=stamp, data=data, digest=_digest(data), problem=problem)


def too_big(key: Key, stamp: Stamp, size: int, limit: int) -> Reading:
    """A file of ``size`` bytes, of which at most ``limit`` are read."""
    problem = Problem(
        code="too_large",
        message=f"The file has {size / 2**20:.1f} MiB, and {limit // 2**20} are read at most.",
        fix="Raise max_workflow_mb in config.yaml if this is a workflow.",
    )
    return Reading(key=key, stamp=stamp, data=b"", digest=_digest(str(size).encode()), problem=problem)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
