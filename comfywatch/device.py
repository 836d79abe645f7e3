"""The device that a ComfyUI computes on, from ``/system_stats``: its name as people know it, and its memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_DEVICE = re.compile(r"^(?:[a-z]+(?::\d+)?|CUDA \d+:) (?=\S)")
_ALLOCATOR = re.compile(r"(?: \[ZLUDA\])?(?: : \w+)?$")
_NO_NAME = re.compile(r"^([a-z]+)(?::\d+)?$")
_KINDS_OF_DEVICE = {
    "cuda": "CUDA GPU",
    "mps": "Apple GPU",
    "npu": "NPU",
    "privateuseone": "DirectML GPU",
    "xpu": "Intel GPU",
}


def system_of(devices: Any) -> dict[str, Any]:
    """The inventory's ``system``: what is known of the first device."""
    first = devices[0] if isinstance(devices, list) and devices and isinstance(devices[0], Mapping) else {}
    name = first.get("name")
    found = {
        "gpu": gpu_name(name) if isinstance(name, str) else None,
        "vram_total_gb": _gigabytes(first.get("vram_total")),
        "vram_free_gb": _gigabytes(first.get("vram_free")),
    }
    return {key: value for key, value in found.items() if value is not None}


def gpu_name(device: str) -> str:
    """The name that people know, of a device as torch calls it: no ``cuda:0`` and no allocator."""
    name = _ALLOCATOR.sub("", _DEVICE.sub("", device.strip()))
    bare = _NO_NAME.match(name)
    return name if bare is None else _KINDS_OF_DEVICE.get(bare[1], bare[1])


def _gigabytes(count: Any) -> float | None:
    return round(count / 1024**3, 1) if isinstance(count, int | float) and not isinstance(count, bool) else None
