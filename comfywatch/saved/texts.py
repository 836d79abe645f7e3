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
from typing import Any

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_PIECE = re.compile(r"\\.|[{}|]|[^\\{}|]+|\\", re.DOTALL)
_ESCAPED = frozenset({"\\{", "\\}", "\\|"})
_TOKEN = re.compile(r"%([^%]+)%")
_DATE_PART = re.compile(r"yyyy|yy|([dMhms])\1?")
_NOT_IN_NAMES = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')


@dataclass(slots=True)
class _Choice:
    """An open brace: the options so far, of which the last one is being read."""

    options: list[str] = field(default_factory=lambda: [""])


def drawn_text(text: str, draw: random.Random) -> tuple[str, bool]:
    """A dynamic prompt with each choice made, and whether there was one to make.

    What is not drawn is not looked into for its own sake: a choice inside it is made too, which changes nothing.
    """
    open_braces = [_Choice()]
    is_random = False
    for piece in _PIECE.findall(_COMMENT.sub("", text)):
        here = open_braces[-1]
        if piece == "{":
            open_braces.append(_Choice())
        elif piece == "|" and len(open_braces) > 1:
            here.options.append("")
        elif piece == "}" and len(open_braces) > 1:
            open_braces.pop()
            is_random = is_random or len(here.options) > 1
            open_braces[-1].options[-1] += draw.choice(here.options)
        else:
            here.options[-1] += piece[1:] if piece in _ESCAPED else piece
    while len(open_braces) > 1:
        unclosed = open_braces.pop()
        is_random = is_random or len(unclosed.options) > 1
        open_braces[-1].options[-1] += draw.choice(unclosed.options)
    return open_braces[0].options[0], is_random


def filled_in(text: str, value_of: Callable[[str, str], Any], now: datetime) -> str:
    """A name with its tokens replaced, those that mean something; ``value_of`` takes a node's name and a widget's."""

    def replaced(token: re.Match[str]) -> str:
        word = token[1]
        if word.startswith("date:"):
            return _as_date(word.removeprefix("date:"), now)
        node, dot, widget = word.partition(".")
        value = value_of(node, widget) if dot else None
        return token[0] if value is None else _NOT_IN_NAMES.sub("_", _as_text(value))

    return _TOKEN.sub(replaced, text)


def _as_date(pattern: str, now: datetime) -> str:
    numbers = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}

    def part(found: re.Match[str]) -> str:
        if found[1] is None:
            return str(now.year)[-len(found[0]) :]
        return str(numbers[found[1]]).zfill(len(found[0]))

    return _DATE_PART.sub(part, pattern)


def _as_text(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
