"""What a ComfyUI says on its websocket, as values: each message is read by itself, and what makes no sense is ``None``.

The rule: nothing in a message is taken on trust. Ids and numbers are checked and bounded, and what is heard is never
more than a reason to look.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

MAX_NODES = 10_000
MAX_ID = 200
"""Characters of a node's or prompt's id."""
MAX_PREVIEW_BYTES = 4 * 2**20
_PREVIEW, _PREVIEW_WITH_DATA = 1, 4
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """ComfyUI begins with a prompt."""

    prompt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """These nodes are known from an earlier prompt and will not run."""

    prompt_id: str
    nodes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtNode:
    """This node runs from now on; ``prompt_id`` is empty where a new listener is told what runs."""

    prompt_id: str
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A node has come to ``value`` of ``maximum``."""

    prompt_id: str
    node: str
    value: float
    maximum: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Every node that was begun so far: those that run, with their value and maximum, and those that are done."""

    prompt_id: str
    running: Mapping[str, tuple[float, float]]
    done: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """A prompt came to its end, however it ended; it may take some milliseconds until the history has it."""

    prompt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InHistory:
    """The last word on a prompt, which ComfyUI says after it wrote its history."""

    prompt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A JPEG of what is being made; older servers and some nodes do not say for which prompt."""

    prompt_id: str
    data: bytes = field(repr=False)


What: TypeAlias = Began | Cached | AtNode | Step | Standing | Over | InHistory | Preview


def read(message: str | bytes) -> What | None:
    """What a message says; ``None`` for one that is of no interest or cannot be read."""
    try:
        return _read_bytes(message) if isinstance(message, bytes) else _read_text(message)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, struct.error):
        return None


def _read_text(text: str) -> What | None:
    message = json.loads(text)
    reader = _READERS.get(message["type"])
    return reader(message["data"]) if reader else None


def _read_bytes(data: bytes) -> Preview | None:
    (kind,) = struct.unpack_from(">I", data)
    if kind == _PREVIEW:
        return _preview("", data[8:])
    if kind != _PREVIEW_WITH_DATA:
        return None
    (length,) = struct.unpack_from(">I", data, 4)
    return _preview(_prompt(json.loads(data[8 : 8 + length])), data[8 + length :])


def _preview(prompt_id: str, picture: bytes) -> Preview | None:
    is_wanted = picture.startswith(_JPEG) and len(picture) <= MAX_PREVIEW_BYTES
    return Preview(prompt_id=prompt_id, data=picture) if is_wanted else None


def _cached(data: Mapping[str, Any]) -> Cached:
    return Cached(prompt_id=_prompt(data), nodes=frozenset(map(_id, data["nodes"][:MAX_NODES])))


def _at_node(data: Mapping[str, Any]) -> AtNode | InHistory:
    if data["node"] is None:
        return InHistory(prompt_id=_prompt(data))
    node = _id(data.get("display_node") or data["node"])
    return AtNode(prompt_id=_prompt(data) if "prompt_id" in data else "", node=node)


def _step(data: Mapping[str, Any]) -> Step:
    value, maximum = _number(data["value"]), _number(data["max"])
    return Step(prompt_id=_prompt(data), node=_id(data["node"]), value=value, maximum=maximum)


def _standing(data: Mapping[str, Any]) -> Standing:
    """Nodes that another one brought along while it ran count as that one."""
    running: dict[str, tuple[float, float]] = {}
    done: set[str] = set()
    for node_id, node in list(data["nodes"].items())[:MAX_NODES]:
        shown = _id(node.get("display_node_id") or node_id)
        if node["state"] == "running":
            running[shown] = (_number(node["value"]), _number(node["max"]))
        elif node["state"] in {"finished", "error"}:
            done.add(shown)
    return Standing(prompt_id=_prompt(data), running=running, done=frozenset(done) - running.keys())


def _prompt(data: Mapping[str, Any]) -> str:
    return _id(data["prompt_id"])


def _id(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID:
        raise ValueError("no id")
    return value


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number) or number < 0:
        raise ValueError("no number of steps")
    return number


_READERS: Mapping[str, Callable[[Mapping[str, Any]], What]] = {
    "execution_start": lambda data: Began(prompt_id=_prompt(data)),
    "execution_cached": _cached,
    "executing": _at_node,
    "progress": _step,
    "progress_state": _standing,
    "execution_success": lambda data: Over(prompt_id=_prompt(data)),
    "execution_error": lambda data: Over(prompt_id=_prompt(data)),
    "execution_interrupted": lambda data: Over(prompt_id=_prompt(data)),
}
