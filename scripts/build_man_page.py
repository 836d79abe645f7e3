"""Make ``docs/comfywatch.1``, the manual page, from the commands and their help.

python scripts/build_man_page.py
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from inspect import cleandoc
from pathlib import Path

import click

from comfywatch import __version__, cli
from comfywatch.commands.options import CONFIG_HELP

TARGET = Path(__file__).parent.parent / "docs" / "comfywatch.1"
_EXIT_CODES = {
    "0": "Done.",
    "1": "A finding: something failed, is blocked, is rejected, or is to be done.",
    "2": "The command or the settings cannot be used; a sentence says why.",
    "3": "ComfyUI is needed, and cannot be reached.",
    "70": "A fault of comfywatch itself.",
}
_FILES = {
    "config.yaml": "The settings, all of them optional.",
    "projects/NAME/workflows/": "Workflows are dropped here.",
    "projects/NAME/inputs/": "Pictures and other files that workflows name.",
    "projects/NAME/outputs/": "What came of them, a folder for each run.",
    "projects/NAME/status.yaml": "How everything stands.",
    "state/": "What comfywatch keeps for itself; on a local disk.",
}
_VARIABLES = {
    "COMFYWATCH_CONFIG": "The file with the settings.",
    "COMFYWATCH_...": "Any setting, by its key in capitals: COMFYWATCH_POLL_SECONDS=2.",
    "COMFYUI_URL": "Where ComfyUI is.",
    "NO_COLOR": "If it is set, nothing is coloured.",
}


def main(arguments: list[str]) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", metavar="FILE", type=Path, default=TARGET)
    parser.parse_args(arguments).output.write_bytes(page().encode("utf-8"))


def page() -> str:
    """The whole page, in the language of man(7)."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    context = click.Context(cli.app, info_name="comfywatch")
    yield '.\\" Made by scripts/build_man_page.py from the commands; edits are overwritten.'
    yield f'.TH COMFYWATCH 1 "" "comfywatch {_plain(__version__)}" "User Commands"'
    yield from (".SH NAME", _plain("comfywatch - drop a ComfyUI workflow into a folder; get the pictures back there"))
    yield from (".SH SYNOPSIS", ".B comfywatch", ".I COMMAND", "[OPTION]...")
    yield ".SH DESCRIPTION"
    yield from _text(cli.app.help or "")
    for title, names in cli.SECTIONS.items():
        yield f".SH {_plain(title.upper())}"
        for name in names:
            yield from _command(name, context)
    every = {"--config FILE": CONFIG_HELP, "--help": "Show the help of this command, with examples."}
    closing = {
        "OPTIONS OF EVERY COMMAND": every,
        "EXIT STATUS": _EXIT_CODES,
        "FILES": _FILES,
        "ENVIRONMENT": _VARIABLES,
    }
    for title, told in closing.items():
        yield f".SH {title}"
        yield from _pairs(told.items())


def _command(name: str, above: click.Context) -> Iterator[str]:
    command = cli.app.get_command(above, name)
    if command is None:
        raise LookupError(name)
    context = click.Context(command, parent=above, info_name=name)
    usage = " ".join(["comfywatch", name, *command.collect_usage_pieces(context)])
    yield f".SS {_plain(usage)}"
    yield from _text(command.help or "")
    records = (parameter.get_help_record(context) for parameter in command.params if parameter.name != "config")
    yield from _pairs(record for record in records if record is not None and record[1])


def _text(text: str) -> Iterator[str]:
    """Paragraphs; one that begins with ``\\b``, as click has it, keeps its lines."""
    for paragraph in re.split(r"\n\s*\n", cleandoc(text)):
        lines = paragraph.splitlines()
        is_verbatim = lines[0] == "\b"
        yield ".PP"
        yield from [".nf", *map(_plain, lines[1:]), ".fi"] if is_verbatim else map(_plain, lines)


def _pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in pairs:
        yield from (".TP", f"\\fB{_plain(term)}\\fR", _plain(text))


def _plain(text: str) -> str:
    """``text`` as it is shown: nothing in it is taken for an instruction."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    main(sys.argv[1:])
