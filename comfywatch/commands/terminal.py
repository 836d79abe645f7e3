"""What a person reads: tables and coloured words. The only place that knows ``rich``.

The rule it keeps: without a terminal there are no colours, no frames and no cut-off cells, one row is one line; and no
name out of a file or from a server can steer the terminal.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import click

from comfywatch.logs import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_COLOURS = {
    **dict.fromkeys(("completed", "ok"), "green"),
    **dict.fromkeys(("running", "queued"), "cyan"),
    **dict.fromkeys(("blocked", "partial", "warning"), "yellow"),
    **dict.fromkeys(("invalid", "failed", "rejected", "problem"), "red"),
}
_NAME_WIDTH = 28
_NARROWEST = 40
"""Columns; what is narrower is no place to read sentences."""
_WHAT_WIDTH = 30
_FEWEST_LINES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A job on the screen: with ``percent`` it has a bar, else its state in words; ``what`` is said beside it."""

    name: str
    run: str = ""
    state: str = ""
    percent: int | None = None
    what: str = ""


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


class Screen:
    """What goes on being shown, in place on a terminal; ``shows`` is false where there is none."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(highlight=False, markup=False, emoji=False)
        self.shows = self._console.is_terminal
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        if self.shows:
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.shows:
            self._live.stop()

    @property
    def room(self) -> int:
        """How many jobs can be shown."""
        return max(_FEWEST_LINES, self._console.height - 6)

    def show(self, head: Sequence[str], lines: Sequence[Line], foot: str) -> None:
        """In place of what was shown before."""
        self._live.update(board(head, lines, foot), refresh=True)


def board(head: Sequence[str], lines: Sequence[Line], foot: str) -> RenderableType:
    """The head, a table of jobs, and a line below it; nothing is wider than the terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=_NAME_WIDTH)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(ratio=1)
    for line in lines:
        table.add_row(Text(one_line(line.name)), Text(one_line(line.run), style="dim"), _how(line))
    above = [Text(one_line(text), overflow="ellipsis", no_wrap=True) for text in head]
    below = [Text(), Text(one_line(foot), style="dim", overflow="ellipsis", no_wrap=True)] if foot else []
    jobs: list[RenderableType] = [Text(), table] if lines else []
    return Group(*above, *jobs, *below)


def _how(line: Line) -> Any:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    what = Text(one_line(line.what), overflow="ellipsis", no_wrap=True)
    if line.percent is None:
        state = Text(line.state, style=_COLOURS.get(line.state, ""))
        return Text("  ", overflow="ellipsis", no_wrap=True).join([state, what]) if line.what else state
    row = Table.grid(padding=(0, 1, 0, 0), expand=True)
    row.add_column(ratio=1, min_width=8)
    row.add_column(no_wrap=True, justify="right", min_width=4)
    row.add_column(no_wrap=True, overflow="ellipsis", width=_WHAT_WIDTH)
    row.add_row(ProgressBar(total=100, completed=line.percent, complete_style="cyan"), f"{line.percent} %", what)
    return row
