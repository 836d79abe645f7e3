"""A prompt as a graph: which node needs which, what the outputs need, and what goes in a circle.

Edges are the links that ComfyUI reads: those in inputs that the class has. Where the class is not known, a link is what
looks like one. Everything here is linear and without recursion, and takes any JSON value for a prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from comfywatch.circles import circles
from comfywatch.dynamic_inputs import inputs_in, not_judged
from comfywatch.schemas import Schemas
from comfywatch.sentences import class_of

KNOWN_OUTPUTS = frozenset(
    {
        "CLIPSave", "CheckpointSave", "Image Save", "ImageOnlyCheckpointSave", "LoraSave", "MaskPreview", "ModelSave",
        "Preview3D", "PreviewAny", "PreviewAudio", "PreviewImage", "SaveAnimatedPNG", "SaveAnimatedWEBP", "SaveAudio",
        "SaveAudioMP3", "SaveAudioOpus", "SaveGLB", "SaveImage", "SaveImageAdvanced", "SaveImageWebsocket",
        "SaveLatent", "SaveLoRA", "SaveLoRANode", "SaveSVGNode", "SaveText", "SaveVideo", "SaveWEBM",
        "ShowText|pysssss", "VAESave", "VHS_VideoCombine",
    }
)  # fmt: skip
"""Output nodes that everybody knows, for when the server's schemas do not say it."""


_WRAPPED = "__value__"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptGraph:
    """``nodes`` are the entries that are nodes; ``sources`` the nodes that each one is linked to."""

    nodes: Mapping[str, Mapping[str, Any]]
    sources: Mapping[str, tuple[str, ...]]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, prompt: Mapping[str, Any], schemas: Schemas | None) -> PromptGraph:
        """The graph of what ComfyUI would read, as far as ``schemas`` tell."""
        nodes = {node_id: node for node_id, node in prompt.items() if class_of(node)}
        return cls(
            nodes=nodes,
            sources={
                node_id: tuple(
                    dict.fromkeys(
                        value[0]
                        for _, value in links(node, schemas)
                        if len(value) == 2 and isinstance(value[0], str) and value[0] in nodes
                    )
                )
                for node_id, node in nodes.items()
            },
            outputs=tuple(node_id for node_id, node in nodes.items() if _is_output(class_of(node), schemas)),
        )

    def upstream(self, ids: Iterable[str]) -> frozenset[str]:
        """These nodes and all that they need."""
        return _reached(ids, self.sources)

    def downstream(self, ids: Iterable[str]) -> frozenset[str]:
        """These nodes and all that need them."""
        targets: dict[str, list[str]] = {}
        for node_id, sources in self.sources.items():
            for source in sources:
                targets.setdefault(source, []).append(node_id)
        return _reached(ids, targets)

    def circles(self, within: Iterable[str], *, at_most: int = 10) -> tuple[tuple[str, ...], ...]:
        """Circles through every node ``within`` that is on one, as far as ``at_most`` reach; in the order of need."""
        return tuple(islice(circles(self.sources, within), at_most))


def links(node: Mapping[str, Any], schemas: Schemas | None) -> Iterator[tuple[str, list[Any]]]:
    """Inputs that ComfyUI takes for a link, well formed or not."""
    class_type, given = class_of(node), inputs_of(node)
    if schemas is None or class_type not in schemas:
        yield from ((name, value) for name, value in given.items() if _looks_like_link(value))
        return
    for name in inputs_in(schemas, class_type, given):
        value = given.get(name)
        if isinstance(value, list):
            yield name, value
    for unknown in not_judged(schemas, class_type):
        yield from (
            (name, value) for name, value in given.items() if _belongs(name, unknown) and _looks_like_link(value)
        )


def inputs_of(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Its inputs; empty if it has none."""
    inputs = node.get("inputs")
    return inputs if isinstance(inputs, dict) else {}


def unwrapped(value: Any) -> Any:
    """The value itself, where it is wrapped so that a list is not taken for a link."""
    return value[_WRAPPED] if isinstance(value, dict) and _WRAPPED in value else value


def _belongs(name: str, dynamic: str) -> bool:
    return name == dynamic or name.startswith(f"{dynamic}.")


def _looks_like_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and type(value[1]) is int


def _is_output(class_type: str, schemas: Schemas | None) -> bool:
    if schemas is not None and class_type in schemas:
        return schemas.is_output(class_type)
    return class_type in KNOWN_OUTPUTS


def _reached(ids: Iterable[str], edges: Mapping[str, Iterable[str]]) -> frozenset[str]:
    reached = set(ids)
    todo = list(reached)
    while todo:
        for node_id in edges.get(todo.pop(), ()):
            if node_id not in reached:
                reached.add(node_id)
                todo.append(node_id)
    return frozenset(reached)
