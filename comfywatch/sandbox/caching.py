"""Results that need not be made again: keyed by what a node is and by all that leads to it.

The older server forgets after each prompt what that prompt had no use for; the newer one keeps it while there is room.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import OrderedDict
from collections.abc import Container, Iterable, Mapping
from typing import Any

from comfywatch.sandbox.files import find_annotated
from comfywatch.sandbox.installation import Installation
from comfywatch.sandbox.nodes import Outcome

ROOM = 200


def needed_nodes(
    prompt: Mapping[str, Any],
    outputs: Iterable[str],
    installation: Installation,
    *,
    known: Container[str] = frozenset(),
) -> list[str]:
    """What the outputs depend on, and they themselves, in an order in which they can run.

    What leads to a ``known`` node is not needed.
    """
    order: dict[str, None] = {}
    for output in outputs:
        stack = [output]
        while stack:
            node_id = stack[-1]
            sources = [] if node_id in known else _sources(prompt[node_id], installation)
            source = next((each for each in sources if each not in order), None)
            if source is None:
                order.setdefault(stack.pop())
            else:
                stack.append(source)
    return list(order)


def known_inputs(node: Mapping[str, Any], installation: Installation) -> dict[str, Any]:
    """A node's inputs without those that its class does not know."""
    names = installation.input_names(node["class_type"])
    return {name: value for name, value in node["inputs"].items() if name in names}


def is_link(value: Any) -> bool:
    """Whether an input is another node's output, rather than a list of values."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def keys_of(prompt: Mapping[str, Any], order: Iterable[str], installation: Installation) -> dict[str, str]:
    """A key for each node; ``order`` has sources first."""
    keys: dict[str, str] = {}
    for node_id in order:
        node = prompt[node_id]
        inputs = {name: _signature(value, keys) for name, value in sorted(known_inputs(node, installation).items())}
        parts = [node["class_type"], inputs, _content(node, installation)]
        keys[node_id] = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()
    return keys


class Cache:
    """Outcomes by key."""

    def __init__(self, *, keeps: bool) -> None:
        self._keeps = keeps
        self._outcomes: OrderedDict[str, Outcome] = OrderedDict()

    def begin(self, keys: Iterable[str]) -> None:
        """A prompt with these keys is next."""
        if not self._keeps:
            wanted = set(keys)
            self._outcomes = OrderedDict((key, each) for key, each in self._outcomes.items() if key in wanted)

    def get(self, key: str) -> Outcome | None:
        """What this key stands for, if it is known."""
        return self._outcomes.get(key)

    def put(self, key: str, outcome: Outcome) -> None:
        """Know this from now on."""
        self._outcomes[key] = outcome
        if len(self._outcomes) > ROOM:
            self._outcomes.popitem(last=False)

    def clear(self) -> None:
        """Know nothing, as after ``free_memory``."""
        self._outcomes.clear()


def _sources(node: Mapping[str, Any], installation: Installation) -> list[str]:
    return [value[0] for value in known_inputs(node, installation).values() if is_link(value)]


def _signature(value: Any, keys: Mapping[str, str]) -> Any:
    return ["from", keys[value[0]], value[1]] if is_link(value) else value


def _content(node: Mapping[str, Any], installation: Installation) -> str:
    """What else the result depends on: the bytes of a file that is loaded."""
    if node["class_type"] not in {"LoadImage", "LoadImageMask"}:
        return ""
    try:
        content = find_annotated(node["inputs"]["image"], installation).read_bytes()
    except OSError:
        return uuid.uuid4().hex  # gone since it was checked: the node will fail, and is never taken for known
    return hashlib.sha256(content).hexdigest()
