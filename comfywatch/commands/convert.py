"""``comfywatch convert``: the prompt that ComfyUI's own frontend would send for a saved workflow."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from comfywatch.commands.known import schemas_in, schemas_known, set_version, why, with_version
from comfywatch.commands.mending import Mends
from comfywatch.commands.options import Finding, NotReachable, settings_from, with_config

if TYPE_CHECKING:
    from comfywatch.problems import Problem
    from comfywatch.schemas import Schemas


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--object-info", metavar="FILE", help="Convert for the schemas in FILE (ComfyUI's /object_info).")
@with_version
@with_config
def convert(file: str, object_info: str | None, comfyui_version: str | None, config: Path | None) -> None:
    """Print the API prompt of a saved workflow, as ComfyUI's own window would send it.

    ComfyUI's node schemas are needed: they are known from state/, where comfywatch keeps them, else ComfyUI is asked.
    What cannot be converted is said on standard error, node by node, and nothing is printed; the exit code is then 1. A
    file that is a prompt already is printed as it is.

    \b
    Examples:
      comfywatch convert portrait.json > portrait-api.json
      comfywatch convert --object-info object_info.json portrait.json
    """
    from comfywatch.saved import is_saved_workflow
    from comfywatch.workflow import NotAWorkflow, NotJson, parse_json, read_workflow

    try:
        data = Path(file).read_bytes()
        plain = parse_json(data)
        if is_saved_workflow(plain):
            prompt = _converted(plain, _schemas(object_info, comfyui_version, config))
        else:
            prompt = read_workflow(data).prompt
    except OSError as error:
        raise Finding(f"{file} cannot be read: {why(error)}.") from error
    except NotJson as error:
        raise Finding(f"{file} is not JSON: {error}.") from error
    except NotAWorkflow as error:
        raise Finding(_said([error.problem])) from error
    click.echo(json.dumps(prompt, indent=2))


def _schemas(object_info: str | None, version: str | None, config: Path | None) -> Schemas:
    schemas, missing = schemas_known(settings_from(config)) if object_info is None else (schemas_in(object_info), "")
    set_version(schemas, version)
    if schemas is None:
        raise NotReachable(
            f"ComfyUI's nodes are not known ({missing}). Start it, or give its schemas with --object-info."
        )
    return schemas


def _converted(workflow: Any, schemas: Schemas) -> dict[str, Any]:
    from comfywatch.saved import convert, frontend_of

    now = datetime.now().astimezone()
    converted = convert(workflow, schemas, frontend_of(schemas), draw=random.SystemRandom(), now=now)
    if converted.problems:
        raise Finding(_said(Mends(schemas, None, None).add(converted.prompt, converted.problems, saved=workflow)))
    return converted.prompt


def _said(problems: Iterable[Problem]) -> str:
    return "\n".join(f"{problem.message}\n  {problem.fix}" for problem in problems)
