"""``status.yaml`` of one project, from the database: written beside the thread that owns the jobs.

What only that thread knows, such as why a job waits, comes along in a ``Sheet``; all else is read here, on a connection
of its own, so that a project's size costs the jobs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from comfywatch import status
from comfywatch.inside import open_folder
from comfywatch.jobs import STOPPED, Job, JobState, workflow_name
from comfywatch.link import ServerState
from comfywatch.names import natural
from comfywatch.neighbours import STATUS
from comfywatch.progress import Progress
from comfywatch.status import Entry, Place
from comfywatch.store import FileRecord, Store

_WELL = frozenset({JobState.COMPLETED, JobState.CANCELLED})
DRAG_HINT = "meanwhile the file can be dragged into ComfyUI's window"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is to be said of a project beside what the database knows.

    ``held`` is why all its jobs wait, empty if they do not; ``on_hold`` are the paths beside which lies a ``.hold``;
    ``waits_for`` are further reasons, by job, as ``progress`` is and the time at which each is ``expected`` to be done.
    ``heeded`` says by path what was done for control files. Another sheet will be written ``next_within`` if the daemon
    lives.
    """

    project: status.Project
    at: datetime
    next_within: timedelta
    held: str = ""
    on_hold: frozenset[str] = frozenset()
    waits_for: Mapping[int, str] = field(default_factory=dict)
    progress: Mapping[int, Progress] = field(default_factory=dict)
    expected: Mapping[int, datetime] = field(default_factory=dict)
    heeded: Mapping[str, str] = field(default_factory=dict)


def write_sheet(sheet: Sheet, folder: Path, *, database: Path) -> None:
    """The file, whole; raises ``OSError``, ``store.Unavailable`` or ``store.Damaged``."""
    with open_folder(folder) as project, closing(Store(database, may_be_newer=True)) as store:
        listing = _Listing(sheet, store)
        data = status.rendered(sheet.project, listing, at=sheet.at, next_within=sheet.next_within)
        project.write_whole(STATUS, data)


def unsettled(sheet: Sheet, store: Store, *, most: int) -> tuple[tuple[Entry, ...], Counter[JobState]]:
    """The workflows that have not come to a good end, ``most`` of each state, and how many there are of every state."""
    listing = _Listing(sheet, store)
    paths: dict[JobState, list[str]] = {}
    counts: Counter[JobState] = Counter()
    for place in sorted(listing.places(), key=lambda place: natural(place.path)):
        counts[place.state] += 1
        if place.state not in _WELL and len(paths.setdefault(place.state, [])) < most:
            paths[place.state].append(place.path)
    entries = (entry for chosen in paths.values() for entry in listing.entries(chosen))
    return tuple(entry for entry in entries if not entry.is_gone), counts


class _Listing:
    """The workflows of the project, as the database knows them."""

    def __init__(self, sheet: Sheet, store: Store) -> None:
        self._sheet = sheet
        self._store = store
        self._name = sheet.project.name

    def places(self) -> Iterator[Place]:
        for path, state, finished in self._store.places(self._name):
            yield Place(path=path, state=JobState(state), finished=finished)

    def entries(self, paths: Sequence[str]) -> Iterator[Entry]:
        yield from (_entry(record, job, self._sheet) for record, job in self._store.listed(self._name, paths))


def _entry(record: FileRecord, job: Job, sheet: Sheet) -> Entry:
    """A job may have come further since the sheet was made: then what that says of it no longer holds."""
    is_running = job.state is JobState.RUNNING and job.outcome is None
    return Entry(
        path=record.path,
        job=job,
        reason=_reason(job, sheet),
        progress=sheet.progress.get(job.id) if is_running else None,
        note="; ".join(filter(None, (record.note, sheet.heeded.get(record.path)))),
        is_gone=record.gone and job.is_final,
        expected=None if job.is_final else sheet.expected.get(job.id),
    )


def _reason(job: Job, sheet: Sheet) -> str:
    """Why an unfinished job waits, in words."""
    if job.is_final or job.state in STOPPED:
        return ""
    waits_for = sheet.waits_for.get(job.id, "")
    if job.state is not JobState.PENDING:
        return waits_for
    if job.held:
        return f"{job.held}; to run it: comfywatch retry {job.project}/{job.path.removesuffix('.json')}"
    if job.path in sheet.on_hold:
        return f"on hold; to run it: remove {workflow_name(job.path)}.hold"
    link = sheet.project.link
    if sheet.held:
        return sheet.held
    if link.state is ServerState.STUCK:
        return f"ComfyUI is stuck at {link.url}: {link.message}"
    if link.state is not ServerState.UP:
        return f"ComfyUI is {link.state} at {link.url} ({link.message}); {DRAG_HINT}"
    return waits_for or "waits for its turn"
