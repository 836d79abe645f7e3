"""``comfywatch status --follow``: what runs, what waits and what ended last, for as long as somebody looks.

The state of each job is the database's, its progress is what the daemon writes for those who follow (``live``), and why
a job waits is in ``status.yaml``. Only as many jobs are read as can be shown, so that a large archive costs nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from comfywatch import live
from comfywatch.commands.database import opened
from comfywatch.commands.options import Unusable
from comfywatch.commands.said import Said, said_in
from comfywatch.commands.targets import UnknownName, find_target
from comfywatch.commands.terminal import Line, Screen, say
from comfywatch.jobs import Job, JobState
from comfywatch.lock import is_held
from comfywatch.progress import Progress
from comfywatch.urls import safe_url

if TYPE_CHECKING:
    from comfywatch.settings import Settings
    from comfywatch.store import Store

EVERY_SECONDS = 0.25
ASK_SECONDS = 1.0
"""How often it is looked whether a daemon runs, and said that somebody follows."""
PLAIN_SECONDS = 5.0
"""How often progress alone is a line, where each change is one."""
FINISHED_SHOWN = 5
PLAIN_SHOWN = 200
ORDER = (JobState.RUNNING, JobState.QUEUED, JobState.BLOCKED, JobState.INVALID, JobState.PENDING)
NOT_RUNNING = "comfywatch is not running; start it with: comfywatch run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """How it stands at a moment; ``counts`` has the states that are not final."""

    is_running: bool = False
    comfyui: str = ""
    unfinished: tuple[Job, ...] = ()
    finished: tuple[Job, ...] = ()
    counts: dict[JobState, int] = field(default_factory=dict)
    said: dict[str, Said] = field(default_factory=dict)
    progress: dict[int, Progress] = field(default_factory=dict)


def follow(settings: Settings, project: str | None) -> None:
    """Until Ctrl-C."""
    try:
        with Screen() as screen, ExitStack() as stack:
            if screen.shows:
                for glance in _glances(settings, project, stack, room=screen.room):
                    screen.show(_head(glance), [*_lines(glance, room=screen.room)], "Ctrl-C ends this view only.")
            else:
                _tell(_glances(settings, project, stack, room=PLAIN_SHOWN))
    except KeyboardInterrupt:
        return


# --- what there is to see


def _glances(settings: Settings, project: str | None, stack: ExitStack, *, room: int) -> Iterator[Glance]:
    """How it stands, again and again."""
    store: Store | None = None
    never, due, is_running = threading.Event(), 0.0, False
    while True:
        now = time.monotonic()
        if now >= due:
            due = now + ASK_SECONDS
            live.want(settings.live_file)
            is_running = is_held(settings.lock)
        if store is None and settings.database.exists():
            store = stack.enter_context(opened(settings))
            project = _known(settings, project, store)
        yield _glance(settings, store, project, is_running=is_running, room=room)
        never.wait(EVERY_SECONDS)


def _known(settings: Settings, project: str | None, store: Store) -> str | None:
    if project is None:
        return None
    with suppress(OSError):
        if (settings.projects / project).is_dir():
            return project
    try:
        return find_target(project, dict.fromkeys(store.projects(), ()))
    except UnknownName as error:
        raise Unusable(str(error)) from error


def _glance(settings: Settings, store: Store | None, project: str | None, *, is_running: bool, room: int) -> Glance:
    url = safe_url(settings.comfyui_url)
    if store is None:
        return Glance(is_running=is_running, comfyui=url)
    unfinished: list[Job] = []
    for state in ORDER:
        if len(unfinished) < room:
            unfinished += store.in_state(state, project=project, limit=room - len(unfinished))
    said = {job.project: Said() for job in unfinished}
    if is_running:
        said = {name: said_in(settings.projects / name) for name in said}
    return Glance(
        is_running=is_running,
        comfyui=next((_comfyui(each) for each in said.values() if each.comfyui), url),
        unfinished=tuple(unfinished),
        finished=tuple(store.newest_finished(project=project, limit=FINISHED_SHOWN)),
        counts=store.counts(project=project),
        said=said,
        progress=live.written(settings.live_file, at=datetime.now(UTC)) if is_running else {},
    )


def _comfyui(said: Said) -> str:
    known = said.comfyui
    version = f"{known['version']} " if known.get("version") else ""
    why = f" ({known['message']})" if known.get("message") else ""
    return f"{version}at {known.get('url', '')} is {known.get('state', '')}{why}"


# --- on a terminal


def _head(glance: Glance) -> list[str]:
    first = f"comfywatch is running; ComfyUI {glance.comfyui}." if glance.is_running else NOT_RUNNING
    counts = [f"{glance.counts[state]} {state}" for state in ORDER if glance.counts.get(state)]
    return [first, ", ".join(counts) or "Nothing is under way."]


def _lines(glance: Glance, *, room: int) -> Iterator[Line]:
    """What is under way, then what ended last; both get their share of a small terminal."""
    ended = glance.finished[: max(1, room // 3)]
    yield from (_line(glance, job) for job in glance.unfinished[: room - len(ended)])
    yield from (_line(glance, job) for job in ended)


def _line(glance: Glance, job: Job) -> Line:
    told = _progress(glance, job)
    return Line(
        name=f"{job.project}/{job.path}",
        run=str(job.run or ""),
        state=job.state.value,
        percent=told.percent if told else None,
        what=_of_progress(told) if told else _why(glance, job),
    )


def _progress(glance: Glance, job: Job) -> Progress | None:
    return glance.progress.get(job.id) if job.state is JobState.RUNNING and job.outcome is None else None


def _of_progress(told: Progress) -> str:
    left = f"{_long(told.eta_seconds)} left" if told.eta_seconds is not None else f"{_long(told.seconds)} so far"
    return "  ".join(filter(None, (left, f"{told.title or told.node} {told.step}".strip())))


def _long(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _why(glance: Glance, job: Job) -> str:
    """What is to be said of a job that does not run."""
    if job.is_final:
        first = job.problems[0].message if job.problems else ""
        return first if job.state is JobState.FAILED and first else job.lies_in if job.run else first
    if job.problems:
        return job.problems[0].message
    row = glance.said.get(job.project, Said()).rows.get(job.path, {})
    return str(row.get("reason", "")) if row.get("state") == job.state.value else job.held


# --- line by line


def _tell(glances: Iterator[Glance]) -> None:
    """Each change of a job, and of the daemon, as a line; what was at an end before is none."""
    states: dict[int, str] = {}
    told_at: dict[int, float] = {}
    head = ""
    for glance in glances:
        if (first := _head(glance)[0]) != head:
            head = first
            say(f"{datetime.now().astimezone():%H:%M:%S}  {head}")
        if not states:
            states |= {job.id: job.state.value for job in glance.finished}
        for job in (*reversed(glance.finished), *glance.unfinished):
            is_due = _progress(glance, job) is not None and time.monotonic() >= told_at.get(job.id, 0)
            if states.get(job.id) != job.state.value or is_due:
                states[job.id] = job.state.value
                told_at[job.id] = time.monotonic() + PLAIN_SECONDS
                say(f"{datetime.now().astimezone():%H:%M:%S}  {_sentence(glance, job)}")


def _sentence(glance: Glance, job: Job) -> str:
    line = _line(glance, job)
    percent = f"{line.percent} %" if line.percent is not None else ""
    run = f"run {line.run}" if line.run else ""
    return "  ".join(filter(None, (line.name, run, line.state, percent, line.what)))
