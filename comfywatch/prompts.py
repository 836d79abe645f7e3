"""The prompt that a dropped file is for a server: as it stands, or what a saved workflow becomes there.

A saved workflow hangs on the server's schemas and version: without them there is no prompt yet. What is random in it is
drawn when a run is submitted; until then it stands as it was written, so that the same file is the same content.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from comfywatch.problems import Problem
from comfywatch.saved import Control, Converted, Drawn, Seed, convert, frontend_of
from comfywatch.schemas import Schemas
from comfywatch.workflow import Dropped, digest_of

_SEEDS = ("seed", "noise_seed")
_HIGHEST_SEED = 2**50
"""Up to which ComfyUI's window draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """``nodes`` is what ComfyUI takes, if there are no ``problems``; ``drawn`` and ``seeds`` as in ``Converted``."""

    nodes: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    drawn: tuple[Drawn, ...] = ()
    seeds: tuple[Seed, ...] = ()

    def problems_with(self, found: tuple[Problem, ...]) -> tuple[Problem, ...]:
        """What could not be converted, before what is wrong with the prompt (``found``); each thing once."""
        known = {(problem.node, problem.input) for problem in self.problems if problem.input}
        rest = tuple(problem for problem in found if (problem.node, problem.input) not in known)
        said = {(problem.node, problem.code) for problem in rest}
        return (*(problem for problem in self.problems if (problem.node, problem.code) not in said), *rest)


def prompt_of(
    dropped: Dropped, schemas: Schemas | None, *, draw: random.Random | None = None, now: datetime | None = None
) -> Prompt | None:
    """The prompt for a server, ``None`` while that is not known; with ``draw``, and the local time, as for a run."""
    if not dropped.is_saved:
        return Prompt(nodes=dropped.prompt, seeds=_plain_seeds(dropped.prompt, schemas))
    if schemas is None:
        return None
    return _plain(convert(dropped.saved, schemas, frontend_of(schemas), draw=draw, now=now))


def digest_for(dropped: Dropped, schemas: Schemas | None) -> str:
    """SHA-256 of the prompt that it becomes; of the file's own content while that cannot be said."""
    prompt = prompt_of(dropped, schemas) if dropped.is_saved else None
    if prompt is None or prompt.problems:
        return dropped.digest
    try:
        return digest_of(prompt.nodes)
    except ValueError:  # a number that is no JSON
        return dropped.digest


def _plain(converted: Converted) -> Prompt:
    return Prompt(nodes=converted.prompt, problems=converted.problems, drawn=converted.drawn, seeds=converted.seeds)


def _plain_seeds(prompt: Mapping[str, Any], schemas: Schemas | None) -> tuple[Seed, ...]:
    """The seeds of a prompt, which does not say how the window changes them: by chance, as it does unless told."""
    return tuple(
        Seed(places=((node_id, name),), value=value, control=Control.RANDOMIZE, low=low, high=high)
        for node_id, node in prompt.items()
        for name, value in node.get("inputs", {}).items()
        if name in _SEEDS and type(value) is int
        for low, high in [_bounds(schemas, node["class_type"], name)]
    )


def _bounds(schemas: Schemas | None, class_type: str, name: str) -> tuple[int, int]:
    spec = None if schemas is None else schemas.input(class_type, name)
    low, high = (spec.options.get("min"), spec.options.get("max")) if spec is not None else (None, None)
    return low if isinstance(low, int) else 0, high if isinstance(high, int) else _HIGHEST_SEED
