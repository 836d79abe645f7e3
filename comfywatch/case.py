"""A prompt beside what is known of the server that shall run it: what the checks of a prompt are asked about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfywatch.inventory import Inventory, Mode
from comfywatch.prompt_graph import PromptGraph
from comfywatch.schemas import Schemas
from comfywatch.sentences import NearNames

NUMBERED = re.compile(r"\d+(:\d+)*", re.ASCII)
"""How ComfyUI calls nodes; other tools give them names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """``needed`` are the nodes that ComfyUI would look into."""

    prompt: Mapping[str, Any]
    graph: PromptGraph
    needed: frozenset[str]
    ids_are_numbers: bool
    schemas: Schemas | None
    inventory: Inventory | None
    near: NearNames = field(default_factory=NearNames)

    @classmethod
    def of(cls, prompt: Mapping[str, Any], schemas: Schemas | None, inventory: Inventory | None) -> Case:
        """``prompt`` as the server looks at it: with its replacements in place."""
        known = schemas or None  # an answer without a single class is no knowledge
        graph = PromptGraph.of(prompt, known)
        return cls(
            prompt=prompt,
            graph=graph,
            needed=graph.upstream(graph.outputs),
            ids_are_numbers=all(map(NUMBERED.fullmatch, prompt)),
            schemas=known,
            inventory=inventory,
        )

    def knows(self, class_type: str) -> bool:
        """Whether the schemas say what the class takes."""
        return self.schemas is not None and class_type in self.schemas

    def is_missing(self, class_type: str) -> bool:
        """Whether the server is known not to have the class."""
        installed = None if self.inventory is None else self.inventory.node_classes
        if self.knows(class_type) or class_type in (installed or ()):
            return False
        if self.schemas is not None:
            return True
        return installed is not None and self.inventory is not None and self.inventory.mode is Mode.ONLINE

    def looked_into(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Nodes whose inputs ComfyUI would look at."""
        for node_id, node in self.graph.nodes.items():
            if node_id in self.needed:
                yield node_id, node
