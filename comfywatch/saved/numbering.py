"""Numbers that are there once: newer frontends renumber nodes in subgraphs whose number is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from comfywatch.saved.graph import Graph, Link, Node, SavedWorkflow, Subgraph


def numbered_once(workflow: SavedWorkflow) -> SavedWorkflow:
    """The same workflow; a node that stands later in the file gives way, and is given the next free number."""
    taken = set(workflow.root.nodes)
    last = workflow.highest_id
    changed: dict[str, Mapping[str, str]] = {}
    for subgraph in workflow.subgraphs.values():
        renamed: dict[str, str] = {}
        for node_id in subgraph.graph.nodes:
            if node_id in taken:
                while str(last := last + 1) in taken:
                    pass
                renamed[node_id] = str(last)
            taken.add(renamed.get(node_id, node_id))
        if renamed:
            changed[subgraph.id] = renamed
    if not changed:
        return workflow
    return replace(
        workflow,
        root=_graph(workflow.root, {}, changed),
        subgraphs={
            key: Subgraph.of(key, _graph(subgraph.graph, changed.get(key, {}), changed), subgraph.inputs)
            for key, subgraph in workflow.subgraphs.items()
        },
    )


def _graph(graph: Graph, renamed: Mapping[str, str], changed: Mapping[str, Mapping[str, str]]) -> Graph:
    nodes = (_node(node, renamed, changed.get(node.type, {})) for node in graph.nodes.values())
    return Graph(
        nodes={node.id: node for node in nodes},
        links={key: _link(link, renamed) for key, link in graph.links.items()},
        weight=graph.weight,
    )


def _node(node: Node, renamed: Mapping[str, str], inside: Mapping[str, str]) -> Node:
    proxies = node.properties.get("proxyWidgets")
    properties = node.properties
    if inside and isinstance(proxies, list):
        properties = {**properties, "proxyWidgets": [_proxy(proxy, inside) for proxy in proxies]}
    return replace(node, id=renamed.get(node.id, node.id), properties=properties)


def _proxy(proxy: Any, inside: Mapping[str, str]) -> Any:
    if isinstance(proxy, list) and proxy:
        return [inside.get(str(proxy[0]), proxy[0]), *proxy[1:]]
    return proxy


def _link(link: Link, renamed: Mapping[str, str]) -> Link:
    origin, target = renamed.get(link.origin, link.origin), renamed.get(link.target, link.target)
    return replace(link, origin=origin, target=target)
