"""Classes that a newer ComfyUI replaces by others before it looks at a prompt (``/node_replacements``).

As asked from 0.33: a node of a class that the server does not have becomes one of the new class, with the inputs that
the replacement names and no others, and links to it follow. ComfyUI fails where an input that it would take over is
not given, or the node has no ``_meta``: such a node is left as it is, of a class that is missing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """``taken`` are inputs of the new class by the names that they had, ``given`` those that get a value."""

    new: str
    taken: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[int, int] = field(default_factory=dict)
    """Old slots to new ones; others stay as they are."""

    def fits(self, node: Mapping[str, Any]) -> bool:
        """Whether ComfyUI can put the new class in the place of ``node``."""
        inputs = node.get("inputs")
        is_whole = isinstance(inputs, Mapping) and isinstance(node.get("_meta"), Mapping)
        return is_whole and all(old in node["inputs"] for old in self.taken.values())

    def instead_of(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """``node`` as one of the new class."""
        taken = {name: node["inputs"][old] for name, old in self.taken.items()}
        return {**node, "class_type": self.new, "inputs": {**taken, **self.given}}


Replacements = Mapping[str, Replacement]

CORE: Replacements = {
    "ConditioningAverage ": Replacement(new="ConditioningAverage"),
    "ImageBatch": Replacement(new="BatchImagesNode", taken={"images.image0": "image1", "images.image1": "image2"}),
    "ImageScaleBy": Replacement(
        new="ResizeImageMaskNode",
        taken={"input": "image", "resize_type.multiplier": "scale_by", "scale_method": "upscale_method"},
        given={"resize_type": "scale by multiplier"},
    ),
    "Load3DAnimation": Replacement(new="Load3D"),
    "Preview3DAnimation": Replacement(new="Preview3D"),
    "ResizeImagesByLongerEdge": Replacement(
        new="ImageScaleToMaxDimension",
        taken={"image": "images", "largest_size": "longer_edge"},
        given={"upscale_method": "lanczos"},
        outputs={0: 0},
    ),
    "SDV_img2vid_Conditioning": Replacement(new="SVD_img2vid_Conditioning"),
    "T2IAdapterLoader": Replacement(new="ControlNetLoader", taken={"control_net_name": "t2i_adapter_name"}),
}
"""ComfyUI's own, for when the server cannot be asked."""


def read(answer: Any) -> Replacements:
    """The server's answer; what cannot be understood is left out."""
    found = ((old, _replacement(entries)) for old, entries in _items(answer))
    return {old: replacement for old, replacement in found if replacement is not None}


def put_in_place(prompt: Mapping[str, Any], replacements: Replacements, known: Container[str]) -> Mapping[str, Any]:
    """``prompt`` as ComfyUI looks at it; the same one if nothing in it is replaced. ``known`` are its classes."""
    put = dict(_put(prompt, replacements, known))
    if not put:
        return prompt
    moved = {node_id: outputs for node_id, (_, outputs) in put.items() if outputs}
    return {node_id: _relinked(put[node_id][0] if node_id in put else node, moved) for node_id, node in prompt.items()}


def _put(
    prompt: Mapping[str, Any], replacements: Replacements, known: Container[str]
) -> Iterator[tuple[str, tuple[Mapping[str, Any], Mapping[int, int]]]]:
    for node_id, node in prompt.items():
        class_type = node.get("class_type") if isinstance(node, dict) else None
        if not isinstance(class_type, str) or class_type in known:
            continue
        replacement = replacements.get(class_type)
        if replacement is not None and replacement.new in known and replacement.fits(node):
            yield node_id, (replacement.instead_of(node), replacement.outputs)


def _relinked(node: Any, moved: Mapping[str, Mapping[int, int]]) -> Any:
    inputs = node.get("inputs") if moved and isinstance(node, Mapping) else None
    if not isinstance(inputs, Mapping):
        return node
    return {**node, "inputs": {name: _link(value, moved) for name, value in inputs.items()}}


def _link(value: Any, moved: Mapping[str, Mapping[int, int]]) -> Any:
    match value:
        case [str(node_id), int(slot)] if node_id in moved:
            return [node_id, moved[node_id].get(slot, slot)]
        case _:
            return value


def _replacement(entries: Any) -> Replacement | None:
    first = entries[0] if isinstance(entries, list) and entries else None
    new = first.get("new_node_id") if isinstance(first, Mapping) else None
    if not isinstance(first, Mapping) or not isinstance(new, str):
        return None
    inputs = [entry for entry in _each(first.get("input_mapping")) if isinstance(entry.get("new_id"), str)]
    outputs = [(entry.get("old_idx"), entry.get("new_idx")) for entry in _each(first.get("output_mapping"))]
    return Replacement(
        new=new,
        taken={entry["new_id"]: entry["old_id"] for entry in inputs if isinstance(entry.get("old_id"), str)},
        given={entry["new_id"]: entry["set_value"] for entry in inputs if "set_value" in entry},
        outputs={old: to for old, to in outputs if isinstance(old, int) and isinstance(to, int)},
    )


def _each(entries: Any) -> Iterable[Mapping[str, Any]]:
    return (entry for entry in entries if isinstance(entry, Mapping)) if isinstance(entries, list) else ()


def _items(answer: Any) -> Iterable[tuple[str, Any]]:
    return answer.items() if isinstance(answer, Mapping) else ()
