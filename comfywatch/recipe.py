"""The settings of a prompt as people speak of them: checkpoint, sampler, steps, cfg, seeds, models, per node.

Read from the inputs' names, which nodes of every package share with ComfyUI's own; linked inputs are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SAMPLING = ("sampler_name", "scheduler", "steps", "cfg", "denoise", "guidance", "start_at_step", "end_at_step")
_SEEDS = ("seed", "noise_seed")
_SIZE = ("width", "height", "length", "batch_size", "fps")
_CHECKPOINTS = ("ckpt_name", "unet_name")
_MODEL_ENDINGS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".sft", ".onnx", ".pkl")


def recipe(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """What is worth knowing of how a picture was made; keys are there only where the prompt says something."""
    summary: dict[str, Any] = {}
    models: list[str] = []
    seeds: dict[str, Any] = {}
    nodes: dict[str, dict[str, Any]] = {}
    for node_id, node in prompt.items():
        plain = {key: value for key, value in node.get("inputs", {}).items() if isinstance(value, str | int | float)}
        models += [value for value in plain.values() if isinstance(value, str) and _is_model(value)]
        kept = {key: value for key, value in plain.items() if key in _SAMPLING + _SEEDS + _SIZE or _is_model(value)}
        seeds.update((node_id, plain[key]) for key in _SEEDS if key in plain)
        if kept:
            nodes[node_id] = {"class_type": node["class_type"], **kept}
        for key in (*_CHECKPOINTS, *_SAMPLING):
            if key in plain:
                summary.setdefault(_shown(key), plain[key])
    if seeds:
        summary["seeds"] = seeds
    if models:
        summary["models"] = sorted(set(models))
    if nodes:
        summary["nodes"] = nodes
    return summary


def _is_model(value: Any) -> bool:
    return isinstance(value, str) and value.lower().endswith(_MODEL_ENDINGS)


def _shown(key: str) -> str:
    return {"ckpt_name": "checkpoint", "unet_name": "checkpoint", "sampler_name": "sampler"}.get(key, key)
