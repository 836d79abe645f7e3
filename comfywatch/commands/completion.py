"""``comfywatch completion``: the script by which a shell completes commands, options, projects and workflows."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from comfywatch.commands.options import with_config

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
PROGRAM = "comfywatch"


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)))
@with_config
@click.pass_context
def completion(ctx: click.Context, shell: str, config: Path | None) -> None:  # noqa: ARG001  # --config is taken by every command
    """Print what makes a shell complete comfywatch's commands.

    Commands, options, projects and workflows are completed by the Tab key.

    \b
    Examples:
      comfywatch completion bash >> ~/.bash_completion
      comfywatch completion zsh > ~/.zfunc/_comfywatch
      comfywatch completion fish > ~/.config/fish/completions/comfywatch.fish
    """
    complete = SHELLS[shell](ctx.find_root().command, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE")
    click.echo(ShellComplete.source(complete))  # that of bash would start a bash to ask for its version
