"""Seeds and other values that the frontend changes after each run, as the word beside them says.

The frontend changes a value once the prompt is queued, so the saved one is what is sent. Whoever wants another seed for
a new run has it rolled here.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from comfywatch.saved.widgets import Control
from comfywatch.saved.wiring import Source, Value

_HIGHEST = 2**50
"""Up to which the frontend draws, whatever the input takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """One value, and each input (node, name) of the prompt that it reaches; ``low`` and ``high`` are what they take."""

    places: tuple[tuple[str, str], ...]
    value: int
    control: Control
    low: int = 0
    high: int = _HIGHEST

    def rolled(self, draw: random.Random) -> Seed:
        """As it is for the next run."""
        match self.control:
            case Control.FIXED:
                return self
            case Control.INCREMENT:
                value = self.value + 1
            case Control.DECREMENT:
                value = self.value - 1
            case Control.RANDOMIZE:
                value = draw.randint(self.low, max(self.low, min(self.high, _HIGHEST)))
        return replace(self, value=max(self.low, min(self.high, value)))


def seeds_among(inputs: Mapping[str, Mapping[str, Source]]) -> tuple[Seed, ...]:
    """All whole numbers with a word beside them; ``inputs`` are what the inputs of each node get."""
    found: dict[str, Seed] = {}
    for node, sources in inputs.items():
        for name, source in sources.items():
            if not isinstance(source, Value) or type(source.value) is not int:
                continue
            widget = source.widget
            if widget is None or widget.control is None:
                continue
            low, high = widget.bounds
            seed = found.get(source.of) or Seed(
                places=(), value=source.value, control=widget.control, low=low, high=high
            )
            found[source.of] = replace(seed, places=(*seed.places, (node, name)))
    return tuple(found.values())


def with_seeds(prompt: Mapping[str, Any], seeds: Iterable[Seed]) -> dict[str, Any]:
    """The prompt with these values; what it was made of stays as it is."""
    changed = dict(prompt)
    for seed in seeds:
        for node, name in seed.places:
            changed[node] = {**changed[node], "inputs": {**changed[node]["inputs"], name: seed.value}}
    return changed
