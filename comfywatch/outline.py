"""What counts of a saved workflow, without its layout: the same after a node was moved, coloured, or annotated.

Needs no schemas, and so tells two files apart before ComfyUI was ever seen. What is not as ComfyUI writes it counts as
it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_FOR_PEOPLE = frozenset({"Note", "MarkdownNote"})
_OF_NODE = ("id", "type", "mode", "widgets_values")


def outline(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Nodes with their values, links and subgraphs; no positions, sizes, titles, groups or notes."""
    definitions, extra = saved.get("definitions"), saved.get("extra")
    subgraphs = definitions.get("subgraphs") if isinstance(definitions, Mapping) else None
    return {
        **_graph(saved),
        "subgraphs": _each(subgraphs, _subgraph),
        "groups": extra.get("groupNodes") if isinstance(extra, Mapping) else None,
    }


def _graph(graph: Mapping[str, Any]) -> dict[str, Any]:
    nodes = [node for node in _each(graph.get("nodes"), _node) if node is not None]
    links = graph.get("links")
    return {
        "nodes": sorted(nodes, key=lambda node: str(node.get("id")) if isinstance(node, Mapping) else ""),
        "links": sorted(links, key=str) if isinstance(links, list) else links,
    }


def _subgraph(subgraph: Any) -> Any:
    if not isinstance(subgraph, Mapping):
        return subgraph
    ends = {key: _each(subgraph.get(key), _end) for key in ("inputs", "outputs")}
    return {"id": subgraph.get("id"), **_graph(subgraph), **ends}


def _node(node: Any) -> Any:
    if not isinstance(node, Mapping):
        return node
    if node.get("type") in _FOR_PEOPLE:
        return None
    properties = node.get("properties")
    proxies = properties.get("proxyWidgets") if isinstance(properties, Mapping) else None
    return {**{key: node.get(key) for key in _OF_NODE}, "inputs": _each(node.get("inputs"), _end), "proxies": proxies}


def _end(slot: Any) -> Any:
    """An input of a node, or one end of a subgraph."""
    return [slot.get(key) for key in ("name", "link", "linkIds")] if isinstance(slot, Mapping) else slot


def _each(listed: Any, of: Callable[[Any], Any]) -> list[Any]:
    return [of(one) for one in listed] if isinstance(listed, list) else []
