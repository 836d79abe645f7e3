"""A saved workflow as values: nodes, links and subgraphs, as ComfyUI's *Save* wrote them.

The rule it keeps: a file can hold anything, so nothing in it is believed. What has no place in a workflow is left out,
as the frontend leaves it out, and only what cannot be a workflow at all is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from comfywatch.saved.numbers import as_id

FROM_OUTSIDE = "-10"
"""Where links inside a subgraph begin that come from its inputs."""
TO_OUTSIDE = "-20"
"""Where links inside a subgraph end that lead to its outputs."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Mode(IntEnum):
    """What a person set a node to; all other modes run."""

    RUNS = 0
    MUTED = 2
    BYPASSED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """An input of a node; ``widget`` is the value that the link in ``link`` takes the place of, if it is one."""

    name: str
    type: str = ""
    link: str | None = None
    widget: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """From an output slot of ``origin`` to an input of ``target``."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """``outputs`` are the types of its output slots; ``values`` is what was saved of its widgets, as a rule a list."""

    id: str
    type: str
    mode: Mode = Mode.RUNS
    title: str = ""
    inputs: tuple[Slot, ...] = ()
    outputs: tuple[str, ...] = ()
    values: Any = None
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The nodes and links of one level; a node that is there twice counts as it was last."""

    nodes: Mapping[str, Node]
    links: Mapping[str, Link]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgraph:
    """A definition, of which a workflow may have many instances; ``outputs`` are types.

    ``entries`` say where each input leads to inside, ``exits`` which link leads to each output. ``promoted`` are the
    inputs that are widgets, in the order of an instance's values.
    """

    id: str
    graph: Graph
    inputs: tuple[Slot, ...]
    outputs: tuple[str, ...]
    entries: Mapping[str, tuple[tuple[Node, Slot], ...]]
    exits: Mapping[int, str]
    promoted: tuple[str, ...]

    @classmethod
    def of(cls, subgraph_id: str, graph: Graph, *, inputs: tuple[Slot, ...], outputs: tuple[str, ...]) -> Subgraph:
        entries: dict[str, list[tuple[Node, Slot]]] = {}
        for node in graph.nodes.values():
            for slot in node.inputs:
                link = None if slot.link is None else graph.links.get(slot.link)
                if link is not None and link.origin == FROM_OUTSIDE and 0 <= link.origin_slot < len(inputs):
                    entries.setdefault(inputs[link.origin_slot].name, []).append((node, slot))
        return cls(
            id=subgraph_id,
            graph=graph,
            inputs=inputs,
            outputs=outputs,
            entries={name: tuple(places) for name, places in entries.items()},
            exits={link.target_slot: link_id for link_id, link in graph.links.items() if link.target == TO_OUTSIDE},
            promoted=tuple(
                slot.name for slot in inputs if any(there.widget is not None for _, there in entries.get(slot.name, ()))
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedWorkflow:
    """``highest_id`` is the highest number that a node of the root has had."""

    root: Graph
    subgraphs: Mapping[str, Subgraph] = field(default_factory=dict)
    highest_id: int = 0

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> SavedWorkflow:
        """From parsed JSON with a list of ``nodes``."""
        root = _graph(plain)
        definitions = _map(plain.get("definitions")).get("subgraphs")
        found = (_subgraph(definition) for definition in _maps(definitions))
        numbers = (int(node_id) for node_id in root.nodes if node_id.isdecimal() and len(node_id) < 18)
        last = plain.get("last_node_id")
        return cls(
            root=root,
            subgraphs={subgraph.id: subgraph for subgraph in found if subgraph.id},
            highest_id=max((last if type(last) is int else 0), *numbers, 0),
        )


def _graph(plain: Mapping[str, Any]) -> Graph:
    return Graph(
        nodes={node.id: node for node in map(_node, _maps(plain.get("nodes"))) if node is not None},
        links=dict(_links(plain.get("links"))),
    )


def _node(plain: Mapping[str, Any]) -> Node | None:
    node_id, kind, mode = as_id(plain.get("id")), plain.get("type"), plain.get("mode")
    if node_id is None or not isinstance(kind, str):
        return None
    return Node(
        id=node_id,
        type=kind,
        mode=Mode(mode) if mode in (Mode.MUTED, Mode.BYPASSED) else Mode.RUNS,
        title=_text(plain.get("title")),
        inputs=tuple(map(_slot, _maps(plain.get("inputs")))),
        outputs=tuple(_text(output.get("type")) for output in _maps(plain.get("outputs"))),
        values=plain.get("widgets_values"),
        properties=_map(plain.get("properties")),
    )


def _slot(plain: Mapping[str, Any]) -> Slot:
    name = _text(plain.get("name"))
    widget = plain.get("widget")
    return Slot(
        name=name,
        type=_text(plain.get("type")),
        link=as_id(plain.get("link")),
        widget=(_text(widget.get("name")) or name) if isinstance(widget, Mapping) else None,
    )


def _links(plain: Any) -> Iterator[tuple[str, Link]]:
    """Each is a list (``[id, origin, slot, target, slot, type]``), or a map in newer files and in subgraphs."""
    for entry in plain if isinstance(plain, list) else ():
        parts = entry if isinstance(entry, list) else [_map(entry).get(key) for key in _LINK_KEYS]
        link_id, origin, origin_slot, target, target_slot = [*parts, *[None] * 5][:5]
        names = as_id(link_id), as_id(origin)
        if names[0] is not None and names[1] is not None:
            yield (
                names[0],
                Link(
                    origin=names[1],
                    origin_slot=_number(origin_slot),
                    target=as_id(target) or "",
                    target_slot=_number(target_slot),
                ),
            )


_LINK_KEYS = ("id", "origin_id", "origin_slot", "target_id", "target_slot")


def _subgraph(plain: Mapping[str, Any]) -> Subgraph:
    return Subgraph.of(
        _text(plain.get("id")),
        _graph(plain),
        inputs=tuple(map(_slot, _maps(plain.get("inputs")))),
        outputs=tuple(_text(output.get("type")) for output in _maps(plain.get("outputs"))),
    )


def _maps(plain: Any) -> Iterable[Mapping[str, Any]]:
    return [entry for entry in plain if isinstance(entry, Mapping)] if isinstance(plain, list) else ()


def _map(plain: Any) -> Mapping[str, Any]:
    return plain if isinstance(plain, Mapping) else _NOTHING


def _text(plain: Any) -> str:
    return plain if isinstance(plain, str) else ""


def _number(plain: Any) -> int:
    return plain if type(plain) is int else -1
