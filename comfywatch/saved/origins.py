"""Where a node comes from, as the saved file tells: its package, and the models it was used with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from comfywatch.saved.graph import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    """A model file, where it can be had, and the folder under ``models/`` where it belongs."""

    name: str
    url: str = ""
    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """``package`` is its name in the registry (``comfy-core`` is ComfyUI itself), ``repository`` one on GitHub."""

    package: str = ""
    repository: str = ""
    version: str = ""
    models: tuple[NamedModel, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether the file says anything."""
        return self != Origin()


def origin_of(node: Node) -> Origin:
    """What the file says of a node; all empty if it says nothing."""
    models = node.properties.get("models")
    return Origin(
        package=_text(node.properties, "cnr_id"),
        repository=_text(node.properties, "aux_id"),
        version=_text(node.properties, "ver"),
        models=tuple(
            NamedModel(name=_text(model, "name"), url=_text(model, "url"), folder=_text(model, "directory"))
            for model in (models if isinstance(models, list) else ())
            if isinstance(model, Mapping) and _text(model, "name")
        ),
    )


def _text(plain: Mapping[str, Any], key: str) -> str:
    value = plain.get(key)
    return value if isinstance(value, str) else ""
