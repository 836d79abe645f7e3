"""A problem: one thing that is wrong with a workflow or a run, where, and what mends it.

Codes are ComfyUI's own where it has one (``value_not_in_list``, ``missing_node_type``, …); ours are words of the same
kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """Whether a problem stops a job or is only said."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingClass:
    """A class of node that is not installed; ``near`` is one that is, and is called nearly so."""

    near: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingModel:
    """A file that is not installed; ``near`` is one that is. ``alias_of`` is the workflow's name for ``name``."""

    name: str
    folder: str
    near: str = ""
    alias_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One sentence for a person, with its place in the workflow; empty strings where there is none.

    ``traceback`` is ComfyUI's, line by line, for a failure at run time; it goes into ``result.yaml`` only. ``lacks`` is
    what would have to be installed, for whoever knows where it can be had; it is not kept.
    """

    code: str
    message: str
    fix: str = ""
    node: str = ""
    class_type: str = ""
    input: str = ""
    severity: Severity = Severity.ERROR
    traceback: tuple[str, ...] = field(default=())
    lacks: MissingClass | MissingModel | None = field(default=None, compare=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """For a file or a database: keys in reading order, empty ones left out."""
        order = ("node", "class_type", "input", "code", "message", "fix", "traceback")
        plain = {key: getattr(self, key) for key in order if getattr(self, key)}
        if self.traceback:
            plain["traceback"] = list(self.traceback)
        if self.severity is Severity.WARNING:
            plain["severity"] = "warning"
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Problem:
        """The opposite of ``as_dict``; unknown keys are left out."""
        known = {f.name: plain[f.name] for f in fields(cls) if f.name in plain and f.name != "lacks"}
        known["severity"] = Severity(known.get("severity", Severity.ERROR))
        known["traceback"] = tuple(known.get("traceback", ()))
        return cls(**known)


def errors(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Those that stop a job."""
    return tuple(problem for problem in problems if problem.severity is Severity.ERROR)
