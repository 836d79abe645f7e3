"""What a saved workflow says of what it needs: the package of each class, and where its models can be had.

ComfyUI's window writes that into the ``properties`` of nodes: ``cnr_id`` (a package's id in the registry), ``aux_id``
(its place on GitHub), ``ver``, and ``models``. Anybody may have written it, so nothing of it is taken for granted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from comfywatch.model_links import Links, ModelLink
from comfywatch.packages import Package
from comfywatch.urls import shown_link

CORE = "comfy-core"
"""What ``cnr_id`` says of ComfyUI's own classes."""
MAX_NODES = 20_000
MAX_MODELS = 5_000
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """``packages`` by class; ``core`` are ComfyUI's own classes, with the version that the workflow was saved with."""

    packages: Mapping[str, Package] = field(default_factory=lambda: MappingProxyType({}))
    core: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    models: Links = field(default_factory=Links)

    @classmethod
    def of(cls, saved: Any) -> Wanted:
        """From a workflow as ComfyUI's window saves it, or ``None``."""
        packages: dict[str, Package] = {}
        core: dict[str, str] = {}
        models: dict[ModelLink, None] = {}
        for link in _models(_mapping(saved).get("models")):
            models[link] = None
        for node in _nodes(_mapping(saved)):
            properties = _mapping(node.get("properties"))
            for class_type in {_text(node.get("type")), _text(properties.get("Node name for S&R"))} - {""}:
                _note_package(class_type, properties, packages, core)
            if len(models) < MAX_MODELS:
                models |= dict.fromkeys(_models(properties.get("models")))
        return cls(packages=packages, core=core, models=Links(models))


def _nodes(saved: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Those of the workflow, of its subgraphs, and of its older group nodes."""
    lists = [saved.get("nodes")]
    subgraphs = _mapping(saved.get("definitions")).get("subgraphs")
    lists += [_mapping(graph).get("nodes") for graph in (subgraphs if isinstance(subgraphs, list) else [])]
    groups = _mapping(_mapping(saved.get("extra")).get("groupNodes"))
    lists += [_mapping(group).get("nodes") for group in groups.values()]
    left = MAX_NODES
    for nodes in lists:
        for node in nodes[:left] if isinstance(nodes, list) else []:
            left -= 1
            if isinstance(node, Mapping):
                yield node


def _note_package(
    class_type: str, properties: Mapping[str, Any], packages: dict[str, Package], core: dict[str, str]
) -> None:
    cnr_id, aux_id = _text(properties.get("cnr_id")), _text(properties.get("aux_id"))
    version = _text(properties.get("ver"))[:_LONGEST_NAME]
    if cnr_id == CORE:
        core.setdefault(class_type, version)
        return
    package = Package.of(id=cnr_id, repository=f"https://github.com/{aux_id}" if aux_id else "", version=version)
    if package is not None:
        packages.setdefault(class_type, package)


def _models(listed: Any) -> Iterator[ModelLink]:
    for model in listed[:MAX_MODELS] if isinstance(listed, list) else []:
        name, url, folder = (_text(_mapping(model).get(key)) for key in ("name", "url", "directory"))
        url = shown_link(url.removesuffix("?download=true"))
        if name and url and len(name) <= _LONGEST_NAME:
            yield ModelLink(name=name, url=url, folder=folder[:_LONGEST_NAME])


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
