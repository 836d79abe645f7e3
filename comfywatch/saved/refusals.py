"""What is said of a saved workflow, or of a node in it, that cannot become what the frontend would send."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from comfywatch.problems import Problem
from comfywatch.saved.scopes import Placed
from comfywatch.saved.widgets import is_rendered
from comfywatch.saved.wiring import Nothing, Source
from comfywatch.schemas import Schemas
from comfywatch.sentences import EXPORT, bad_link, called, class_missing
from comfywatch.workflow import MAX_DEPTH, MAX_NODES

_GROUP = re.compile(r"workflow[>/]")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def of_node(
    placed: Placed, entry: Mapping[str, Any], inputs: Mapping[str, Source], schemas: Schemas
) -> Iterator[Problem]:
    """All that is wrong with one node; ``entry`` is what it would be in the prompt."""
    kind = placed.node.type
    if kind not in schemas:
        yield _unknown(placed, entry)
    if any(is_rendered(spec) for spec in schemas.inputs(kind).values()):
        yield _problem(
            "rendered_in_browser", placed, entry,
            "shows something in the browser, which renders it anew for each run",
            EXPORT,
        )  # fmt: skip
    for name, source in inputs.items():
        if source is Nothing.BROKEN:
            yield bad_link(placed.id, entry, name, "has a link that begins nowhere: the file lacks its other end")


def not_saved() -> Problem:
    """JSON that is something else."""
    message = "This is no workflow as ComfyUI's Save writes it: it has no list of nodes."
    return Problem(code="not_a_workflow", message=message, fix=EXPORT)


def too_deep() -> Problem:
    """Lists and maps in each other, as no frontend writes them."""
    message = f"The workflow is nested too deeply: more than {MAX_DEPTH} lists and maps in each other."
    return Problem(code="not_a_workflow", message=message, fix=EXPORT)


def endless() -> Problem:
    """Subgraphs in subgraphs, or links, without end, or as good as that."""
    message = (
        f"It goes on and on: its subgraphs have more than {MAX_NODES} nodes, hold themselves, or pass links around."
    )
    return Problem(code="endless", message=message, fix="Use fewer subgraphs, and save the workflow again.")


def _unknown(placed: Placed, entry: Mapping[str, Any]) -> Problem:
    kind = placed.node.type
    if _GROUP.match(kind):
        fix = "In ComfyUI choose 'Convert to nodes' in its menu, or make it a subgraph, and save the workflow again."
        return _problem("group_node", placed, entry, "is a group node, an older kind of subgraph", fix)
    if _UUID.fullmatch(kind):
        fix = "Open the workflow in ComfyUI, put the subgraph in anew, and save it again."
        return _problem("no_subgraph", placed, entry, "is a subgraph that the file does not define", fix)
    return class_missing(placed.id, entry, kind)


def _problem(code: str, placed: Placed, entry: Mapping[str, Any], what: str, fix: str) -> Problem:
    message = f"{called(placed.id, entry)} {what}."
    return Problem(code=code, message=message, fix=fix, node=placed.id, class_type=placed.node.type)
