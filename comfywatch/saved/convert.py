"""From a saved workflow to the prompt that ComfyUI's own frontend would send for it.

The walk: the file is read as values (``graph``), and instances of subgraphs are unfolded (``scopes``). Each node that
is not off becomes an entry: the values of its widgets (``widgets``), and what comes along its links in their place
(``wiring``, ``entries``), written as a browser writes it (``filling``). What cannot be converted as the frontend would
is a problem at its node, and never becomes something else.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from comfywatch.problems import Problem
from comfywatch.saved import refusals
from comfywatch.saved.entries import inputs_of
from comfywatch.saved.filling import Drawn, Filling
from comfywatch.saved.frontends import Frontend
from comfywatch.saved.graph import Node, SavedWorkflow
from comfywatch.saved.numbering import numbered_once
from comfywatch.saved.scopes import Endless, Scope, executed, unfold
from comfywatch.saved.seeds import Seed, seeds_among
from comfywatch.saved.wiring import PRIMITIVE, REROUTE, Wiring
from comfywatch.schemas import Schemas
from comfywatch.workflow import is_too_deep

_VIRTUAL = frozenset({"MarkdownNote", "Note", PRIMITIVE, REROUTE})
"""What is on the canvas for people alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """``prompt`` is what ComfyUI takes, if there are no ``problems``; ``drawn`` are the choices that chance made.

    ``seeds`` are the values that the frontend changes after a run, and how.
    """

    prompt: dict[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    drawn: tuple[Drawn, ...] = ()
    seeds: tuple[Seed, ...] = ()

    @property
    def is_random(self) -> bool:
        """Whether the same file may become another prompt the next time."""
        return bool(self.drawn)


def is_saved_workflow(plain: Any) -> bool:
    """Whether parsed JSON is what *Save* writes, and not a prompt."""
    return isinstance(plain, Mapping) and isinstance(plain.get("nodes"), list)


def convert(
    workflow: Any, schemas: Schemas, frontend: Frontend, *, draw: random.Random | None, now: datetime | None
) -> Converted:
    """The prompt of a saved workflow, which may be any JSON value; ``now`` is the local time, for names of files.

    Without ``draw`` or ``now``, what they would fill in stays as it was written.
    """
    if not is_saved_workflow(workflow):
        return Converted(problems=(refusals.not_saved(),))
    if is_too_deep(workflow):
        return Converted(problems=(refusals.too_deep(),))
    try:
        saved = SavedWorkflow.of(workflow)
        root = unfold(numbered_once(saved) if frontend.numbers_nodes_once else saved, frontend)
        wiring = Wiring(schemas=schemas, frontend=frontend)
        return _converted(root, wiring, Filling(root=root, wiring=wiring, draw=draw, now=now))
    except Endless:
        return Converted(problems=(refusals.endless(),))


def _converted(root: Scope, wiring: Wiring, filling: Filling) -> Converted:
    nodes = {there.id: there for there in executed(root, wiring.frontend) if there.node.type not in _VIRTUAL}
    inputs = {node_id: inputs_of(there, wiring) for node_id, there in nodes.items()}
    prompt = {
        node_id: {
            "inputs": filling.filled(there, inputs[node_id]),
            "class_type": there.node.type,
            "_meta": {"title": _title(there.node, wiring.schemas)},
        }
        for node_id, there in nodes.items()
    }
    return Converted(
        prompt=prompt,
        problems=tuple(
            problem
            for node_id, there in nodes.items()
            for problem in refusals.of_node(there, prompt[node_id], inputs[node_id], wiring.schemas)
        ),
        drawn=tuple(filling.drawn),
        seeds=seeds_among(inputs),
    )


def _title(node: Node, schemas: Schemas) -> str:
    return node.title or schemas.display_names.get(node.type) or node.type
