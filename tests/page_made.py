"""Pages for tests: what a project may have to show, and what somebody with bad intentions would call it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from comfywatch.gallery import Run, Shown
from comfywatch.jobs import JobState
from comfywatch.link import Link
from comfywatch.page import Page
from comfywatch.problems import Problem
from comfywatch.progress import Progress
from comfywatch.status import Entry, Project
from tests.made import NOON, a_job

LINK = Link(url="http://127.0.0.1:8188", poll_seconds=5.0).answered(now=0.0)
HOSTILE_TEXTS = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "</title><img src=x onerror=alert(3)>",
    '" onmouseover="alert(4)" autofocus onfocus="alert(4)',
    "' onclick='alert(5)",
    "javascript:alert(6)",
    "data:text/html,<script>alert(7)</script>",
    "//evil.example/x.png",
    "http://evil.example/x.png",
    "{{ 7 * 7 }}{% raw %}",
    "<!--",
    "]]>",
    "<base href=//evil.example>",
    "<svg/onload=alert(8)>",
    "&lt;b&gt; &amp; &#60;",
    "a#b?c=d%20e",
    "\u202egnp.exe",
    "nul\0 bell\a",
    "half \ud83d",
)


def a_run(number: int = 1, *names: str, path: str = "shot.json", at: datetime = NOON, **changes: Any) -> Run:
    """A finished run, an hour older for each number below it."""
    plain: dict[str, Any] = {
        "path": path,
        "run": number,
        "state": JobState.COMPLETED,
        "folder": f"outputs/{path.removesuffix('.json')}/{number:03d}",
        "finished": at + timedelta(hours=number),
        "seconds": 8.4,
        "shown": Shown(outputs=names or (f"shot_{number:03d}.png",), seeds=(number,)),
    }
    return Run(**plain | changes)


def an_entry(path: str, state: JobState, **changes: Any) -> Entry:
    """A workflow that has not come to a good end."""
    outside = {key: changes.pop(key) for key in ("reason", "progress", "expected") if key in changes}
    return Entry(path=path, job=a_job(path=path, state=state, **changes), **outside)


def a_page(*runs: Run, entries: tuple[Entry, ...] = (), name: str = "film", **changes: Any) -> Page:
    """A page with these runs, the newest first."""
    counts = {state: sum(entry.job.state is state for entry in entries) for state in JobState}
    counts[JobState.COMPLETED] += len({run.path for run in runs})
    project = Project(name=name, link=LINK, host="gpu-box", **changes)
    return Page(project=project, counts=counts, entries=entries, runs=runs, run_count=len(runs))


def hostile_page(text: str) -> Page:
    """``text`` stands everywhere where something from outside can stand."""
    problem = Problem(code="x", message=text, fix=text, node=text, class_type=text, input=text)
    progress = Progress(percent=5, node=text, title=text, step=text, eta_seconds=1)
    name = text.replace("/", "_").replace("\0", "_").encode("utf-8", "replace").decode()
    entries = (
        an_entry(f"{name}-1.json", JobState.RUNNING, run=1, progress=progress, reason=text),
        an_entry(f"{name}-2.json", JobState.FAILED, run=1, problems=(problem,), hint=text, outputs=f"outputs/{name}"),
        an_entry(f"{name}-3.json", JobState.BLOCKED, problems=(problem,) * 12),
        an_entry(f"{name}-4.json", JobState.PENDING, reason=text),
    )
    names = tuple(f"{name}{ending}" for ending in ("", ".png", ".mp4", ".mp3", ".svg", ".html", ".glb"))
    run = a_run(1, *names, path=f"{name}.json")
    return a_page(run, entries=entries, name=name, notices=(text,), arriving={name: text})
