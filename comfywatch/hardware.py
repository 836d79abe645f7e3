"""The machine that a run was made on, for ``result.yaml``: what decides whether a failure comes again elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORDS = {"os": "os", "python": "python_version", "pytorch": "pytorch_version"}


def hardware(stats: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """``known`` is the inventory's card and memory; ``stats`` are ComfyUI's ``/system_stats``, or empty."""
    system = stats.get("system")
    system = system if isinstance(system, Mapping) else {}
    told = {key: system.get(word) for key, word in _WORDS.items()}
    words = {key: value.split()[0] for key, value in told.items() if isinstance(value, str) and value.strip()}
    memory = system.get("ram_total")
    if not isinstance(memory, int | float) or isinstance(memory, bool):
        return {**known, **words}
    return {**known, "ram_total_gb": round(memory / 1024**3, 1), **words}
