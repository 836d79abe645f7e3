"""Runs that others finished: an earlier state of this daemon, or another machine on the same projects folder.

Each ``result.yaml`` is the proof of one. What is proved comes into the ledger as it ended, and does not run again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from loguru import logger

from comfywatch.jobs import Fact, Job, JobState, Post
from comfywatch.ledger import Ledger
from comfywatch.past import PastRun, past_runs
from comfywatch.reading import Reading

_ENDS = {
    JobState.COMPLETED: Fact.COMPLETED,
    JobState.FAILED: Fact.FAILED,
    JobState.CANCELLED: Fact.CANCELLED,
}


def from_results(reading: Reading, ledger: Ledger, project: Path, *, at: datetime) -> Job | None:
    """The finished runs of a workflow, as its project folder has them; the newest, if there is one."""
    name, path = reading.key
    newest = None
    for past in _unknown_runs(ledger, project, path):
        first_seen = min(past.finished or at, at)
        job = Job(id=0, project=name, path=path, digest=past.digest, source=past.source, first_seen=first_seen)
        job = ledger.add(job, reading.data, reading.stamp)
        newest = ledger.change(
            replace(job, run=past.run, state=past.state, prompt_id=past.prompt_id, finished=past.finished)
        )
    return newest


def catch_up(ledger: Ledger, project: Path) -> None:
    """Another machine was at work on a project: what waits here, and that has finished, is not run."""
    for record in ledger.files_of(project.name):
        job = ledger.jobs.get(record.job)
        if job is not None and job.post is Post.NONE and job.outcome is None:
            _compare(job, _unknown_runs(ledger, project, record.path), ledger)


def was_finished(ledger: Ledger, project: Path, job: Job) -> bool:
    """Whether runs lie there of which the database knows nothing, as after an older one was put back, and one is this.

    A waiting job then ends as that run did.
    """
    known = ledger.store.highest_run(job.project, job.path)
    runs = [past for past in past_runs(project, job.path) if past.run > known and past.project == job.project]
    _compare(job, runs, ledger)
    return job.id not in ledger.jobs


def _compare(job: Job, others: list[PastRun], ledger: Ledger) -> None:
    """A waiting job ends as another machine's run of the same content did, if there is one."""
    if any(past.run == job.run for past in others):
        job = ledger.change(replace(job, run=None))
    past = next((past for past in reversed(others) if past.is_of(job)), None)
    if past is None:
        return
    waiting = job if job.state is JobState.PENDING else job.after(Fact.FREED, problems=())
    logger.bind(project=job.project, job=job.path).info("{} by another machine, as run {}", past.state, past.run)
    ledger.change(
        waiting.after(_ENDS[past.state], held="", run=past.run, prompt_id=past.prompt_id, finished=past.finished)
    )


def _unknown_runs(ledger: Ledger, project: Path, path: str) -> list[PastRun]:
    """Finished runs that lie in the project folder and are not in the database, oldest first."""
    known = {job.run for job in ledger.store.jobs_of(project.name, path) if job.is_final}
    return [past for past in past_runs(project, path) if past.run not in known]
