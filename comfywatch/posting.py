"""Posting: which jobs go to a ComfyUI next, after their prompts were examined and their input files sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from comfywatch.comfy_errors import TooLarge
from comfywatch.decide import next_to_post, window
from comfywatch.effects import AskServer, Effect, Upload, Uploaded
from comfywatch.endings import too_large
from comfywatch.follow import Follower
from comfywatch.inputs import WAITS_FOR_FILES, InputFile
from comfywatch.jobs import Job, JobState
from comfywatch.ledger import Ledger
from comfywatch.line import Line, Standing
from comfywatch.projects import Projects
from comfywatch.server import Server
from comfywatch.servers import Servers
from comfywatch.submit import Sent, Submitter

NO_SCHEMAS = "ComfyUI's node schemas are not known yet, and a saved workflow becomes a prompt by them"
EXAMINED_AT_ONCE = 25
"""Prompts that are looked at between two commits, so that a flood of drops delays nothing else."""


class Poster:
    """Keeps the lines of the jobs that wait, one for each ComfyUI. ``max_in_flight``: ``None`` is ``auto``.

    Of a project nothing is posted before it is one of ``looked_through``: files may have gone while nobody looked.
    """

    def __init__(
        self,
        ledger: Ledger,
        projects: Projects,
        servers: Servers,
        submitter: Submitter,
        follower: Follower,
        *,
        max_in_flight: int | None,
    ) -> None:
        self._ledger = ledger
        self._projects = projects
        self._servers = servers
        self._submitter = submitter
        self._follower = follower
        self._max_in_flight = max_in_flight
        self.looked_through: set[str] = set()
        self._turns: dict[str, int] = {}
        self._lines: dict[str, Line] = {}
        self._uploading: dict[int, tuple[InputFile, ...]] = {}
        self._sent: dict[int, Sent] = {}

    def examine(self, *, now: float) -> None:
        """Look at the prompts of some jobs that came, or came back."""
        for job_id in self._ledger.unexamined.take(EXAMINED_AT_ONCE):
            job = self._ledger.jobs.get(job_id)
            if job is None or job.held or job.state is not JobState.PENDING or job_id in self._ledger.active:
                continue
            server = self._servers.of(job, now=now)
            if not self._submitter.can_be_judged(job, server):
                self._follower.waits_for[job.id] = NO_SCHEMAS
                continue
            if self._follower.waits_for.get(job.id) == NO_SCHEMAS:
                del self._follower.waits_for[job.id]
            if self._submitter.is_ready(job, server):
                self._line(server).add(job)

    def posts(self, server: Server, *, now: float, at: datetime) -> Iterator[Effect]:
        """What to post to this ComfyUI now, as far as there is room in its queue."""
        if server.must_adopt or (server.schemas is None and not server.is_fresh):
            return
        lying = list(self._ledger.in_flight(server.url))
        room = window(server.recent, setting=self._max_in_flight) - len(lying)
        if room <= 0 or any(job.losses for job in lying):
            return
        for job in self.upcoming(server, room, now=now):
            if job.losses and lying:
                return  # a suspect goes alone
            try:
                if self._submitter.was_finished(job):
                    continue
                effect = self._start(job, server, at=at)
            except OSError as error:
                self._follower.put_off(job, f"it cannot be said which run this is: {error.strerror or error}", now=now)
                return
            self._turns[job.project] = max(self._turns.values(), default=0) + 1
            lying.append(job)
            yield effect
            server.moved_on(now=now)
            if job.losses:
                return

    def upcoming(self, server: Server, count: int, *, now: float) -> list[Job]:
        """The next ``count`` jobs for this ComfyUI, as they would be posted now one after the other."""
        ready = self._heads(server, count, now=now)
        if not ready:
            return []
        return next_to_post(ready, room=count, priorities=self._projects.priorities(), turns=self._turns)

    def _heads(self, server: Server, room: int, *, now: float) -> list[Job]:
        """The first jobs of each project that may be posted now."""

        def standing(job_id: int) -> Standing:
            return self._standing(job_id, server, now)

        def waits(project: str) -> bool:
            return project not in self.looked_through or bool(self._projects.waits_for(project))

        heads = self._line(server).heads(room, standing, waits=waits)
        return [self._ledger.jobs[job_id] for job_id in heads]

    def _standing(self, job_id: int, server: Server, now: float) -> Standing:
        job = self._ledger.jobs.get(job_id)
        if (
            job is None
            or job.state is not JobState.PENDING
            or job_id in self._ledger.active
            or job.held
            or self._submitter.examined.get(job_id) != server.fingerprint
            or self._servers.of(job, now=now) is not server
        ):
            return Standing.LEFT
        if job_id in self._uploading or (job.source and not server.is_fresh):  # it may have another version now
            return Standing.NOT_YET
        if (job.project, job.path) in self._ledger.on_hold:
            return Standing.NOT_YET
        return Standing.READY if self.may_try(job, now) else Standing.NOT_YET

    def _start(self, job: Job, server: Server, *, at: datetime) -> Effect:
        """Post it, or, if it names files of the project, send those first."""
        sent = self._sent.pop(job.id, None)
        if sent is None:
            found = tuple(file for file in self._submitter.input_files(job, server) if file.path is not None)
            if found:
                self._uploading[job.id] = found
                return Upload(url=server.url, job=job.id, files=found)
        ask = self._submitter.prepare(job, server, sent or Sent(), at=at)
        server.posting.add(job.id)
        return AskServer(url=server.url, ask=ask)

    def uploaded(self, event: Uploaded, *, now: float) -> None:
        """A job's input files are on the server, or could not be sent."""
        files = self._uploading.pop(event.job, None)
        job = self._ledger.jobs.get(event.job)
        if job is None or files is None:
            return
        if event.error is None:
            self._sent[event.job] = Sent(files=files, names=event.names)
        elif isinstance(event.error, TooLarge):
            self._submitter.block(job, too_large(event.error), self._servers.of(job, now=now))
        else:
            self._follower.put_off(job, f"its input files cannot be sent yet: {event.error}", now=now)

    def files_changed(self, *, now: float) -> None:
        """A scan is done, or a run: input files that jobs wait for may have come."""
        for job in list(self._ledger.stopped.values()):
            if any(problem.code in WAITS_FOR_FILES for problem in job.problems):
                self._submitter.free(job, self._servers.of(job, now=now))

    def may_try(self, job: Job, now: float) -> bool:
        """Whether nothing speaks for waiting a little longer."""
        return self._follower.retry_at.get(job.id, 0) <= now

    def _line(self, server: Server) -> Line:
        return self._lines.setdefault(server.url, Line())
