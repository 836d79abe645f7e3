"""The content of ``status.yaml`` (DESIGN 4), from values.

What a person must act on comes first; the newest finished fill the rest up to ``MAX_BYTES``, and ``omitted`` counts
those that no longer fit. Of the workflows only as many are sorted, read and rendered as are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

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
READ_AT_ONCE = 100
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


class Place(NamedTuple):
    """One workflow as far as its place in the file hangs on it; ``finished`` is in ISO 8601, empty before the end."""

    path: str
    state: JobState
    finished: str


class Listing(Protocol):
    """The workflows of a project: all of them, little of each; and some of them, with all that is said of each."""

    def places(self) -> Iterable[Place]: ...

    def entries(self, paths: Sequence[str]) -> Iterable[Entry]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What is said of a project. ``arriving`` are files that do not parse yet, each with its reason."""

    name: str
    link: Link
    host: str
    arriving: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    is_stopping: bool = False


def rendered(project: Project, listing: Listing, *, at: datetime, next_within: timedelta) -> bytes:
    """The whole file; ``next_within``: another one will be written by then if the daemon lives."""
    by_state: dict[JobState, list[Place]] = {state: [] for state in JobState}
    for place in listing.places():
        by_state[place.state].append(place)
    counts = {state.value: len(places) for state, places in by_state.items()}
    counts[JobState.PENDING.value] += len(project.arriving)
    count = sum(counts.values())
    head = plain_yaml.dump(_head(project, counts, at=at, next_within=next_within), header=HEADER)
    room = MAX_BYTES - len(head) - len(f"workflows: {{}}\nomitted: {count}\n")
    shown = [row.encode() for row in _fitting(_rows(project, by_state, listing), room)]
    workflows = [b"workflows:\n", *shown] if shown else [b"workflows: {}\n"]
    return b"".join([head, *workflows, f"omitted: {count - len(shown)}\n".encode()])


def _head(project: Project, counts: Mapping[str, int], *, at: datetime, next_within: timedelta) -> dict[str, Any]:
    link = project.link
    return {
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


def _notices(project: Project) -> list[str]:
    notices: list[str] = []
    room = MAX_NOTICES_BYTES
    for notice in map(_cut, project.notices[:MAX_NOTICES]):
        room -= len(plain_yaml.dump([notice]))
        if room >= 0:
            notices.append(notice)
    return notices


def _fitting(rows: Iterable[str], room: int) -> Iterator[str]:
    """Those that fit into so many bytes; one that does not leaves its room to others."""
    for row in rows:
        size = len(row) if row.isascii() else len(row.encode())
        if size <= room:
            room -= size
            yield row
        elif room < NEARLY_FULL_BYTES:
            return


def _rows(project: Project, by_state: Mapping[JobState, list[Place]], listing: Listing) -> Iterator[str]:
    """Each workflow as it stands in the file, in order."""
    for state in (state for state in ORDER if state not in _FINISHED):
        yield from _listed(sorted(by_state[state], key=lambda place: natural(place.path)), listing)
    for path, why in sorted(project.arriving.items()):
        yield row(path, plain_yaml.Flow(state="pending", reason=why))
    finished = [place for state in _FINISHED for place in by_state[state]]
    finished.sort(key=lambda place: natural(place.path))
    yield from _listed(sorted(finished, key=lambda place: place.finished, reverse=True), listing)


def _listed(places: Sequence[Place], listing: Listing) -> Iterator[str]:
    for start in range(0, len(places), READ_AT_ONCE):
        paths = [place.path for place in places[start : start + READ_AT_ONCE]]
        entries = {entry.path: entry for entry in listing.entries(paths)}
        yield from (row(path, plain_entry(entries[path])) for path in paths if path in entries)


def row(path: str, plain: dict[str, Any]) -> str:
    """One workflow as it stands in the file: on one line where nothing is wrong with it."""
    line = plain_yaml.line(path, plain) if isinstance(plain, plain_yaml.Flow) else None
    if line is not None:
        return f"  {line}"
    return plain_yaml.dump({"workflows": {path: plain}}).decode().removeprefix("workflows:\n")


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
