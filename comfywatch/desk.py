"""What people ask for on the command line, done by the daemon (DESIGN 7): retry, cancel, free, refresh."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from comfywatch.asks import Free
from comfywatch.dispatch import Dispatcher
from comfywatch.intake import Intake
from comfywatch.jobs import STOPPED, Fact, Job, JobState, Wish
from comfywatch.ledger import Ledger
from comfywatch.store import FileRecord, Request

EVERY_SECONDS = 0.5
"""How often the database is asked whether another process has added a request, at most."""
_RETRIED_AT_ONCE = {JobState.FAILED, JobState.CANCELLED}
"""What ``retry PROJECT`` runs again without ``--state``; a single workflow is run again whatever it is."""


class Desk:
    """Serves requests in the order in which they were made."""

    def __init__(self, ledger: Ledger, intake: Intake, dispatcher: Dispatcher) -> None:
        self._ledger = ledger
        self._intake = intake
        self._dispatcher = dispatcher
        self._due = -math.inf
        self._version = -1

    def wake(self) -> None:
        """There may be a request."""
        self._due = -math.inf

    def glance(self) -> bool:
        """Whether another process has changed the database since it was last looked at; then ``serve`` looks."""
        if self._ledger.store.data_version() == self._version:
            return False
        self.wake()
        return True

    def is_asked(self) -> bool:
        """Whether a request is open."""
        return bool(self._ledger.store.open_requests())

    def serve(self, *, now: float, at: datetime) -> None:
        """Do what was asked for since the last time."""
        if self._due > now:
            return
        self._due = now + EVERY_SECONDS
        version = self._ledger.store.data_version()
        if version == self._version:
            return
        self._version = version
        for request in self._ledger.store.open_requests():
            self._ledger.store.answer_request(request.id, self._answer(request, at=at, now=now))

    def _answer(self, request: Request, *, at: datetime, now: float) -> str:
        is_named = "/" in request.target or bool(request.options.get("state"))
        match request.command:
            case "retry":
                new_seeds = bool(request.options.get("new_seed"))
                targets = self._targets(request)
                return self._count(
                    self.retry(record, is_named=is_named, new_seeds=new_seeds, at=at) for record in targets
                )
            case "cancel":
                return self._count(self.cancel(record) for record in self._targets(request))
            case "free":
                self._dispatcher.ask_soon(self._dispatcher.settings.comfyui_url, Free())
                return "ComfyUI is asked to free memory."
            case "refresh":
                self._dispatcher.servers.main.next_refresh = now
                return "ComfyUI is asked what it has."
            case other:
                return f"This comfywatch does not know the request '{other}'."

    def _targets(self, request: Request) -> list[FileRecord]:
        """The workflows that are meant, with or without ``.json``."""
        project, _, workflow = request.target.partition("/")
        records = self._ledger.files_of(project)
        if workflow:
            names = {workflow, f"{workflow}.json", f"{workflow}.JSON"}
            records = [record for record in records if record.path in names]
        wanted = request.options.get("state")
        return [record for record in records if not wanted or self._state(record) == wanted]

    def _state(self, record: FileRecord) -> JobState | None:
        job = self._ledger.latest(record)
        return job.state if job else None

    def retry(self, record: FileRecord, *, is_named: bool, new_seeds: bool = False, at: datetime) -> str:
        """Run a workflow again, in words; one that is not named only if it failed or was cancelled."""
        job = self._ledger.latest(record)
        if job is None:
            return "gone"
        if job.held:
            self._ledger.change(replace(job, held=""))
            return "released"
        if not job.is_final:
            return self._look_again(job)
        if not is_named and job.state not in _RETRIED_AT_ONCE:
            return "left as they are"
        again = self._intake.read_again(record, at=at, new_seeds=new_seeds)
        return "run again" if again else "not readable, or gone: put the file back"

    def _look_again(self, job: Job) -> str:
        if job.state is JobState.INVALID and not self._ledger.can_be_read(job):
            return "still invalid: mend the file"
        if job.state in STOPPED:
            self._ledger.change(job.after(Fact.FREED, problems=(), fingerprint=""))
            return "looked at again"
        return "under way already"

    def cancel(self, record: FileRecord) -> str:
        """Cancel what is unfinished of a workflow, in words."""
        unfinished = self._ledger.unfinished_of(record.project, record.path)
        for job in unfinished:
            self._ledger.change(replace(job, wish=Wish.CANCEL))
        return "cancelled" if unfinished else "already at an end"

    def _count(self, done: Iterator[str]) -> str:
        counts = Counter(done)
        return "; ".join(f"{count} {what}" for what, count in counts.items()) + "." if counts else "Nothing to do."
