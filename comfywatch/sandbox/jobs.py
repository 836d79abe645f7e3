"""``/api/jobs`` of newer servers: queue and history in one shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from comfywatch.sandbox.queue import Item, PromptQueue

Json = dict[str, Any]
STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")
SEEN = {"images", "video", "audio", "3d", "text"}
LONGEST_TEXT = 1024


class BadQuery(ValueError):
    """A question that the server answers with 400 and this text."""


def all_jobs(queue: PromptQueue, query: dict[str, str]) -> Json:
    """What ``GET /api/jobs`` answers."""
    wanted = _statuses(query.get("status", ""))
    limit, offset = _number(query, "limit"), max(0, _number(query, "offset") or 0)
    if limit is not None and limit <= 0:
        raise BadQuery("limit must be a positive integer")
    jobs = [job for job in _every(queue) if job["status"] in wanted]
    if workflow_id := query.get("workflow_id"):
        jobs = [job for job in jobs if job.get("workflow_id") == workflow_id]
    _sort(jobs, query)
    total = len(jobs)
    jobs = jobs[offset:] if limit is None else jobs[offset : offset + limit]
    page = {"offset": offset, "limit": limit, "total": total, "has_more": offset + len(jobs) < total}
    return {"jobs": jobs, "pagination": page}


def one_job(queue: PromptQueue, prompt_id: str) -> Json | None:
    """What ``GET /api/jobs/{id}`` answers; ``None`` if there is none."""
    entry = queue.history.get(prompt_id)
    if entry is None:
        return next((job for job in _every(queue) if job["id"] == prompt_id), None)
    _, _, prompt, extra_data, _ = entry["prompt"]
    return {
        **_finished(prompt_id, entry),
        "outputs": entry["outputs"],
        "execution_status": entry["status"],
        "workflow": {"prompt": prompt, "extra_data": extra_data},
    }


def _every(queue: PromptQueue) -> Iterator[Json]:
    yield from (_waiting(item, "in_progress") for item in queue.running)
    yield from (_waiting(item, "pending") for item in queue.pending)
    yield from (_finished(prompt_id, entry) for prompt_id, entry in queue.history.items())


def _statuses(text: str) -> list[str]:
    asked = [part.strip().lower() for part in text.split(",") if part.strip()]
    unknown = [part for part in asked if part not in STATUSES]
    if unknown:
        raise BadQuery(f"Invalid status value(s): {', '.join(unknown)}. Valid values: {', '.join(STATUSES)}")
    return asked or list(STATUSES)


def _number(query: dict[str, str], name: str) -> int | None:
    try:
        return int(query[name]) if name in query else None
    except ValueError:
        raise BadQuery(f"{name} must be an integer") from None


def _sort(jobs: list[Json], query: dict[str, str]) -> None:
    by, order = query.get("sort_by", "created_at").lower(), query.get("sort_order", "desc").lower()
    if by not in {"created_at", "execution_duration"}:
        raise BadQuery("sort_by must be 'created_at' or 'execution_duration'")
    if order not in {"asc", "desc"}:
        raise BadQuery("sort_order must be 'asc' or 'desc'")

    def duration(job: Json) -> int:
        start, end = job.get("execution_start_time", 0), job.get("execution_end_time", 0)
        return end - start if start and end else 0

    jobs.sort(
        key=duration if by == "execution_duration" else lambda job: job.get("create_time", 0), reverse=order == "desc"
    )


def _waiting(item: Item, status: str) -> Json:
    return _pruned(
        id=item.prompt_id,
        status=status,
        priority=item.number,
        create_time=item.extra_data.get("create_time"),
        outputs_count=0,
        previewable_outputs_count=0,
        workflow_id=_workflow_id(item.extra_data),
    )


def _finished(prompt_id: str, entry: Json) -> Json:
    number, _, _, extra_data, _ = entry["prompt"]
    messages = dict(entry["status"]["messages"])
    ends = ("execution_success", "execution_error", "execution_interrupted")
    end: Json = next((messages[name] for name in ends if name in messages), {})
    files = list(_files(entry["outputs"]))
    return _pruned(
        id=prompt_id,
        status=_status(entry, messages),
        priority=number,
        create_time=extra_data.get("create_time"),
        execution_start_time=messages.get("execution_start", {}).get("timestamp"),
        execution_end_time=end.get("timestamp"),
        execution_error=messages.get("execution_error"),
        outputs_count=len(files),
        previewable_outputs_count=sum(kind in SEEN for _, kind, _ in files),
        preview_output=_preview(entry["outputs"], files),
        workflow_id=_workflow_id(extra_data),
    )


def _status(entry: Json, messages: Json) -> str:
    if entry["status"]["status_str"] == "success":
        return "completed"
    return "cancelled" if "execution_interrupted" in messages else "failed"


def _files(outputs: Json) -> Iterator[tuple[str, str, Json]]:
    for node_id, shown in outputs.items():
        for kind, items in shown.items():
            yield from ((node_id, kind, item) for item in items if isinstance(item, dict))


def _preview(outputs: Json, files: list[tuple[str, str, Json]]) -> Json | None:
    """The picture for a list of jobs: a saved one, else a preview, else a text."""
    seen = [{**item, "nodeId": node_id, "mediaType": kind} for node_id, kind, item in files if kind in SEEN]
    best = next((item for item in seen if item.get("type") == "output"), seen[0] if seen else None)
    if best is not None:
        return best
    for node_id, shown in outputs.items():
        for text in shown.get("text", ()):
            cut = {"truncated": True} if len(text) > LONGEST_TEXT else {}
            return {"content": text[:LONGEST_TEXT], **cut, "nodeId": node_id, "mediaType": "text"}
    return None


def _workflow_id(extra_data: Json) -> str | None:
    workflow_id: str | None = extra_data.get("extra_pnginfo", {}).get("workflow", {}).get("id")
    return workflow_id


def _pruned(**fields: Any) -> Json:
    return {name: value for name, value in fields.items() if value is not None}
