"""``comfywatch retry`` and ``cancel``: wishes for workflows, which the daemon carries out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from comfywatch.commands.options import Finding, Unusable, named_so_far, settings_from, with_config
from comfywatch.commands.terminal import say

if TYPE_CHECKING:
    from comfywatch.settings import Settings
    from comfywatch.store import Store

STATES = ("pending", "blocked", "invalid", "queued", "running", "completed", "failed", "cancelled")
NOT_RUNNING = "comfywatch is not running; this will be done at its next start."
NOT_ANSWERED = "comfywatch has been told and has not answered yet; see: comfywatch status"

_TARGET = "PROJECT[/WORKFLOW]"


def _with_state(verb: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--state",
        type=click.Choice(STATES),
        metavar="STATE",
        help=f"{verb} only what is in this state, such as failed.",
    )


@click.command()
@click.argument("target", metavar=_TARGET, shell_complete=named_so_far)
@_with_state("Run again")
@click.option("--new-seed", is_flag=True, help="Change the seeds, as the words beside them in ComfyUI's window say.")
@with_config
def retry(target: str, state: str | None, new_seed: bool, config: Path | None) -> None:
    """Run a workflow again, or what failed in a project.

    For a project: what failed or was cancelled runs again, what is held is released, what is blocked or invalid is
    looked at again. A single workflow runs again whatever became of it, as a new run.

    \b
    Examples:
      comfywatch retry my-film
      comfywatch retry my-film/shot-01
      comfywatch retry my-film --state completed
      comfywatch retry my-film/shot-01 --new-seed
    """
    options = {"state": state} if state else {}
    _ask("retry", target, options | ({"new_seed": True} if new_seed else {}), settings_from(config))


@click.command()
@click.argument("target", metavar=_TARGET, shell_complete=named_so_far)
@_with_state("Cancel")
@with_config
def cancel(target: str, state: str | None, config: Path | None) -> None:
    """Cancel a workflow, or all of a project; what runs is interrupted.

    \b
    Examples:
      comfywatch cancel my-film/shot-01
      comfywatch cancel my-film --state pending
    """
    _ask("cancel", target, {"state": state} if state else {}, settings_from(config))


def _ask(command: str, word: str, options: dict[str, Any], settings: Settings) -> None:
    from comfywatch.commands.database import ask_daemon, opened, wait_for_answer
    from comfywatch.lock import is_held

    if not settings.database.exists():
        raise Finding("comfywatch has not run here yet, so there is nothing to do; start it with: comfywatch run")
    is_running = is_held(settings.lock)
    with opened(settings) as store:
        target = _target(word, store, settings)
        number = ask_daemon(store, settings, command, target, **options)
        answer = wait_for_answer(store, number) if is_running else None
    if not is_running:
        say(NOT_RUNNING)
    else:
        say(f"{target}: {answer}" if answer is not None else NOT_ANSWERED)


def _target(word: str, store: Store, settings: Settings) -> str:
    """The project or workflow that is meant; one that only lies on the disk is not known to the daemon yet."""
    from comfywatch.commands.targets import UnknownName, find_target
    from comfywatch.tree import read_forest

    known = {project: {record.path for record, _ in store.listing(project)} for project in store.projects()}
    try:
        return find_target(word, known)
    except UnknownName as error:
        forest = read_forest(settings.projects, allow_links=settings.allow_links).projects
        try:
            new = find_target(word, {name: tree.files for name, tree in forest.items()})
        except UnknownName:
            raise Unusable(str(error)) from error
    raise Finding(f"{new} has not been taken by comfywatch yet; it is as soon as it runs.")
