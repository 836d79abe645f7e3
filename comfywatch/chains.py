"""An input that is another workflow's output: ``@portrait`` is the newest one of ``workflows/portrait.json``.

``@portrait/2`` is one of run 2, ``@other-project:portrait`` one of another project, as far as ``allow_links`` names
its folder. What was made counts when its ``result.yaml`` says ``completed``, and of several outputs the first that the
input takes. References in a circle would wait for each other for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from comfywatch.jobs import JobState
from comfywatch.past import outputs_of, past_runs
from comfywatch.reach import Reach
from comfywatch.schemas import InputSpec
from comfywatch.tree import WORKFLOWS

MAX_NAME = 1000
_REFERENCE = re.compile(r"@(?:(?P<project>[^/:]+):)?(?P<workflow>[^:]+)", re.DOTALL)
_RUN = re.compile(r"(?P<workflow>.+)/(?P<run>[0-9]{1,9})", re.DOTALL)
_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".exr"})
_VIDEOS = frozenset({".mp4", ".webm", ".mov", ".mkv", ".avi", ".gif", ".m4v"})
_SOUNDS = frozenset({".flac", ".mp3", ".wav", ".ogg", ".opus", ".m4a", ".aac"})
_TAKEN: Mapping[str, frozenset[str]] = {"image_upload": _IMAGES, "video_upload": _VIDEOS, "audio_upload": _SOUNDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A workflow, by its path below ``workflows/`` without ``.json``; ``run`` is ``None`` for the newest."""

    project: str
    workflow: str
    run: int | None = None

    def __str__(self) -> str:
        run = "" if self.run is None else f", run {self.run}"
        return f"{self.project}/{self.workflow}{run}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An output that a run made; ``path`` is where it lies."""

    path: Path
    project: str
    workflow: str
    run: int


def is_reference(value: str) -> bool:
    """Whether an input file is given as another workflow's output."""
    return value.startswith("@") and len(value) <= MAX_NAME and _REFERENCE.fullmatch(value) is not None


def reference(value: str, project: str, reach: Reach) -> Reference:
    """What ``value`` in a workflow of ``project`` means; a number at the end is a run, unless a workflow is called so.

    Raises ``ValueError`` for what is no reference.
    """
    match = _REFERENCE.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is no reference")
    owner, workflow = match["project"] or project, match["workflow"].removesuffix(".json").strip("/")
    with_run = _RUN.fullmatch(workflow)
    if with_run is None or _is_there(owner, workflow, reach):
        return Reference(project=owner, workflow=workflow)
    return Reference(project=owner, workflow=with_run["workflow"], run=int(with_run["run"]))


def may_be_read(wanted: Reference, project: str, reach: Reach) -> bool:
    """Whether a workflow of ``project`` may use what that one makes."""
    folder = reach.projects / wanted.project
    return wanted.project == project or any(folder.is_relative_to(root) for root in reach.allow_links)


def newest_made(wanted: Reference, spec: InputSpec, reach: Reach) -> Made | None:
    """The output that the reference means now, ``None`` until there is one that the input takes."""
    if not _is_plain(wanted):
        return None
    folder = reach.projects / wanted.project
    for past in reversed(past_runs(folder, f"{wanted.workflow}.json")):
        if past.state is not JobState.COMPLETED or wanted.run not in (None, past.run):
            continue
        for path in outputs_of(folder, f"{wanted.workflow}.json", past.run):
            if _takes(spec, path.name) and reach.stamp(path) is not None:
                return Made(path=path, project=wanted.project, workflow=wanted.workflow, run=past.run)
    return None


def circle(start: Reference, needs: Callable[[Reference], Iterable[Reference]]) -> tuple[Reference, ...]:
    """The workflows from ``start`` back to itself, by what each ``needs``; empty if it does not come back."""
    origin = Reference(project=start.project, workflow=start.workflow)
    came_from: dict[Reference, Reference] = {}
    todo = [origin]
    while todo:
        here = todo.pop()
        for wanted in needs(here):
            there = Reference(project=wanted.project, workflow=wanted.workflow)
            if there == origin:
                return (*reversed(list(_way(here, came_from))), origin)
            if there not in came_from:
                came_from[there] = here
                todo.append(there)
    return ()


def _way(here: Reference, came_from: Mapping[Reference, Reference]) -> Iterator[Reference]:
    yield here
    while here in came_from:
        here = came_from[here]
        yield here


def _is_there(project: str, workflow: str, reach: Reach) -> bool:
    wanted = Reference(project=project, workflow=workflow)
    if not _is_plain(wanted):
        return False
    return not reach.is_gone(reach.projects / project / WORKFLOWS / f"{workflow}.json")


def _is_plain(wanted: Reference) -> bool:
    """Whether its names lead down into the projects and nowhere else."""
    steps = (wanted.project, *PurePosixPath(wanted.workflow.replace("\\", "/")).parts)
    return not any(step in {"", ".", "..", "/"} or "\0" in step for step in steps)


def _takes(spec: InputSpec, name: str) -> bool:
    kinds: list[Any] = [suffixes for option, suffixes in _TAKEN.items() if spec.options.get(option)]
    return not kinds or any(PurePosixPath(name).suffix.lower() in suffixes for suffixes in kinds)
