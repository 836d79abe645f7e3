"""Between the jobs and the ComfyUIs: who is posted next, who is looked for, what each answer belongs to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from loguru import logger

from comfywatch import installed, overtime
from comfywatch.adopt import adopt
from comfywatch.asks import (
    Adopt,
    Answer,
    Ask,
    Ended,
    Installed,
    Look,
    LookUp,
    Lying,
    Peek,
    Post,
    Refresh,
    Sightings,
    TakeOut,
)
from comfywatch.collect import Collected, Collection
from comfywatch.comfy_values import Accepted
from comfywatch.decide import Step, next_step, was_there_before
from comfywatch.effects import AskServer, Collect, Effect, Heard, PackagesFound, WriteFile
from comfywatch.follow import Follower
from comfywatch.hardware import hardware
from comfywatch.hearing import Hearing
from comfywatch.history import Outcome
from comfywatch.jobs import Job, JobState, Wish
from comfywatch.jobs import Post as PostStage
from comfywatch.ledger import Ledger
from comfywatch.link import Link, ServerState
from comfywatch.missing import to_peek
from comfywatch.overtime import Limits, Stopwatch
from comfywatch.posting import Poster
from comfywatch.projects import Projects
from comfywatch.published import Publisher
from comfywatch.server import Server
from comfywatch.servers import RECENT, Servers, life_of
from comfywatch.settings import Settings
from comfywatch.submission import prompt_in
from comfywatch.submit import Submitter
from comfywatch.urls import safe_url

_ASKED_ALONE = {Step.TAKE_OUT, Step.POST_AGAIN}
CLOCK_SECONDS = 5.0
"""How often it is looked whether a job takes too long."""


class Dispatcher:
    """``servers`` maps addresses without credentials to what is known of each.

    At the first start no ComfyUI is asked about jobs before ``knows_files``: which prompts there are ours shows only
    beside our files.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        projects: Projects,
        submitter: Submitter,
        follower: Follower,
        *,
        client_id: str,
        must_adopt: bool,
        now: float,
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.projects = projects
        self.submitter = submitter
        self.follower = follower
        setting = settings.max_in_flight
        self.servers = Servers(settings, ledger, projects, must_adopt=must_adopt, now=now)
        self.poster = Poster(
            ledger,
            projects,
            self.servers,
            submitter,
            follower,
            max_in_flight=None if setting == "auto" else setting,
        )
        self.hearing = Hearing(settings, ledger, projects, self.servers, client_id=client_id)
        self.has_failed = False
        self.knows_files = False
        self._collecting: set[int] = set()
        self._limits = _limits(settings)
        self._clock_due = now
        self._stopwatch = Stopwatch()
        self._asked: list[tuple[str, Ask]] = []
        self._to_write: list[WriteFile] = []
        self._publisher = Publisher(settings)

    def ask_soon(self, url: str, ask: Ask) -> None:
        """Ask for something that a person wants."""
        self._asked.append((safe_url(url), ask))

    def are_posted(self, jobs: Iterable[int], *, now: float) -> None:
        """Their POSTs, which an engine before this one wanted, are still to be answered."""
        for job in [self.ledger.jobs[job_id] for job_id in list(jobs) if job_id in self.ledger.jobs]:
            self.servers.of(job, now=now).posting.add(job.id)

    # --- what came back

    def answered(self, answer: Answer, *, now: float, at: datetime) -> None:
        """An ask was answered, or could not be."""
        server = self.servers.get(answer.url)
        if server is None:
            return  # an engine before this one asked, and failed: what it wanted to know is asked again
        before = server.link
        if server.take(answer, now=now):
            self.follower.retry_at.clear()
            self.hearing.is_up(server.url)
        if isinstance(answer.ask, Post | Look | LookUp | TakeOut):
            self._answered_for_jobs(answer, server, now=now, at=at)
        else:
            self._answered_for_server(answer, server, now=now, at=at)
        self._note_link(before, server)

    def _answered_for_jobs(self, answer: Answer, server: Server, *, now: float, at: datetime) -> None:
        match answer.ask, answer.result:
            case Post() as ask, result:
                accepted = result if isinstance(result, Accepted) else None
                self.follower.posted(ask, accepted, answer.error, server, now)
            case Look() as ask, seen:
                server.looked(took=answer.took, now=now)
                if isinstance(seen, Sightings) and server.look_life == server.link.life:
                    self.follower.looked(ask, seen, server, now=now, at=at)
                    self._saw_queue(seen.lying, server, now=now)
                elif isinstance(seen, Sightings):  # a life that is over may have said so: only an end stays one
                    self._took_ends(ask.prompts, seen, server, now, at)
            case LookUp() as ask, seen:
                server.in_history -= set(ask.prompts.values())
                self._took_ends(
                    ask.prompts, seen if isinstance(seen, Sightings) else Sightings(by_job={}), server, now, at
                )
            case TakeOut() as ask, _:
                self.follower.taken_out(ask, server, now=now)

    def _took_ends(self, prompts: Mapping[int, str], seen: Sightings, server: Server, now: float, at: datetime) -> None:
        """What the history has is at its end; for the rest the next look is soon."""
        found = {job: prompt_id for job, prompt_id in prompts.items() if isinstance(seen.by_job.get(job), Ended)}
        self.follower.looked(Look(prompts=found), seen, server, now=now, at=at)
        server.moved_on(now=now)

    def heard(self, event: Heard, *, now: float) -> None:
        """Something was heard on a ComfyUI's websocket."""
        server = self.servers.get(event.url)
        if server is not None:
            self.hearing.heard(event, server, now=now)

    def _saw_queue(self, lying: Lying, server: Server, *, now: float) -> None:
        in_flight = list(self.ledger.in_flight(server.url))
        ours = [job for job in in_flight if job.prompt_id in lying.running]

        def patience() -> float:
            usual = [self.ledger.store.usual_seconds(job.project, job.path) for job in ours]
            unknown: list[list[float]] = [[] for _ in range(len(lying.running) - len(ours))]
            return max((overtime.patience(self._limits, usual=known) for known in usual + unknown), default=math.inf)

        told = any(job.wish not in {None, Wish.REMOVE} for job in ours)
        withdrawn = frozenset(job.prompt_id for job in in_flight if job.wish is not None)
        server.saw_queue(lying, withdrawn=withdrawn, is_told_to_stop=told, patience=patience, now=now)

    def _answered_for_server(self, answer: Answer, server: Server, *, now: float, at: datetime) -> None:
        match answer.ask, answer.result:
            case Refresh(), result:
                self._refreshed(server, result if isinstance(result, Installed) else None, now=now, at=at)
            case Peek(), True:
                server.next_refresh = now
            case Adopt(), tuple(found):
                server.must_adopt = False
                adopt(found, self.ledger, server)
            case Adopt(), _:
                server.next_adopt = now + server.link.poll_seconds

    def _note_link(self, before: Link, server: Server) -> None:
        link = server.link
        if link.life != before.life:
            self.ledger.store.save_fact(life_of(link.url), link.life)
        if (link.state, link.message, link.version) == (before.state, before.message, before.version):
            return
        if link.state is not before.state:
            if link.state is ServerState.UP:
                logger.info("ComfyUI is up at {}", link.url)
            else:
                logger.warning(
                    "ComfyUI is {}: {}; asking again every {} s at most", link.state, link.message, link.poll_seconds
                )
        self.ledger.changed.update(job.project for job in self.ledger.jobs.values())

    def _refreshed(self, server: Server, found: Installed | None, *, now: float, at: datetime) -> None:
        server.refreshed(found, now=now)
        if found is None:
            logger.warning("ComfyUI did not say what it has installed; asking again in a minute")
        else:
            self.servers.reread_inventory(server)
            inventory, schemas = installed.from_server(found, server.inventory, at=at)
            self.servers.tell(server.url, schemas, inventory, found.node_replacements)
            self._to_write += installed.written(self.servers.place(server.url), found, inventory)
            if server is self.servers.main:
                self._to_write += self._publisher.due(inventory, schemas)
            if server.set_installed(inventory, schemas):
                logger.info("{} node classes, {} model folders", len(found.object_info), len(found.models))
        self._look_again(server, now=now)

    def files_changed(self, *, now: float) -> None:
        """A scan is done: see to what may have changed beside the workflows."""
        self.poster.files_changed(now=now)
        for server in self.servers:
            if self.servers.reread_inventory(server):
                logger.info("the inventory was changed by another program")
                if server.wants_to_be_asked(now=now):
                    continue  # what it says of itself is looked at then
                self._look_again(server, now=now)

    def packages_found(self, event: PackagesFound, *, now: float) -> None:
        """A Manager was asked which package has what is missing."""
        server = self.servers.get(event.url)
        if server is not None:
            server.packages = event.packages
            self.mend_again(now=now, server=server)

    def mend_again(self, *, now: float, server: Server | None = None) -> None:
        """More is known of where missing things can be had; ``server``: by the jobs of this one."""
        for job in self.ledger.blocked():
            its_server = self.servers.of(job, now=now)
            if server is None or server is its_server:
                self.submitter.mend_again(job, its_server)

    def is_back(self, project: str) -> None:
        """A project that was away is there: what waited for it need not wait until it is tried again."""
        for job in self.ledger.active.values():
            if job.project == project:
                self.follower.retry_at.pop(job.id, None)

    def _look_again(self, server: Server, *, now: float) -> None:
        """What is installed may have changed: so may what is blocked or not yet posted."""
        for job in list(self.ledger.jobs.values()):
            if self.servers.of(job, now=now) is not server or job.id in self.ledger.active:
                continue
            if job.state is JobState.PENDING:
                self.ledger.unexamined.add(job)
            elif job.state is JobState.BLOCKED:
                server.wants_packages |= any(problem.code == "missing_node_type" for problem in job.problems)
                self.submitter.free(job, server)

    def collected(self, result: Collected, *, now: float, at: datetime) -> None:
        """A run folder is complete, or could not be completed."""
        self._collecting.discard(result.job)
        job = self.follower.collected(result, now=now, at=at)
        if job is None:
            return
        self.has_failed = self.has_failed or job.state is JobState.FAILED
        server = self.servers.get(job.server)
        seconds = (job.outcome or {}).get("seconds")
        if server is not None and job.state is JobState.COMPLETED and seconds is not None:
            server.recent = [seconds, *server.recent][:RECENT]
        if job.state is JobState.COMPLETED:
            self.poster.files_changed(now=now)

    # --- what is to be done

    def plan(self, *, now: float, at: datetime) -> Iterator[Effect]:
        """Everything that is due, for all servers."""
        self.poster.examine(now=now)
        self._end_unposted(at=at)
        self._watch_the_clock(now=now, at=at)
        yield from self._to_write
        self._to_write.clear()
        for url, ask in self._asked:
            yield AskServer(url=url, ask=ask)
        self._asked.clear()
        yield from self._collections(now=now)
        yield from self.hearing.plan(now=now, at=at)
        for server in self.servers:
            yield from self._for_server(server, now=now, at=at)

    def _for_server(self, server: Server, *, now: float, at: datetime) -> Iterator[Effect]:
        asks: list[Ask] = []
        if (find_packages := server.find_packages()) is not None:
            yield find_packages
        if server.link.answers and self.knows_files:
            asks += self._look_up(server)
            asks += self._follow_up(server, now=now, at=at)
            if server.link.takes_jobs:
                yield from self.poster.posts(server, now=now, at=at)
            if server.must_adopt:
                asks += server.if_due(Adopt(), server.next_adopt, now)
        asks += server.routine(now=now, peek=lambda: self._peek(server, now=now))
        for ask in asks:
            yield AskServer(url=server.url, ask=ask)

    def _look_up(self, server: Server) -> Iterator[Ask]:
        """What ComfyUI said that its history has is asked for at once."""
        if not server.in_history or LookUp in server.asking:
            return
        jobs = [job for job in self.ledger.in_flight(server.url) if job.prompt_id in server.in_history]
        server.in_history &= {job.prompt_id for job in jobs}
        prompts = {job.id: job.prompt_id for job in jobs if not server.is_busy_with(job.id)}
        if prompts:
            server.asking.add(LookUp)
            yield LookUp(prompts=prompts)

    def _follow_up(self, server: Server, *, now: float, at: datetime) -> Iterator[Ask]:
        """What is due for the jobs that this ComfyUI has or may have; they are looked for together."""
        to_look: list[Job] = []
        jobs = [job for job in self.ledger.active.values() if self.servers.of(job, now=now) is server]
        # What waits is taken out before what runs is interrupted: the other way round it would begin.
        for job in sorted(jobs, key=lambda job: job.state is JobState.RUNNING):
            if server.is_busy_with(job.id):
                continue
            step = next_step(job, absence=self.follower.absences.get(job.id), may_start=False)
            if step is Step.END_CANCELLED:
                self.follower.cancel_now(job, at=at)
            elif step in _ASKED_ALONE and self.poster.may_try(job, now):
                yield from self._alone(job, step, server)
            elif step is not Step.COLLECT:
                to_look.append(job)
        is_wanted = bool(to_look) or server.link.state is ServerState.STUCK
        if is_wanted and server.next_look <= now and Look not in server.asking:
            server.asking.add(Look)
            server.look_asked, server.look_life = now, server.link.life
            yield self._look(to_look, server)

    def _alone(self, job: Job, step: Step, server: Server) -> Iterator[Ask]:
        if step is Step.TAKE_OUT:
            server.taking_out.add(job.id)
            yield self.follower.take_out(job)
        elif server.link.takes_jobs and (again := self.submitter.again(job)) is not None:
            self.follower.absences.pop(job.id, None)
            server.posting.add(job.id)
            yield again

    def _look(self, jobs: list[Job], server: Server) -> Look:
        witness = self.ledger.store.latest_finished(server=server.url, life=server.link.life)
        accepted = [job for job in jobs if job.number is not None]
        vouches = witness is not None and all(was_there_before(witness, job) for job in accepted)
        prompts = {job.id: job.prompt_id for job in jobs}
        return Look(prompts=prompts, witness=witness.prompt_id if witness is not None and vouches else "")

    def _end_unposted(self, *, at: datetime) -> None:
        """What a person no longer wants, and no ComfyUI has, ends here."""
        for job in list(self.ledger.active.values()):
            if job.post is PostStage.NONE and next_step(job, absence=None, may_start=False) is Step.END_CANCELLED:
                self.follower.cancel_now(job, at=at)

    def _watch_the_clock(self, *, now: float, at: datetime) -> None:
        """Say that a job takes long, and interrupt one that takes longer than it may."""
        if now < self._clock_due:
            return
        self._clock_due = now + CLOCK_SECONDS
        running = [job for job in self.ledger.active.values() if job.state is JobState.RUNNING and job.wish is None]
        self._stopwatch.saw(running, now=now, at=at, every=CLOCK_SECONDS)
        for job in running:
            self._judge_time(job, at=self._stopwatch.time_for(job, now=now, at=at))

    def _judge_time(self, job: Job, *, at: datetime) -> None:
        if overtime.is_over(job, self._limits, at=at):
            self.follower.interrupt(job, self.settings.max_runtime_minutes or 0)
        elif job.id not in self.follower.waits_for:
            usual = self.ledger.store.usual_seconds(job.project, job.path)
            seconds = overtime.seconds_running(job, at=at)
            if seconds > overtime.warning_due_after(self._limits, usual=usual):
                self.follower.takes_long(job, seconds)

    def _collections(self, *, now: float) -> Iterator[Effect]:
        for job in list(self.ledger.active.values()):
            if job.outcome is None or job.id in self._collecting or not self.poster.may_try(job, now):
                continue
            if self.hearing.is_showing(job):
                continue
            server = self.servers.of(job, now=now)
            if job.outcome["files"] and not server.link.answers:
                continue
            if not self.projects.is_in_place(job.project):
                if self.projects[job.project].is_there or job.id not in self.follower.waits_for:
                    self.follower.put_off(job, f"its project {job.project} is not there", now=now)
                continue
            self.hearing.ended(job, server, now=now)
            self._collecting.add(job.id)
            yield Collect(url=server.url, task=self._collection(job, server))

    def _peek(self, server: Server, *, now: float) -> Peek | None:
        blocked = self.ledger.blocked()
        return to_peek([job for job in blocked if self.servers.of(job, now=now) is server], server)

    def next_due(self, *, now: float) -> float:
        """When ``plan`` has something to do even if nothing happens."""
        times = [self.hearing.next_due(now=now), *(server.next_due() for server in self.servers)]
        stuck = (server for server in self.servers if server.link.state is ServerState.STUCK)
        times += [server.next_look for server in stuck if Look not in server.asking]
        if self.ledger.unexamined or self._asked or self._to_write:
            times.append(now)
        for job in self.ledger.active.values():
            server = self.servers.of(job, now=now)
            is_to_look = job.is_in_flight and Look not in server.asking and not server.is_busy_with(job.id)
            if server.link.answers and is_to_look:
                times.append(server.next_look)
        times += [due for due in self.follower.retry_at.values() if due > now]
        return min(times)

    def is_idle(self) -> bool:
        """Whether every unfinished job is held, blocked or invalid, judged by what its server has now."""
        if self.ledger.active or self.ledger.unexamined:
            return False
        pending = [job for job in self.ledger.jobs.values() if job.state is JobState.PENDING]
        waiting = (job for job in pending if not job.held and (job.project, job.path) not in self.ledger.on_hold)
        if any(not self.projects.waits_for(job.project) for job in waiting):
            return False
        blocked = self.ledger.blocked()
        return not blocked or all(server.is_fresh for server in self.servers if server.link.takes_jobs)

    def down_for(self, *, now: float) -> float:
        """How long the longest-missing server has been down, in seconds; 0 if all are up."""
        return max((now - server.down_since for server in self.servers if server.down_since is not None), default=0)

    def _collection(self, job: Job, server: Server) -> Collection:
        body = self.ledger.store.submitted(job.id)
        return Collection(
            job=job,
            outcome=Outcome.from_dict(job.outcome or {}),
            prompt=prompt_in(body) if body else {},
            origin=self.ledger.store.origin(job.id),
            folder=self.projects.folder(job.project),
            server=server.url,
            comfyui_version=server.link.version,
            system=hardware(server.system, server.inventory.system if server.inventory else {}),
            hint=job.hint,
            unique_names=self.settings.output_names == "unique",
            keep_previews=self.settings.previews == "keep",
        )


def _limits(settings: Settings) -> Limits:
    longest = settings.max_runtime_minutes
    return Limits(warn_after=settings.warn_after_minutes * 60, longest=None if longest is None else longest * 60)
