"""How a run came about, as far as its prompt does not tell: for ``result.yaml``, as plain JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from comfywatch.inputs import InputFile
from comfywatch.saved import Drawn, Seed


def origin_of(files: Iterable[InputFile], drawn: Iterable[Drawn], seeds: Iterable[Seed]) -> dict[str, Any]:
    """The workflows that it builds on, what chance made of its texts, and the seeds that were changed."""
    origin = {
        "made_from": [
            {
                "node": file.node,
                "input": file.input,
                "project": file.made.project,
                "workflow": file.made.workflow,
                "run": file.made.run,
                "path": file.made.path.name,
            }
            for file in files
            if file.made is not None
        ],
        "drawn": [{"node": one.node, "input": one.input, "text": one.text} for one in drawn],
        "new_seeds": [
            {"node": node, "input": name, "control": seed.control.value, "value": seed.value}
            for seed in seeds
            for node, name in seed.places
        ],
    }
    return {key: rows for key, rows in origin.items() if rows}
