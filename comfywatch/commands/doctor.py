"""``comfywatch doctor``: gather what ``comfywatch.doctor`` judges, and print it."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from comfywatch import __version__
from comfywatch import doctor as checks
from comfywatch.commands.options import Unusable, open_comfy, settings_from, with_config
from comfywatch.commands.terminal import say, show_table
from comfywatch.headers import readable_by_others
from comfywatch.lock import is_held
from comfywatch.tree import WORKFLOWS, read_forest

if TYPE_CHECKING:
    from comfywatch.inventory import Inventory
    from comfywatch.settings import Settings
    from comfywatch.tree import Forest

PATIENCE = 5.0
"""Seconds in which ComfyUI has to answer the doctor."""
_INOTIFY = Path("/proc/sys/fs/inotify")


@click.command()
@click.option("--notify", "sends_test", is_flag=True, help="Send a test message to all who are to be told.")
@with_config
@click.pass_context
def doctor(ctx: click.Context, sends_test: bool, config: Path | None) -> None:
    """Look whether everything is in place, and say what to do next.

    The exit code is 1 if there is anything to do.

    \b
    Examples:
      comfywatch doctor
      comfywatch doctor --notify
    """
    say(f"comfywatch {__version__}")
    findings = list(_findings(config, sends_test=sends_test))
    rows = [
        (finding.level.value, finding.subject, "\n".join(filter(None, (finding.sentence, _mend(finding.mend)))))
        for finding in findings
    ]
    show_table(("", "", ""), rows)
    say(f"\nNext: {checks.next_step(findings)}")
    ctx.exit(0 if checks.is_well(findings) else 1)


def _mend(mend: str) -> str:
    return f"-> {mend}" if mend else ""


def _findings(config: Path | None, *, sends_test: bool) -> Iterator[checks.Finding]:
    try:
        settings = settings_from(config)
    except Unusable as error:
        yield checks.problem("config", error.message, "mend these lines; config.example.yaml explains each key")
        return
    yield checks.ok("config", f"read; the projects are in {settings.projects}")
    yield from _folders(settings)
    yield from _comfyui(settings)
    is_running = is_held(settings.lock)
    yield checks.of_inventory(_inventory(settings), now=datetime.now(UTC), is_running=is_running)
    yield checks.of_daemon(is_running=is_running)
    yield from _watching(settings)
    yield from _extras(settings, sends_test=sends_test)


def _extras(settings: Settings, *, sends_test: bool) -> Iterator[checks.Finding]:
    from comfywatch.outlets import lacking

    yield from checks.of_extras(missing := list(lacking(settings)))
    if settings.metrics_file is not None and not missing:
        is_writable = os.access(settings.metrics_file.parent, os.W_OK | os.X_OK)
        yield checks.of_metrics_file(settings.metrics_file, is_writable=is_writable)
    if settings.notify and not missing:
        yield from _receivers(settings, sends_test=sends_test)
    elif sends_test and not settings.notify:
        yield checks.problem("notify", "nobody is to be told of anything", "set notify: in config.yaml")


def _receivers(settings: Settings, *, sends_test: bool) -> Iterator[checks.Finding]:
    from comfywatch.bulletin import Bulletin
    from comfywatch.postman import BadAddresses, services

    message = Bulletin(title="comfywatch: a test", text=f"Word of comfywatch on {settings.owner} gets here.")
    for file in dict.fromkeys(entry.urls_file for entry in settings.notify):
        try:
            found = services(file)
        except BadAddresses as error:
            yield checks.of_addresses(file, wrong=str(error), notice="")
            continue
        notice = f"every user of this machine can read {file}" if readable_by_others(file) else ""
        yield checks.of_addresses(file, wrong="", notice=notice)
        if sends_test:
            yield from (checks.of_test(service.name, is_taken=service.send(message)) for service in found)


def _folders(settings: Settings) -> Iterator[checks.Finding]:
    from comfywatch.mounts import file_system_of
    from comfywatch.state_folder import synced_root
    from comfywatch.sync_tools import sharing

    disks: set[int] = set()
    for subject, folder in (("projects", settings.projects), ("state", settings.state)):
        there = _nearest(folder)
        is_writable = os.access(there, os.W_OK | os.X_OK)
        yield checks.of_folder(subject, folder, is_there=folder.is_dir(), is_writable=is_writable)
        if (disk := there.stat().st_dev) not in disks:
            disks.add(disk)
            yield checks.of_space("disk", there, shutil.disk_usage(there).free)
    yield from checks.of_sync_tools(sharing(settings.projects))
    yield checks.of_state_disk(settings.state, file_system_of(settings.state), synced_root(settings.state))


def _watched(projects: Path, forest: Forest) -> int:
    """How many folders are watched: ``projects/``, each project, and all of its ``workflows/``."""
    below = sum(1 for name in forest.projects for _ in os.walk(projects / name / WORKFLOWS))
    return 1 + len(forest.projects) + below


def _nearest(folder: Path) -> Path:
    """The folder itself, or the first above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _comfyui(settings: Settings) -> Iterator[checks.Finding]:
    from comfywatch.comfy_errors import ComfyError

    if settings.headers_file is not None:
        yield checks.of_headers(settings.headers_notice())
    begin = time.monotonic()
    try:
        with open_comfy(settings, timeout=min(PATIENCE, settings.api_timeout_seconds)) as comfy:
            system = comfy.system_stats().get("system", {})
    except ComfyError as error:
        yield checks.of_no_comfyui(str(error))
    except Unusable as error:
        yield checks.problem("ComfyUI", error.message, "mend that file")
    else:
        version = str(system.get("comfyui_version") or "")
        yield checks.of_comfyui(comfy.url, version=version, seconds=time.monotonic() - begin)


def _inventory(settings: Settings) -> Inventory | None:
    from comfywatch.inventory import Inventory, NotAnInventory

    try:
        return Inventory.parse(settings.inventory_file.read_bytes())
    except (OSError, NotAnInventory):
        return None


def _known(settings: Settings, forest: Forest) -> Iterator[checks.Finding]:
    """What the daemon knows of the projects, beside what lies there now."""
    from comfywatch.away import DEVICES, is_another
    from comfywatch.commands.database import opened
    from comfywatch.effects import UNHEARD
    from comfywatch.ledger import Ledger

    if not settings.database.exists():
        return
    try:
        with opened(settings) as store:
            ledger = Ledger(store)
            known = Counter({name: store.lying(name) for name in store.projects()})
            unheard, devices = store.fact(UNHEARD) or {}, store.fact(DEVICES) or {}
    except Unusable as error:
        yield checks.problem("state", error.message, "look at that folder and its disk")
        return
    yield from checks.of_absence(settings.projects, is_there=forest.is_there, workflows=known.total())
    if forest.is_there:
        waiting = Counter(job.project for job in ledger.jobs.values())
        trees = {name: forest.projects.get(name) for name in known}
        another = {
            name
            for name, tree in trees.items()
            if tree is not None and is_another(tree, known=known.__getitem__, device=devices.get(name))
        }
        missing = {name: waiting[name] for name, tree in trees.items() if tree is None and waiting[name]}
        yield from checks.of_missing_projects(missing, another)
    yield from checks.of_watching(unheard, every=settings.rescan_seconds)
    yield from checks.of_jobs(Counter(job.state for job in ledger.jobs.values()))


def _watching(settings: Settings) -> Iterator[checks.Finding]:
    forest = read_forest(settings.projects, allow_links=settings.allow_links)
    known = list(_known(settings, forest))
    yield from known
    if _INOTIFY.is_dir():
        watches, instances = (int((_INOTIFY / f"max_user_{what}").read_text()) for what in ("watches", "instances"))
        yield checks.of_inotify(watches, instances, folders=_watched(settings.projects, forest))
    if forest.is_there or not any(finding.subject == "projects" for finding in known):
        yield from checks.of_projects(settings.projects, forest)
