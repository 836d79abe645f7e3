"""The command line: which commands there are, in the order in which a newcomer needs them.

The rule it keeps: a command's module is imported when the command is used, so that each starts as fast as it can. What
a person did wrong comes out as a sentence on standard error; a traceback is only ever logged, at debug level.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from difflib import get_close_matches

import click

from comfywatch import __version__

SECTIONS = {
    "First steps and every day": ("demo", "new", "run", "status", "check", "retry"),
    "Now and then": ("convert", "cancel", "inventory", "doctor", "free", "sandbox", "schema", "completion"),
}
FAULT = 70
"""The exit code for a fault of comfywatch itself (``EX_SOFTWARE``): none of the codes that scripts rely on."""

_MODULES = {"retry": "wishes", "cancel": "wishes"}
_NAMES = tuple(name for names in SECTIONS.values() for name in names)


class Commands(click.Group):
    """The commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(_NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # likewise
        if cmd_name not in _NAMES:
            return None
        module = importlib.import_module(f"comfywatch.commands.{_MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _NAMES and not args[0].startswith("-"):
            near = get_close_matches(args[0], _NAMES, n=1)
            meant = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"There is no command '{args[0]}'.{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl([(name, command.get_short_help_str(80)) for name, command in commands if command])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="comfywatch %(version)s")
def app() -> None:
    """Drop a ComfyUI workflow into a folder; get the pictures back in that folder.

    \b
    See it work, without ComfyUI:    comfywatch demo
    Begin:                           comfywatch new my-film
                                     comfywatch run
    Then drop workflows (in ComfyUI: Workflow > Save) into
    projects/my-film/workflows/; pictures appear in projects/my-film/outputs/.
    """


def main() -> None:
    """The program ``comfywatch``."""
    _let_any_name_be_printed()
    sys.exit(guarded(lambda: app(prog_name="comfywatch")))


def guarded(command: Callable[[], object]) -> int:
    """Run ``command``, which ends by ``SystemExit`` as a rule; what nobody foresaw becomes a sentence and ``FAULT``."""
    try:
        command()
    except Exception as error:  # noqa: BLE001  # the one place where everything is caught
        _report(error)
        return FAULT
    return 0


def _report(error: Exception) -> None:
    from loguru import logger

    from comfywatch import logs

    wants_all = os.environ.get("COMFYWATCH_LOG_LEVEL", "").lower() == "debug"
    logs.configure_once("debug" if wants_all else "info")
    logger.opt(exception=error).debug("a fault of comfywatch")
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    click.echo(
        f"This is a fault of comfywatch itself ({logs.one_line(said)}). "
        "Please report it, with what the same command prints under COMFYWATCH_LOG_LEVEL=debug.",
        err=True,
    )


def _let_any_name_be_printed() -> None:
    """File names need not fit the terminal's encoding: what does not is printed as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
