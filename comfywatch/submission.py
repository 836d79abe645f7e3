"""What is submitted: the dropped prompt with the few changes that DESIGN 3 names, and no others.

- ``filename_prefix`` of nodes that save pictures, video, audio, text or 3D goes under a folder of this run, so that no
  run is given an earlier run's cached file, and ComfyUI never lists a huge folder.
- Input files are replaced by the names under which they were uploaded.

Model names are spelled in ``validation.respell``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from comfywatch.jobs import Job, workflow_name
from comfywatch.names import slug

_MODEL_SAVERS = re.compile(
    r"(Checkpoint|Model|VAE|CLIP|Lora|LoRA)Save(?![a-z])"
    r"|^Save(Checkpoint|Model|VAE|CLIP|Lora|LoRA)"
    r"|DataSetToFolder$"
)
_OWN_PREFIX = re.compile(r"^comfywatch/[^/]+/[^/]+/\d{3,}-[0-9a-f]{8}/")


def prefix_of(job: Job) -> str:
    """``comfywatch/PROJECT/WORKFLOW/RUN-XXXXXXXX/``, the folder of this run in ComfyUI's output folder."""
    return f"comfywatch/{slug(job.project)}/{slug(workflow_name(job.path))}/{job.run_name}-{job.prompt_id[:8]}/"


def prepared(prompt: Mapping[str, Any], job: Job, *, uploads: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """The prompt as ComfyUI gets it; ``uploads`` maps (node id, input) to the name on the server."""
    changes: dict[str, dict[str, Any]] = {}
    for node_id, own_prefix in savers(prompt):
        changes.setdefault(node_id, {})["filename_prefix"] = prefix_of(job) + _OWN_PREFIX.sub("", own_prefix)
    for (node_id, name), uploaded in uploads.items():
        changes.setdefault(node_id, {})[name] = uploaded
    return {
        node_id: {**node, "inputs": {**node["inputs"], **changes[node_id]}} if node_id in changes else node
        for node_id, node in prompt.items()
    }


def savers(prompt: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Node id and ``filename_prefix`` of each node that saves files which ComfyUI then reports."""
    for node_id, node in prompt.items():
        own_prefix = node.get("inputs", {}).get("filename_prefix")
        if isinstance(own_prefix, str) and not _MODEL_SAVERS.search(node["class_type"]):
            yield node_id, own_prefix


def post_body(
    prompt: Mapping[str, Any],
    job: Job,
    *,
    client_id: str,
    saved: Mapping[str, Any] | None,
    provenance: bool,
    previews: bool = False,
) -> bytes:
    """The body of ``POST /prompt`` as it is kept and, if need be, posted again byte for byte.

    The ``client_id`` is always sent: it is whom the websocket's events are for, and without one ComfyUI 0.19 to 0.27
    leave cached outputs out of the history. ``previews`` asks for pictures of what is being made, which older servers
    make only if they were started so.
    """
    png_info: dict[str, Any] = {}
    if saved is not None:
        png_info["workflow"] = saved
    if provenance:
        png_info["comfywatch"] = {
            "project": job.project,
            "workflow": job.path,
            "run": job.run,
            "digest": job.digest,
            **({"source": job.source} if job.source else {}),
        }
    extra: dict[str, Any] = {"extra_pnginfo": png_info} if png_info else {}
    if previews:
        extra["preview_method"] = "auto"
    body = {
        "prompt": prompt,
        "prompt_id": job.prompt_id,
        "client_id": client_id,
        "extra_data": extra,
    }
    return json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def prompt_in(body: bytes) -> dict[str, Any]:
    """The prompt in a kept body."""
    prompt: dict[str, Any] = json.loads(body)["prompt"]
    return prompt
