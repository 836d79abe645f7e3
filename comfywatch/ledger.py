"""The unfinished jobs, in memory and in the database at once; the known files, which may be very many, in the latter.

The daemon's thread alone has a ``Ledger``. Each change goes to the database's open transaction and marks its project,
so that its ``status.yaml`` is written anew; durable is what was committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from loguru import logger

from comfywatch.jobs import STOPPED, Job, JobState, Post
from comfywatch.line import Round
from comfywatch.settling import Stamp
from comfywatch.store import FileRecord, Store
from comfywatch.workflow import Dropped, NotAWorkflow, NotJson, read_workflow

FILES_KEPT = 1024
"""Paths of which it is remembered what is known: an event, a look and a reading ask for the same ones."""

PROMPTS_KEPT = 256
"""Parsed prompts kept in memory; the others are read from the database when they are needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A job is new, or has come to another state; ``before`` is ``None`` for one that is new or was final."""

    job: Job
    before: JobState | None = None


class Ledger:
    """``jobs`` maps ids to unfinished jobs, ``active`` to those of them for which something is under way or due.

    ``stopped`` are those that wait for something to change: what is blocked or invalid. ``unexamined`` holds ids of
    pending jobs whose prompt is to be looked at. ``projects`` are those that ever had a workflow; ``changed`` holds
    those whose ``status.yaml`` is to be written; ``on_hold`` the paths, each with its project, beside which a person
    has put a ``.hold``; ``turned`` what has changed its state since somebody took the list.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.jobs: dict[int, Job] = {}
        self.active: dict[int, Job] = {}
        self.stopped: dict[int, Job] = {}
        self.turned: list[Turn] = []
        self.unexamined = Round()
        self._by_path: dict[tuple[str, str], set[int]] = {}
        self._by_prompt: dict[str, int] = {}
        self._unfinished: Counter[str] = Counter()
        self._prompts: dict[int, Dropped] = {}
        for job in store.unfinished():
            self._keep(job)
        self._newest = max((job.first_seen for job in self.jobs.values()), default=None)
        self.projects: set[str] = set(store.projects())
        self.changed: set[str] = set(self.projects)
        self.on_hold: set[tuple[str, str]] = set()
        self._files: dict[tuple[str, str], FileRecord | None] = {}

    def add(self, job: Job, data: bytes, stamp: Stamp, dropped: Dropped | None = None) -> Job:
        """A new job, the latest of its path."""
        job = self.store.add_job(replace(job, first_seen=self._in_order(job.first_seen)), data)
        self._keep(job)
        self.turned.append(Turn(job=job))
        if dropped is not None:
            self._remember(job.id, dropped)
        record = FileRecord(project=job.project, path=job.path, digest=job.digest, job=job.id, stamp=stamp)
        self.save_file(record)
        return job

    def change(self, job: Job) -> Job:
        """Save what a job has become; a final one leaves the memory."""
        before = self.jobs.get(job.id)
        self.store.save_job(job)
        if job.is_final:
            self._drop(job)
        else:
            self._keep(job)
        if before is None or before.state is not job.state:
            bound = logger.bind(project=job.project, job=job.path, prompt_id=job.prompt_id)
            bound.debug("{} -> {}", before.state if before else "final", job.state)
            self.turned.append(Turn(job=job, before=before.state if before else None))
        self.changed.add(job.project)
        return job

    def prompt(self, job: Job) -> Dropped:
        """The prompt of an unfinished job; raises ``NotJson`` or ``NotAWorkflow`` as when it was read first."""
        known = self._prompts.get(job.id)
        if known is None:
            known = read_workflow(self.store.dropped(job.id) or b"")
            self._remember(job.id, known)
        return known

    def can_be_read(self, job: Job) -> bool:
        """Whether the job's bytes are a workflow."""
        try:
            self.prompt(job)
        except (NotJson, NotAWorkflow):
            return False
        return True

    def file(self, project: str, path: str) -> FileRecord | None:
        """What is known of a path."""
        key = project, path
        if key not in self._files:
            self._keep_file(key, self.store.file(project, path))
        return self._files[key]

    def files_of(self, project: str) -> list[FileRecord]:
        """What is known of each path of a project."""
        return self.store.files_of(project)

    def save_file(self, record: FileRecord) -> None:
        """What has become of a path."""
        self._keep_file((record.project, record.path), record)
        self.projects.add(record.project)
        self.store.save_file(record)
        self.changed.add(record.project)

    def move_file(self, old: FileRecord, *, project: str, path: str, stamp: Stamp, left_in: str = "") -> None:
        """A workflow was renamed or moved; its jobs go along. ``left_in``: see ``Store.move_file``."""
        moved = self.store.move_file(old, project=project, path=path, stamp=stamp, left_in=left_in)
        self._keep_file((old.project, old.path), None)
        self._keep_file((project, path), moved)
        self.projects.add(project)
        for job in self.unfinished_of(old.project, old.path):
            self._drop(job)
            self._keep(replace(job, project=project, path=path))
        self.changed |= {old.project, project}

    def twins(self, project: str, path: str) -> set[str]:
        """Every known path whose outputs lie where those of ``path`` do, and itself."""
        return {*self.store.twins(project, path), path}

    def latest(self, record: FileRecord) -> Job | None:
        """The latest job of a path, finished or not."""
        return self.jobs.get(record.job) or self.store.job(record.job)

    def unfinished_of(self, project: str, path: str) -> list[Job]:
        """Every unfinished job of a path, oldest first."""
        return [self.jobs[job_id] for job_id in sorted(self._by_path.get((project, path), ()))]

    def unfinished_in(self, project: str) -> int:
        """How many unfinished jobs a project has."""
        return self._unfinished[project]

    def blocked(self) -> list[Job]:
        """What waits for something that its server or project lacks."""
        return [job for job in self.stopped.values() if job.state is JobState.BLOCKED]

    def in_flight(self, url: str) -> Iterator[Job]:
        """Jobs that this server has or may have."""
        return (job for job in self.active.values() if job.server == url and job.is_in_flight)

    def with_prompt(self, prompt_id: str, url: str) -> Job | None:
        """The job of this prompt, if this server has it or may have it."""
        job = self.active.get(self._by_prompt.get(prompt_id, 0))
        return job if job is not None and job.server == url and job.is_in_flight else None

    def _in_order(self, first_seen: datetime) -> datetime:
        """No earlier than what waits already: a clock that was set back lets nobody jump the queue."""
        if self._newest is None or not self.jobs:
            self._newest = first_seen
        self._newest = max(self._newest, first_seen)
        return self._newest

    def _keep_file(self, key: tuple[str, str], record: FileRecord | None) -> None:
        self._files.pop(key, None)
        self._files[key] = record
        if len(self._files) > FILES_KEPT:
            del self._files[next(iter(self._files))]

    def _keep(self, job: Job) -> None:
        before = self.jobs.get(job.id)
        self._unfinished[job.project] += before is None
        if before is not None:
            self._by_prompt.pop(before.prompt_id, None)
        self.jobs[job.id] = job
        if job.post is not Post.NONE or job.outcome is not None or job.wish is not None:
            self.active[job.id] = job
            self._by_prompt[job.prompt_id] = job.id
        else:
            self.active.pop(job.id, None)
            if job.state is JobState.PENDING:
                self.unexamined.add(job)
        if job.state in STOPPED:
            self.stopped[job.id] = job
        else:
            self.stopped.pop(job.id, None)
        self._by_path.setdefault((job.project, job.path), set()).add(job.id)

    def _drop(self, job: Job) -> None:
        self._unfinished[job.project] -= self.jobs.pop(job.id, None) is not None
        self.active.pop(job.id, None)
        self.stopped.pop(job.id, None)
        self.unexamined.discard(job.id)
        self._prompts.pop(job.id, None)
        self._by_prompt.pop(job.prompt_id, None)
        siblings = self._by_path.get((job.project, job.path), set())
        siblings.discard(job.id)
        if not siblings:
            self._by_path.pop((job.project, job.path), None)

    def _remember(self, job_id: int, dropped: Dropped) -> None:
        self._prompts[job_id] = dropped
        if len(self._prompts) > PROMPTS_KEPT:
            del self._prompts[next(iter(self._prompts))]
