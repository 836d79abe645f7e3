"""From files to jobs (DESIGN 3, "What is a new job" and "When a file is taken").

``Intake`` is told which paths to look at, and looks; what a look means depends only on the disk and on what is known,
so that events and a rescan come to the same result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from loguru import logger

from comfywatch import files
from comfywatch.jobs import Fact, Job, JobState, Post, Wish, workflow_name
from comfywatch.ledger import Ledger
from comfywatch.past import past_runs
from comfywatch.problems import Problem
from comfywatch.settling import Settling, Stamp
from comfywatch.store import FileRecord
from comfywatch.tree import WORKFLOWS, Forest, is_ignored, is_workflow_name, look_at
from comfywatch.workflow import Dropped, NotAWorkflow, NotJson, read_workflow

ARCHIVED = "was here before comfywatch"

Key = tuple[str, str]
"""A project and a path below its ``workflows/``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The settings that the intake goes by; times in seconds."""

    settle_seconds: float
    delete_grace_seconds: float
    max_workflow_bytes: int


@dataclass(slots=True)
class _Arriving:
    """A file that does not parse yet."""

    since: datetime
    tries: int = 0


class Intake:
    """Looks at files and makes jobs of them.

    ``archive_before_ns`` is set at the first start: files not changed since then were there before comfywatch.
    """

    def __init__(
        self, ledger: Ledger, projects: Path, pace: Pace, *, archive_before_ns: int | None, hold_archive: bool
    ) -> None:
        self._ledger = ledger
        self._projects = projects
        self._pace = pace
        self._archive_before_ns = archive_before_ns
        self._hold_archive = hold_archive
        self._settling: Settling[Key] = Settling(pace.settle_seconds)
        self._missing: dict[Key, float] = {}
        self.arriving: dict[Key, _Arriving] = {}
        self.unreadable: dict[Key, str] = {}

    # --- looking

    def classify(self, path: Path) -> Key | None:
        """The key of a path that an event named, ``None`` if only a scan can tell what it means."""
        try:
            parts = path.relative_to(self._projects).parts
        except ValueError:
            return None
        if len(parts) < 3 or parts[1] != WORKFLOWS or not is_workflow_name(parts[-1]):
            return None
        return parts[0], str(PurePosixPath(*parts[2:]))

    def is_of_no_interest(self, path: Path) -> bool:
        """Whether an event for this path needs no look at all: hidden and scratch names."""
        try:
            parts = path.relative_to(self._projects).parts
        except ValueError:
            return True
        return any(is_ignored(part) for part in parts)

    def look(self, key: Key, *, now: float) -> None:
        """Look at one path."""
        stamp = look_at(self._file(key))
        if stamp is None:
            self._saw_nothing(key, now=now)
        else:
            self._saw(key, stamp, now=now)

    def look_through(self, forest: Forest, *, now: float) -> None:
        """Take in what a scan found, and look for what it did not find; a vanished root says nothing."""
        if not forest.is_there:
            return
        for project, tree in forest.projects.items():
            known = self._ledger.files.get(project, {})
            for path, stamp in tree.files.items():
                record = known.get(path)
                if record is None or record.gone or record.stamp != stamp:
                    self.look((project, path), now=now)
            for path in [path for path, record in known.items() if path not in tree.files and not record.gone]:
                if tree.knows(path):
                    self.look((project, path), now=now)
        for key in [key for key in self.arriving if key[0] not in forest.projects or key not in self._settling]:
            self.look(key, now=now)

    def _saw(self, key: Key, stamp: Stamp, *, now: float) -> None:
        self._missing.pop(key, None)
        record = self._ledger.file(*key)
        if record is not None and record.stamp == stamp and not record.gone and key not in self._settling:
            return
        self._settling.saw(key, stamp, now=now, is_new=record is None and key not in self.arriving)

    def _saw_nothing(self, key: Key, *, now: float) -> None:
        self._settling.forget(key)
        self.arriving.pop(key, None)
        self.unreadable.pop(key, None)
        record = self._ledger.file(*key)
        if record is not None and not record.gone:
            self._missing.setdefault(key, now + self._pace.delete_grace_seconds)

    # --- taking

    def next_due(self) -> float | None:
        """When ``take`` has something to do, on the monotonic clock."""
        times = [*self._missing.values()]
        settled = self._settling.next_due()
        return min(times, default=None) if settled is None else min([settled, *times])

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being waited for."""
        return not len(self._settling) and not self.arriving and not self._missing

    def take(self, *, now: float, at: datetime) -> None:
        """Read every file that is due, and let go of those that stayed away."""
        for key, stamp in self._settling.take_settled(now=now):
            self._read(key, stamp, now=now, at=at)
        for key in [key for key, due in self._missing.items() if due <= now]:
            del self._missing[key]
            self._let_go(key)

    def _read(self, key: Key, stamp: Stamp, *, now: float, at: datetime) -> None:
        self.unreadable.pop(key, None)
        try:
            data, read_stamp = files.read_regular(self._file(key), max_bytes=self._pace.max_workflow_bytes)
        except FileNotFoundError:
            self._saw_nothing(key, now=now)
        except files.NotRegular:
            return
        except files.TooBig as error:
            self._take(key, stamp, b"", _digest(str(error.size).encode()), None, at, problem=self._too_big(error.size))
        except OSError as error:
            self.unreadable[key] = f"{WORKFLOWS}/{key[1]} cannot be read: {error.strerror}"
            self._ledger.changed.add(key[0])
        else:
            if read_stamp != stamp and self._ledger.file(*key) is not None:
                self._settling.put_off(key, read_stamp, now=now)
            else:
                self._parse(key, read_stamp, data, now=now, at=at)

    def _parse(self, key: Key, stamp: Stamp, data: bytes, *, now: float, at: datetime) -> None:
        try:
            dropped = read_workflow(data)
        except NotJson as error:
            self._not_json(key, stamp, data, str(error), now=now, at=at)
        except NotAWorkflow as error:
            self._take(key, stamp, data, _digest(data), None, at, problem=error.problem)
        else:
            self._take(key, stamp, data, dropped.digest, dropped, at)

    def _not_json(self, key: Key, stamp: Stamp, data: bytes, why: str, *, now: float, at: datetime) -> None:
        """Once, it may be half written; unchanged since, it is broken."""
        arriving = self.arriving.setdefault(key, _Arriving(at))
        arriving.tries += 1
        self._ledger.changed.add(key[0])
        if arriving.tries == 1 and self._ledger.file(*key) is None:
            self._settling.put_off(key, stamp, now=now)
        else:
            problem = Problem(
                code="not_json",
                message=f"This is not JSON: {why}.",
                fix="Export it again in ComfyUI (Workflow > Export (API)); it is read again when it changes.",
            )
            self._take(key, stamp, data, _digest(data), None, at, problem=problem)

    def _too_big(self, size: int) -> Problem:
        limit = self._pace.max_workflow_bytes // 2**20
        return Problem(
            code="too_large",
            message=f"The file has {size / 2**20:.1f} MiB, and {limit} are read at most.",
            fix="Raise max_workflow_mb in config.yaml if this is a workflow.",
        )

    def _take(
        self,
        key: Key,
        stamp: Stamp,
        data: bytes,
        digest: str,
        dropped: Dropped | None,
        at: datetime,
        *,
        problem: Problem | None = None,
    ) -> None:
        """A file was read: it is nothing new, something that moved or came back, or a new job."""
        self.arriving.pop(key, None)
        record = self._ledger.file(*key)
        if record is not None and record.digest == digest:
            self._same_again(record, stamp, data, dropped, at)
            return
        if record is None:
            moved = self._moved_from(digest)
            if moved is not None:
                self._follow(moved, key, stamp, data, dropped, at)
                return
        self._supersede(key)
        self._new_job(key, stamp, data, digest, dropped, at, problem=problem)

    def _new_job(
        self,
        key: Key,
        stamp: Stamp,
        data: bytes,
        digest: str,
        dropped: Dropped | None,
        at: datetime,
        *,
        problem: Problem | None = None,
    ) -> Job:
        is_archive = problem is None and self._is_archive(key, stamp)
        if is_archive:
            known = self._from_results(key, stamp, data, at)
            if known is not None and known.digest == digest:
                return known
        held = ARCHIVED if is_archive and self._hold_archive else ""
        job = Job(id=0, project=key[0], path=key[1], digest=digest, first_seen=at, held=held)
        if problem is not None:
            job = job.after(Fact.INVALID, problems=(problem,))
        job = self._ledger.add(job, data, stamp, dropped)
        bound = logger.bind(project=job.project, job=job.path)
        if problem is None:
            bound.info("taken{}", f", held: {held}" if held else "")
        else:
            bound.info("invalid: {}", problem.message)
        return job

    def _is_archive(self, key: Key, stamp: Stamp) -> bool:
        if self._archive_before_ns is None or self._ledger.file(*key) is not None:
            return False
        return max(stamp.ctime_ns, stamp.mtime_ns) < self._archive_before_ns

    def _from_results(self, key: Key, stamp: Stamp, data: bytes, at: datetime) -> Job | None:
        """Its finished runs, as the project folder has them; the newest, if there is one."""
        newest = None
        for past in past_runs(self._projects / key[0], key[1]):
            job = Job(id=0, project=key[0], path=key[1], digest=past.digest, first_seen=past.finished or at)
            job = self._ledger.add(job, data, stamp)
            newest = self._ledger.change(
                replace(job, run=past.run, state=past.state, prompt_id=past.prompt_id, finished=past.finished)
            )
        return newest

    # --- the same content again, elsewhere, or gone

    def _same_again(self, record: FileRecord, stamp: Stamp, data: bytes, dropped: Dropped | None, at: datetime) -> None:
        """A touched file is nothing new; one that was removed and came back may be."""
        came_back = record.gone
        latest = self._ledger.latest(record)
        if came_back and latest is not None and latest.state in {JobState.CANCELLED, JobState.FAILED}:
            self._new_job((record.project, record.path), stamp, data, record.digest, dropped, at)
            return
        note = record.note
        if latest is not None and latest.state is JobState.COMPLETED:
            name = f"{record.project}/{workflow_name(record.path)}"
            note = f"unchanged since run {latest.run}; to run it again: comfywatch retry {name}"
        elif latest is not None and not latest.is_final:
            self._stay(latest)
        self._ledger.save_file(replace(record, stamp=stamp, gone=False, note=note))

    def _stay(self, job: Job) -> None:
        """The file of an unfinished job is back: its removal no longer counts."""
        if job.wish is Wish.REMOVE:
            self._ledger.change(replace(job, wish=None))

    def _moved_from(self, digest: str) -> FileRecord | None:
        """A known path with this content whose file is no longer there, in a folder that is."""
        for record in self._ledger.store.files_with(digest):
            known = self._ledger.file(record.project, record.path)
            if known is not None and look_at(self._file((known.project, known.path))) is None:
                return known
        return None

    def _follow(
        self, old: FileRecord, key: Key, stamp: Stamp, data: bytes, dropped: Dropped | None, at: datetime
    ) -> None:
        self._missing.pop((old.project, old.path), None)
        was_gone = old.gone
        self._ledger.move_file(old, project=key[0], path=key[1], stamp=stamp)
        logger.bind(project=key[0], job=key[1]).info("moved here from {}/{}", old.project, old.path)
        moved = self._ledger.file(*key)
        if moved is not None:
            self._same_again(replace(moved, gone=was_gone), stamp, data, dropped, at)

    def _supersede(self, key: Key) -> None:
        """The path has new content: what has not run yet of the old is taken out."""
        for job in self._ledger.unfinished_of(*key):
            if job.post is Post.NONE and job.run is None:
                self._ledger.change(job.after(Fact.CANCELLED, wish=Wish.REMOVE))
            else:
                self._ledger.change(replace(job, wish=job.wish or Wish.REMOVE))

    def _let_go(self, key: Key) -> None:
        """The file stayed away for the whole grace."""
        record = self._ledger.file(*key)
        if record is None or record.gone or not self._has_a_project(key[0]):
            return
        self._ledger.save_file(replace(record, gone=True))
        for job in self._ledger.unfinished_of(*key):
            self._ledger.change(replace(job, wish=job.wish or Wish.REMOVE))

    def _has_a_project(self, project: str) -> bool:
        """A project that vanished with its files was unmounted or renamed; its jobs wait."""
        return (self._projects / project / WORKFLOWS).is_dir()

    def _file(self, key: Key) -> Path:
        return self._projects / key[0] / WORKFLOWS / key[1]

    def read_again(self, record: FileRecord, *, at: datetime) -> Job | None:
        """A new job from the file as it lies there, for ``retry``; ``None`` if it cannot be read or taken."""
        path = self._file((record.project, record.path))
        try:
            data, stamp = files.read_regular(path, max_bytes=self._pace.max_workflow_bytes)
            dropped = read_workflow(data)
        except (OSError, NotJson, NotAWorkflow):
            return None
        self._supersede((record.project, record.path))
        return self._new_job((record.project, record.path), stamp, data, dropped.digest, dropped, at)

    def notices(self, project: str) -> Iterator[str]:
        """What could not be read, as sentences."""
        yield from (text for (name, _), text in self.unreadable.items() if name == project)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
