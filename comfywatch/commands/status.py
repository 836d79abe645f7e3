"""``comfywatch status``: how the jobs stand, from the database, with or without a running daemon.

The state of each job is the database's; why a job waits, and how ComfyUI is, only a running daemon knows: that is taken
from the ``status.yaml`` that it keeps in each project.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from comfywatch.commands.options import Unusable, named_so_far, settings_from, with_config
from comfywatch.commands.said import Said, said_in, table
from comfywatch.commands.terminal import bold, say, show_table

if TYPE_CHECKING:
    from comfywatch.jobs import Job
    from comfywatch.settings import Settings
    from comfywatch.store import FileRecord
    from comfywatch.tree import Forest

NOT_RUNNING = "comfywatch is not running"
ORDER = ("running", "queued", "failed", "blocked", "invalid", "pending", "completed", "cancelled")
FINISHED_SHOWN = 10
"""How many finished workflows of each project a person is shown, unless one project is asked for."""
PROBLEMS_SHOWN = 3

_FINISHED = frozenset({"completed", "cancelled"})

Plain = dict[str, Any]


@click.command()
@click.argument("project", required=False, shell_complete=named_so_far)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, a stable format, for programs.")
@click.option("--follow", is_flag=True, help="Go on showing it, with the progress of what runs, until Ctrl-C.")
@with_config
def status(project: str | None, as_json: bool, follow: bool, config: Path | None) -> None:
    """Show how the workflows stand: state, run, and what each waits for.

    With --json: {"schema": 1, "daemon": {"running"}, "comfyui": {"url", "state", "version", "message"}, "projects":
    {NAME: {"counts": {STATE: number}, "notices": [text], "workflows": {PATH: {"state", "run", …}}}}}. While comfywatch
    is not running, ComfyUI's state is "unknown". "run" is null before the first. Where there is something to say, a
    workflow has the further keys of status.yaml: "prompt_id", "reason", "progress", "outputs", "submitted", "started",
    "finished", "seconds", "note", "problems", "hint".

    With --follow: what runs, with its progress, what waits, and what ended last. Where it is not shown on a terminal,
    each change is a line.

    \b
    Examples:
      comfywatch status
      comfywatch status my-film
      comfywatch status --follow
      comfywatch status --json
    """
    if follow:
        if as_json:
            raise click.UsageError("--json says how it stands once, and --follow goes on: choose one of them.")
        _follow(settings_from(config), project)
        return
    document = _document(settings_from(config), project)
    if as_json:
        click.echo(json.dumps(document))
    else:
        _show(document, finished_shown=None if project else FINISHED_SHOWN)


def _follow(settings: Settings, project: str | None) -> None:
    from comfywatch.commands.following import follow

    follow(settings, project)


# --- the document


def _document(settings: Settings, wanted: str | None) -> Plain:
    from comfywatch.lock import is_held
    from comfywatch.names import natural
    from comfywatch.tree import read_forest
    from comfywatch.urls import safe_url

    is_running = is_held(settings.lock)
    forest = read_forest(settings.projects, allow_links=settings.allow_links)
    comfyui: Plain = {"url": safe_url(settings.comfyui_url), "state": "unknown", "version": "", "message": ""}
    projects: dict[str, Plain] = {}
    with _database(settings) as store:
        names = {*forest.projects, *(store.projects() if store else ())}
        for name in [_known(wanted, names)] if wanted else sorted(names, key=natural):
            live = said_in(settings.projects / name) if is_running else Said()
            comfyui |= live.comfyui
            projects[name] = _project(name, store.listing(name) if store else [], forest, live, is_running=is_running)
    return {"schema": 1, "daemon": {"running": is_running}, "comfyui": comfyui, "projects": projects}


def _database(settings: Settings) -> Any:
    """A context manager for the database; ``None`` in it where there is none, for none is made here."""
    from comfywatch.commands.database import opened

    return opened(settings) if settings.database.exists() else nullcontext()


def _known(wanted: str, names: set[str]) -> str:
    from comfywatch.commands.targets import UnknownName, find_target

    try:
        return find_target(wanted, dict.fromkeys(names, ()))
    except UnknownName as error:
        raise Unusable(str(error)) from error


def _project(
    name: str, listing: list[tuple[FileRecord, Job]], forest: Forest, live: Said, *, is_running: bool
) -> Plain:
    workflows = {
        record.path: _workflow(record, job, live.rows.get(record.path, {}), is_running=is_running)
        for record, job in listing
        if not (record.gone and job.is_final)
    }
    taken = {record.path for record, _ in listing}
    for path, row in live.rows.items():
        if path not in taken and row.get("state") == "pending":
            workflows[path] = {"state": "pending", "run": None, "reason": str(row.get("reason", ""))}
    tree = forest.projects.get(name)
    notices = list(live.notices or (tree.notices if tree else ()))
    new = sorted((tree.files.keys() if tree else set()) - taken)
    if new and not is_running:
        notices.append(f"{len(new)} not taken yet, as {NOT_RUNNING}: {', '.join(new[:3])}{', …' * (len(new) > 3)}")
    counts = Counter(row["state"] for row in workflows.values())
    return {
        "counts": {state: counts[state] for state in ORDER},
        "notices": notices,
        "workflows": _sorted(workflows),
    }


def _sorted(workflows: Mapping[str, Plain]) -> dict[str, Plain]:
    """Those that need a person or are under way first, the newest finished before older ones."""
    from comfywatch.names import natural

    by_name = sorted(workflows.items(), key=lambda item: natural(item[0]))
    by_end = sorted(
        by_name, key=lambda item: item[1].get("finished", "") if _is_finished(item[1]) else "", reverse=True
    )
    return dict(sorted(by_end, key=lambda item: min(ORDER.index(item[1]["state"]), ORDER.index("completed"))))


def _is_finished(row: Plain) -> bool:
    return row["state"] in _FINISHED


def _workflow(record: FileRecord, job: Job, said: Plain, *, is_running: bool) -> Plain:
    is_same = said.get("state") == job.state.value
    row = {
        "reason": (str(said.get("reason", "")) if is_same else "") or _reason(job, is_running=is_running),
        "prompt_id": job.prompt_id,
        "progress": _progress(said.get("progress")) if is_same else None,
        "outputs": job.lies_in if job.run and job.is_final else "",
        "submitted": _moment(job.submitted),
        "started": _moment(job.started),
        "finished": _moment(job.finished),
        "seconds": (job.outcome or {}).get("seconds"),
        "note": record.note or ("the file is no longer there" if record.gone else ""),
        "problems": [{k: v for k, v in problem.as_dict().items() if k != "traceback"} for problem in job.problems],
        "hint": job.hint,
    }
    return {
        "state": job.state.value,
        "run": job.run,
        **{key: value for key, value in row.items() if value not in ("", None, [], {})},
    }


def _progress(said: Any) -> Plain:
    """Of the progress only what a person is told."""
    progress = table(said)
    return {
        key: progress[key]
        for key in ("percent", "node", "eta_seconds")
        if isinstance(progress.get(key), str | int | float)
    }


def _reason(job: Job, *, is_running: bool) -> str:
    """What can be said of a waiting job without its daemon."""
    from comfywatch.jobs import JobState, workflow_name

    if job.state is not JobState.PENDING:
        return ""
    if job.held:
        return f"{job.held}; to run it: comfywatch retry {job.project}/{workflow_name(job.path)}"
    return "" if is_running else NOT_RUNNING


def _moment(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""


# --- for a person


def _show(document: Plain, *, finished_shown: int | None) -> None:
    comfyui = document["comfyui"]
    if not document["daemon"]["running"]:
        say(f"{NOT_RUNNING}; start it with: comfywatch run")
    else:
        version = f" {comfyui['version']}" if comfyui["version"] else ""
        why = f" ({comfyui['message']})" if comfyui["message"] else ""
        how = f"is {comfyui['state']}{why}" if comfyui["state"] != "unknown" else "has not been needed yet"
        say(f"comfywatch is running; ComfyUI{version} at {comfyui['url']} {how}.")
    if not document["projects"]:
        say("There is no project yet; make one with: comfywatch new my-film")
    for name, project in document["projects"].items():
        _show_project(name, project, finished_shown)


def _show_project(name: str, project: Plain, finished_shown: int | None) -> None:
    counts = [f"{project['counts'][state]} {state}" for state in ORDER if project["counts"][state]]
    say()
    click.echo(f"{bold(name)}  {', '.join(counts) or 'no workflows yet; put some into workflows/'}")
    for notice in project["notices"]:
        say(f"  note: {notice}")
    rows = list(project["workflows"].items())
    finished = [item for item in rows if _is_finished(item[1])]
    hidden = [] if finished_shown is None else finished[finished_shown:]
    shown = rows[: len(rows) - len(hidden)]
    if shown:
        cells = [(path, row["state"], str(row["run"] or ""), "\n".join(_what(row))) for path, row in shown]
        show_table(("workflow", "state", "run", ""), cells)
    if hidden:
        say(f"and {len(hidden)} more finished; see them with: comfywatch status {name}")


def _what(row: Plain) -> Iterator[str]:
    """What is to be said of a workflow, a line each."""
    if progress := row.get("progress"):
        eta = f"{progress['eta_seconds']} s to go" if "eta_seconds" in progress else ""
        percent = f"{progress['percent']} %" if "percent" in progress else ""
        yield ", ".join(filter(None, (percent, str(progress.get("node", "")), eta)))
    problems = row.get("problems", [])
    for problem in problems[:PROBLEMS_SHOWN]:
        yield " ".join(filter(None, (problem.get("message", ""), problem.get("fix", ""))))
    if len(problems) > PROBLEMS_SHOWN:
        yield f"and {len(problems) - PROBLEMS_SHOWN} more problems"
    for key in ("hint", "reason", "note"):
        if row.get(key):
            yield row[key]
    if row["state"] in {"completed", "failed"} and row.get("outputs"):
        yield row["outputs"]
