"""What commands share: ``--config``, the settings it leads to, and the ways in which a command ends.

Exit codes: 0 done, 1 a finding, 2 usage or config, 3 ComfyUI not reachable where it is needed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from comfywatch.comfy import Comfy
    from comfywatch.settings import Settings

CONFIG_HELP = "The settings. Without it: COMFYWATCH_CONFIG, ./config.yaml, else the defaults with this folder as root."

with_config = click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help=CONFIG_HELP)


def named_so_far(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001  # click's signature
    """For a shell: projects, and behind a slash the workflows of one, as far as they begin with ``incomplete``."""
    from comfywatch.jobs import workflow_name
    from comfywatch.tree import read_project

    name, slash, _ = incomplete.partition("/")
    try:
        projects = settings_from(ctx.params.get("config")).projects
        if slash:
            found = [f"{name}/{workflow_name(path)}" for path in read_project(projects / name).files]
        else:
            found = [entry.name for entry in projects.iterdir() if entry.is_dir()]
    except (OSError, Unusable):
        return []  # in the middle of a line nobody can be told
    return sorted(word for word in found if word.startswith(incomplete))


class Finding(click.ClickException):
    """Something is not as it was asked for: a sentence, and exit code 1."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        """The sentence alone: it says itself what is the matter."""
        click.echo(self.message, file=file, err=file is None)


class Unusable(Finding):
    """The command cannot be carried out as it was given or configured."""

    exit_code = 2


class NotReachable(Finding):
    """ComfyUI is needed and does not answer."""

    exit_code = 3


def settings_from(config: Path | None, *, url: str | None = None) -> Settings:
    """The settings of this command; raises ``Unusable`` with all that is wrong with them."""
    from comfywatch.settings import BadSettings, load

    try:
        return load(config, env=os.environ, cwd=Path.cwd(), url=url)
    except BadSettings as error:
        raise Unusable(str(error)) from error


def open_comfy(settings: Settings, *, timeout: float | None = None) -> Comfy:
    """A client for the configured ComfyUI, to be closed; nothing is asked yet. ``timeout`` is in seconds."""
    from comfywatch.comfy import Comfy
    from comfywatch.settings import BadSettings

    try:
        return Comfy(
            settings.comfyui_url,
            timeout=timeout or settings.api_timeout_seconds,
            headers=settings.headers(),
            ca_file=settings.ca_file,
        )
    except (BadSettings, ValueError) as error:
        raise Unusable(str(error)) from error
