"""What usually lies behind a failure at run time, and what mends it: ``data/hints.json``, read from the top.

Signs are looked for in the exception's type and message, and case does not count. What is told by the words of one
failure alone stands before what fits many; where no sign fits, the package in whose code it happened is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from comfywatch import shipped
from comfywatch.problems import Problem

_LONGEST = 20_000
"""Characters of a message that are searched; some print whole tensors."""
_IN_PACKAGE = re.compile(r"custom_nodes[/\\](?P<package>[^/\\\"'\n]{1,100})[/\\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """``sign`` is the pattern of all its signs; ``text`` says the cause, and then what to do."""

    sign: re.Pattern[str]
    text: str


@cache
def known_hints() -> tuple[Hint, ...]:
    """Those of the table; the first that fits counts."""
    return tuple(
        Hint(sign=re.compile("|".join(row["signs"]), re.IGNORECASE), text=f"{row['cause']} {row['mend']}")
        for row in shipped.load("hints.json")["hints"]
    )


def hint_for(problems: Iterable[Problem]) -> str:
    """The hint for the first problem that has one, else an empty text."""
    failures = [problem for problem in problems if problem.code == "execution_error"]
    told = (_by_sign(problem) for problem in failures)
    where = (_by_place(problem) for problem in failures)
    return next(filter(None, (*told, *where)), "")


def _by_sign(problem: Problem) -> str:
    text = problem.message[:_LONGEST] + (problem.traceback[-1][:_LONGEST] if problem.traceback else "")
    return next((hint.text for hint in known_hints() if hint.sign.search(text)), "")


def _by_place(problem: Problem) -> str:
    """The package of the innermost step that is one's: what it raises is its own."""
    for line in reversed(problem.traceback):
        if found := _IN_PACKAGE.search(line[:_LONGEST]):
            package = " ".join(found["package"].split())
            return (
                f"This is the own failure of a package of nodes, {package}. The message says what it wants; "
                "else update it, or ask where it is at home."
            )
    return ""
