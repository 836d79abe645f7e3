"""What the project folders themselves say of earlier runs: each ``result.yaml`` is the proof of one.

Read at the first start, when the database is empty, so that what was finished stays finished.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from comfywatch import plain_yaml
from comfywatch.collect import OUTPUTS, RESULT, run_number
from comfywatch.files import NotRegular, TooBig
from comfywatch.gallery import NOTHING, Shown, shown
from comfywatch.inside import open_folder
from comfywatch.jobs import FINAL, Job, JobState, workflow_name

MAX_HEAD_BYTES = 16 * 1024
"""Of the lines before ``settings``, in which all that is wanted stands: to read the whole would take long."""
MAX_RESULT_BYTES = 4 * 2**20
MAX_RUNS = 1000
"""Of one workflow, the newest; who can write into the project can put any number of folders there."""

_REST = re.compile(rb"^(?:settings|outputs|texts|problems|hint|system):", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """One finished run, as its ``result.yaml`` tells it."""

    run: int
    digest: str
    state: JobState
    prompt_id: str
    finished: datetime | None
    source: str = ""
    project: str = ""

    def is_of(self, job: Job) -> bool:
        """Whether it was a run of the same content."""
        return self.digest == job.digest or (job.source != "" and self.source == job.source)


def past_runs(project: Path, path: str) -> list[PastRun]:
    """The finished runs of one workflow, oldest first; what cannot be read is left out."""
    steps = OUTPUTS, *PurePosixPath(workflow_name(path)).parts
    try:
        with open_folder(project, *steps) as runs, runs.entries() as entries:
            names = sorted((entry.name for entry in entries if run_number(entry.name)), key=run_number)[-MAX_RUNS:]
    except OSError:
        return []
    return [past for name in names if (past := _read(project, (*steps, name), run_number(name))) is not None]


def outputs_of(project: Path, path: str, run: int) -> list[Path]:
    """Where the outputs of one run lie, in the order of its ``result.yaml``; empty if that cannot be read."""
    steps = _steps(path, run)
    rows = _result(project, steps).get("outputs")
    names = [row.get("path") for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    return [project.joinpath(*steps, name) for name in names if isinstance(name, str) and Path(name).name == name]


def seeds_of(project: Path, path: str, run: int) -> dict[str, int]:
    """The seed of each node in one run; empty if that cannot be read."""
    settings = _result(project, _steps(path, run)).get("settings")
    seeds = settings.get("seeds") if isinstance(settings, Mapping) else None
    listed = seeds.items() if isinstance(seeds, Mapping) else ()
    return {str(node): seed for node, seed in listed if type(seed) is int}


def shown_of(project: Path, job: Job) -> Shown | None:
    """What a finished run has to show, nothing if it is gone; ``None`` if that cannot be told now."""
    steps = PurePosixPath(job.lies_in).parts
    if ".." in steps:  # it stayed in the project from which its workflow was moved
        project, steps = project.parent / steps[1], steps[2:]
    try:
        with open_folder(project, *steps) as folder:
            result = plain_yaml.load(folder.read(RESULT, max_bytes=MAX_RESULT_BYTES)[0])
    except (FileNotFoundError, NotADirectoryError, NotRegular, TooBig, plain_yaml.NotYaml):
        return NOTHING
    except OSError:
        return None
    return _shown_in(result) if isinstance(result, Mapping) else NOTHING


def _shown_in(result: Mapping[str, Any]) -> Shown:
    rows, settings = result.get("outputs"), result.get("settings")
    seeds = settings.get("seeds") if isinstance(settings, Mapping) else None
    names = [row.get("path") for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    return shown(names, seeds.values() if isinstance(seeds, Mapping) else ())


def _steps(path: str, run: int) -> tuple[str, ...]:
    return OUTPUTS, *PurePosixPath(workflow_name(path)).parts, f"{run:03d}"


def _result(project: Path, steps: tuple[str, ...]) -> Mapping[str, Any]:
    """All of a ``result.yaml``; empty if it cannot be read."""
    try:
        with open_folder(project, *steps) as folder:
            result = plain_yaml.load(folder.read(RESULT, max_bytes=MAX_RESULT_BYTES)[0])
    except (OSError, plain_yaml.NotYaml):
        return {}
    return result if isinstance(result, Mapping) else {}


def _read(project: Path, steps: tuple[str, ...], run: int) -> PastRun | None:
    try:
        with open_folder(project, *steps) as folder, folder.opened(RESULT) as handle:
            head = _REST.split(handle.read(MAX_HEAD_BYTES + 1), maxsplit=1)[0]
        result = plain_yaml.load(head) if len(head) <= MAX_HEAD_BYTES else None
    except (OSError, plain_yaml.NotYaml):
        return None
    if not isinstance(result, Mapping) or result.get("state") not in list(FINAL):
        return None
    return PastRun(
        run=run,
        digest=str(result.get("digest", "")),
        source=str(result.get("source", "")),
        project=str(result.get("project", "")),
        state=JobState(result["state"]),
        prompt_id=str(result.get("prompt_id", "")),
        finished=_moment(result.get("finished")),
    )


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    try:
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError:  # on the first or last day that there is
        return None
