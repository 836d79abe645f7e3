"""A saved workflow as values: nodes, links and subgraphs, as ComfyUI's *Save* wrote them.

The rule it keeps: a file can hold anything, so nothing in it is believed. What has no place in a workflow is left out,
as the frontend leaves it out, and only what cannot be a workflow at all is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from comfywatch.saved.browser import as_id

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
    """An input of a node; ``widget`` is the name of the widget whose place its link takes, if it has one."""

    name: str
    type: str = ""
    link: str | None = None
    widget: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """An input of a subgraph; ``links`` are those that go on from it inside, in their order."""

    name: str
    type: str = ""
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """From an output slot of ``origin`` to an input of ``target``."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """``values`` is what was saved of its widgets, as a rule a list."""

    id: str
    type: str
    mode: Mode = Mode.RUNS
    title: str = ""
    inputs: tuple[Slot, ...] = ()
    values: Any = None
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The nodes and links of one level; a node that is there twice counts as it was last.

    ``weight`` is about what they take in the file, in characters: each instance of a subgraph takes it anew.
    """

    nodes: Mapping[str, Node]
    links: Mapping[str, Link]
    weight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgraph:
    """A definition, of which a workflow may have many instances.

    ``entries`` say where each input leads to inside, ``exits`` which link leads to each output. ``promoted`` has the
    inputs that are widgets, in the order of an instance's values, each with the node and widget inside that it shows.
    """

    id: str
    graph: Graph
    inputs: tuple[Entrance, ...]
    entries: Mapping[str, tuple[tuple[Node, Slot], ...]]
    exits: Mapping[int, str]
    promoted: Mapping[str, tuple[Node, Slot]]
    shown_by: Mapping[tuple[str, str], str]
    """Which input shows a widget: by node and widget."""

    @classmethod
    def of(cls, subgraph_id: str, graph: Graph, inputs: tuple[Entrance, ...]) -> Subgraph:
        ends = {slot.link: (node, slot) for node in graph.nodes.values() for slot in node.inputs}
        begins = _begins(graph, inputs)
        entries = {name: tuple(ends[link] for link in links if link in ends) for name, links in begins.items()}
        promoted = {
            name: next(place for place in places if place[1].widget is not None)
            for name, places in entries.items()
            if any(slot.widget is not None for _, slot in places)
        }
        return cls(
            id=subgraph_id,
            graph=graph,
            inputs=inputs,
            entries=entries,
            exits={link.target_slot: link_id for link_id, link in graph.links.items() if link.target == TO_OUTSIDE},
            promoted=promoted,
            shown_by={(node.id, slot.widget or slot.name): name for name, (node, slot) in promoted.items()},
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
        weight=_weight(plain),
    )


def _weight(plain: Mapping[str, Any]) -> int:
    try:
        return len(repr(plain.get("nodes"))) + len(repr(plain.get("links")))
    except ValueError:  # a number of thousands of digits
        return sys.maxsize


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


def _begins(graph: Graph, inputs: tuple[Entrance, ...]) -> dict[str, list[str]]:
    """The links that begin at each input, in the order in which the input lists them."""
    listed = {link: place for entrance in inputs for place, link in enumerate(entrance.links)}
    found: dict[str, list[str]] = {entrance.name: [] for entrance in inputs}
    for link_id, link in sorted(graph.links.items(), key=lambda item: listed.get(item[0], len(listed))):
        if link.origin == FROM_OUTSIDE and 0 <= link.origin_slot < len(inputs):
            found[inputs[link.origin_slot].name].append(link_id)
    return found


def _subgraph(plain: Mapping[str, Any]) -> Subgraph:
    return Subgraph.of(_text(plain.get("id")), _graph(plain), tuple(map(_entrance, _maps(plain.get("inputs")))))


def _entrance(plain: Mapping[str, Any]) -> Entrance:
    links = plain.get("linkIds")
    return Entrance(
        name=_text(plain.get("name")),
        type=_text(plain.get("type")),
        links=tuple(link for link in map(as_id, links if isinstance(links, list) else ()) if link is not None),
    )


def _maps(plain: Any) -> Iterable[Mapping[str, Any]]:
    return [entry for entry in plain if isinstance(entry, Mapping)] if isinstance(plain, list) else ()


def _map(plain: Any) -> Mapping[str, Any]:
    return plain if isinstance(plain, Mapping) else _NOTHING


def _text(plain: Any) -> str:
    return plain if isinstance(plain, str) else ""


def _number(plain: Any) -> int:
    return plain if type(plain) is int else -1
