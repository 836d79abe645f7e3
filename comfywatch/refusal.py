"""ComfyUI's refusal of a prompt, in a person's words, and never empty.

What is wrong with single nodes says it; the wrapper above ("Prompt outputs failed validation") says nothing and is
never passed on. What older servers call ``invalid_prompt`` gets the name that newer ones and ``validation`` use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from comfywatch import sentences
from comfywatch.node_errors import LOOK, circles, mapping, problems_from_node_errors, text
from comfywatch.problems import Problem
from comfywatch.sentences import shortened

__all__ = ["problems_from_node_errors", "problems_from_refusal"]

_WRAPPER = "prompt_outputs_failed_validation"
_NO_SUCH_CLASS = re.compile(r"because node (?P<name>.+) does not exist")
_NODE_ID = re.compile(r"#(?P<id>.*?)'?$", re.DOTALL)


def problems_from_refusal(error: Any, node_errors: Any, prompt: Any) -> tuple[Problem, ...]:
    """The body of a 400: what is wrong with each node, or with the whole; never empty."""
    found = problems_from_node_errors(node_errors, prompt)
    nodes = mapping(prompt)
    plain = mapping(error)
    code = text(plain.get("type"))
    if code == _WRAPPER or (found and not code):
        return found or circles(nodes) or (_refused(code, "ComfyUI refused it, and does not say why."),)
    whole = _WHOLE.get(code)
    problem = whole(plain, nodes) if whole is not None else None
    return (problem or _refused(code, _told(error)), *found)


def _missing_node(error: Mapping[str, Any], nodes: Mapping[str, Any]) -> Problem | None:
    info = mapping(error.get("extra_info"))
    older = _NO_SUCH_CLASS.search(text(error.get("message")))
    class_type = text(info.get("class_type")) or (older["name"] if older else "")
    told = _NODE_ID.search(text(error.get("details")))
    node_id = text(info.get("node_id")) or (told["id"] if told else "")
    if class_type:
        node = nodes.get(node_id, {"class_type": class_type})
        return sentences.class_missing(node_id, node, class_type)
    if isinstance(nodes.get("nodes"), list):
        return Problem(code="ui_format", message="This is a saved workflow, no prompt.", fix=sentences.EXPORT)
    return sentences.no_class(node_id) if node_id else None


def _refused(code: str, message: str, *, fix: str = LOOK) -> Problem:
    return Problem(code=code or "refused", message=message, fix=fix)


def _told(error: Any) -> str:
    plain = mapping(error)
    parts = [text(plain.get("message")), text(plain.get("details"))] if plain else [text(error)]
    said = ": ".join(dict.fromkeys(shortened(part) for part in parts if part))
    return f"ComfyUI refused it: {said}." if said else "ComfyUI refused it, and does not say why."


_WHOLE: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Problem | None]] = {
    "invalid_prompt": _missing_node,
    "missing_node_type": _missing_node,
    "no_prompt": lambda *_: _refused("no_prompt", "ComfyUI was sent no workflow.", fix=sentences.EXPORT),
    "prompt_no_outputs": lambda *_: sentences.no_outputs(),
}
