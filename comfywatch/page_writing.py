"""A page on its way to the disk: what the database has to show, what it lacks from ``result.yaml``, and the file.

Runs on a worker thread, on a connection of its own that only reads. A page that says what the one on the disk says is
not written, and a file that somebody else put there is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from comfywatch import page
from comfywatch.files import NotRegular
from comfywatch.gallery import Shown
from comfywatch.inside import Folder, entered
from comfywatch.jobs import JobState
from comfywatch.page import MAX_ROWS, MAX_RUNS, PAGE, Card, Page
from comfywatch.past import shown_of
from comfywatch.sheet import Sheet, unsettled
from comfywatch.store import Damaged, Store, Unavailable
from comfywatch.templates import MARK, Rendered
from comfywatch.tree import WORKFLOWS

READ_AT_ONCE = 50
"""Runs whose ``result.yaml`` is read for one page: after the database was lost there may be thousands."""
HEAD_BYTES = 512
"""Of a page, in which its mark and its fingerprint stand."""


class NotOurs(OSError):
    """Somebody else's file stands where the page would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What came of it: ``size`` in bytes, ``took`` in seconds of work; ``found`` are runs that were read anew."""

    size: int = 0
    took: float = 0.0
    card: Card | None = None
    found: Mapping[int, Shown] = field(default_factory=dict)
    error: OSError | Unavailable | Damaged | None = None


def write_page(sheet: Sheet, folder: Path, *, database: Path, at: datetime) -> Written:
    """The page of one project."""
    start = time.thread_time()
    found: dict[int, Shown] = {}
    try:
        with entered((folder.parent, (folder.name,))) as project:
            if not (folder / WORKFLOWS).is_dir():  # the empty place of what was unmounted
                raise FileNotFoundError(f"{WORKFLOWS}/ is not there")
            whole = _whole(sheet, folder, database, found)
            size = _put(project, page.project_page(whole, at=at))
    except (OSError, Unavailable, Damaged) as error:
        return Written(error=error, found=found, took=time.thread_time() - start)
    return Written(size=size, took=time.thread_time() - start, card=page.card(whole), found=found)


def write_overview(cards: Sequence[Card], others: Sequence[str], projects: Path, *, at: datetime) -> Written:
    """The page over all projects; none where none of them is there, as in the empty place of what was unmounted."""
    start = time.thread_time()
    if not any((projects / card.name / WORKFLOWS).is_dir() for card in cards):
        return Written()
    try:
        with entered((projects, ())) as folder:
            size = _put(folder, page.overview(cards, others=others, at=at))
    except OSError as error:
        return Written(error=error, took=time.thread_time() - start)
    return Written(size=size, took=time.thread_time() - start)


def _whole(sheet: Sheet, folder: Path, database: Path, found: dict[int, Shown]) -> Page:
    """All that is on the page; runs of which it is not known what they have to show are read, the newest first."""
    name = sheet.project.name
    with closing(Store(database, may_be_newer=True)) as store:
        for job in store.unshown(name, limit=READ_AT_ONCE):
            shown = shown_of(folder, job)
            if shown is not None:
                found[job.id] = shown
        runs, count = store.runs(name, limit=MAX_RUNS), store.run_count(name)
        entries, counts = unsettled(sheet, store, most=MAX_ROWS)
    counts[JobState.PENDING] += len(sheet.project.arriving)
    return Page(project=sheet.project, counts=counts, entries=entries, runs=tuple(runs), run_count=count)


def _put(folder: Folder, rendered: Rendered) -> int:
    """Write it if it says something new; how large it is."""
    try:
        with folder.opened(PAGE) as handle:
            head = handle.read(HEAD_BYTES)
    except FileNotFoundError:
        head = None
    except NotRegular as error:
        raise NotOurs(f"{PAGE} is no plain file") from error
    if head is not None and MARK.encode() not in head:
        raise NotOurs(f"{PAGE} was not written by comfywatch and is left alone; rename it to have the pictures there")
    if head is None or rendered.fingerprint.encode() not in head:
        folder.write_whole(PAGE, rendered.data)
    return len(rendered.data)
