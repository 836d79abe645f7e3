"""What ``comfywatch demo`` drops, and what it shows of the files that come back: values only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from comfywatch.plain_yaml import Flow

PROJECT = "my-film"
WORKFLOW = "lighthouse.json"
CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"
PROMPT = "a lighthouse on a cliff above a calm sea, morning light, painting"

STEPS = {
    "pending": "comfywatch has read and checked it",
    "queued": "ComfyUI has it in its queue",
    "running": "ComfyUI is at it",
    "completed": "the picture is in the project folder",
}
"""The states on the way to a picture, each in plain words."""

_SETTINGS = ("checkpoint", "sampler", "steps", "cfg", "seeds")
_OUTPUT = ("path", "kind", "bytes")
_COMFYUI = ("state", "version")
_COUNTS = ("pending", "running", "completed", "failed")
_WORKFLOW = ("state", "run", "outputs", "seconds")


def workflow() -> dict[str, Any]:
    """A text-to-image prompt, as ComfyUI's Export (API) writes it."""
    sampler = {
        "model": ["1", 0],
        "positive": ["2", 0],
        "negative": ["3", 0],
        "latent_image": ["4", 0],
        "seed": 42,
        "steps": 20,
        "cfg": 7.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
    }
    return {
        "1": _node("CheckpointLoaderSimple", ckpt_name=CHECKPOINT),
        "2": _node("CLIPTextEncode", text=PROMPT, clip=["1", 1]),
        "3": _node("CLIPTextEncode", text="text, watermark, blurry", clip=["1", 1]),
        "4": _node("EmptyLatentImage", width=768, height=512, batch_size=1),
        "5": _node("KSampler", **sampler),
        "6": _node("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "7": _node("SaveImage", images=["6", 0], filename_prefix="lighthouse"),
    }


def excerpt_of_status(content: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a ``status.yaml`` that a newcomer looks at."""
    workflows = content.get("workflows", {})
    return {
        "updated": content.get("updated"),
        "comfyui": _of(content.get("comfyui", {}), _COMFYUI),
        "counts": _of(content.get("counts", {}), _COUNTS),
        "workflows": {path: _of(row, _WORKFLOW) for path, row in workflows.items()},
    }


def excerpt_of_result(content: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a ``result.yaml`` that a newcomer looks at."""
    return {
        "state": content.get("state"),
        "seconds": content.get("seconds"),
        "settings": dict(_of(content.get("settings", {}), _SETTINGS)),
        "outputs": [_of(output, _OUTPUT) for output in content.get("outputs", ())],
    }


def passed(state: str) -> Iterator[str]:
    """The states up to ``state`` on the way to a picture; a fast one may never have been seen."""
    if state not in STEPS:
        return
    for step in STEPS:
        yield step
        if step == state:
            return


def _of(content: Mapping[str, Any], keys: Iterable[str]) -> Flow:
    return Flow({key: content[key] for key in keys if key in content})


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}
