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
from comfywatch.workflow import MAX_NODES

DEEPEST = 50
"""Subgraphs in each other; one that holds itself has no end."""
HEAVIEST = 100_000_000
"""Characters of all instances, each counted as if the file had it by itself."""

_SELF = "-1"
"""How ``proxyWidgets`` names the instance itself: a widget that it has as an input."""


class Endless(ValueError):
    """There is no end to nodes or links, or as good as none."""


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
    proxied: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


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
    """The root, with all instances in it; raises ``Endless``."""
    root = Scope(graph=workflow.root)
    todo = [(root, 0)]
    count = weight = 0
    while todo:
        scope, depth = todo.pop()
        count += len(scope.graph.nodes)
        weight += scope.graph.weight
        if count > MAX_NODES or depth > DEEPEST or weight > HEAVIEST:
            raise Endless
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
    said: dict[str, dict[str, Any]] = {}
    for (inner, name), value in (*_said(node, frontend, subgraph), *_said_outside(node, outer)):
        shown = subgraph.shown_by.get((inner, name))
        said.setdefault(inner if shown is None else _SELF, {})[shown or name] = value
    return Scope(
        graph=subgraph.graph,
        path=f"{outer.path}{node.id}:",
        subgraph=subgraph,
        outer=outer,
        linked={slot.name: slot.link for slot in node.inputs},
        promoted=said.pop(_SELF, {}),
        proxied=said,
    )


def _said(node: Node, frontend: Frontend, subgraph: Subgraph) -> Iterator[tuple[tuple[str, str], Any]]:
    """What an instance has for widgets, each with its place: the node, or the instance itself, and the name."""
    values = node.values if isinstance(node.values, list) else []
    proxies = list(_proxies(node))
    if not any(inner == _SELF for inner, _ in proxies):
        yield from (((_SELF, name), value) for name, value in zip(subgraph.promoted, values, strict=False))
    for (inner, name), value in zip(proxies, values, strict=False):
        if value is not None and (inner == _SELF or frontend.reads_proxies):
            yield (inner, name), value


def _said_outside(node: Node, outer: Scope) -> Iterator[tuple[tuple[str, str], Any]]:
    """What the instance around it has for widgets of this one: the outermost that says something wins."""
    named = {name: inner for inner, name in _proxies(node)}
    for name, value in outer.proxied.get(node.id, {}).items():
        yield (named.get(name, _SELF), name), value


def _proxies(node: Node) -> Iterator[tuple[str, str]]:
    proxies = node.properties.get("proxyWidgets")
    for proxy in proxies if isinstance(proxies, list) else ():
        if isinstance(proxy, list) and len(proxy) > 1 and isinstance(proxy[1], str):
            yield str(proxy[0]), proxy[1]
