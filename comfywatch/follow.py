"""Following a job from its POST to its end: what each answer means for it.

Every change goes to the ledger; nothing here asks or waits. What is only worth remembering until the next start (when a
prompt was missed, when to try again) is kept in memory: after a crash it is found out anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias

from loguru import logger

from comfywatch import endings
from comfywatch.asks import Absent, AtWork, Ended, Look, Post, Sighting, Sightings, TakeOut, Waiting
from comfywatch.collect import Collected
from comfywatch.comfy_errors import Broken, ComfyError, Rejected, TooLarge, Truncated, Unreachable
from comfywatch.comfy_values import Accepted
from comfywatch.decide import (
    MAX_LOSSES,
    MAX_REFUSALS,
    MAX_RERUNS,
    Absence,
    Witness,
    after_absence,
    counts_as_loss,
    was_there_before,
)
from comfywatch.hints import hint_for
from comfywatch.history import Outcome, read_outcome
from comfywatch.jobs import Fact, Job, JobState, Wish
from comfywatch.jobs import Post as PostStage
from comfywatch.ledger import Ledger
from comfywatch.problems import Problem, Severity
from comfywatch.refusal import problems_from_node_errors, problems_from_refusal
from comfywatch.server import Server
from comfywatch.submission import prompt_in, savers
from comfywatch.submit import warning, would_be_partial
from comfywatch.validation import is_invalid

LONGEST_RETRY = 60.0
"""Seconds between two tries to fetch or write outputs, at most."""
MAX_TRUNCATED = 3
"""Downloads that may end too early before the output counts as gone."""


Mended: TypeAlias = Callable[[Job, tuple[Problem, ...], Server], tuple[Problem, ...]]
"""Adds to the problems of a job on a server what mends them."""


def _as_they_are(_job: Job, problems: tuple[Problem, ...], _server: Server) -> tuple[Problem, ...]:
    return problems


class Follower:
    """``absences``, ``retry_at`` (monotonic) and ``waits_for`` (a reason in words) are by job."""

    def __init__(self, ledger: Ledger, *, hold_partial: bool, mended: Mended = _as_they_are) -> None:
        self._ledger = ledger
        self._mended = mended
        self._hold_partial = hold_partial
        self.absences: dict[int, Absence] = {}
        self.retry_at: dict[int, float] = {}
        self.waits_for: dict[int, str] = {}
        self._tries: dict[int, int] = {}
        self._truncated: dict[int, int] = {}

    def forget(self, job_id: int) -> None:
        """Nothing of it is worth remembering any more."""
        for memory in (self.absences, self.retry_at, self.waits_for, self._tries, self._truncated):
            memory.pop(job_id, None)

    # --- the POST

    def posted(self, ask: Post, result: Accepted | None, error: ComfyError | None, server: Server, now: float) -> None:
        """The POST was answered, or its outcome is unknown."""
        server.posting.discard(ask.job)
        job = self._ledger.jobs.get(ask.job)
        if job is None or job.prompt_id != ask.prompt_id or job.post is PostStage.ACCEPTED:
            return  # gone, or seen in ComfyUI meanwhile
        match error:
            case None if result is not None:
                self._accepted(job, result, server, now)
            case Rejected():
                problems = problems_from_refusal(error.error, error.node_errors, self._prompt(job))
                self._refused(job, self._mended(job, problems, server), server, now)
            case TooLarge():
                self._refused(job, (endings.too_large(error),), server, now, fact=Fact.INVALID)
            case Broken():
                self._broken(job, str(error), now)
            case Unreachable():
                self._ledger.change(unposted(job))
            case _:
                logger.bind(project=job.project, job=job.path, prompt_id=job.prompt_id).warning(
                    "what became of the POST is not known ({}); ComfyUI is asked before anything is posted again", error
                )
                server.moved_on(now=now)

    def _accepted(self, job: Job, result: Accepted, server: Server, now: float) -> None:
        self._numbered(result.number, server)
        self.waits_for.pop(job.id, None)
        job = job.after(Fact.ACCEPTED, post=PostStage.ACCEPTED, number=result.number, life=server.link.life)
        self._bound(job).info("queued as run {}", job.run)
        if result.node_errors:
            problems = problems_from_node_errors(result.node_errors, self._prompt(job))
            if self._hold_partial:
                left_out = would_be_partial(_dropped_outputs(result.node_errors))
                job = replace(job, wish=job.wish or Wish.TAKE_BACK, problems=(left_out, *problems))
            else:
                job = replace(job, problems=tuple(map(warning, problems)))
        self._ledger.change(job)
        server.moved_on(now=now)

    def _numbered(self, number: float, server: Server) -> None:
        """A prompt of ours got a number: those that ComfyUI took earlier in this life have lower ones."""
        others: list[float] = []
        if server.link.last_number is None:  # else that is the highest of them
            accepted = (job for job in self._ledger.in_flight(server.url) if job.post is PostStage.ACCEPTED)
            others = [job.number for job in accepted if job.life == server.link.life and job.number is not None]
        server.link = server.link.accepted(number, others=others)

    def _refused(
        self, job: Job, problems: tuple[Problem, ...], server: Server, now: float, *, fact: Fact | None = None
    ) -> None:
        fact = fact or (Fact.INVALID if is_invalid(problems) else Fact.BLOCKED)
        job = unposted(job)
        self._ledger.change(job.after(fact, problems=problems, fingerprint=server.fingerprint))
        self._bound(job).info("ComfyUI refuses it: {}", "; ".join(p.message for p in problems))
        server.next_refresh = min(server.next_refresh, now)
        server.is_fresh = False

    def _broken(self, job: Job, why: str, now: float) -> None:
        job = replace(job, refusals=job.refusals + 1)
        if job.refusals >= MAX_REFUSALS:
            self._ledger.change(self._ended(job, endings.server_error(MAX_REFUSALS, why), hint=endings.LOG_HINT))
            return
        pause = 2.0 ** (job.refusals - 1)
        self.retry_at[job.id] = now + pause
        self.waits_for[job.id] = f"ComfyUI answered with an error ({why}); tried again in {pause:.0f} s"
        self._bound(job).warning("ComfyUI answered with an error ({}); trying again in {} s", why, pause)
        self._ledger.change(job)

    # --- looks

    def looked(self, ask: Look, seen: Sightings, server: Server, *, now: float, at: datetime) -> None:
        """Each prompt was found somewhere, or missed."""
        moved = False
        present = self._present(seen, server)
        for job_id, prompt_id in ask.prompts.items():
            job = self._ledger.jobs.get(job_id)
            if job is None or job.prompt_id != prompt_id or job.outcome is not None:
                continue
            sighting = seen.by_job.get(job_id, Absent())
            if job.post is PostStage.INTENDED and server.posting and isinstance(sighting, AtWork | Waiting):
                self.absences.pop(job_id, None)  # what is on its way may have got a lower number: judged after that
            elif isinstance(sighting, Absent):
                self._missed(job, server, _witness(job, seen, present), now=now, at=at)
            else:
                moved |= self._sighted(job, sighting, server, at)
        if moved:
            server.moved_on(now=now)

    def _present(self, seen: Sightings, server: Server) -> list[Job]:
        """What the server accepted in this life and still knows."""
        found = [self._ledger.jobs.get(job_id) for job_id, what in seen.by_job.items() if not isinstance(what, Absent)]
        life = server.link.life
        return [job for job in found if job is not None and job.post is PostStage.ACCEPTED and job.life == life]

    def _sighted(self, job: Job, sighting: Sighting, server: Server, at: datetime) -> bool:
        self.absences.pop(job.id, None)
        before = job
        if job.post is PostStage.INTENDED and isinstance(sighting, AtWork | Waiting):
            self._numbered(sighting.number, server)
        changes: dict[str, Any] = {"post": PostStage.ACCEPTED, "life": server.link.life}
        if job.state is JobState.PENDING:
            self.waits_for.pop(job.id, None)
            job = job.after(Fact.ACCEPTED, **changes)
        match sighting:
            case Ended(entry=entry):
                job = self._end(replace(job, **changes), entry, fingerprint=server.fingerprint)
            case AtWork(number=number) if job.state is JobState.QUEUED:
                job = job.after(Fact.STARTED, number=number, started=at, **changes)
                self._bound(job).info("running")
            case AtWork(number=number) | Waiting(number=number):
                job = replace(job, number=number, **changes)
            case Absent():
                raise AssertionError("absent prompts are not sighted")
        if job != before:
            self._ledger.change(job)
        return job.state is not before.state or job.outcome is not None

    def _missed(self, job: Job, server: Server, witness: Witness, *, now: float, at: datetime) -> None:
        known = self.absences.get(job.id)
        absence = Absence(first=known.first if known else now, last=server.look_asked)
        self.absences[job.id] = absence
        if not absence.proves(job) or job.post is not PostStage.ACCEPTED:
            return
        del self.absences[job.id]
        if witness is Witness.FORGOTTEN and job.life == server.link.life:
            server.link = server.link.forgot()
        fact = after_absence(job, life=server.link.life, witness=witness)
        if fact is Fact.LOST:
            self._lost(job, is_sure=witness is Witness.FORGOTTEN or job.life != server.link.life, at=at)
        elif job.wish is Wish.TAKE_BACK:
            self._taken_back(job, server)
        else:
            why = endings.CANCELLED_HERE if job.wish is not None else endings.CANCELLED_THERE
            self._ledger.change(self._ended(replace(job, finished=at), endings.ended(JobState.CANCELLED, why)))

    def _lost(self, job: Job, *, is_sure: bool, at: datetime) -> None:
        """``is_sure``: something speaks for a restart; else one that waited may have been deleted by a person."""
        counted = (is_sure or job.state is JobState.RUNNING) and counts_as_loss(
            job, in_flight=self._ledger.jobs.values()
        )
        if counted:
            job = replace(job, losses=job.losses + 1, suspected=at)
        if job.losses >= MAX_LOSSES:
            self._ledger.change(
                self._ended(job, endings.ended(JobState.FAILED, endings.LOST_TWICE), hint=endings.LOG_HINT)
            )
            return
        self._bound(job).warning("ComfyUI was restarted and no longer has it; it will be posted again")
        self._ledger.change(unposted(job.after(Fact.LOST)))

    def _taken_back(self, job: Job, server: Server) -> None:
        self._ledger.change(unposted(job).after(Fact.BLOCKED, wish=None, fingerprint=server.fingerprint))

    # --- the end

    def _end(self, job: Job, entry: Mapping[str, Any], *, fingerprint: str) -> Job:
        outcome = read_outcome(entry)
        if job.wish is Wish.TAKE_BACK:
            return unposted(job).after(Fact.BLOCKED, wish=None, fingerprint=fingerprint)
        if outcome.state is JobState.COMPLETED:
            outcome = self._judged(job, outcome)
        return self._ended(job, outcome, hint=hint_for(outcome.problems) or job.hint)

    def _judged(self, job: Job, outcome: Outcome) -> Outcome:
        warned = tuple(problem for problem in job.problems if problem.severity is Severity.WARNING)
        return endings.judged(outcome, savers=(node for node, _ in savers(self._prompt(job))), warnings=warned)

    def _ended(self, job: Job, outcome: Outcome, *, hint: str = "") -> Job:
        return replace(job, outcome=outcome.as_dict(), hint=hint, started=outcome.started or job.started)

    def cancel_now(self, job: Job, *, at: datetime) -> None:
        """It is not in ComfyUI: it ends here, with a ``result.yaml`` if it ever had a run."""
        if job.run is None:
            self._ledger.change(job.after(Fact.CANCELLED, finished=at, problems=(endings.CANCELLED_HERE,)))
        else:
            self._ledger.change(
                self._ended(replace(job, finished=at), endings.ended(JobState.CANCELLED, endings.CANCELLED_HERE))
            )

    def take_out(self, job: Job) -> TakeOut:
        """What to ask so that ComfyUI lets go of a prompt; a removal leaves alone what runs."""
        return TakeOut(job=job.id, prompt_id=job.prompt_id, interrupt=job.wish is not Wish.REMOVE)

    def interrupt(self, job: Job, minutes: float) -> None:
        """It runs longer than ``max_runtime_minutes``."""
        self._bound(job).warning("runs for more than {} min (max_runtime_minutes); interrupting it", minutes)
        hint = f"It ran longer than max_runtime_minutes ({minutes:g}) and was interrupted by comfywatch."
        self._ledger.change(replace(job, wish=Wish.CANCEL, hint=hint))

    def takes_long(self, job: Job, seconds: float) -> None:
        """Worth a word in ``status.yaml`` and the log, once."""
        self.waits_for[job.id] = f"takes long: it has been running for more than {seconds / 60:.0f} min"
        self._bound(job).warning("has been running for {} min, longer than usual", round(seconds / 60))
        self._ledger.changed.add(job.project)

    def taken_out(self, ask: TakeOut, server: Server, *, now: float) -> None:
        """ComfyUI was asked to let go of a prompt: see whether it did."""
        server.taking_out.discard(ask.job)
        job = self._ledger.jobs.get(ask.job)
        if job is not None and job.wish is None and job.is_in_flight:
            self._ledger.change(replace(job, life=0))  # its file came back meanwhile: see ``Intake``
        self.retry_at[ask.job] = now + 1.0
        server.moved_on(now=now)

    def collected(self, result: Collected, *, now: float, at: datetime) -> Job | None:
        """The run folder is complete, or something was in the way; the job, if it ended."""
        job = self._ledger.jobs.get(result.job)
        if job is None or job.outcome is None or job.prompt_id != result.prompt_id:
            return None
        if result.error is not None:
            self._put_off(job, result.error, now)
            return None
        if result.gone:
            self._gone(job, result.gone)
            return None
        self._ledger.store.save_shown(job.id, result.shown)
        return self._final(job, Outcome.from_dict(job.outcome), at)

    def _final(self, job: Job, outcome: Outcome, at: datetime) -> Job:
        fact = {
            JobState.COMPLETED: Fact.COMPLETED,
            JobState.FAILED: Fact.FAILED,
            JobState.CANCELLED: Fact.CANCELLED,
        }[outcome.state]
        job = job.after(fact, problems=outcome.problems, finished=outcome.finished or job.finished or at)
        self.forget(job.id)
        if job.state is JobState.COMPLETED:
            self._bound(job).info("completed run {}: {} file(s)", job.run, len(outcome.files))
        else:
            self._bound(job).info("{}: {}", job.state, "; ".join(p.message for p in job.problems))
        return self._ledger.change(job)

    def _put_off(self, job: Job, error: ComfyError | OSError, now: float) -> None:
        truncated = self._truncated[job.id] = self._truncated.get(job.id, 0) + isinstance(error, Truncated)
        if truncated >= MAX_TRUNCATED:
            self._gone(job, (str(error),))
            return
        self.put_off(job, f"its outputs cannot be fetched or written yet: {error}", now=now)

    def put_off(self, job: Job, why: str, *, now: float) -> None:
        """Try again later, the later the more often it was tried; ``why`` is for ``status.yaml``."""
        tries = self._tries[job.id] = self._tries.get(job.id, 0) + 1
        pause = min(2.0 ** (tries - 1), LONGEST_RETRY)
        self.retry_at[job.id] = now + pause
        self.waits_for[job.id] = why
        self._bound(job).warning("{}; trying again in {} s", why, pause)
        self._ledger.changed.add(job.project)

    def _gone(self, job: Job, names: tuple[str, ...]) -> None:
        listed = ", ".join(names[:5])
        self.forget(job.id)
        if job.reruns < MAX_RERUNS:
            self._bound(job).warning("ComfyUI no longer has {}; it runs again", listed)
            self._ledger.change(unposted(job.after(Fact.LOST, outcome=None, reruns=job.reruns + 1)))
            return
        self._ledger.change(self._ended(job, endings.without_outputs(Outcome.from_dict(job.outcome or {}), names)))

    def _prompt(self, job: Job) -> Mapping[str, Any]:
        body = self._ledger.store.submitted(job.id)
        return prompt_in(body) if body else {}

    def _bound(self, job: Job) -> Any:
        return logger.bind(project=job.project, job=job.path, prompt_id=job.prompt_id)


def _witness(job: Job, seen: Sightings, present: list[Job]) -> Witness:
    """Whether something that ComfyUI accepted before ``job``, in the same life, is still known to it."""
    if seen.witness_known or any(was_there_before(other, job) for other in present):
        return Witness.PRESENT
    return Witness.NONE if seen.witness_known is None else Witness.FORGOTTEN


def unposted(job: Job) -> Job:
    """The job with no prompt in ComfyUI; its run number stays its own."""
    return replace(job, post=PostStage.NONE, prompt_id="", number=None, submitted=None, started=None)


def _dropped_outputs(node_errors: Mapping[str, Any]) -> list[str]:
    """The output nodes that depend on what is wrong, each once."""
    lists = [entry.get("dependent_outputs") for entry in node_errors.values() if isinstance(entry, Mapping)]
    return sorted({str(node) for nodes in lists if isinstance(nodes, list) for node in nodes})
