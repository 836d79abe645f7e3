"""From files to jobs (DESIGN 3, "What is a new job" and "When a file is taken").

``Intake`` is told which paths to look at, and looks; what a look means depends only on the disk and on what is known,
so that events and a rescan come to the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from loguru import logger

from comfywatch import files
from comfywatch.foreign_names import is_conflict_copy, is_kept, is_scratch
from comfywatch.inherit import from_results
from comfywatch.jobs import Fact, Job, JobState, Post, Wish, workflow_name
from comfywatch.ledger import Ledger
from comfywatch.misplaced import is_text
from comfywatch.pictures import NoWorkflow
from comfywatch.reach import Reach
from comfywatch.reading import NOT_JSON, Key, Reading, parsed, read, too_big
from comfywatch.settling import Settling, Stamp, is_same_file
from comfywatch.store import FileRecord
from comfywatch.tree import WORKFLOWS, Forest, is_too_deep, is_workflow_name
from comfywatch.workflow import Dropped

ARCHIVED = "was here before comfywatch"
UNSURE_SECONDS = 1.0
"""Until it is looked again whether a file is gone, at least, where the system did not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The settings that the intake goes by; times in seconds."""

    settle_seconds: float
    delete_grace_seconds: float
    max_workflow_bytes: int


@dataclass(slots=True)
class _Arriving:
    """A file that does not parse yet; ``stamp`` is of what was read last."""

    since: datetime
    stamp: Stamp | None = None


class Intake:
    """Looks at files and makes jobs of them.

    ``archive_before_ns`` is set at the first start: files not changed since then were there before comfywatch.
    ``digest_for`` says, for a project, what a workflow is as content.
    """

    def __init__(
        self,
        ledger: Ledger,
        projects: Path,
        pace: Pace,
        *,
        archive_before_ns: int | None,
        hold_archive: bool,
        allow_links: tuple[Path, ...] = (),
        inherited: Container[str] = (),
        digest_for: Callable[[str, Dropped], str] = lambda _, dropped: dropped.digest,
    ) -> None:
        self._ledger = ledger
        self._projects = projects
        self._reach = Reach(projects=projects, allow_links=allow_links)
        self._pace = pace
        self._archive_before_ns = archive_before_ns
        self._hold_archive = hold_archive
        self._inherited = inherited
        self._digest_for = digest_for
        self._settling: Settling[Key] = Settling(pace.settle_seconds)
        self._missing: dict[Key, float] = {}
        self.arriving: dict[Key, _Arriving] = {}
        self.unreadable: dict[Key, str] = {}
        self._plain: dict[Key, Stamp] = {}

    def clock_was_set_back(self, seconds: float) -> None:
        """What is dropped from now on has earlier times than what was there before."""
        if self._archive_before_ns is not None:
            self._archive_before_ns -= int(seconds * 1e9)

    # --- looking

    def classify(self, path: Path) -> Key | None:
        """The key of a path that an event named, ``None`` if only a scan can tell what it means."""
        try:
            parts = path.relative_to(self._projects).parts
        except ValueError:
            return None
        if len(parts) < 3 or parts[1] != WORKFLOWS or not is_workflow_name(parts[-1]) or not is_text(str(path)):
            return None
        if any(map(_is_no_folder_of_workflows, (parts[0], *parts[2:-1]))):
            return None
        below = PurePosixPath(*parts[2:])
        return None if is_too_deep(below) else (parts[0], str(below))

    def is_of_no_interest(self, path: Path) -> bool:
        """Whether an event for this path needs no look at all: hidden and scratch names."""
        try:
            parts = path.relative_to(self._projects).parts
        except ValueError:
            return True
        return any(map(is_kept, parts)) or is_scratch(path.name)

    def look(self, keys: Iterable[Key], *, now: float) -> list[Key]:
        """Look at some paths; those at which no file lies come back."""
        empty = []
        with self._reach.visit() as reach:
            for key in keys:
                try:
                    stamp = reach.stamp(self._file(key))
                except OSError:
                    continue  # nothing is known of it: the next scan will tell
                if stamp is None:
                    empty.append(key)
                    self._saw_nothing(key, now=now)
                else:
                    self._saw(key, stamp, now=now)
        return empty

    def is_folder(self, key: Key) -> bool:
        """Whether a folder lies there, or what leads to one."""
        try:
            return self._file(key).is_dir()
        except OSError:
            return False

    def look_through(self, forest: Forest, *, now: float) -> None:
        """Take in what a scan found, and look for what it did not find; a vanished root says nothing."""
        if not forest.is_there:
            return
        for project, tree in forest.projects.items():
            to_look = tree.to_look
            if to_look is None:
                to_look = tuple(tree.differences(self._ledger.store.stamps_of(project)))
            if to_look:
                self.look([(project, path) for path in to_look], now=now)
        names = forest.names or forest.projects
        self.look([key for key in self.arriving if key[0] not in names or key not in self._settling], now=now)

    def _saw(self, key: Key, stamp: Stamp, *, now: float) -> None:
        self._missing.pop(key, None)
        record = self._ledger.file(*key)
        if record is not None and record.stamp == stamp and not record.gone and key not in self._settling:
            return
        if self._plain.get(key) == stamp:
            return
        self._settling.saw(key, stamp, now=now, is_new=record is None and key not in self.arriving)

    def _saw_nothing(self, key: Key, *, now: float) -> None:
        self._settling.forget(key)
        self.arriving.pop(key, None)
        self.unreadable.pop(key, None)
        self._plain.pop(key, None)
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
        with self._reach.visit() as reach:
            for key, stamp in self._settling.take_settled(now=now):
                self._read(reach, key, stamp, now=now, at=at)
        for key in [key for key, due in self._missing.items() if due <= now]:
            if self._reach.is_gone(self._file(key)):
                del self._missing[key]
                self._let_go(key)
            else:
                self._missing[key] = now + max(self._pace.delete_grace_seconds, UNSURE_SECONDS)
                self.look([key], now=now)

    def _read(self, reach: Reach, key: Key, stamp: Stamp, *, now: float, at: datetime) -> None:
        self.unreadable.pop(key, None)
        try:
            data, read_stamp = read(reach, self._file(key), max_bytes=self._pace.max_workflow_bytes)
        except NoWorkflow as error:
            self._carries_none(key, stamp, error)
        except FileNotFoundError:
            self._saw_nothing(key, now=now)
        except files.NotRegular:
            return
        except files.TooBig as error:
            self._take(too_big(key, stamp, error.size, self._pace.max_workflow_bytes), at)
        except OSError as error:
            self.unreadable[key] = f"{WORKFLOWS}/{key[1]} cannot be read: {error.strerror}"
            self._ledger.changed.add(key[0])
        else:
            if read_stamp != stamp and self._ledger.file(*key) is not None:
                self._settling.put_off(key, read_stamp, now=now)
            else:
                self._parse(key, read_stamp, data, now=now, at=at)

    def _carries_none(self, key: Key, stamp: Stamp, why: NoWorkflow) -> None:
        """A picture that is none of ours: looked at again when it changes."""
        self._plain[key] = stamp
        self.unreadable[key] = (
            f"{WORKFLOWS}/{key[1]} is a picture without a workflow ({why}); what workflows load belongs into inputs/"
        )
        self._ledger.changed.add(key[0])

    def _parse(self, key: Key, stamp: Stamp, data: bytes, *, now: float, at: datetime) -> None:
        """What does not parse may be half written; unchanged since the last time, it is broken."""
        reading = self._known_by_content(parsed(key, stamp, data))
        is_json = reading.problem is None or reading.problem.code != NOT_JSON
        arriving = None if is_json else self.arriving.setdefault(key, _Arriving(at))
        if arriving is None or arriving.stamp == stamp or self._ledger.file(*key) is not None:
            self._take(reading, at)
            return
        arriving.stamp = stamp
        self._settling.put_off(key, stamp, now=now)
        self._ledger.changed.add(key[0])

    def _take(self, reading: Reading, at: datetime) -> None:
        """A file was read: it is nothing new, something that moved or came back, or a new job."""
        key = reading.key
        self.arriving.pop(key, None)
        record = self._ledger.file(*key)
        if record is not None and self._is_same(record, reading):
            self._same_again(record, reading, at)
            return
        moved = self._moved_from(reading) if record is None else None
        if moved is not None:
            self._follow(moved, reading, at)
            return
        self._supersede(key)
        self._new_job(reading, at)

    def _known_by_content(self, reading: Reading) -> Reading:
        """A saved workflow counts as the prompt that it becomes, as soon as that can be said."""
        if not reading.source or reading.dropped is None:
            return reading
        return replace(reading, digest=self._digest_for(reading.key[0], reading.dropped))

    def _is_same(self, record: FileRecord, reading: Reading) -> bool:
        """Whether a path has the content that it had: as a prompt, or else as the saved workflow that it is."""
        if record.digest == reading.digest:
            return True
        latest = self._ledger.latest(record) if reading.source else None
        return latest is not None and latest.source == reading.source

    def _new_job(self, reading: Reading, at: datetime, *, new_seeds: bool = False) -> Job:
        project, path = reading.key
        is_archive = reading.problem is None and self._is_archive(reading)
        if is_archive or (reading.problem is None and project in self._inherited):
            known = from_results(reading, self._ledger, self._projects / project, at=at)
            if known is not None and (known.digest == reading.digest or known.source == reading.source != ""):
                return known
        held = ARCHIVED if is_archive and self._hold_archive else ""
        job = Job(
            id=0,
            project=project,
            path=path,
            digest=reading.digest,
            source=reading.source,
            first_seen=at,
            held=held,
            new_seeds=new_seeds,
        )
        bound = logger.bind(project=project, job=path)
        if reading.problem is None:
            bound.info("taken{}", f", held: {held}" if held else "")
        else:
            job = job.after(Fact.INVALID, problems=(reading.problem,))
            bound.info("invalid: {}", reading.problem.message)
        return self._ledger.add(job, reading.data, reading.stamp, reading.dropped)

    def _is_archive(self, reading: Reading) -> bool:
        if self._archive_before_ns is None or self._ledger.file(*reading.key) is not None:
            return False
        return max(reading.stamp.ctime_ns, reading.stamp.mtime_ns) < self._archive_before_ns

    # --- the same content again, elsewhere, or gone

    def _same_again(self, record: FileRecord, reading: Reading, at: datetime) -> None:
        """A touched file is nothing new; one that was removed and came back may be."""
        latest = self._ledger.latest(record)
        if record.gone and latest is not None and _end_of(latest) in {JobState.CANCELLED, JobState.FAILED}:
            self._new_job(reading, at)
            return
        note = record.note
        if latest is not None and latest.state is JobState.COMPLETED:
            name = f"{record.project}/{workflow_name(record.path)}"
            note = f"unchanged since run {latest.run}; to run it again: comfywatch retry {name}"
        elif latest is not None and not latest.is_final:
            self._stay(latest)
        self._ledger.save_file(replace(record, stamp=reading.stamp, gone=False, note=note))

    def _stay(self, job: Job) -> None:
        """The file of an unfinished job is back: its removal no longer counts.

        ComfyUI may have been asked to let go of it: with no known life, its absence will not be laid to a person.
        """
        if job.wish is Wish.REMOVE:
            self._ledger.change(replace(job, wish=None, life=0))

    def _moved_from(self, reading: Reading) -> FileRecord | None:
        """A known path with this content whose file is no longer there: best one that is missed just now, and near."""
        project = reading.key[0]
        records = self._ledger.store.files_with(reading.digest, source=reading.source)
        for record in sorted(records, key=lambda record: (record.gone, record.project != project)):
            known = self._ledger.file(record.project, record.path)
            if known is None or not self._reach.is_gone(self._file((known.project, known.path))):
                continue
            if known.project == project or self._came_from(known, project, reading.stamp):
                return known
        return None

    def _came_from(self, known: FileRecord, project: str, stamp: Stamp) -> bool:
        """Whether a file of another project came over into this one, and was not just dropped here as well.

        A project that is not there may be unmounted: the file itself, or what came of it, shows that it was renamed.
        """
        if self._came_along(known, project):
            return True
        latest = self._ledger.latest(known)
        if self._has_a_project(known.project):
            return not known.gone
        return latest is None or latest.run is None or is_same_file(known.stamp, stamp)

    def _came_along(self, known: FileRecord, project: str) -> bool:
        """Whether the outputs of a workflow lie in this project."""
        return self._reach.is_folder(self._projects / project / "outputs" / workflow_name(known.path))

    def _follow(self, old: FileRecord, reading: Reading, at: datetime) -> None:
        project, path = reading.key
        self._missing.pop((old.project, old.path), None)
        is_elsewhere = old.project != project and not self._came_along(old, project)
        left_in = f"../{old.project}/" if is_elsewhere else ""
        self._ledger.move_file(old, project=project, path=path, stamp=reading.stamp, left_in=left_in)
        logger.bind(project=project, job=path).info("moved here from {}/{}", old.project, old.path)
        moved = self._ledger.file(project, path)
        if moved is not None:
            self._same_again(replace(moved, gone=old.gone), reading, at)

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
        return self._reach.is_folder(self._projects / project / WORKFLOWS)

    def _file(self, key: Key) -> Path:
        return self._projects / key[0] / WORKFLOWS / key[1]

    def read_again(self, record: FileRecord, *, at: datetime, new_seeds: bool = False) -> Job | None:
        """A new job from the file as it lies there, for ``retry``; ``None`` if it cannot be read or taken."""
        key = record.project, record.path
        try:
            data, stamp = read(self._reach, self._file(key), max_bytes=self._pace.max_workflow_bytes)
        except (OSError, NoWorkflow):
            return None
        reading = self._known_by_content(parsed(key, stamp, data))
        if reading.problem is not None:
            return None
        self._supersede(key)
        return self._new_job(reading, at, new_seeds=new_seeds)

    def notices(self, project: str) -> Iterator[str]:
        """What could not be read, as sentences."""
        yield from (text for (name, _), text in self.unreadable.items() if name == project)


def _is_no_folder_of_workflows(name: str) -> bool:
    return is_kept(name) or is_conflict_copy(name) or is_workflow_name(name)


def _end_of(job: Job) -> JobState:
    """How a job ended, or will once its run folder is written."""
    return JobState(job.outcome["state"]) if job.outcome is not None else job.state
