"""What ComfyUI answers, as values.

The rule: a reader here takes decoded JSON and returns a value, or fails on any other shape with whatever Python raises
(``KeyError``, ``TypeError``, …), which the session turns into ``NotComfy``. Unknown keys and further items are let be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """ComfyUI's yes to a prompt; ``node_errors`` by node id: outputs that it left out and will not run."""

    prompt_id: str
    number: float
    node_errors: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    """One prompt in ComfyUI's queue; the lower its number, the sooner it runs."""

    number: float
    prompt_id: str
    prompt: dict[str, Any]
    extra_data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What ComfyUI works at and what waits there, everybody's; the waiting in no particular order."""

    running: tuple[QueueItem, ...]
    pending: tuple[QueueItem, ...]


def table(answer: Any) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(answer, dict):
        raise TypeError("not an object")
    return answer


def names(answer: Any) -> list[str]:
    """A list of strings."""
    if not isinstance(answer, list) or not all(isinstance(name, str) for name in answer):
        raise TypeError("not a list of names")
    return answer


def stats(answer: Any) -> dict[str, Any]:
    """``/system_stats``: by its ``system`` ComfyUI is known."""
    table(answer["system"])
    return table(answer)


def entries(answer: Any) -> dict[str, dict[str, Any]]:
    """``/history``: an object for each prompt id."""
    return {prompt_id: table(entry) for prompt_id, entry in table(answer).items()}


def remaining(answer: Any) -> int:
    """``/prompt``: how many prompts wait or run."""
    return int(answer["exec_info"]["queue_remaining"])


def cancelled(answer: Any) -> bool:
    """``/jobs/{id}/cancel``: whether there was something to cancel."""
    return bool(answer["cancelled"])


def accepted(answer: Any) -> Accepted:
    """The answer to a prompt that was taken."""
    return Accepted(
        prompt_id=_text(answer["prompt_id"]),
        number=_number(answer["number"]),
        node_errors=table_or_empty(answer.get("node_errors")),
    )


def queue(answer: Any) -> Queue:
    """``/queue``, which holds whole prompts and can be megabytes."""
    return Queue(
        running=tuple(_item(item) for item in answer["queue_running"]),
        pending=tuple(_item(item) for item in answer["queue_pending"]),
    )


def uploaded(answer: Any) -> str:
    """The name under which nodes find an uploaded file: ``subfolder/name``."""
    name, subfolder = _text(answer["name"]), _text(answer.get("subfolder") or "")
    return f"{subfolder}/{name}" if subfolder else name


def table_or_empty(answer: Any) -> dict[str, Any]:
    """A JSON object, or an empty one for anything else."""
    return answer if isinstance(answer, dict) else {}


def _item(item: Any) -> QueueItem:
    return QueueItem(
        number=_number(item[0]),
        prompt_id=_text(item[1]),
        prompt=table_or_empty(item[2]),
        extra_data=table_or_empty(item[3]),
    )


def _text(answer: Any) -> str:
    if not isinstance(answer, str):
        raise TypeError("not a string")
    return answer


def _number(answer: Any) -> float:
    if not isinstance(answer, int | float) or isinstance(answer, bool):
        raise TypeError("not a number")
    return answer
