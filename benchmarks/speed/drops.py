"""What people drop, and how."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCRATCH = ".being-copied"


def picture(color: int, *, prefix: str = "speed") -> dict[str, Any]:
    """A prompt that needs no model: one picture of 64 by 64, each colour another one."""
    image = {"width": 64, "height": 64, "batch_size": 1, "color": color % 2**24}
    return {
        "1": {"class_type": "EmptyImage", "inputs": image},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def colors() -> Iterator[int]:
    """Colours that no earlier run on the same server has had, as far as chance can tell."""
    return itertools.count(random.SystemRandom().randrange(2**32))


class Folder:
    """The ``workflows/`` of a project, into which is dropped."""

    def __init__(self, project: Path, colors: Iterator[int]) -> None:
        self.path = project / "workflows"
        self.path.mkdir(parents=True, exist_ok=True)
        self._colors = colors

    def prepared(self, name: str) -> Path:
        """The content of ``name`` under a name that is not looked at, on the same disk."""
        scratch = self.path / f"{SCRATCH}-{name}"
        scratch.write_text(json.dumps(picture(next(self._colors), prefix=f"speed/{name}")))
        return scratch

    def rename(self, name: str, scratch: Path) -> None:
        """Drop as most programs do."""
        scratch.rename(self.path / name)

    def copy(self, name: str, scratch: Path) -> None:
        """Drop as ``cp`` does: made empty, then written."""
        (self.path / name).write_bytes(scratch.read_bytes())
        scratch.unlink()
