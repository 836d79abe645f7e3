"""``comfywatch check``: what ComfyUI would say to a workflow, without asking it to run anything.

The rule it keeps: it starts fast, for scripts call it once a file; settings and client are imported when needed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from comfywatch.commands.options import Unusable, open_comfy, settings_from, with_config
from comfywatch.commands.terminal import coloured, say, say_indented
from comfywatch.problems import MissingClass, Problem, Severity

if TYPE_CHECKING:
    from comfywatch.inventory import Inventory
    from comfywatch.mends import Sources
    from comfywatch.packages import PackageMap
    from comfywatch.schemas import Schemas
    from comfywatch.settings import Settings
    from comfywatch.workflow import Dropped

KEYS = ("node", "class_type", "input", "code", "message", "fix", "severity")
"""Of each problem in the output of ``--json``, all of them always there."""

_FINDINGS = frozenset({"rejected", "partial"})
_MAY_BE_A_FILE = frozenset({"custom_validation_failed", "value_not_in_list"})
"""Codes that an input file which is not on the server gets."""
_PATIENCE = 10.0
"""Seconds in which ComfyUI has to answer a check."""
_MANAGERS_PATIENCE = 2.0
"""Seconds in which its Manager has to say who has a class: the check does not hang on that."""


class _Mends:
    """What says where missing things can be had: found once, and only if something is missing.

    Without ``settings`` that is only what comes with the workflow and with comfywatch.
    """

    def __init__(self, schemas: Schemas | None, inventory: Inventory | None, settings: Settings | None) -> None:
        self._schemas = schemas
        self._inventory = inventory
        self._settings = settings
        self.version: str | None = None
        """ComfyUI's, if a person says it."""
        self._sources: Sources | None = None
        self._has_asked_manager = False

    def add(self, dropped: Dropped, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
        """The problems of a workflow, with what mends them."""
        from comfywatch.mends import lacks_something, mended, needed_later
        from comfywatch.model_folders import ModelInputs

        if not lacks_something(problems):
            return problems
        sources = self._found(is_class_missing=any(isinstance(problem.lacks, MissingClass) for problem in problems))
        models = ModelInputs(schemas=self._schemas, inventory=self._inventory)
        later = needed_later(dropped.prompt, problems, models, sources, saved=dropped.saved)
        return (*mended(problems, sources, saved=dropped.saved), *later)

    def _found(self, *, is_class_missing: bool) -> Sources:
        if self._sources is None:
            self._sources = self._without_manager()
        if is_class_missing and not self._has_asked_manager:
            self._has_asked_manager = True
            self._sources = replace(self._sources, manager=self._manager())
        return self._sources

    def _without_manager(self) -> Sources:
        from comfywatch.mends import Sources
        from comfywatch.references import References
        from comfywatch.shelf import Shelf

        references = Shelf(self._settings.references_file).references() if self._settings else References()
        sources = Sources.of(self._schemas, self._inventory, references=references)
        return sources if self.version is None else replace(sources, comfyui_version=self.version)

    def _manager(self) -> PackageMap | None:
        """Of the server if it answers at once, else of this machine."""
        from comfywatch.package_search import find_packages

        if self._settings is None:
            return None
        with open_comfy(self._settings, timeout=_MANAGERS_PATIENCE) as comfy:
            return find_packages(comfy, self._inventory.comfyui_path if self._inventory else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the workflows are checked against; ``missing`` says why there are no schemas."""

    schemas: Schemas | None = None
    inventory: Inventory | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    deny_nodes: tuple[str, ...] = ()
    allow_links: tuple[Path, ...] = ()
    missing: str = ""
    mends: _Mends


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
@click.option("--comfyui-version", metavar="V", help="ComfyUI's version, if its schemas should not tell it.")
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
    _set_version(known.schemas, comfyui_version)
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
    try:
        schemas = _read_schemas(Path(path))
    except (OSError, ValueError) as error:
        raise Unusable(f"--object-info: {path} cannot be read: {_why(error)}.") from error
    return _Known(schemas=schemas, mends=_Mends(schemas, None, None))


def _from_state(settings: Settings) -> _Known:
    """What comfywatch keeps of ComfyUI; ComfyUI itself is asked for what is not there."""
    schemas, missing = None, ""
    inventory = _read_inventory(settings.inventory_file)
    try:
        schemas = _read_schemas(settings.object_info_file)
        schemas.set_version((inventory and inventory.comfyui_version) or "")
    except (OSError, ValueError):
        schemas, missing = _from_server(settings)
    inventory = _read_inventory(settings.inventory_file)
    return _Known(
        schemas=schemas,
        inventory=inventory,
        aliases=settings.models,
        deny_nodes=settings.deny_nodes,
        allow_links=settings.allow_links,
        missing=missing,
        mends=_Mends(schemas, inventory, settings),
    )


def _from_server(settings: Settings) -> tuple[Schemas | None, str]:
    from comfywatch import replacements
    from comfywatch.comfy_errors import ComfyError
    from comfywatch.schemas import Schemas

    try:
        with open_comfy(settings, timeout=min(_PATIENCE, settings.api_timeout_seconds)) as comfy:
            schemas = Schemas.read(comfy.object_info())
            schemas.set_version(str(comfy.system_stats()["system"].get("comfyui_version")))
            answer = comfy.node_replacements()
            if answer is not None:
                schemas.replacements = replacements.read(answer)
            return schemas, ""
    except ComfyError as error:
        return None, str(error)


def _read_schemas(path: Path) -> Schemas:
    """Raises ``OSError`` or ``ValueError`` for what is no answer of ``/object_info``."""
    from comfywatch.schemas import Schemas

    try:
        plain = json.loads(path.read_bytes())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(plain, dict):
        raise ValueError("it is not a JSON object of node classes")
    return Schemas.read(plain)


def _read_inventory(path: Path) -> Inventory | None:
    from comfywatch.inventory import Inventory, NotAnInventory

    try:
        return Inventory.parse(path.read_bytes())
    except (OSError, NotAnInventory):
        return None


def _set_version(schemas: Schemas | None, version: str | None) -> None:
    """Newer ComfyUIs look at more; without ``version`` the schemas themselves tell which it is."""
    if version is None:
        return
    from comfywatch.schemas import Schemas

    if not (Schemas.read({}) if schemas is None else schemas).set_version(version):
        raise Unusable(f"--comfyui-version: expected a version such as 0.3.64, got '{version}'.")


def _check(file: str, known: _Known) -> _Checked:
    from comfywatch.validation import as_answered, verdict_of
    from comfywatch.workflow import UI_FORMAT_FIX, NotAWorkflow, NotJson, read_workflow

    try:
        dropped = read_workflow(Path(file).read_bytes())
    except (OSError, ValueError) as error:
        match error:
            case NotAWorkflow():
                return _rejected(file, error.problem)
            case NotJson():
                return _rejected(
                    file, Problem(code="not_json", message=f"This is not JSON: {error}.", fix=UI_FORMAT_FIX)
                )
        return _rejected(file, Problem(code="unreadable", message=f"The file cannot be read: {_why(error)}."))
    prompt = dropped.prompt
    problems = _problems(prompt, known, uploaded=frozenset())
    if _MAY_BE_A_FILE & {problem.code for problem in problems} and (brought := _brought_along(file, prompt, known)):
        problems = _problems(prompt, known, uploaded=brought)
    shown = known.mends.add(dropped, problems)
    shown = as_answered(shown, known.schemas) if known.schemas else shown
    shown += dropped.remarks()
    return _Checked(file=file, format="api", verdict=verdict_of(prompt, problems, known.schemas), problems=shown)


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
    kind = "ui" if problem.code == "ui_format" else "api"
    return _Checked(file=file, format=kind, verdict="rejected", problems=(problem,))


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


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
