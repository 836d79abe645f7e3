"""A saved workflow unfolded: each instance of a subgraph as a level of its own, down to where there are none.

The rule it keeps: a node is called by the way to it, ``2:7:5`` for node 5 in instance 7 in instance 2. What an instance
says of the widgets inside is settled here, from the outside in, since the outermost one that says something wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfywatch.saved.frontends import Frontend
from comfywatch.saved.graph import Graph, Mode, Node, SavedWorkflow, Subgraph

MOST_NODES = 10_000
"""Far above what people make; a subgraph that holds another ten times, which does the same, grows without measure."""
DEEPEST = 50

_SELF = "-1"
"""How ``proxyWidgets`` names the instance itself: a widget that it has as an input."""


class TooLarge(ValueError):
    """There is no end to the nodes, or as good as none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scope:
    """The root, or one instance of a subgraph; ``inner`` has the instances in it by their node's id.

    ``linked`` are the links of the instance's inputs, by name; ``promoted`` its values for those that are widgets;
    ``proxied`` those for widgets of its inner nodes, by node and name.
    """

    graph: Graph
    path: str = ""
    subgraph: Subgraph | None = None
    outer: Scope | None = None
    inner: dict[str, Scope] = field(default_factory=dict)
    linked: Mapping[str, str | None] = field(default_factory=dict)
    promoted: Mapping[str, Any] = field(default_factory=dict)
    proxied: Mapping[tuple[str, str], Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A node in its scope."""

    scope: Scope
    node: Node

    @property
    def id(self) -> str:
        """What the prompt calls it."""
        return self.scope.path + self.node.id


def unfold(workflow: SavedWorkflow, frontend: Frontend) -> Scope:
    """The root, with all instances in it; raises ``TooLarge``."""
    root = Scope(graph=workflow.root)
    todo = [(root, 0)]
    count = 0
    while todo:
        scope, depth = todo.pop()
        count += len(scope.graph.nodes)
        if count > MOST_NODES or depth > DEEPEST:
            raise TooLarge
        for node in scope.graph.nodes.values():
            subgraph = workflow.subgraphs.get(node.type)
            if subgraph is not None:
                scope.inner[node.id] = _instance(node, subgraph, scope, frontend)
        todo += [(inner, depth + 1) for inner in scope.inner.values()]
    return root


def executed(scope: Scope, frontend: Frontend) -> Iterator[Placed]:
    """The nodes that are not off, in the file's order; those of an instance stand in its place."""
    for node in scope.graph.nodes.values():
        inner = scope.inner.get(node.id)
        if inner is None:
            if node.mode is Mode.RUNS:
                yield Placed(scope=scope, node=node)
        elif node.mode is Mode.RUNS or not frontend.instance_can_be_off:
            yield from executed(inner, frontend)


def everything(scope: Scope) -> Iterator[Placed]:
    """All nodes but instances, whatever their mode."""
    for node in scope.graph.nodes.values():
        inner = scope.inner.get(node.id)
        if inner is None:
            yield Placed(scope=scope, node=node)
        else:
            yield from everything(inner)


def _instance(node: Node, subgraph: Subgraph, outer: Scope, frontend: Frontend) -> Scope:
    said = dict(_said(node, subgraph, frontend))
    said |= {_place(node, subgraph, name): value for (inner, name), value in outer.proxied.items() if inner == node.id}
    return Scope(
        graph=subgraph.graph,
        path=f"{outer.path}{node.id}:",
        subgraph=subgraph,
        outer=outer,
        linked={slot.name: slot.link for slot in node.inputs},
        promoted={name: value for (inner, name), value in said.items() if inner == _SELF},
        proxied={place: value for place, value in said.items() if place[0] != _SELF},
    )


def _said(node: Node, subgraph: Subgraph, frontend: Frontend) -> Iterator[tuple[tuple[str, str], Any]]:
    values = node.values if isinstance(node.values, list) else []
    proxies = list(_proxies(node)) if frontend.reads_proxies else []
    inputs = [(_SELF, name) for name in subgraph.promoted]
    places = proxies if any(inner == _SELF for inner, _ in proxies) else [*inputs, *proxies]
    for place, value in zip(places, values, strict=False):
        if value is not None:
            yield place, value


def _proxies(node: Node) -> Iterator[tuple[str, str]]:
    proxies = node.properties.get("proxyWidgets")
    for proxy in proxies if isinstance(proxies, list) else ():
        if isinstance(proxy, list) and len(proxy) > 1 and isinstance(proxy[1], str):
            yield str(proxy[0]), proxy[1]


def _place(node: Node, subgraph: Subgraph, name: str) -> tuple[str, str]:
    """What an instance calls ``name``: an input of its own, or else a widget of an inner node."""
    if any(slot.name == name for slot in subgraph.inputs):
        return _SELF, name
    return next((proxy for proxy in _proxies(node) if proxy[1] == name), (_SELF, name))
