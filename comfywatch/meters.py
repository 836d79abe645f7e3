"""The progress of each running job: what was heard of it, beside what is known of its workflow from earlier runs.

The engine's thread alone has ``Meters``. What is known is looked up when somebody is to be told, and not before: most
jobs are over sooner.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from comfywatch import overtime, progress
from comfywatch.heard import AtNode, Began, Preview, What
from comfywatch.jobs import Job, JobState
from comfywatch.ledger import Ledger
from comfywatch.progress import Course, Outline, Pace, Progress
from comfywatch.prompt_graph import PromptGraph
from comfywatch.schemas import Schemas
from comfywatch.sentences import class_of
from comfywatch.submission import prompt_in

MAX_TITLE = 60
LASTING_SECONDS = 0.2
"""A job that was heard to begin so long ago is worth a look at once; the many small ones are over sooner."""
LOOK_AGAIN_SECONDS = 1.0


@dataclass(slots=True, kw_only=True)
class Meter:
    """One attempt of one job. ``shown`` is the highest percent that anybody was told."""

    prompt_id: str
    course: Course
    outline: Outline | None = None
    shown: int = 0
    is_heard: bool = False
    look_due: float = math.inf
    """When it is to be looked for because it was heard to begin."""


class Meters:
    """By job. ``every`` is the shortest time between two writes of a project's file for progress alone, in seconds.

    A workflow that never ran is taken to go as the last one in its project, as far as they have the same nodes: most
    are variations of one another.
    """

    def __init__(self, ledger: Ledger, *, every: float) -> None:
        self._ledger = ledger
        self._every = every
        self._meters: dict[int, Meter] = {}
        self._told: dict[str, float] = {}
        self._newest: dict[str, dict[str, Pace]] = {}

    def job(self, what: What, url: str) -> Job | None:
        """Whose prompt was spoken of: one of ours that this ComfyUI has; for no prompt in particular, what runs."""
        if what.prompt_id:
            return self._ledger.with_prompt(what.prompt_id, url)
        if not isinstance(what, AtNode | Preview):
            return None
        in_flight = self._ledger.in_flight(url)
        return next((job for job in in_flight if job.state is JobState.RUNNING or job.id in self._meters), None)

    def heard(self, what: What, job: Job, *, at: float) -> None:
        """Something was heard of a job."""
        meter = self._meter(job, at=at)
        meter.course = meter.course.after(what, at=at)
        meter.is_heard = True
        if isinstance(what, Began):
            meter.look_due = at + LASTING_SECONDS

    def was_heard(self, job: Job) -> bool:
        """Whether anything was heard of this attempt."""
        meter = self._meters.get(job.id)
        return meter is not None and meter.is_heard and meter.prompt_id == job.prompt_id

    def progress(self, job: Job, schemas: Schemas | None, *, now: float, at: datetime) -> Progress | None:
        """How far a job is, never less than was said before; ``None`` if nothing is known, or if it does not run."""
        if job.state is not JobState.RUNNING or job.outcome is not None:
            return None
        meter = self._meter(job, at=now - overtime.seconds_running(job, at=at))
        meter.outline = meter.outline or self._outline(job, schemas)
        if not meter.is_heard and meter.outline.usual is None:
            return None
        found = progress.progress(meter.course, meter.outline, now=now)
        meter.shown = max(meter.shown, found.percent)
        return replace(found, percent=meter.shown)

    def learn(self, job: Job, schemas: Schemas | None) -> None:
        """It has ended: keep how its nodes went, if that is worth it, and forget it."""
        meter = self._meters.pop(job.id, None)
        if meter is None or meter.prompt_id != job.prompt_id or (job.outcome or {}).get("state") != "completed":
            return
        if meter.course.last - meter.course.began >= progress.WORTH_KEEPING:
            outline, seconds = meter.outline or self._outline(job, schemas), (job.outcome or {}).get("seconds")
            paces = progress.learned(meter.course, outline, seconds=seconds)
            if paces:
                self._newest[job.project] = paces
                self._ledger.store.save_paces(job.project, job.path, paces)

    def forget_others(self) -> None:
        """What is not under way has no progress."""
        for job_id in [job_id for job_id in self._meters if job_id not in self._ledger.active]:
            del self._meters[job_id]

    def running(self) -> Iterator[Job]:
        """The jobs of which there may be something to tell."""
        return (job for job in self._ledger.active.values() if job.state is JobState.RUNNING and job.outcome is None)

    def to_look(self, *, now: float) -> list[Job]:
        """Jobs that run by what was heard, and of which ComfyUI was not seen to be at work yet."""
        queued = [
            job for job in self._ledger.active.values() if job.state is JobState.QUEUED and job.id in self._meters
        ]
        due = [job for job in queued if self._meters[job.id].look_due <= now]
        for job in due:
            self._meters[job.id].look_due = now + LOOK_AGAIN_SECONDS
        return due

    def next_look(self) -> float:
        """When ``to_look`` has something next."""
        queued = (job.id for job in self._ledger.active.values() if job.state is JobState.QUEUED)
        return min((self._meters[job].look_due for job in queued if job in self._meters), default=math.inf)

    def to_write(self, *, now: float) -> set[str]:
        """The projects whose file is due for progress alone; where a job just began, it is written for that anyway."""
        self._told = {job.project: self._told.get(job.project, now) for job in self.running()}
        due = {project for project, told in self._told.items() if now - told >= self._every}
        self._told |= dict.fromkeys(due, now)
        return due

    def next_write(self) -> float:
        """When ``to_write`` has something next."""
        return min(self._told.values(), default=math.inf) + self._every

    def _meter(self, job: Job, *, at: float) -> Meter:
        meter = self._meters.get(job.id)
        if meter is None or meter.prompt_id != job.prompt_id:
            course = Course(began=at, last=at)
            meter = self._meters[job.id] = Meter(prompt_id=job.prompt_id, course=course)
        return meter

    def _outline(self, job: Job, schemas: Schemas | None) -> Outline:
        store = self._ledger.store
        body = store.submitted(job.id)
        prompt = prompt_in(body) if body else {}
        graph = PromptGraph.of(prompt, schemas)
        needed = graph.upstream(graph.outputs or graph.nodes)
        usual = store.usual_seconds(job.project, job.path)
        return Outline(
            nodes={node_id: class_of(prompt[node_id]) for node_id in prompt if node_id in needed},
            titles={node_id: _title(prompt[node_id]) for node_id in needed},
            paces=store.paces(job.project, job.path) or self._newest.get(job.project, {}),
            usual=statistics.median(usual) if usual else None,
        )


def _title(node: Any) -> str:
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    return " ".join(title.split())[:MAX_TITLE] if isinstance(title, str) else ""
