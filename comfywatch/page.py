"""``index.html`` of a project, and the one over all projects: what they say, from values (DESIGN 2).

What runs comes first, then what needs a person, what waits, and the pictures, the newest first. The first of these
stand in the page as they are; the others come as data, of which the page's script makes more as somebody scrolls. So a
page of thousands is small, cheap to write, and quick to open.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from comfywatch.gallery import Kind, Output, Run, address, outputs_of, plain_run
from comfywatch.jobs import JobState, workflow_name
from comfywatch.names import natural
from comfywatch.problems import Problem
from comfywatch.status import MAX_NOTICES, MAX_PROBLEMS, ORDER, Entry, Project
from comfywatch.templates import Rendered, as_json, json_list, rendered

PAGE = "index.html"
AT_ONCE = 24
"""Outputs that stand in the page as they are."""
MAX_ROWS = 200
"""Workflows that are listed in one part of the page."""
MAX_TEXT = 1000
ROOM = 150_000
"""Characters that the workflows in one part of the page may take."""
GALLERY_BYTES = 3 * 2**19
MAX_RUNS = 10_000

TROUBLED = (JobState.FAILED, JobState.BLOCKED, JobState.INVALID)
WAITING = (JobState.QUEUED, JobState.PENDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a project's page is made of.

    ``entries`` are workflows that have not come to a good end. ``counts`` are of all workflows; ``runs`` are the
    finished ones, the newest first, and ``run_count`` says how many there are with those that are left out.
    """

    project: Project
    counts: Mapping[JobState, int]
    entries: tuple[Entry, ...] = ()
    runs: tuple[Run, ...] = ()
    run_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A project on the page over all of them. ``cover`` is its newest picture, seen from its folder."""

    name: str
    counts: Mapping[JobState, int] = field(default_factory=dict)
    percent: int | None = None
    cover: str = ""
    newest: datetime | None = None

    @property
    def address(self) -> str:
        return address(f"{self.name}/{PAGE}")

    @property
    def cover_address(self) -> str:
        return address(f"{self.name}/{self.cover}") if self.cover else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A workflow in a list. ``retry`` is what to type to have it run again, empty where that is of no use."""

    entry: Entry
    name: str
    problems: tuple[Problem, ...] = ()
    more_problems: int = 0
    reason: str = ""
    hint: str = ""
    retry: str = ""
    folder: str = ""


def project_page(page: Page, *, at: datetime) -> Rendered:
    """The page of one project."""
    entries = page.entries
    running = _rows(page, [JobState.RUNNING], entries)
    runs, data = _fitting(page.runs)
    outputs = list(islice(outputs_of(runs), AT_ONCE))
    return rendered(
        "project.html",
        title=page.project.name,
        at=at,
        link=page.project.link,
        counts={state: page.counts[state] for state in ORDER if page.counts.get(state)},
        total=sum(page.counts.values()),
        notices=[_cut(notice) for notice in page.project.notices[:MAX_NOTICES]],
        running=running,
        troubled=_rows(page, TROUBLED, entries),
        waiting=_rows(page, WAITING, entries),
        arriving=sorted(page.project.arriving.items())[:MAX_ROWS],
        outputs=outputs,
        workflows=_names(page, runs),
        months=_months(runs),
        runs=json_list(data),
        shown=sum(len(run.shown.outputs) for run in runs),
        left_out=page.run_count - len(runs),
        blank=_blanks(),
    )


def overview(cards: Sequence[Card], *, others: Sequence[str] = (), at: datetime) -> Rendered:
    """The page over all projects; ``others`` are those that another machine serves."""
    ordered = sorted(cards, key=lambda card: natural(card.name))
    elsewhere = [Card(name=name) for name in sorted(others, key=natural)]
    return rendered("projects.html", title="Projects", at=at, cards=ordered, elsewhere=elsewhere, order=ORDER)


def card(page: Page) -> Card:
    """A project as the page over all of them shows it."""
    pictures = (output for output in outputs_of(page.runs) if output.kind is Kind.PICTURE)
    cover = next(pictures, None)
    percents = [entry.progress.percent for entry in page.entries if entry.progress is not None]
    return Card(
        name=page.project.name,
        counts={state: page.counts[state] for state in ORDER if page.counts.get(state)},
        percent=max(percents, default=None),
        cover=f"{cover.run.folder}/{cover.name}" if cover else "",
        newest=page.runs[0].finished if page.runs else None,
    )


def _rows(page: Page, states: Sequence[JobState], entries: Iterable[Entry]) -> list[Row]:
    """The workflows in these states as far as there is room, in the order of ``states``."""
    wanted = [entry for entry in entries if entry.job.state in states]
    wanted.sort(key=lambda entry: _rank(entry, states))
    rows: list[Row] = []
    room = ROOM
    for row in (_row(page.project.name, entry) for entry in wanted[:MAX_ROWS]):
        room -= _length(row)
        if room < 0:
            break
        rows.append(row)
    return rows


def _rank(entry: Entry, states: Sequence[JobState]) -> tuple[object, ...]:
    job, expected = entry.job, entry.expected
    at = expected.timestamp() if expected else float("inf")
    return states.index(job.state), at, job.number or 0, natural(entry.path)


def _row(project: str, entry: Entry) -> Row:
    job = entry.job
    target = shlex.quote(f"{project}/{workflow_name(entry.path)}")
    return Row(
        entry=entry,
        name=workflow_name(entry.path),
        problems=tuple(map(_short, job.problems[:MAX_PROBLEMS])),
        more_problems=max(0, len(job.problems) - MAX_PROBLEMS),
        reason=_cut(entry.reason),
        hint=_cut(job.hint),
        retry=f"comfywatch retry {target}" if job.state is JobState.FAILED else "",
        folder=address(job.lies_in) if job.run and job.is_final else "",
    )


def _short(problem: Problem) -> Problem:
    return replace(
        problem,
        message=_cut(problem.message),
        fix=_cut(problem.fix),
        node=_cut(problem.node),
        class_type=_cut(problem.class_type),
        input=_cut(problem.input),
        traceback=(),
    )


def _length(row: Row) -> int:
    texts = [row.reason, row.hint, row.retry, row.folder, row.name, row.name]
    for problem in row.problems:
        texts += [problem.message, problem.fix, problem.fix, problem.node, problem.class_type, problem.input]
    return sum(map(len, texts))


def _fitting(runs: Iterable[Run]) -> tuple[list[Run], list[str]]:
    """Those of the newest runs that have something to show and fit into the page, and the same for its script."""
    kept: list[Run] = []
    data: list[str] = []
    room = GALLERY_BYTES
    for run in runs:
        if not run.shown.outputs:
            continue
        text = as_json(plain_run(run))
        room -= len(text) + 2
        if room < 0:
            break
        kept.append(run)
        data.append(text)
    return kept, data


def _names(page: Page, runs: Iterable[Run]) -> list[str]:
    names = {run.workflow for run in runs} | {workflow_name(entry.path) for entry in page.entries}
    return sorted(names, key=natural)[:MAX_ROWS]


def _months(runs: Iterable[Run]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for run in runs:
        counts[run.month] = counts.get(run.month, 0) + len(run.shown.outputs)
    return sorted(counts.items(), reverse=True)


def _blanks() -> Iterator[Output]:
    """One output of each kind, from which the script makes the others."""
    run = Run(path="", run=0, state=JobState.COMPLETED, folder="")
    endings = {Kind.PICTURE: "png", Kind.VIDEO: "mp4", Kind.AUDIO: "mp3", Kind.FILE: "glb"}
    return (Output(run=run, name=f"x.{ending}") for ending in endings.values())


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} …"
