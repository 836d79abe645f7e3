"""Texts that say how they are to be filled in: dynamic prompts, and tokens in the names of files.

``{red|blue}`` in a prompt becomes one of the two, drawn at random, and comments (``// …``, ``/* … */``) go; in a file
name ``%date:yyyy-MM-dd%`` becomes the date, and ``%KSampler.seed%`` the value at that node.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

_COMMENT = re.compile(r"/\*|//")
_PIECE = re.compile(r"\\.|[{}|]|[^\\{}|]+|\\", re.DOTALL)
_ESCAPED = frozenset({"\\{", "\\}", "\\|"})
_DEEPEST = 100
"""Braces in each other; further ones are taken for text."""
_TOKEN = re.compile(r"%([^%]+)%")
_DATE_PART = re.compile(r"yyyy|yyy|yy|([dMhms])\1?")
_NOT_IN_NAMES = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')


def drawn_text(text: str, draw: random.Random) -> tuple[str, bool]:
    """A dynamic prompt with each choice made, and whether there was one to make.

    A choice inside an option that is then not drawn is made too, which changes nothing. A brace that is never closed
    ends with the text.
    """
    reading = _Reading(draw=draw)
    for piece in _PIECE.findall(_without_comments(text)):
        reading.take(piece)
    while len(reading.braces) > 1:
        reading.close()
    return reading.braces[0][-1], reading.is_random


@dataclass(slots=True, kw_only=True)
class _Reading:
    """The braces that are open, each with its options so far; the first is the text as a whole."""

    draw: random.Random
    braces: list[list[str]] = field(default_factory=lambda: [[""]])
    is_random: bool = False

    def take(self, piece: str) -> None:
        is_inside = len(self.braces) > 1
        if piece == "{" and len(self.braces) < _DEEPEST:
            self.braces.append([""])
        elif piece == "|" and is_inside:
            self.braces[-1].append("")
        elif piece == "}" and is_inside:
            self.close()
        else:
            self.braces[-1][-1] += piece[1:] if piece in _ESCAPED else piece

    def close(self) -> None:
        options = self.braces.pop()
        self.is_random = self.is_random or len(options) > 1
        self.braces[-1][-1] += self.draw.choice(options)


def filled_in(text: str, value_of: Callable[[str, str], str | None], now: datetime) -> str:
    """A name with its tokens replaced, those that mean something; ``value_of`` takes a node's name and a widget's."""

    def replaced(token: re.Match[str]) -> str:
        word = token[1]
        if word.startswith("date:"):
            return _as_date(word.removeprefix("date:"), now)
        node, dot, widget = word.partition(".")
        value = value_of(node, widget) if dot else None
        return token[0] if value is None else _NOT_IN_NAMES.sub("_", value)

    return _TOKEN.sub(replaced, text)


def _without_comments(text: str) -> str:
    """One that is not closed stays."""
    kept: list[str] = []
    at, last_end = 0, text.rfind("*/")
    for start in _COMMENT.finditer(text):
        if start.start() < at or (start[0] == "/*" and last_end < start.end()):
            continue
        kept.append(text[at : start.start()])
        end = text.find("\n", start.end()) if start[0] == "//" else text.find("*/", start.end()) + 2
        at = len(text) if end < 0 else end
    return "".join((*kept, text[at:]))


def _as_date(pattern: str, now: datetime) -> str:
    numbers = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}

    def part(found: re.Match[str]) -> str:
        if found[1] is None:
            return {"yyyy": str(now.year), "yy": str(now.year)[-2:]}.get(found[0], found[0])
        return str(numbers[found[1]]).zfill(len(found[0]))

    return _DATE_PART.sub(part, pattern)
