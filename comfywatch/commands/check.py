"""``comfywatch check``: what ComfyUI would say to a workflow, without asking it to run anything.

The rule it keeps: it starts fast, for scripts call it once a file; settings and client are imported when needed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from comfywatch.commands.known import inventory_known, schemas_in, schemas_known, set_version, why, with_version
from comfywatch.commands.mending import Mends
from comfywatch.commands.options import settings_from, with_config
from comfywatch.commands.terminal import coloured, say, say_indented
from comfywatch.problems import Problem, Severity

if TYPE_CHECKING:
    from comfywatch.inventory import Inventory
    from comfywatch.schemas import Schemas
    from comfywatch.settings import Settings
    from comfywatch.workflow import Dropped

KEYS = ("node", "class_type", "input", "code", "message", "fix", "severity")
"""Of each problem in the output of ``--json``, all of them always there."""

MAX_CARRIED_BYTES = 64 * 2**20
"""Of the metadata of a picture."""
_FINDINGS = frozenset({"rejected", "partial"})
_MAY_BE_A_FILE = frozenset({"custom_validation_failed", "value_not_in_list"})
"""Codes that an input file which is not on the server gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the workflows are checked against; ``missing`` says why there are no schemas."""

    schemas: Schemas | None = None
    inventory: Inventory | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    deny_nodes: tuple[str, ...] = ()
    allow_links: tuple[Path, ...] = ()
    missing: str = ""
    mends: Mends


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """One file; ``as_dict`` is a line of ``--json``."""

    file: str
    format: str
    verdict: str
    problems: tuple[Problem, ...]

    def as_dict(self) -> dict[str, Any]:
        problems = [{key: str(getattr(problem, key)) for key in KEYS} for problem in self.problems]
        return {"file": self.file, "format": self.format, "verdict": self.verdict, "problems": problems}


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line and file, in the order given.")
@click.option("--object-info", metavar="FILE", help="Check against the schemas in FILE (ComfyUI's /object_info) alone.")
@with_version
@with_config
@click.pass_context
def check(
    ctx: click.Context,
    files: tuple[str, ...],
    as_json: bool,
    object_info: str | None,
    comfyui_version: str | None,
    config: Path | None,
) -> None:
    """Say whether ComfyUI would take workflows, and what to do if not.

    What ComfyUI has is known from state/, where comfywatch keeps it, else ComfyUI is asked. The verdicts: ok; partial
    (some outputs would be dropped); rejected; unknown (nothing is known of ComfyUI).

    With --json, each line is {"file", "format": "api" | "ui", "verdict", "problems": [{"node", "class_type", "input",
    "code", "message", "fix", "severity": "error" | "warning"}]}. The exit code is 1 if a file is rejected or partial.

    \b
    Examples:
      comfywatch check shot-01.json
      comfywatch check --json projects/my-film/workflows/*.json
      comfywatch check --object-info object_info.json shot-01.json
    """
    known = _from_file(object_info) if object_info is not None else _from_state(settings_from(config))
    set_version(known.schemas, comfyui_version)
    known.mends.version = comfyui_version
    verdicts: Counter[str] = Counter()
    for file in files:
        checked = _check(file, known)
        verdicts[checked.verdict] += 1
        click.echo(json.dumps(checked.as_dict())) if as_json else _show(checked)
    if not as_json:
        _show_sum(verdicts, known)
    ctx.exit(1 if _FINDINGS & verdicts.keys() else 0)


def _from_file(path: str) -> _Known:
    schemas = schemas_in(path)
    return _Known(schemas=schemas, mends=Mends(schemas, None, None))


def _from_state(settings: Settings) -> _Known:
    """What comfywatch keeps of ComfyUI; ComfyUI itself is asked for what is not there."""
    schemas, missing = schemas_known(settings)
    inventory = inventory_known(settings)
    return _Known(
        schemas=schemas,
        inventory=inventory,
        aliases=settings.models,
        deny_nodes=settings.deny_nodes,
        allow_links=settings.allow_links,
        missing=missing,
        mends=Mends(schemas, inventory, settings),
    )


def _check(file: str, known: _Known) -> _Checked:
    from comfywatch.pictures import NoWorkflow
    from comfywatch.workflow import HOW_TO_SAVE, NotAWorkflow, NotJson, read_workflow

    try:
        dropped = read_workflow(_content(Path(file)))
    except (OSError, ValueError) as error:
        match error:
            case NotAWorkflow():
                return _rejected(file, error.problem)
            case NotJson():
                return _rejected(file, Problem(code="not_json", message=f"This is not JSON: {error}.", fix=HOW_TO_SAVE))
            case NoWorkflow():
                message = f"The picture holds no workflow: {error}."
                return _rejected(file, Problem(code="not_a_workflow", message=message))
        return _rejected(file, Problem(code="unreadable", message=f"The file cannot be read: {why(error)}."))
    return _judged(file, dropped, known)


def _content(path: Path) -> bytes:
    from comfywatch.pictures import carried, is_picture

    if not is_picture(path.name):
        return path.read_bytes()
    with path.open("rb") as picture:
        return carried(picture, max_bytes=MAX_CARRIED_BYTES)


def _judged(file: str, dropped: Dropped, known: _Known) -> _Checked:
    from comfywatch.prompts import Prompt, prompt_of
    from comfywatch.validation import Verdict, as_answered, verdict_of

    prompt = prompt_of(dropped, known.schemas) if dropped.is_saved else Prompt(nodes=dropped.prompt)
    kind = "ui" if dropped.is_saved else "api"
    if prompt is None:
        return _Checked(file=file, format=kind, verdict=Verdict.UNKNOWN.value, problems=dropped.remarks())
    problems = _problems(prompt.nodes, known, uploaded=frozenset())
    if _MAY_BE_A_FILE & {problem.code for problem in problems}:
        brought = _brought_along(file, prompt.nodes, known)
        problems = _problems(prompt.nodes, known, uploaded=brought) if brought else problems
    verdict = Verdict.REJECTED if prompt.problems else verdict_of(prompt.nodes, problems, known.schemas)
    shown = known.mends.add(prompt.nodes, prompt.problems_with(problems), saved=dropped.saved)
    shown = as_answered(shown, known.schemas) if known.schemas else shown
    return _Checked(file=file, format=kind, verdict=verdict.value, problems=shown + dropped.remarks())


def _problems(prompt: Mapping[str, Any], known: _Known, *, uploaded: frozenset[str]) -> tuple[Problem, ...]:
    from comfywatch.validation import validate

    return validate(
        prompt,
        schemas=known.schemas,
        inventory=known.inventory,
        aliases=known.aliases,
        deny_nodes=known.deny_nodes,
        uploaded=uploaded,
    )


def _brought_along(file: str, prompt: Mapping[str, Any], known: _Known) -> frozenset[str]:
    """Names of input files that lie in the workflow's project: they will be in ComfyUI by the time it runs."""
    from comfywatch.inputs import input_files
    from comfywatch.tree import WORKFLOWS

    project = next((folder.parent for folder in Path(file).absolute().parents if folder.name == WORKFLOWS), None)
    if project is None:
        return frozenset()
    named = input_files(prompt, known.schemas, project, allow_links=known.allow_links)
    return frozenset(one.name for one in named if one.path is not None)


def _rejected(file: str, problem: Problem) -> _Checked:
    return _Checked(file=file, format="api", verdict="rejected", problems=(problem,))


def _show(checked: _Checked) -> None:
    click.echo(f"{coloured(checked.verdict)}  ", nl=False)
    say(checked.file)
    for problem in checked.problems:
        is_warning = problem.severity is Severity.WARNING
        said = f"warning: {problem.message}" if is_warning else problem.message
        say_indented(said, by=2, colour="yellow" if is_warning else "red")
        if problem.fix:
            say_indented(problem.fix, by=4)


def _show_sum(verdicts: Counter[str], known: _Known) -> None:
    if known.schemas is None:
        click.echo(
            f"What this ComfyUI has is not known ({known.missing}). "
            "Start it, or give its schemas with --object-info, and check again.",
            err=True,
        )
    if verdicts.total() > 1:
        say(f"{verdicts.total()} files: {', '.join(f'{count} {verdict}' for verdict, count in verdicts.items())}")
