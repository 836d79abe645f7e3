"""What the project folders themselves say of earlier runs: each ``result.yaml`` is the proof of one.

Read at the first start, when the database is empty, so that what was finished stays finished.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from comfywatch import files, plain_yaml
from comfywatch.collect import OUTPUTS, RESULT, run_number
from comfywatch.jobs import FINAL, JobState, workflow_name

MAX_RESULT_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """One finished run, as its ``result.yaml`` tells it."""

    run: int
    digest: str
    state: JobState
    prompt_id: str
    finished: datetime | None


def past_runs(project: Path, path: str) -> list[PastRun]:
    """The finished runs of one workflow, oldest first; what cannot be read is left out."""
    return sorted(_read_all(project / OUTPUTS / workflow_name(path)), key=lambda past: past.run)


def _read_all(folder: Path) -> Iterator[PastRun]:
    try:
        runs = [run for run in folder.iterdir() if run_number(run.name) and not run.is_symlink()]
    except OSError:
        return
    for run in runs:
        past = _read(run / RESULT, run_number(run.name))
        if past is not None:
            yield past


def _read(path: Path, run: int) -> PastRun | None:
    try:
        data, _ = files.read_regular(path, max_bytes=MAX_RESULT_BYTES)
        result = plain_yaml.load(data)
    except (OSError, plain_yaml.NotYaml):
        return None
    if not isinstance(result, Mapping) or result.get("state") not in list(FINAL):
        return None
    return PastRun(
        run=run,
        digest=str(result.get("digest", "")),
        state=JobState(result["state"]),
        prompt_id=str(result.get("prompt_id", "")),
        finished=_moment(result.get("finished")),
    )


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
