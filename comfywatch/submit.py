"""From a pending job to a prompt that is ready to be posted: examined, given its run, its id and its body."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from loguru import logger

from comfywatch.asks import Post as PostAsk
from comfywatch.chains import Reference, circle
from comfywatch.inherit import was_finished
from comfywatch.inputs import WAITS_FOR_FILES, InputFile, in_a_circle, input_files, lacking
from comfywatch.jobs import Fact, Job, JobState, Post, workflow_name
from comfywatch.ledger import Ledger
from comfywatch.mends import Sources, lacks_something, mended, needed_later
from comfywatch.model_folders import ModelInputs
from comfywatch.origin import origin_of
from comfywatch.past import seeds_of
from comfywatch.problems import MissingClass, Problem, Severity, errors
from comfywatch.prompts import Prompt, digest_for, prompt_of
from comfywatch.references import References
from comfywatch.saved import Seed, with_seeds
from comfywatch.server import Server
from comfywatch.submission import post_body, prepared
from comfywatch.validation import is_invalid, partial_outputs, respell, validate
from comfywatch.workflow import Dropped, NotAWorkflow, NotJson

PARTIAL = "partial_outputs"
PROMPTS_KEPT = 256
"""Prompts of saved workflows that are kept; the others are converted anew when they are needed."""
MAY_BE_MISSING = frozenset({"missing_node_type", "value_not_in_list"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The settings that decide what may be submitted, and how."""

    deny_nodes: frozenset[str]
    hold_partial: bool
    provenance: bool
    client_id: str
    previews: bool = False
    allow_links: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The input files of a job, and their names on the server by node and input."""

    files: tuple[InputFile, ...] = ()
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)


class Submitter:
    """``examined`` maps jobs that may be posted to the fingerprint of what they were examined against."""

    def __init__(
        self,
        ledger: Ledger,
        rules: Rules,
        *,
        aliases: Callable[[str], Mapping[str, str]],
        folder: Callable[[str], Path],
        references: Callable[[], References],
        highest_run_on_disk: Callable[[str, str], int],
    ) -> None:
        self._ledger = ledger
        self._rules = rules
        self._aliases = aliases
        self._folder = folder
        self._references = references
        self._highest_run_on_disk = highest_run_on_disk
        self.examined: dict[int, str] = {}
        self._prompts: dict[int, tuple[str, Prompt]] = {}

    def is_ready(self, job: Job, server: Server) -> bool:
        """Examine a pending job if need be; whether it may be posted."""
        if self.examined.get(job.id) == server.fingerprint:
            return True
        if not self.can_be_judged(job, server):
            return False
        job = self._known_by_content(job, server)
        problems = self.problems(job, server)
        found = errors(problems)
        if not found:
            self.examined[job.id] = server.fingerprint
            self._note_warnings(job, problems)
            return True
        if _fact(found) is Fact.INVALID:
            self._stop(job, Fact.INVALID, problems, server)
        elif server.is_fresh or not server.link.takes_jobs:
            self._stop(job, Fact.BLOCKED, problems, server)
        return False

    def can_be_judged(self, job: Job, server: Server) -> bool:
        """Whether there is a prompt to look at: a saved workflow waits for the schemas of its server."""
        return not job.source or server.schemas is not None

    def free(self, job: Job, server: Server) -> None:
        """Look at a blocked job again, or at an invalid one that others may have freed: something has changed."""
        waits_for_files = any(problem.code in WAITS_FOR_FILES for problem in job.problems)
        if job.fingerprint == server.fingerprint and not waits_for_files:
            return
        found = errors(problems := self.problems(job, server))
        if found:
            is_news = problems != job.problems or job.fingerprint != server.fingerprint
            if is_news and job.state is JobState.BLOCKED:
                self._ledger.change(job.after(_fact(found), problems=problems, fingerprint=server.fingerprint))
        else:
            logger.bind(project=job.project, job=job.path).info("no longer blocked")
            self._ledger.change(job.after(Fact.FREED, problems=(), fingerprint=""))

    def mend_again(self, job: Job, server: Server) -> None:
        """Say anew of a blocked job what mends it: more is known of that. What blocks it is the same."""
        if not any(problem.code in MAY_BE_MISSING for problem in job.problems):
            return
        problems = self.problems(job, server)
        if errors(problems) and problems != job.problems:
            self._ledger.change(replace(job, problems=problems))

    def block(self, job: Job, problem: Problem, server: Server) -> None:
        """It cannot be submitted as things are."""
        self._stop(job, Fact.BLOCKED, (problem,), server)

    def problems(self, job: Job, server: Server) -> tuple[Problem, ...]:
        """What stands against posting it, as far as it is known now; partial prompts by the setting."""
        try:
            dropped = self._ledger.prompt(job)
        except NotJson as error:
            return (Problem(code="not_json", message=f"This is not JSON: {error}."),)
        except NotAWorkflow as error:
            return (error.problem,)
        prompt = self._prompt(job, dropped, server)
        found = validate(
            prompt.nodes,
            schemas=server.schemas,
            inventory=server.inventory,
            aliases=self._aliases(job.project),
            deny_nodes=self._rules.deny_nodes,
        )
        found = self.mended(job, prompt.problems_with(found), server)
        found += dropped.remarks()
        found += tuple(self._lacking(job, server))
        if server.schemas is None or prompt.problems:
            return found
        parts = partial_outputs(prompt.nodes, found, server.schemas)
        if not parts.runs or not parts.dropped:
            return found
        if self._rules.hold_partial:
            return (would_be_partial(parts.dropped), *found)
        return tuple(problem if problem.code == "node_denied" else warning(problem) for problem in found)

    def refusal_mended(self, job: Job, problems: tuple[Problem, ...], server: Server) -> tuple[Problem, ...]:
        """The same for what ComfyUI says of a prompt that was posted."""
        try:
            return self.mended(job, problems, server)
        except (NotJson, NotAWorkflow):
            return problems

    def mended(self, job: Job, problems: tuple[Problem, ...], server: Server) -> tuple[Problem, ...]:
        """With where what is missing can be had, and what more will be missing then."""
        if not lacks_something(problems):
            return problems
        server.wants_packages |= any(isinstance(problem.lacks, MissingClass) for problem in problems)
        sources = Sources.of(server.schemas, server.inventory, references=self._references(), manager=server.packages)
        models = ModelInputs(schemas=server.schemas, inventory=server.inventory)
        dropped = self._ledger.prompt(job)
        later = needed_later(self._prompt(job, dropped, server).nodes, problems, models, sources, saved=dropped.saved)
        return (*mended(problems, sources, saved=dropped.saved), *later)

    def input_files(self, job: Job, server: Server) -> list[InputFile]:
        """The files that a job's prompt names; raises as ``Ledger.prompt`` does."""
        prompt, folder = self._prompt(job, self._ledger.prompt(job), server).nodes, self._folder(job.project)
        return list(input_files(prompt, server.schemas, folder, allow_links=self._rules.allow_links))

    def _prompt(self, job: Job, dropped: Dropped, server: Server) -> Prompt:
        """What is judged of a job; empty while a saved workflow waits for schemas."""
        fingerprint, prompt = self._prompts.get(job.id, ("", None))
        if prompt is None or fingerprint != server.fingerprint:
            prompt = prompt_of(dropped, server.schemas) or Prompt()
            if len(self._prompts) >= PROMPTS_KEPT:
                self._prompts.clear()
            self._prompts[job.id] = server.fingerprint, prompt
        return prompt

    def _known_by_content(self, job: Job, server: Server) -> Job:
        """A saved workflow that was taken before there were schemas gets the digest of the prompt that it becomes."""
        if not job.source or job.digest != job.source or not self._ledger.can_be_read(job):
            return job
        digest = digest_for(self._ledger.prompt(job), server.schemas)
        if digest == job.digest:
            return job
        record = self._ledger.file(job.project, job.path)
        if record is not None and record.job == job.id:
            self._ledger.save_file(replace(record, digest=digest))
        return self._ledger.change(replace(job, digest=digest))

    def _lacking(self, job: Job, server: Server) -> Iterator[Problem]:
        """Input files that cannot be sent as things are."""
        files = self.input_files(job, server)
        if any(file.wanted is not None and file.made is None for file in files):
            own = Reference(project=job.project, workflow=workflow_name(job.path))
            found = circle(own, lambda workflow: self._needs(workflow, server))
            if found:
                yield in_a_circle(found)
        for file in files:
            problem = lacking(file, job.project, limit=server.max_upload_bytes)
            if problem is not None:
                yield problem

    def _needs(self, workflow: Reference, server: Server) -> Iterator[Reference]:
        """The workflows of whose outputs this one, if it is still to run, is made."""
        for job in self._ledger.unfinished_of(workflow.project, f"{workflow.workflow}.json"):
            if self._ledger.can_be_read(job):
                yield from (file.wanted for file in self.input_files(job, server) if file.wanted is not None)

    def was_finished(self, job: Job) -> bool:
        """Whether a run that is on the disk and not in the database has been this one already; the job then ends."""
        if job.run is not None or job.new_seeds:
            return False
        known = self._ledger.store.highest_run(job.project, job.path)
        if self._highest_run_on_disk(job.project, job.path) <= known:
            return False
        return was_finished(self._ledger, self._folder(job.project), job)

    def prepare(self, job: Job, server: Server, sent: Sent, *, at: datetime) -> PostAsk:
        """Give it a run and a prompt id, and save the body: from here on it may be in ComfyUI."""
        dropped = self._ledger.prompt(job)
        run = job.run or self._next_run(job)
        job = replace(job, run=run, prompt_id=str(uuid.uuid4()), post=Post.INTENDED, server=server.url, submitted=at)
        draw = random.Random(f"{job.id}/{run}")  # noqa: S311  # the same in each attempt at this run
        prompt = prompt_of(dropped, server.schemas, draw=draw, now=at.astimezone()) or Prompt()
        seeds = self._new_seeds(job, prompt, draw) if job.new_seeds else ()
        body = self._body(job, with_seeds(prompt.nodes, seeds), server, dropped.saved, sent.names)
        self._ledger.store.save_submitted(job.id, body, origin_of(sent.files, prompt.drawn, seeds))
        self._ledger.change(replace(job, life=server.link.life, refusals=0))
        self.examined.pop(job.id, None)
        return PostAsk(job=job.id, prompt_id=job.prompt_id, body=body)

    def again(self, job: Job) -> PostAsk | None:
        """The same id and the same bytes; ``None`` if they are not kept."""
        body = self._ledger.store.submitted(job.id)
        return PostAsk(job=job.id, prompt_id=job.prompt_id, body=body) if body else None

    def _new_seeds(self, job: Job, prompt: Prompt, draw: random.Random) -> tuple[Seed, ...]:
        """The seeds of the run before this one, or of the file, changed as the words beside them say."""
        last = seeds_of(self._folder(job.project), job.path, (job.run or 1) - 1)
        return tuple(replace(seed, value=last.get(seed.places[0][0], seed.value)).rolled(draw) for seed in prompt.seeds)

    def _body(
        self,
        job: Job,
        nodes: Mapping[str, Any],
        server: Server,
        saved: Mapping[str, Any] | None,
        uploads: Mapping[tuple[str, str], str],
    ) -> bytes:
        spelled = respell(nodes, schemas=server.schemas, inventory=server.inventory, aliases=self._aliases(job.project))
        prompt = prepared(spelled, job, uploads=uploads)
        return post_body(
            prompt,
            job,
            client_id=self._rules.client_id,
            saved=saved,
            provenance=self._rules.provenance,
            previews=self._rules.previews,
        )

    def _next_run(self, job: Job) -> int:
        """Twins such as ``a.json`` and ``A.JSON`` share their numbers, for their outputs may lie in one folder."""
        known = (self._ledger.store.highest_run, self._highest_run_on_disk)
        twins = self._ledger.twins(job.project, job.path)
        return max(highest(job.project, path) for path in twins for highest in known) + 1

    def _note_warnings(self, job: Job, problems: tuple[Problem, ...]) -> None:
        if problems != job.problems and job.state is JobState.PENDING:
            self._ledger.change(replace(job, problems=problems))

    def _stop(self, job: Job, fact: Fact, problems: tuple[Problem, ...], server: Server) -> None:
        bound = logger.bind(project=job.project, job=job.path)
        bound.info("{}: {}", fact, "; ".join(problem.message for problem in errors(problems)))
        self._ledger.change(job.after(fact, problems=problems, fingerprint=server.fingerprint))


def would_be_partial(dropped: Iterable[str]) -> Problem:
    """ComfyUI would run the workflow without some of its outputs."""
    nodes = ", ".join(dropped)
    return Problem(
        code=PARTIAL,
        message=f"ComfyUI would run this without the output of node {nodes}, so it is held.",
        fix="Mend what follows; or set 'partial: run' in config.yaml to have the rest.",
    )


def warning(problem: Problem) -> Problem:
    """The same, as something that is only said."""
    return replace(problem, severity=Severity.WARNING)


def _fact(found: tuple[Problem, ...]) -> Fact:
    """A prompt of which a part could run is for the person to decide, whatever is wrong with the rest."""
    return Fact.INVALID if is_invalid(found) and found[0].code != PARTIAL else Fact.BLOCKED
