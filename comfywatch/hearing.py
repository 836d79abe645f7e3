"""What is made of the websockets: hints where to look, the progress of running jobs, and their previews.

The rule it keeps: nothing follows from what was heard but a look. If every socket were closed, the same would happen a
little later, and only the progress would be less exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime

from loguru import logger

from comfywatch import live
from comfywatch.effects import Effect, Heard, Listen, PreviewShown, ShowLive, ShowPreview
from comfywatch.heard import InHistory, Over, Preview, What
from comfywatch.jobs import Job
from comfywatch.ledger import Ledger
from comfywatch.meters import Meters
from comfywatch.progress import Progress
from comfywatch.projects import Projects
from comfywatch.server import Server
from comfywatch.servers import Servers
from comfywatch.settings import Settings

LIVE_SECONDS = 0.25
"""How often those who follow are told, at most."""
ASK_SECONDS = 1.0
"""How often it is looked whether somebody follows, while a job runs."""
PREVIEW_SECONDS = 1.0
DEAF_SECONDS = 60.0
"""How often a socket on which nothing is heard is opened anew, at most."""


class Hearing:
    """``client_id`` is whom ComfyUI's events are for. Times are monotonic."""

    def __init__(
        self, settings: Settings, ledger: Ledger, projects: Projects, servers: Servers, *, client_id: str
    ) -> None:
        self.client_id = client_id
        self.meters = Meters(ledger, every=settings.progress_seconds)
        self._live_file = settings.live_file
        self._ledger = ledger
        self._projects = projects
        self._servers = servers
        self._listen: list[Listen] = []
        self._opened_anew: dict[str, float] = {}
        self._live_due = -math.inf
        self._is_followed = False
        self._previews: dict[int, bytes] = {}
        self._preview_due: dict[int, float] = {}
        self._showing: set[int] = set()

    # --- what comes in

    def is_up(self, url: str) -> None:
        """ComfyUI is there: listen to it."""
        self._listen.append(Listen(url=url, client_id=self.client_id))

    def heard(self, event: Heard, server: Server, *, now: float) -> None:
        """Something was heard of this ComfyUI."""
        if event.is_open is not None:
            server.heard(is_open=event.is_open, now=now)
        for told in event.told:
            job = self.meters.job(told.what, event.url)
            if job is not None:
                self.meters.heard(told.what, job, at=told.at)
                self._hint(told.what, job, server, now=now)

    def _hint(self, what: What, job: Job, server: Server, *, now: float) -> None:
        match what:
            case InHistory():
                server.in_history.add(job.prompt_id)
            case Over():
                server.moved_on(now=now)
            case Preview(data=data):
                self._previews[job.id] = data

    def ended(self, job: Job, server: Server, *, now: float) -> None:
        """A job has come to its end in ComfyUI."""
        if not self.meters.was_heard(job):
            self._is_deaf(job, server, now=now)
        self.meters.learn(job, server.schemas)

    def _is_deaf(self, job: Job, server: Server, *, now: float) -> None:
        """Sockets are known to fall silent after hours; this one was open all the time that the job ran."""
        since, anew = server.heard_since, self._opened_anew.get(job.server, -math.inf)
        seconds = (job.outcome or {}).get("seconds") or 0.0
        if since is not None and now - since > seconds + DEAF_SECONDS and now - anew > DEAF_SECONDS:
            self._opened_anew[job.server] = now
            logger.debug("nothing is heard of ComfyUI at {} any more; listening anew", job.server)
            self._listen.append(Listen(url=job.server, client_id=self.client_id, anew=True))

    def shown(self, event: PreviewShown, *, now: float) -> None:
        """A preview is in place, or could not be written; then this job has none."""
        self._showing.discard(event.job)
        self._preview_due[event.job] = now + PREVIEW_SECONDS if event.is_written else math.inf

    def is_showing(self, job: Job) -> bool:
        """Whether its preview is being written: only after that its run folder may be completed."""
        return job.id in self._showing

    # --- what goes out

    def progress(self, job: Job, *, now: float, at: datetime) -> Progress | None:
        """How far a job is; ``None`` if it does not run, or if nobody can know."""
        return self.meters.progress(job, self._servers.of(job, now=now).schemas, now=now, at=at)

    def plan(self, *, now: float, at: datetime) -> Iterator[Effect]:
        """What is due."""
        self.meters.forget_others()
        self._ledger.changed.update(self.meters.to_write(now=now))
        for job in self.meters.to_look(now=now):
            self._servers.of(job, now=now).hinted(now=now)
        yield from self._listen
        self._listen.clear()
        yield from self._show_previews(now=now)
        yield from self._show_live(now=now, at=at)

    def _show_previews(self, *, now: float) -> Iterator[Effect]:
        running = {job.id: job for job in self.meters.running()}
        for job_id in self._previews.keys() - running.keys():
            del self._previews[job_id]
        for job_id in self._preview_due.keys() - running.keys():
            del self._preview_due[job_id]
        for job_id in list(self._previews):
            if job_id not in self._showing and self._preview_due.get(job_id, now) <= now:
                self._showing.add(job_id)
                job, data = running[job_id], self._previews.pop(job_id)
                folder = self._projects.folder(job.project)
                yield ShowPreview(job=job_id, project=folder, run_folder=job.folder, data=data)

    def _show_live(self, *, now: float, at: datetime) -> Iterator[Effect]:
        """Tell those who follow, if there are any."""
        if now < self._live_due:
            return
        running = list(self.meters.running())
        self._is_followed = bool(running) and live.is_wanted(self._live_file, at=at)
        self._live_due = now + (LIVE_SECONDS if self._is_followed else ASK_SECONDS)
        if not self._is_followed:
            return
        found = {job.id: told for job in running if (told := self.progress(job, now=now, at=at)) is not None}
        if found:
            yield ShowLive(path=self._live_file, data=live.content(found))

    def next_due(self, *, now: float) -> float:
        """When ``plan`` has something to do even if nothing happens."""
        if self._listen:
            return now
        previews = [self._preview_due.get(job_id, now) for job_id in self._previews if job_id not in self._showing]
        live_due = self._live_due if any(True for _ in self.meters.running()) else math.inf
        return min([*previews, live_due, self.meters.next_write(), self.meters.next_look()])
