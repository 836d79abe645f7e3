"""How the daemon tells those who follow in another process: ``state/live.json``, written only while somebody does.

Who follows touches ``live.json.wanted`` every second or so, which costs nobody anything and ends by itself; the daemon
looks at its time, and writes what is of no worth a moment later. So there is no port, no row in the database to be made
durable, and no write at all while nobody looks. The file is small: only jobs that run are in it, ``MAX_JOBS`` at most.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from comfywatch import files
from comfywatch.progress import Progress

WANTED_SECONDS = 5.0
"""After the last touch nobody follows any more."""
FRESH_SECONDS = 5.0
"""What was written earlier is not true any more."""
MAX_JOBS = 50
_MAX_BYTES = 256 * 1024
_FIELDS = {field.name: field.type for field in fields(Progress)}


def want(live_file: Path) -> None:
    """Somebody follows; where that cannot be said, there is only what ``status.yaml`` has."""
    with suppress(OSError):
        _wanted(live_file).touch()


def is_wanted(live_file: Path, *, at: datetime) -> bool:
    """Whether somebody follows."""
    return _is_younger(_wanted(live_file), WANTED_SECONDS, at=at)


def content(jobs: Mapping[int, Progress]) -> bytes:
    """The file, from the progress of jobs by their ids."""
    shown = {str(job): asdict(jobs[job]) for job in sorted(jobs)[:MAX_JOBS]}
    return json.dumps({"schema": 1, "jobs": shown}).encode()


def written(live_file: Path, *, at: datetime) -> dict[int, Progress]:
    """The progress of running jobs by their ids; empty if nobody wrote it lately, or if it cannot be read."""
    if not _is_younger(live_file, FRESH_SECONDS, at=at):
        return {}
    try:
        jobs = json.loads(files.read_regular(live_file, max_bytes=_MAX_BYTES)[0])["jobs"]
        return {int(job): _progress(told) for job, told in jobs.items()}
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return {}


def _progress(told: Mapping[str, Any]) -> Progress:
    """A newer daemon may tell more than this command knows."""
    known = Progress(**{name: value for name, value in told.items() if name in _FIELDS})
    if not isinstance(known.percent, int) or not isinstance(known.eta_seconds, int | None):
        raise TypeError("no progress")
    return known


def _wanted(live_file: Path) -> Path:
    return live_file.with_name(f"{live_file.name}.wanted")


def _is_younger(path: Path, seconds: float, *, at: datetime) -> bool:
    try:
        return abs(at.timestamp() - path.stat().st_mtime) < seconds
    except OSError:
        return False
