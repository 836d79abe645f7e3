"""What a person reads: tables and coloured words. The only place that knows ``rich``.

The rule it keeps: without a terminal there are no colours, no frames and no cut-off cells, one row is one line; and no
name out of a file or from a server can steer the terminal.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from comfywatch.logs import one_line

if TYPE_CHECKING:
    from rich.console import Console

_COLOURS = {
    **dict.fromkeys(("completed", "ok"), "green"),
    **dict.fromkeys(("running", "queued"), "cyan"),
    **dict.fromkeys(("blocked", "partial", "warning"), "yellow"),
    **dict.fromkeys(("invalid", "failed", "rejected", "problem"), "red"),
}
_NAME_WIDTH = 28
_NARROWEST = 40
"""Columns; what is narrower is no place to read sentences."""


def say(text: str = "") -> None:
    """A line, or several, on standard output."""
    click.echo("\n".join(map(one_line, text.split("\n"))))


def say_indented(text: str, *, by: int, colour: str | None = None) -> None:
    """One line ``by`` blanks from the edge; a terminal gets it in ``colour``, and broken between words."""
    for line in lines_of(text, by=by, width=_width()):
        click.echo(click.style(line, fg=colour))


def lines_of(text: str, *, by: int, width: int | None) -> list[str]:
    """``text`` in lines of ``width`` where it can be broken: names and addresses stay whole, to be copied."""
    edge = " " * by
    if width is None:
        return [edge + one_line(text)]
    return textwrap.wrap(
        one_line(text),
        max(width, _NARROWEST),
        initial_indent=edge,
        subsequent_indent=edge + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def coloured(word: str) -> str:
    """A state, verdict or level in its colour; click takes the colour off where nobody would see it."""
    return click.style(one_line(word), fg=_COLOURS.get(word))


def bold(text: str) -> str:
    """A heading; as with ``coloured``, only a terminal gets it."""
    return click.style(one_line(text), bold=True)


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table whose last column is the widest; lines within a cell are kept on a terminal."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        _show_framed(console, headings, rows)
    else:
        _show_plain(rows)


def _width() -> int | None:
    """Of the terminal; ``None`` where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _show_framed(console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", show_header=any(headings), pad_edge=False, padding=(0, 2, 0, 0))
    for place, heading in enumerate(headings):
        is_last = place == len(headings) - 1
        table.add_column(
            heading, overflow="fold", max_width=None if place else _NAME_WIDTH, ratio=1 if is_last else None
        )
    for row in rows:
        cells = ("\n".join(map(one_line, cell.split("\n"))) for cell in row)
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in cells))
    console.print(table)


def _show_plain(rows: Sequence[Sequence[str]]) -> None:
    cells = [[one_line(" ".join(cell.split("\n"))) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
