"""The content of ``status.yaml`` (DESIGN 4), from values.

What a person must act on comes first; the newest finished fill the rest up to ``MAX_BYTES``, and ``omitted`` counts
those that no longer fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from comfywatch import plain_yaml
from comfywatch.jobs import Job, JobState
from comfywatch.link import Link
from comfywatch.names import natural
from comfywatch.progress import Progress

MAX_BYTES = 256 * 1024
MAX_PROBLEMS = 10
MAX_NOTICES = 50
MAX_NOTICES_BYTES = 32 * 1024
NEARLY_FULL_BYTES = 1024
"""With less room than this what follows is not tried any more: thousands of old runs would be measured in vain."""
MAX_TEXT = 1000
"""Characters of one message; the whole is in ``result.yaml``."""
HEADER = "Written by comfywatch; edits are overwritten."

ORDER = (
    JobState.RUNNING,
    JobState.QUEUED,
    JobState.FAILED,
    JobState.BLOCKED,
    JobState.INVALID,
    JobState.PENDING,
    JobState.COMPLETED,
    JobState.CANCELLED,
)
_FINISHED = {JobState.COMPLETED, JobState.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One workflow: its latest job, why it waits and until when, and what else is to be said of the file."""

    path: str
    job: Job
    reason: str = ""
    progress: Progress | None = None
    note: str = ""
    is_gone: bool = False
    expected: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What is said of a project. ``arriving`` are files that do not parse yet, each with its reason."""

    name: str
    link: Link
    host: str
    entries: tuple[Entry, ...]
    arriving: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    is_stopping: bool = False


def document(project: Project, *, at: datetime, next_within: timedelta) -> dict[str, Any]:
    """The whole file as a map; ``next_within``: another one will be written by then if the daemon lives."""
    counts = {state.value: 0 for state in JobState}
    for entry in project.entries:
        counts[entry.job.state.value] += 1
    counts[JobState.PENDING.value] += len(project.arriving)
    link = project.link
    head = {
        "schema": 1,
        "project": project.name,
        "updated": at.replace(microsecond=0),
        "daemon": plain_yaml.Flow(
            host=project.host,
            state="stopped" if project.is_stopping else "running",
            next_update_by=(at + next_within).replace(microsecond=0),
        ),
        "comfyui": plain_yaml.Flow(
            url=_cut(link.url), state=link.state.value, version=_cut(link.version), message=_cut(link.message)
        ),
        "counts": plain_yaml.Flow(counts),
        "notices": _notices(project),
    }
    tail = {"workflows": {}, "omitted": len(project.entries) + len(project.arriving)}
    return {**head, **_workflows(project, room=MAX_BYTES - len(plain_yaml.dump({**head, **tail}, header=HEADER)))}


def _notices(project: Project) -> list[str]:
    notices: list[str] = []
    room = MAX_NOTICES_BYTES
    for notice in map(_cut, project.notices[:MAX_NOTICES]):
        room -= len(plain_yaml.dump([notice]))
        if room >= 0:
            notices.append(notice)
    return notices


def _workflows(project: Project, *, room: int) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for path, plain in _rows(project):
        size = len(plain_yaml.dump({"workflows": {path: plain}})) - len("workflows:\n")
        if size <= room:
            room -= size
            shown[path] = plain
        elif room < NEARLY_FULL_BYTES:
            break
    return {"workflows": shown, "omitted": len(project.entries) + len(project.arriving) - len(shown)}


def _rows(project: Project) -> Iterable[tuple[str, Any]]:
    ordered = sorted(project.entries, key=lambda entry: _rank(entry.job, entry.path))
    waiting = [(path, plain_yaml.Flow(state="pending", reason=why)) for path, why in sorted(project.arriving.items())]
    before = [entry for entry in ordered if entry.job.state not in _FINISHED]
    after = [entry for entry in ordered if entry.job.state in _FINISHED]
    yield from ((entry.path, plain_entry(entry)) for entry in before)
    yield from waiting
    yield from ((entry.path, plain_entry(entry)) for entry in after)


def _rank(job: Job, path: str) -> tuple[Any, ...]:
    if job.state in _FINISHED:
        return len(ORDER), -(job.finished.timestamp() if job.finished else 0), natural(path)
    return ORDER.index(job.state), 0, natural(path)


def plain_entry(entry: Entry) -> dict[str, Any]:
    """One workflow as a map, on one line where nothing is wrong with it."""
    job = entry.job
    plain: dict[str, Any] = {
        "state": job.state.value,
        "reason": _cut(entry.reason),
        "run": job.run,
        "prompt_id": job.prompt_id,
        "progress": _progress(entry.progress),
        "outputs": job.lies_in if job.run and job.is_final else "",
        "submitted": _second(job.submitted),
        "started": _second(job.started),
        "finished": _second(job.finished),
        "expected": _second(entry.expected),
        "seconds": (job.outcome or {}).get("seconds"),
        "note": _cut(entry.note or ("the file is no longer there" if entry.is_gone else "")),
    }
    plain = {key: value for key, value in plain.items() if value not in (None, "")}
    if not job.problems and not job.hint:
        return plain_yaml.Flow(plain)
    if job.problems:
        problems = [problem.as_dict() for problem in job.problems[:MAX_PROBLEMS]]
        plain["problems"] = [
            plain_yaml.Flow({key: _cut(text) for key, text in p.items() if key != "traceback"}) for p in problems
        ]
        if len(job.problems) > MAX_PROBLEMS:
            plain["more_problems"] = len(job.problems) - MAX_PROBLEMS
    if job.hint:
        plain["hint"] = _cut(job.hint)
    return plain


def _progress(progress: Progress | None) -> dict[str, Any] | None:
    if progress is None:
        return None
    told = {"percent": progress.percent, "node": _cut(progress.node), "eta_seconds": progress.eta_seconds}
    return plain_yaml.Flow({key: value for key, value in told.items() if value not in (None, "")})


def _second(moment: datetime | None) -> datetime | None:
    return moment.replace(microsecond=0) if moment else None


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} …"
