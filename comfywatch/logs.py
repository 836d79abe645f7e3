"""How log lines look; the only module that configures loguru.

The rule it keeps: one record is one line, and no endless one, whatever a file or a server is called. Only a traceback,
which is logged at debug level alone, takes further lines, indented.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from loguru import Record

PRIORITIES = (("critical", 2), ("error", 3), ("warning", 4), ("success", 5), ("info", 6))
"""Priorities of syslog, by which the journal sorts; every other level is 7, debug."""

_PRIORITY = dict(PRIORITIES)
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT_ID = 8
_MAX_CHARACTERS = 4000


class Style(Enum):
    """Who reads the lines."""

    TERMINAL = auto()
    """A person: the time of day, colours, short ids."""
    PLAIN = auto()
    """A file or a pipe: the whole time, no colours."""
    JOURNAL = auto()
    """systemd's journal, which knows the time and takes the priority from a prefix."""


# No value ever stands in a template, for loguru would take its braces and brackets for its own.
_TEMPLATES = {
    Style.TERMINAL: "<dim>{extra[shown][time]}</dim> <level>{extra[shown][level]}</level> "
    "<cyan>{extra[shown][place]}</cyan>{extra[shown][text]}\n",
    Style.PLAIN: "{extra[shown][time]} {extra[shown][level]} {extra[shown][place]}{extra[shown][text]}\n",
    Style.JOURNAL: "{extra[shown][level]}{extra[shown][place]}{extra[shown][text]}\n",
}


def configure(level: str, stream: TextIO | None = None) -> None:
    """Log to ``stream`` (standard error) from ``level`` on, in the style that belongs to it, and nowhere else."""
    from loguru import logger  # it takes a tenth of a second, and commands that log nothing only want ``one_line``

    global _is_configured  # loguru's logger is one for the process, and so is this
    target = sys.stderr if stream is None else stream
    style = style_of(target, os.environ)
    logger.remove()
    logger.add(
        target,
        level=level.upper(),
        format=_formatter(style),
        colorize=style is Style.TERMINAL and not os.environ.get("NO_COLOR"),
        diagnose=False,
        backtrace=False,
    )
    _is_configured = True


def configure_once(level: str) -> None:
    """``configure``, unless that was done already."""
    if not _is_configured:
        configure(level)


def style_of(stream: TextIO, env: Mapping[str, str]) -> Style:
    """The style for ``stream``; ``env`` says in ``JOURNAL_STREAM`` which stream leads to the journal."""
    if stream.isatty():
        return Style.TERMINAL
    return Style.JOURNAL if _file_id(stream) == env.get("JOURNAL_STREAM", "") else Style.PLAIN


def one_line(text: str) -> str:
    """``text`` with control characters, line breaks and what turns the writing direction as escapes."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


_is_configured = False


def _file_id(stream: TextIO) -> str | None:
    """``device:inode`` of what the stream writes to, as systemd names it: the variable alone is inherited by all."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return None
    return f"{status.st_dev}:{status.st_ino}"


def _formatter(style: Style) -> Callable[[Record], str]:
    """A function that lays a record's text ready and returns the template for it."""

    def lay_out(record: Record) -> str:
        record["extra"]["shown"] = _shown(record, style)
        return _TEMPLATES[style]

    return lay_out


def _shown(record: Record, style: Style) -> dict[str, str]:
    name = record["level"].name.lower()
    level = f"<{_PRIORITY.get(name, 7)}>" if style is Style.JOURNAL else f"{name:<7}"
    at = record["time"]
    message = record["message"]
    message = message if len(message) <= _MAX_CHARACTERS else f"{message[:_MAX_CHARACTERS]} …"
    lines = [one_line(message), *_traceback(record)]
    return {
        "time": at.strftime("%H:%M:%S") if style is Style.TERMINAL else at.isoformat("T", "milliseconds"),
        "level": level,
        "place": one_line(_place(record["extra"], short=style is Style.TERMINAL)),
        "text": f"\n{level if style is Style.JOURNAL else ''}    ".join(lines),
    }


def _place(extra: Mapping[str, Any], *, short: bool) -> str:
    """``my-film/shot-01.json (6613e2a1): ``, or as much of it as is bound; empty if nothing is."""
    words = ["/".join(str(extra[key]) for key in ("project", "job") if extra.get(key))]
    if prompt_id := str(extra.get("prompt_id") or ""):
        words.append(f"({prompt_id[:_SHORT_ID] if short else prompt_id})")
    place = " ".join(filter(None, words))
    return f"{place}: " if place else ""


def _traceback(record: Record) -> list[str]:
    found = record["exception"]
    if found is None or found.type is None:
        return []
    text = "".join(traceback.format_exception(found.type, found.value, found.traceback))
    return [one_line(line) for line in text.splitlines()]
