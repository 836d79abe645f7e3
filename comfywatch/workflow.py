"""What was dropped: from the bytes of a file to a prompt, or to the sentence that says why it is none.

Two failures are told apart, because a file that is still being written looks like the first: ``NotJson`` may mend
itself within ``settle_seconds``, ``NotAWorkflow`` will not.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from comfywatch.outline import outline
from comfywatch.problems import Problem, Severity

MAX_DEPTH = 100
"""Far above what nodes take, far below what walking through a prompt, which recurses, can take."""
MAX_NODES = 10_000
"""Far above what people make; each node can be wrong in its own way, and all projects wait while they are judged."""
MAX_DOUBLES = 5
"""Of the keys that are there twice, how many are named."""
HOW_TO_SAVE = "In ComfyUI use Workflow > Save or Export (API), and put that file here."


class NotJson(ValueError):
    """The bytes do not parse, or not yet."""


class NotAWorkflow(ValueError):
    """It parses, and is no prompt; ``problem`` says what it is."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What was dropped: a prompt, or a saved workflow, of which each server makes one.

    ``prompt`` maps node ids to ``{"class_type": …, "inputs": {…}}``; it is empty for a saved workflow. ``saved`` is
    that, or the one that a prompt came with, if any. ``digest`` is the SHA-256 of either as content: layout, key order
    and ``_meta`` do not count. ``doubles`` are keys that were there twice in one map.
    """

    prompt: dict[str, Any]
    digest: str
    saved: dict[str, Any] | None = None
    doubles: tuple[str, ...] = ()

    @property
    def is_saved(self) -> bool:
        """Whether it is a saved workflow and no prompt yet."""
        return not self.prompt

    def remarks(self) -> tuple[Problem, ...]:
        """What a person should know of the file that ComfyUI takes without a word."""
        if not self.doubles:
            return ()
        keys = ", ".join(repr(key[:40]) for key in self.doubles)
        message = f"In the file a key is there twice ({keys}); the last one counts, as in ComfyUI."
        return (Problem(code="duplicate_key", message=message, severity=Severity.WARNING),)


def read_workflow(data: bytes) -> Dropped:
    """The prompt in ``data``; raises ``NotJson`` or ``NotAWorkflow``."""
    doubles: dict[str, None] = {}

    def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        plain = dict(pairs)
        if len(plain) != len(pairs) and len(doubles) < MAX_DOUBLES:
            doubles.update((key, None) for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return plain

    dropped = _dropped(parse_json(data, pairs_hook=without_doubles))
    return replace(dropped, doubles=tuple(doubles)[:MAX_DOUBLES])


def parse_json(data: bytes, *, pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Any JSON in UTF-8, -16 or -32, with or without a byte order mark; raises ``NotJson``.

    ``pairs_hook`` makes a map of its keys and values.
    """
    if not data.strip(b" \t\r\n\0"):
        raise NotJson("the file is empty")
    text = ""
    try:
        text = data.decode(json.detect_encoding(data))
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=pairs_hook)
    except NotJson:
        raise
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise NotJson(f"it is not text in UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
            raise NotJson("it ends in the middle, as if only a part of it had been written") from None
        raise NotJson(f"{error.msg} in line {error.lineno}, column {error.colno}") from None
    except ValueError:
        raise NotJson(f"it has a number of more than {sys.get_int_max_str_digits()} digits") from None


def digest_of(prompt: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of the prompt's content; raises ``ValueError`` for an infinite number (``1e999``)."""
    return _digest({key: _without_meta(node) for key, node in prompt.items()})


def _digest(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _refuse_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not JSON")


def _without_meta(node: Any) -> Any:
    if isinstance(node, dict) and "_meta" in node:
        return {key: value for key, value in node.items() if key != "_meta"}
    return node


def is_too_deep(value: Any) -> bool:
    """Whether lists and maps lie more than ``MAX_DEPTH`` deep in each other; does not recurse."""
    layer = [value]
    for _ in range(MAX_DEPTH + 1):
        inner = (item.values() if isinstance(item, dict) else item for item in layer)
        layer = [part for parts in inner for part in parts if isinstance(part, (dict, list))]
        if not layer:
            return False
    return True


def _dropped(value: Any) -> Dropped:
    if isinstance(value, (dict, list)) and is_too_deep(value):
        raise _not_a_workflow(f"The workflow is nested too deeply: more than {MAX_DEPTH} lists and maps in each other.")
    if not isinstance(value, dict):
        raise _not_a_workflow(f"This is JSON, but no workflow: {_kind(value)} and not a map of nodes.")
    if isinstance(value.get("nodes"), list):
        return _saved(value)
    if isinstance(value.get("prompt"), dict) and not _is_node(value["prompt"]):
        return _from_post_body(value)
    return _from_prompt(value, None)


def _saved(workflow: dict[str, Any]) -> Dropped:
    """A workflow as ComfyUI's *Save* writes it."""
    if not workflow["nodes"]:
        raise _not_a_workflow("The workflow has no nodes.")
    try:
        return Dropped(prompt={}, digest=_digest(outline(workflow)), saved=workflow)
    except ValueError:
        raise _not_a_workflow("The workflow has a number that is too large for JSON.") from None


def _from_post_body(body: dict[str, Any]) -> Dropped:
    """The prompt of a saved ``POST /prompt`` body, and the workflow that its ``extra_pnginfo`` may carry."""
    extra = body.get("extra_data")
    png_info = extra.get("extra_pnginfo") if isinstance(extra, dict) else None
    saved = png_info.get("workflow") if isinstance(png_info, dict) else None
    return _from_prompt(body["prompt"], saved if isinstance(saved, dict) else None)


def _from_prompt(prompt: dict[str, Any], saved: dict[str, Any] | None) -> Dropped:
    if not prompt:
        raise _not_a_workflow("The workflow has no nodes.")
    if len(prompt) > MAX_NODES:
        raise _not_a_workflow(f"The workflow has {len(prompt)} nodes, and {MAX_NODES} are taken at most.")
    strangers = [key for key, node in prompt.items() if not _is_node(node)]
    if len(strangers) == len(prompt):
        raise _not_a_workflow("This is JSON, but no workflow: no entry has a class_type.")
    if strangers:
        named = ", ".join(repr(key[:40]) for key in strangers[:5])
        raise _not_a_workflow(f"Not every entry is a node with a class_type and inputs: {named}.")
    try:
        return Dropped(prompt=prompt, digest=digest_of(prompt), saved=saved)
    except ValueError:
        raise _not_a_workflow("The workflow has a number that is too large for JSON.") from None


def _is_node(node: Any) -> bool:
    return (
        isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs", {}), dict)
    )


def _not_a_workflow(message: str) -> NotAWorkflow:
    return NotAWorkflow(Problem(code="not_a_workflow", message=message, fix=HOW_TO_SAVE))


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
