"""``POST /prompt``: what is accepted, under which id and number, and what is answered."""

from __future__ import annotations

import copy
import time
import uuid
from typing import Any

from comfywatch.sandbox.life import Life
from comfywatch.sandbox.record import Post
from comfywatch.sandbox.validation import validate

Json = dict[str, Any]
NO_PROMPT = "No prompt provided"


class _BadId(ValueError):
    """A ``prompt_id`` that this server does not take."""


def accept(life: Life, body: Any, *, source: str | None) -> tuple[int, Json]:
    """Judge a body and queue its prompt; returns the status and the answer.

    ``source`` is what the client calls itself in a header. A body of an odd shape raises what Python raises for it.
    """
    sent = copy.deepcopy(body) if isinstance(body, dict) else {}
    prompt_id: str | None = None
    status = 500
    try:
        prompt_id, status, answer = _judge(life, body, source)
        return status, answer
    finally:
        record_post(life, sent, status, prompt_id)


def record_post(life: Life, sent: Json, status: int, prompt_id: str | None = None) -> None:
    """Note a POST for later assertions."""
    asked_id = sent.get("prompt_id")
    life.record.posts.append(
        Post(
            prompt_id=asked_id if isinstance(asked_id, str) else prompt_id,
            prompt=sent.get("prompt"),
            extra_data=sent.get("extra_data") or {},
            client_id=sent.get("client_id"),
            status=status,
        )
    )


def _judge(life: Life, body: Any, source: str | None) -> tuple[str | None, int, Json]:
    number = float(body["number"]) if "number" in body else _next_number(life, body)
    if "prompt" not in body:
        return None, 400, _refusal("no_prompt", NO_PROMPT, NO_PROMPT)
    try:
        prompt_id = _prompt_id(life, body)
    except _BadId as bad:
        return None, 400, _refusal("invalid_prompt_id", "prompt_id must be a valid UUID", str(bad))
    prompt = body["prompt"]
    verdict = validate(prompt, life.installation, only=body.get("partial_execution_targets"))
    extra_data = _extra_data(life, body, source)
    if verdict.error is not None:
        return prompt_id, 400, {"error": verdict.error, "node_errors": verdict.node_errors}
    if life.installation.newer:
        extra_data["create_time"] = int(time.time() * 1000)
    life.queue.put(number, prompt_id, prompt, extra_data, verdict.outputs)
    return prompt_id, 200, {"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors}


def _next_number(life: Life, body: Any) -> int:
    return life.queue.next_number(front="front" in body and bool(body["front"]))


def _prompt_id(life: Life, body: Json) -> str:
    if not life.installation.newer:
        return str(body.get("prompt_id", uuid.uuid4()))
    asked = body.get("prompt_id")
    if asked is None:
        return str(uuid.uuid4())
    if _is_canonical(asked):
        return str(asked)
    raise _BadId(
        "prompt_id must be a UUID string in canonical lowercase hyphenated form; omit it to let the server generate one"
    )


def _is_canonical(asked: Any) -> bool:
    try:
        return isinstance(asked, str) and str(uuid.UUID(asked)) == asked
    except ValueError:
        return False


def _extra_data(life: Life, body: Json, source: str | None) -> Json:
    extra = body.get("extra_data", {})
    if "client_id" in body:
        extra["client_id"] = body["client_id"]
    if life.installation.newer and "comfy_usage_source" not in extra and source:
        extra["comfy_usage_source"] = source
    return extra if isinstance(extra, dict) else {}


def _refusal(code: str, message: str, details: str) -> Json:
    error = {"type": code, "message": message, "details": details, "extra_info": {}}
    return {"error": error, "node_errors": {}}
