"""The data files that come with comfywatch, in ``comfywatch/data/``."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def load(name: str) -> Any:
    """The JSON in one of them."""
    return json.loads(resources.files("comfywatch").joinpath("data", name).read_bytes())
