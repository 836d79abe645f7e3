"""From a pending job to a prompt that is ready to be posted: examined, given its run, its id and its body."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from loguru import logger

from comfywatch.asks import Post as PostAsk
from comfywatch.chains import Reference, circle
from comfywatch.inputs import WAITS_FOR_FILES, InputFile, in_a_circle, input_files, lacking
from comfywatch.jobs import Fact, Job, JobState, Post, workflow_name
from comfywatch.ledger import Ledger
from comfywatch.mends import Sources, lacks_something, mended, needed_later
from comfywatch.model_folders import ModelInputs
from comfywatch.problems import MissingClass, Problem, Severity, errors
from comfywatch.references import References
from comfywatch.server import Server
from comfywatch.submission import post_body, prepared
from comfywatch.validation import is_invalid, partial_outputs, respell, validate
from comfywatch.workflow import Dropped, NotAWorkflow, NotJson

PARTIAL = "partial_outputs"
MAY_BE_MISSING = frozenset({"missing_node_type", "value_not_in_list"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The settings that decide what may be submitted, and how."""

    deny_nodes: frozenset[str]
    hold_partial: bool
    provenance: bool
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

    def is_ready(self, job: Job, server: Server) -> bool:
        """Examine a pending job if need be; whether it may be posted."""
        if self.examined.get(job.id) == server.fingerprint:
            return True
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
        prompt = dropped.prompt
        found = validate(
            prompt,
            schemas=server.schemas,
            inventory=server.inventory,
            aliases=self._aliases(job.project),
            deny_nodes=self._rules.deny_nodes,
        )
        found = self.mended(dropped, found, server)
        found += dropped.remarks()
        found += tuple(self._lacking(job, server))
        if (
            server.schemas is None
            or not (parts := partial_outputs(prompt, found, server.schemas)).runs
            or not parts.dropped
        ):
            return found
        if self._rules.hold_partial:
            return (would_be_partial(parts.dropped), *found)
        return tuple(problem if problem.code == "node_denied" else warning(problem) for problem in found)

    def refusal_mended(self, job: Job, problems: tuple[Problem, ...], server: Server) -> tuple[Problem, ...]:
        """The same for what ComfyUI says of a prompt that was posted."""
        try:
            return self.mended(self._ledger.prompt(job), problems, server)
        except (NotJson, NotAWorkflow):
            return problems

    def mended(self, dropped: Dropped, problems: tuple[Problem, ...], server: Server) -> tuple[Problem, ...]:
        """With where what is missing can be had, and what more will be missing then."""
        if not lacks_something(problems):
            return problems
        server.wants_packages |= any(isinstance(problem.lacks, MissingClass) for problem in problems)
        sources = Sources.of(server.schemas, server.inventory, references=self._references(), manager=server.packages)
        models = ModelInputs(schemas=server.schemas, inventory=server.inventory)
        later = needed_later(dropped.prompt, problems, models, sources, saved=dropped.saved)
        return (*mended(problems, sources, saved=dropped.saved), *later)

    def input_files(self, job: Job, server: Server) -> list[InputFile]:
        """The files that a job's prompt names; raises as ``Ledger.prompt`` does."""
        prompt, folder = self._ledger.prompt(job).prompt, self._folder(job.project)
        return list(input_files(prompt, server.schemas, folder, allow_links=self._rules.allow_links))

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

    def prepare(self, job: Job, server: Server, sent: Sent, *, at: datetime) -> PostAsk:
        """Give it a run and a prompt id, and save the body: from here on it may be in ComfyUI."""
        dropped = self._ledger.prompt(job)
        run = job.run or self._next_run(job)
        job = replace(job, run=run, prompt_id=str(uuid.uuid4()), post=Post.INTENDED, server=server.url, submitted=at)
        body = self._body(job, dropped, server, sent.names)
        self._ledger.store.save_submitted(job.id, body, _origin(sent.files))
        self._ledger.change(replace(job, life=server.link.life, refusals=0))
        self.examined.pop(job.id, None)
        return PostAsk(job=job.id, prompt_id=job.prompt_id, body=body)

    def again(self, job: Job) -> PostAsk | None:
        """The same id and the same bytes; ``None`` if they are not kept."""
        body = self._ledger.store.submitted(job.id)
        return PostAsk(job=job.id, prompt_id=job.prompt_id, body=body) if body else None

    def _body(self, job: Job, dropped: Dropped, server: Server, uploads: Mapping[tuple[str, str], str]) -> bytes:
        spelled = respell(
            dropped.prompt, schemas=server.schemas, inventory=server.inventory, aliases=self._aliases(job.project)
        )
        prompt = prepared(spelled, job, uploads=uploads)
        return post_body(prompt, job, saved=dropped.saved, provenance=self._rules.provenance)

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


def _origin(files: Iterable[InputFile]) -> dict[str, Any]:
    """What ``result.yaml`` is to say of what a run was made from."""
    rows = [
        {
            "node": file.node,
            "input": file.input,
            "project": file.made.project,
            "workflow": file.made.workflow,
            "run": file.made.run,
            "path": file.made.path.name,
        }
        for file in files
        if file.made is not None
    ]
    return {"made_from": rows} if rows else {}


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
