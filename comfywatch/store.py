"""The database: every job, and the bytes of each unfinished workflow. The source of truth.

One thread owns a ``Store``; its changes wait in one transaction until ``commit``, which makes them durable together
(WAL, ``synchronous=FULL``). Whoever acts on what was saved commits first. Other processes may read, and add requests.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from comfywatch.gallery import Run, Shown
from comfywatch.jobs import FINAL, Job, JobState, Post, Wish, workflow_name
from comfywatch.migrations import MIGRATIONS
from comfywatch.names import folded
from comfywatch.problems import Problem
from comfywatch.progress import Pace
from comfywatch.settling import Stamp

LATELY = 1000
"""Jobs among which the newest finished of a project are looked for."""

_TABLES = frozenset({"files", "jobs", "contents", "requests", "facts"})


class NewerSchema(Exception):
    """The database was written by a newer comfywatch."""


class Damaged(Exception):
    """The database cannot be read."""


class Unavailable(sqlite3.OperationalError):
    """The database cannot be written or read just now: no room, no right, an error of the disk, another's lock.

    What was not committed is gone, so whoever holds it in memory begins anew from what is durable.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """A path under ``workflows/`` that was taken: its stamp and content then, and its latest job."""

    project: str
    path: str
    digest: str
    job: int
    stamp: Stamp
    gone: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a command asked for; ``target`` is ``PROJECT`` or ``PROJECT/WORKFLOW``."""

    id: int
    command: str
    target: str
    options: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heeded:
    """A control file that was acted on and still lies there: for which workflow, what was done, the latest job then."""

    project: str
    path: str
    control: str
    file: str
    job: int
    said: str


_JOB_COLUMNS = tuple(field.name for field in fields(Job))
_SAVE_JOB = (
    f"INSERT INTO jobs ({', '.join(_JOB_COLUMNS)}) VALUES ({', '.join('?' * len(_JOB_COLUMNS))}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _JOB_COLUMNS[1:])}"
)
_FILE_COLUMNS = "project, path, digest, job, size, mtime_ns, ctime_ns, inode, gone, note"
_LISTING = (
    f"SELECT {', '.join(f'f.{name.strip()}' for name in _FILE_COLUMNS.split(','))}, "
    f"{', '.join(f'j.{name}' for name in _JOB_COLUMNS)} "
    "FROM files f JOIN jobs j ON j.id = f.job WHERE f.project = ?"
)
_PASSING = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_OF_PROJECT = "(? IS NULL OR project = ?)"
_UNFINISHED = ", ".join(f"'{state}'" for state in JobState if state not in FINAL)
_RAN = f"project = ? AND run IS NOT NULL AND state NOT IN ({_UNFINISHED})"


class Store:
    """The open database; raises ``NewerSchema``, ``Damaged`` or ``Unavailable`` when it cannot be used.

    ``may_be_newer``: for who reads it beside the daemon that has had it open since before a newer comfywatch came.
    """

    def __init__(self, path: Path | str, *, may_be_newer: bool = False) -> None:
        self._connection = _connect(path)
        try:
            with _using():
                self._migrate(may_be_newer=may_be_newer)
                self._check()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Commit and close; closed it is even if it cannot be committed."""
        try:
            self.commit()
        finally:
            self._connection.close()

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to commit."""
        return self._connection.in_transaction

    def commit(self) -> None:
        """Make every change so far durable; raises ``Unavailable`` or ``Damaged``, as all that follows does."""
        if self.has_changes:
            with _using():
                self._connection.execute("COMMIT")

    def roll_back(self) -> None:
        """Take every change since the last commit back."""
        if self.has_changes:
            with suppress(sqlite3.Error):  # what cannot be rolled back now is at the next opening
                self._connection.execute("ROLLBACK")

    # --- jobs

    def add_job(self, job: Job, dropped: bytes) -> Job:
        """A new job with the bytes that were dropped; the one that comes back has its id."""
        row = self._write(
            f"INSERT INTO jobs ({', '.join(_JOB_COLUMNS[1:])}) VALUES ({', '.join('?' * (len(_JOB_COLUMNS) - 1))})",
            _job_row(job)[1:],
        )
        added = replace(job, id=int(row.lastrowid or 0))
        self._write("INSERT INTO contents (job, dropped) VALUES (?, ?)", (added.id, dropped))
        return added

    def save_job(self, job: Job) -> None:
        """What a job has become; the bytes of a finished one are let go."""
        self._write(_SAVE_JOB, _job_row(job))
        if job.is_final:
            self._write("DELETE FROM contents WHERE job = ?", (job.id,))

    def save_submitted(self, job_id: int, body: bytes, origin: Mapping[str, Any] | None = None) -> None:
        """The body that is to be posted, kept so that it can be posted again byte for byte.

        ``origin`` is what ``result.yaml`` is to say of how it came about, as plain JSON.
        """
        text = json.dumps(origin) if origin else None
        self._write("UPDATE contents SET submitted = ?, origin = ? WHERE job = ?", (body, text, job_id))

    def job(self, job_id: int) -> Job | None:
        """One job, whatever its state."""
        return next(self._jobs("id = ?", (job_id,)), None)

    def unfinished(self) -> Iterator[Job]:
        """All jobs that are not final, oldest first."""
        return self._jobs(f"state IN ({_UNFINISHED}) ORDER BY id", ())

    def dropped(self, job_id: int) -> bytes | None:
        """The bytes that were dropped for an unfinished job."""
        return self._content("dropped", job_id)

    def submitted(self, job_id: int) -> bytes | None:
        """The body that was or is to be posted for an unfinished job."""
        return self._content("submitted", job_id)

    def origin(self, job_id: int) -> dict[str, Any]:
        """How the submitted body of an unfinished job came about; empty if there is nothing to say."""
        text = self._value("SELECT origin FROM contents WHERE job = ?", (job_id,))
        origin: dict[str, Any] = json.loads(text) if text else {}
        return origin

    def highest_run(self, project: str, path: str) -> int:
        """The highest run number of a workflow so far, 0 if it never ran."""
        sql = "SELECT max(run) FROM jobs WHERE project = ? AND path = ?"
        return self._value(sql, (project, path)) or 0

    def latest_finished(self, *, server: str, life: int) -> Job | None:
        """The newest job that ended in this life of that server: a witness whom its history should know."""
        where = (
            "finished IS NOT NULL AND server = ? AND life = ? AND outcome IS NOT NULL ORDER BY finished DESC LIMIT 1"
        )
        return next(self._jobs(where, (server, life)), None)

    def recent_seconds(self, *, server: str, limit: int) -> list[float]:
        """How long the newest completed jobs took by ComfyUI's own clock, in seconds, newest first."""
        sql = (
            "SELECT json_extract(outcome, '$.seconds') FROM jobs "
            "WHERE finished IS NOT NULL AND server = ? AND state = 'completed' ORDER BY finished DESC LIMIT ?"
        )
        return [row[0] for row in self._read(sql, (server, limit)) if row[0] is not None]

    def usual_seconds(self, project: str, path: str) -> list[float]:
        """How long the completed runs of one workflow took by ComfyUI's own clock, in seconds, newest first."""
        sql = (
            "SELECT json_extract(outcome, '$.seconds') FROM jobs "
            "WHERE project = ? AND path = ? AND state = 'completed' ORDER BY run DESC LIMIT 10"
        )
        return [row[0] for row in self._read(sql, (project, path)) if row[0] is not None]

    def paces(self, project: str, path: str) -> dict[str, Pace]:
        """How the nodes of one workflow went in earlier runs, by their ids."""
        nodes = self._value("SELECT nodes FROM paces WHERE project = ? AND path = ?", (project, path))
        try:
            return {node_id: Pace(**pace) for node_id, pace in json.loads(nodes).items()} if nodes else {}
        except (ValueError, TypeError, AttributeError):
            return {}  # what is only a guess at the time is no reason to call the database damaged

    def save_paces(self, project: str, path: str, paces: Mapping[str, Pace]) -> None:
        """Keep how they went."""
        nodes = json.dumps({node_id: asdict(pace) for node_id, pace in paces.items()})
        self._write("INSERT OR REPLACE INTO paces VALUES (?, ?, ?)", (project, path, nodes))

    def counts(self, *, project: str | None) -> dict[JobState, int]:
        """How many jobs are in each state that is not final, of one project or of all."""
        sql = f"SELECT state, count(*) FROM jobs WHERE state IN ({_UNFINISHED}) AND {_OF_PROJECT} GROUP BY state"
        return {JobState(state): count for state, count in self._read(sql, (project, project))}

    def in_state(self, state: JobState, *, project: str | None, limit: int) -> list[Job]:
        """Unfinished jobs in this state, the oldest first."""
        where = f"state IN ({_UNFINISHED}) AND state = ? AND {_OF_PROJECT} ORDER BY id LIMIT ?"
        return list(self._jobs(where, (state.value, project, project, limit)))

    def newest_finished(self, *, project: str | None, limit: int) -> list[Job]:
        """Jobs that came to an end lately, the newest first."""
        columns = ", ".join(_JOB_COLUMNS)
        lately = f"SELECT {columns} FROM jobs WHERE finished IS NOT NULL ORDER BY finished DESC LIMIT {LATELY}"
        sql = f"SELECT {columns} FROM ({lately}) WHERE {_OF_PROJECT} AND state NOT IN ({_UNFINISHED}) LIMIT ?"
        return list(map(_job, self._read(sql, (project, project, limit))))

    def jobs_of(self, project: str, path: str) -> list[Job]:
        """All runs of one workflow, newest first."""
        return list(self._jobs("project = ? AND path = ? ORDER BY id DESC", (project, path)))

    # --- what finished runs have to show

    def save_shown(self, job_id: int, shown: Shown) -> None:
        """Keep what a finished run has to show."""
        values = (job_id, json.dumps(shown.outputs), json.dumps(shown.seeds))
        self._write("INSERT OR REPLACE INTO shown VALUES (?, ?, ?)", values)

    def unshown(self, project: str, *, limit: int) -> list[Job]:
        """Finished runs of which it is not known what they have to show, the newest first."""
        where = f"{_RAN} AND id NOT IN (SELECT job FROM shown) ORDER BY finished DESC LIMIT ?"
        return list(self._jobs(where, (project, limit)))

    def runs(self, project: str, *, limit: int) -> list[Run]:
        """Finished runs with what they have to show, the newest first."""
        sql = (
            "SELECT path, run, state, jobs.outputs, finished, json_extract(outcome, '$.seconds'), "
            f"shown.outputs, seeds FROM jobs JOIN shown ON shown.job = jobs.id WHERE {_RAN} "
            "ORDER BY finished DESC, id DESC LIMIT ?"
        )
        return [_run(row) for row in self._read(sql, (project, limit))]

    def run_count(self, project: str) -> int:
        """How many finished runs a project has."""
        return int(self._value(f"SELECT count(*) FROM jobs WHERE {_RAN}", (project,)))

    # --- files

    def save_file(self, record: FileRecord) -> None:
        """A path that was taken, or what has become of it."""
        stamp = record.stamp
        self._write(
            f"INSERT OR REPLACE INTO files ({_FILE_COLUMNS}, folder) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                record.project,
                record.path,
                record.digest,
                record.job,
                stamp.size,
                stamp.mtime_ns,
                stamp.ctime_ns,
                stamp.inode,
                int(record.gone),
                record.note,
                output_folder(record.path),
            ),
        )

    def move_file(self, old: FileRecord, *, project: str, path: str, stamp: Stamp, left_in: str = "") -> FileRecord:
        """A workflow was renamed or moved: its record and all its jobs go along.

        ``left_in`` is the way from the new project to the one in which its outputs stay, empty if they came along.
        """
        if left_in or workflow_name(path) != workflow_name(old.path):
            self._write(
                "UPDATE jobs SET outputs = ? || CASE outputs WHEN '' THEN ? || printf('%03d', run) ELSE outputs END "
                f"WHERE project = ? AND path = ? AND run IS NOT NULL AND state NOT IN ({_UNFINISHED}) "
                "AND outputs NOT LIKE '../%'",
                (left_in, f"outputs/{workflow_name(old.path)}/", old.project, old.path),
            )
        self._write("DELETE FROM files WHERE project = ? AND path = ?", (old.project, old.path))
        self._write(
            "UPDATE jobs SET project = ?, path = ? WHERE project = ? AND path = ?",
            (project, path, old.project, old.path),
        )
        self._write(
            "UPDATE OR REPLACE paces SET project = ?, path = ? WHERE project = ? AND path = ?",
            (project, path, old.project, old.path),
        )
        self._write(
            "UPDATE OR REPLACE heeded SET project = ?, path = ? WHERE project = ? AND path = ?",
            (project, path, old.project, old.path),
        )
        moved = replace(old, project=project, path=path, stamp=stamp, gone=False)
        self.save_file(moved)
        return moved

    def file(self, project: str, path: str) -> FileRecord | None:
        """What is known of a path."""
        sql = f"SELECT {_FILE_COLUMNS} FROM files WHERE project = ? AND path = ?"
        return next(map(_file_record, self._read(sql, (project, path))), None)

    def files_of(self, project: str) -> list[FileRecord]:
        """Every path of a project that was ever taken."""
        return list(map(_file_record, self._read(f"SELECT {_FILE_COLUMNS} FROM files WHERE project = ?", (project,))))

    def stamps_of(self, project: str) -> dict[str, Stamp | None]:
        """Each known path of a project with what its file was like, ``None`` if it was gone."""
        sql = "SELECT path, gone, size, mtime_ns, ctime_ns, inode FROM files WHERE project = ?"
        return {
            path: None if gone else Stamp(size=size, mtime_ns=mtime_ns, ctime_ns=ctime_ns, inode=inode)
            for path, gone, size, mtime_ns, ctime_ns, inode in self._read(sql, (project,))
        }

    def lying(self, project: str | None) -> int:
        """How many workflows were there when they were last looked at, of one project or of all."""
        return int(self._value(f"SELECT count(*) FROM files WHERE NOT gone AND {_OF_PROJECT}", (project, project)))

    def twins(self, project: str, path: str) -> list[str]:
        """The known paths whose outputs lie where those of ``path`` do, here or on a system that ignores case."""
        sql = "SELECT path FROM files WHERE project = ? AND folder = ?"
        return [row[0] for row in self._read(sql, (project, output_folder(path)))]

    def files(self) -> Iterator[FileRecord]:
        """Every path that was ever taken."""
        yield from map(_file_record, self._read(f"SELECT {_FILE_COLUMNS} FROM files", ()))

    def files_with(self, digest: str, *, source: str = "") -> list[FileRecord]:
        """The paths at which this content was last seen, or the saved workflow ``source``."""
        sql = f"SELECT {_FILE_COLUMNS} FROM files WHERE digest = ?"
        if source:
            sql += " OR job IN (SELECT id FROM jobs WHERE source = ?)"
        return list(map(_file_record, self._read(sql, (digest, source) if source else (digest,))))

    def listing(self, project: str) -> list[tuple[FileRecord, Job]]:
        """Each path of a project with its latest job, the newest job first."""
        rows = self._read(f"{_LISTING} ORDER BY j.id DESC", (project,))
        return [(_file_record(row[:10]), _job(row[10:])) for row in rows]

    def places(self, project: str) -> list[tuple[str, str, str]]:
        """Each path of a project with the state of its latest job and when that finished (ISO 8601, else empty)."""
        columns = "f.path, j.state, ifnull(j.finished, '')"
        return self._read(f"SELECT {columns} FROM files f JOIN jobs j ON j.id = f.job WHERE f.project = ?", (project,))

    def listed(self, project: str, paths: Sequence[str]) -> list[tuple[FileRecord, Job]]:
        """Some paths of a project, each with its latest job."""
        sql = f"{_LISTING} AND f.path IN ({', '.join('?' * len(paths))})"
        return [(_file_record(row[:10]), _job(row[10:])) for row in self._read(sql, (project, *paths))]

    def projects(self) -> list[str]:
        """The names of all projects that ever had a workflow."""
        return [row[0] for row in self._read("SELECT DISTINCT project FROM files", ())]

    # --- control files

    def heeded(self, project: str) -> list[Heeded]:
        """The control files of a project that were acted on, as far as they were not seen to be gone."""
        sql = "SELECT project, path, control, file, job, said FROM heeded WHERE project = ? ORDER BY path, control"
        return [
            Heeded(project=row[0], path=row[1], control=row[2], file=row[3], job=row[4], said=row[5])
            for row in self._read(sql, (project,))
        ]

    def heeding(self) -> set[str]:
        """The projects that have any of them."""
        return {row[0] for row in self._read("SELECT DISTINCT project FROM heeded", ())}

    def save_heeded(self, heeded: Heeded) -> None:
        """A control file was acted on."""
        values = (heeded.project, heeded.path, heeded.control, heeded.file, heeded.job, heeded.said)
        self._write("INSERT OR REPLACE INTO heeded VALUES (?, ?, ?, ?, ?, ?)", values)

    def forget_heeded(self, heeded: Heeded) -> None:
        """It is gone: another one of that name is another wish."""
        values = (heeded.project, heeded.path, heeded.control)
        self._write("DELETE FROM heeded WHERE project = ? AND path = ? AND control = ?", values)

    # --- requests and facts

    def add_request(self, *, command: str, target: str, options: dict[str, Any], at: datetime) -> int:
        """Ask the daemon for something; the only thing that other processes write."""
        row = self._write(
            "INSERT INTO requests (at, command, target, options) VALUES (?, ?, ?, ?)",
            (at.isoformat(), command, target, json.dumps(options)),
        )
        return int(row.lastrowid or 0)

    def open_requests(self) -> list[Request]:
        """What was asked and not answered yet, oldest first."""
        sql = "SELECT id, command, target, options FROM requests WHERE answer IS NULL ORDER BY id"
        return [
            Request(id=row[0], command=row[1], target=row[2], options=json.loads(row[3])) for row in self._read(sql, ())
        ]

    def answer_request(self, request_id: int, answer: str) -> None:
        """Say what was done."""
        self._write("UPDATE requests SET answer = ? WHERE id = ?", (answer, request_id))

    def answer_to(self, request_id: int) -> str | None:
        """What the daemon said, ``None`` while it has not."""
        answer: str | None = self._value("SELECT answer FROM requests WHERE id = ?", (request_id,))
        return answer

    def data_version(self) -> int:
        """A number that changes when another process has changed the database."""
        return int(self._value("PRAGMA data_version", ()))

    def fact(self, name: str) -> Any:
        """A small thing worth keeping, ``None`` if it was never kept."""
        value = self._value("SELECT value FROM facts WHERE name = ?", (name,))
        return json.loads(value) if value else None

    def save_fact(self, name: str, value: Any) -> None:
        """Keep a small thing, as JSON."""
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    # --- how

    def _migrate(self, *, may_be_newer: bool) -> None:
        """Apply what is missing, one process at a time."""
        if self._schema() == len(MIGRATIONS) or (may_be_newer and self._schema() > len(MIGRATIONS)):
            return
        self._connection.execute("BEGIN IMMEDIATE")
        version = self._schema()
        if version > len(MIGRATIONS):
            self._connection.execute("ROLLBACK")
            raise NewerSchema(
                f"the database has schema {version} and this comfywatch knows {len(MIGRATIONS)}: use a newer comfywatch"
            )
        for script in MIGRATIONS[version:]:
            for statement in filter(str.strip, script.split(";")):
                self._connection.execute(statement)
        self._connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        self._connection.execute("COMMIT")

    def _check(self) -> None:
        """Whether it is what its version says: one put together from pieces counts as damaged."""
        there = {name for (name,) in self._read("SELECT name FROM sqlite_master WHERE type = 'table'", ())}
        if missing := _TABLES - there:
            raise Damaged(f"it has no table {min(missing)}")

    def _schema(self) -> int:
        return int(self._value("PRAGMA user_version", ()))

    def _jobs(self, where: str, values: Sequence[Any]) -> Iterator[Job]:
        sql = f"SELECT {', '.join(_JOB_COLUMNS)} FROM jobs WHERE {where}"
        yield from map(_job, self._read(sql, values))

    def _content(self, column: str, job_id: int) -> bytes | None:
        content: bytes | None = self._value(f"SELECT {column} FROM contents WHERE job = ?", (job_id,))
        return content

    def _value(self, sql: str, values: Iterable[Any]) -> Any:
        """What stands in the first row, ``None`` if there is none."""
        rows = self._read(sql, values)
        return rows[0][0] if rows else None

    def _read(self, sql: str, values: Iterable[Any]) -> list[tuple[Any, ...]]:
        with _using():
            return self._connection.execute(sql, tuple(values)).fetchall()

    def _write(self, sql: str, values: Iterable[Any]) -> sqlite3.Cursor:
        with _using():
            if not self.has_changes:
                self._connection.execute("BEGIN IMMEDIATE")
            return self._connection.execute(sql, tuple(values))


def output_folder(path: str) -> str:
    """Where the outputs of a workflow lie, the same for all paths that some system takes for one."""
    return folded(workflow_name(path))


def _connect(path: Path | str) -> sqlite3.Connection:
    with _using():
        connection = sqlite3.connect(path, isolation_level=None, timeout=10)
        try:
            connection.create_function("output_folder", 1, output_folder, deterministic=True)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA cache_size = -2000")
            connection.execute("PRAGMA wal_autocheckpoint = 500")
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def _using() -> Iterator[None]:
    """SQLite's errors by what is to be done about them; a statement of ours that is wrong stays what it is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # an extended code has its kind in the lowest byte
        if code in _PASSING:
            raise Unavailable(str(error)) from error
        if code in _DAMAGED:
            raise Damaged(str(error)) from error
        raise


def _job_row(job: Job) -> tuple[Any, ...]:
    return tuple(_plain(name, getattr(job, name)) for name in _JOB_COLUMNS)


def _plain(name: str, value: Any) -> Any:
    if name == "problems":
        return json.dumps([problem.as_dict() for problem in value])
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value


def _job(row: Sequence[Any]) -> Job:
    try:
        return _job_in(row)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Damaged(f"job {row[0]} cannot be read") from error


def _job_in(row: Sequence[Any]) -> Job:
    values = dict(zip(_JOB_COLUMNS, row, strict=True))
    values["state"] = JobState(values["state"])
    values["post"] = Post(values["post"])
    values["wish"] = Wish(values["wish"]) if values["wish"] else None
    values["outcome"] = json.loads(values["outcome"]) if values["outcome"] else None
    values["new_seeds"] = bool(values["new_seeds"])
    stored = values["problems"]
    values["problems"] = () if stored == "[]" else tuple(map(Problem.from_dict, json.loads(stored)))
    for name in ("first_seen", "suspected", "submitted", "started", "finished"):
        values[name] = datetime.fromisoformat(values[name]) if values[name] else None
    return Job(**values)


def _run(row: Sequence[Any]) -> Run:
    path, run, state, outputs, finished, seconds, names, seeds = row
    try:
        return Run(
            path=path,
            run=run,
            state=JobState(state),
            folder=outputs or f"outputs/{workflow_name(path)}/{run:03d}",
            finished=datetime.fromisoformat(finished) if finished else None,
            seconds=seconds,
            shown=Shown(outputs=tuple(json.loads(names)), seeds=tuple(json.loads(seeds))),
        )
    except (ValueError, TypeError) as error:
        raise Damaged(f"run {run} of {path} cannot be read") from error


def _file_record(row: Sequence[Any]) -> FileRecord:
    project, path, digest, job, size, mtime_ns, ctime_ns, inode, gone, note = row
    return FileRecord(
        project=project,
        path=path,
        digest=digest,
        job=job,
        stamp=Stamp(size=size, mtime_ns=mtime_ns, ctime_ns=ctime_ns, inode=inode),
        gone=bool(gone),
        note=note,
    )
