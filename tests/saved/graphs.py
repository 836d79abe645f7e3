"""Small saved workflows, drawn with a few words, and what becomes of them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from comfywatch.saved import FRONTEND_1_49, Converted, Frontend, convert
from comfywatch.schemas import Schemas

RECORDINGS = Path(__file__).parent.parent / "recordings/saved"
VERSIONS = {"1.27": "comfyui-0.3.64", "1.49": "comfyui-0.33.0"}
"""Frontends, and the ComfyUI that each came with."""
NOW = datetime(2026, 11, 23, 4, 5, 6)  # noqa: DTZ001  # the time on the wall
SUBGRAPH = "11111111-2222-3333-4444-555555555555"

SOCKETS = {
    "KSampler": ("model:MODEL", "positive:CONDITIONING", "negative:CONDITIONING", "latent_image:LATENT"),
    "CLIPTextEncode": ("clip:CLIP",),
    "VAEDecode": ("samples:LATENT", "vae:VAE"),
    "SaveImage": ("images:IMAGE",),
    "LatentUpscale": ("samples:LATENT",),
}
WIDGETS = {
    "KSampler": ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "CLIPTextEncode": ("text",),
    "PrimitiveInt": ("value",),
}


@cache
def schemas(version: str = "comfyui-0.33.0") -> Schemas:
    """The schemas of a real server, cut down to what the recordings use."""
    return Schemas.read(json.loads((RECORDINGS / version / "object_info.json").read_bytes()))


def node(
    node_id: Any, kind: str, *values: Any, mode: int = 0, links: Mapping[str, int] | None = None, **more: Any
) -> Any:
    """A node with these widgets' values; ``links`` are the ids of what its inputs are linked to."""
    given = dict(links or {})
    inputs = [_input(name, given) for name in SOCKETS.get(kind, ())]
    inputs += [_input(name, given, is_widget=True) for name in WIDGETS.get(kind, ())]
    inputs += [_input(name, given, is_widget=":" not in name) for name in tuple(given)]
    return {"id": node_id, "type": kind, "mode": mode, "inputs": inputs, "widgets_values": list(values), **more}


def sampler(node_id: Any, *, seed: Any = 5, steps: Any = 20, control: Any = "fixed", **more: Any) -> Any:
    """A KSampler with its seven saved values."""
    return node(node_id, "KSampler", seed, control, steps, 8, "euler", "normal", 1, **more)


def saved(*nodes: Any, links: Iterable[tuple[Any, ...]] = (), subgraphs: Iterable[Any] = (), **more: Any) -> Any:
    """A file; each link is (id, from node, its slot, to node, its slot)."""
    plain = {"nodes": list(nodes), "links": [[*link, "*"] for link in links], "version": 0.4, **more}
    definitions = list(subgraphs)
    return plain | ({"definitions": {"subgraphs": definitions}} if definitions else {})


def subgraph(*nodes: Any, links: Iterable[tuple[Any, ...]], inputs: Iterable[str] = (), uuid: str = SUBGRAPH) -> Any:
    """A definition; its inputs are node -10, its output node -20."""
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
    entries = [dict(zip(("name", "type"), name.split(":"), strict=False)) for name in inputs]
    return {
        "id": uuid,
        "nodes": list(nodes),
        "links": [dict(zip(keys, link, strict=True)) for link in links],
        "inputs": entries,
        "outputs": [{"name": "out", "type": "*"}],
    }


def converted(workflow: Any, frontend: Frontend = FRONTEND_1_49, *, chance: int = 0) -> Converted:
    """With the schemas of the ComfyUI that has this frontend."""
    return convert(workflow, schemas(VERSIONS[frontend.name]), frontend, draw=random.Random(chance), now=NOW)


def inputs(workflow: Any, node_id: str, frontend: Frontend = FRONTEND_1_49) -> Mapping[str, Any]:
    """What a node gets in a prompt without problems."""
    found = converted(workflow, frontend)
    assert not found.problems
    given: Mapping[str, Any] = found.prompt[node_id]["inputs"]
    return given


def _input(name: str, given: dict[str, int], *, is_widget: bool = False) -> dict[str, Any]:
    plain, _, kind = name.partition(":")
    entry: dict[str, Any] = {"name": plain, "type": kind or "*", "link": given.pop(plain, given.pop(name, None))}
    return entry | ({"widget": {"name": plain}} if is_widget else {})
