"""From the end of a prompt to its run folder: every output fetched whole, and ``result.yaml`` last, as the proof.

Runs on a worker thread; all it needs comes in a ``Collection``, and it may be run again after a crash at any point:
what was renamed into place is whole and is not fetched again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from comfywatch import plain_yaml
from comfywatch.comfy import Comfy
from comfywatch.comfy_errors import ComfyError, Missing
from comfywatch.files import NotRegular
from comfywatch.gallery import NOTHING, Shown, shown
from comfywatch.history import Outcome, OutputFile
from comfywatch.inside import Folder, open_folder
from comfywatch.jobs import Job, workflow_name
from comfywatch.names import distinct, safe_name, shortened
from comfywatch.recipe import recipe

RESULT = "result.yaml"
WORKFLOW = "workflow.json"
PREVIEW = "preview.jpg"
OUTPUTS = "outputs"
HEADER = "Written by comfywatch; edits are overwritten."


class MovedAway(OSError):
    """The run folder was moved or removed while outputs were fetched into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What is to be collected. ``folder`` is the project's; ``prompt`` was submitted, ``origin`` says how it came."""

    job: Job
    outcome: Outcome
    prompt: Mapping[str, Any]
    folder: Path
    server: str
    comfyui_version: str
    system: Mapping[str, Any]
    origin: Mapping[str, Any] = field(default_factory=dict)
    hint: str = ""
    unique_names: bool = True
    keep_previews: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What came of it, and what it has to show.

    ``gone`` names outputs that ComfyUI no longer has; after an ``error`` it is tried again. ``fetched`` is in bytes.
    """

    job: int
    prompt_id: str
    shown: Shown = NOTHING
    gone: tuple[str, ...] = ()
    fetched: int = 0
    error: ComfyError | OSError | None = None


def collect(task: Collection, comfy: Comfy) -> Collected:
    """Fetch, and write the result; never raises what belongs to the network or the disk."""
    try:
        with open_folder(task.folder, OUTPUTS, *PurePosixPath(task.job.folder).parts, make=True) as run:
            fetched, gone = _fill(run, task, comfy)
            if not gone and not run.is_in_place():
                raise MovedAway(f"{OUTPUTS}/{task.job.folder} was moved away meanwhile")
    except (ComfyError, OSError) as error:
        return Collected(job=task.job.id, prompt_id=task.job.prompt_id, error=error)
    seen = shown((row["path"] for row in fetched), recipe(task.prompt).get("seeds", {}).values())
    size = sum(row["bytes"] for row in fetched)
    return Collected(job=task.job.id, prompt_id=task.job.prompt_id, shown=seen, gone=tuple(gone), fetched=size)


def show_preview(project: Path, run_folder: str, picture: bytes) -> bool:
    """Put the newest picture of a running job into its run folder; whether that could be done."""
    try:
        with open_folder(project, OUTPUTS, *PurePosixPath(run_folder).parts, make=True) as run:
            run.write_whole(PREVIEW, picture)
    except OSError:
        return False
    return True


def highest_run_on_disk(project: Path, path: str) -> int:
    """The highest run number among the folders of a workflow, 0 if there are none; an ``OSError`` if nobody can say."""
    steps = PurePosixPath(workflow_name(path)).parts
    try:
        os.lstat(project.joinpath(OUTPUTS, *steps))  # most never ran: one question says so instead of seven
        with open_folder(project, OUTPUTS, *steps) as runs, runs.entries() as entries:
            return max((run_number(entry.name) for entry in entries), default=0)
    except (FileNotFoundError, NotADirectoryError, NotRegular):
        return 0


def run_number(name: str) -> int:
    """The run that a folder of this name belongs to, 0 if none: people keep folders of their own there."""
    return int(name) if re.fullmatch(r"[0-9]{3,9}", name) else 0


def result_document(task: Collection, fetched: list[dict[str, Any]]) -> dict[str, Any]:
    """``result.yaml`` as DESIGN 4 lists it."""
    job, outcome = task.job, task.outcome
    document = {
        "schema": 1,
        "project": job.project,
        "workflow": job.path,
        "digest": job.digest,
        "source": job.source,
        "run": job.run,
        "prompt_id": job.prompt_id,
        "server": task.server,
        "comfyui_version": task.comfyui_version,
        "state": outcome.state.value,
        "submitted": job.submitted,
        "started": outcome.started or job.started,
        "finished": outcome.finished or job.finished,
        "seconds": outcome.seconds,
        "settings": recipe(task.prompt),
        **task.origin,
        "outputs": fetched,
        "texts": [{"node": node, "text": text} for node, text in outcome.texts],
        "problems": [problem.as_dict() for problem in outcome.problems],
        "hint": task.hint,
        "system": dict(task.system),
    }
    return {key: value for key, value in document.items() if value not in (None, "")}


def wanted(outcome: Outcome, *, keep_previews: bool) -> Iterator[OutputFile]:
    """The files to fetch, each once, in ComfyUI's order."""
    kinds = {"output", "temp"} if keep_previews else {"output"}
    seen = set()
    for file in outcome.files:
        place = (file.kind, file.subfolder, file.filename)
        if file.kind in kinds and place not in seen:
            seen.add(place)
            yield file


def names_of(task: Collection) -> list[tuple[OutputFile, str]]:
    """Each file to fetch with its name in the run folder: safe on every system, no two alike."""
    taken = {RESULT, WORKFLOW, PREVIEW}
    stem = safe_name(PurePosixPath(workflow_name(task.job.path)).name)
    lead = f"{shortened(stem, to_bytes=80)}_{task.job.run_name}_" if task.unique_names else ""
    return [
        (file, distinct(shortened(lead + safe_name(file.filename)), taken))
        for file in wanted(task.outcome, keep_previews=task.keep_previews)
    ]


def _fill(run: Folder, task: Collection, comfy: Comfy) -> tuple[list[dict[str, Any]], list[str]]:
    """All that belongs into the run folder; else the names of outputs that ComfyUI no longer has, and no result."""
    if not run.is_new:
        run.remove_leftovers()
        with suppress(FileNotFoundError):
            run.unlink(PREVIEW)
    fetched, gone = _fetch_all(task, run, comfy)
    if not gone:
        prompt = json.dumps(task.prompt, indent=2, ensure_ascii=False)
        run.write_whole(WORKFLOW, prompt.encode("utf-8", "backslashreplace"))  # half a pair: \ud83d
        run.write_whole(RESULT, plain_yaml.dump(result_document(task, fetched), header=HEADER))
        run.sync()
    return fetched, gone


def _fetch_all(task: Collection, run: Folder, comfy: Comfy) -> tuple[list[dict[str, Any]], list[str]]:
    """What was fetched, for ``result.yaml``, and the names of what ComfyUI no longer has.

    If anything is gone the run folder is emptied of this attempt's files: the next attempt makes them anew.
    """
    fetched: list[dict[str, Any]] = []
    gone: list[str] = []
    for file, name in names_of(task):
        try:
            size, sha256 = _have(run, name) or _fetch(file, run, name, comfy)
        except Missing:
            gone.append(file.filename)
            continue
        fetched.append(
            {
                "path": name,
                "name": file.filename,
                "node": file.node,
                "kind": file.key,
                "bytes": size,
                "sha256": sha256,
            }
        )
    if gone:
        for row in fetched:
            with suppress(OSError):
                run.unlink(row["path"])
    return fetched, gone


def _fetch(file: OutputFile, run: Folder, name: str, comfy: Comfy) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with (
        comfy.view(filename=file.filename, subfolder=file.subfolder, kind=file.kind) as download,
        run.whole(name) as handle,
    ):
        for chunk in download.chunks():
            handle.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def _have(run: Folder, name: str) -> tuple[int, str] | None:
    """Size and digest of what is in place already, from before a crash."""
    if run.is_new:
        return None
    try:
        with run.opened(name) as handle:
            return os.fstat(handle.fileno()).st_size, hashlib.file_digest(handle, "sha256").hexdigest()
    except (FileNotFoundError, NotRegular):
        return None
