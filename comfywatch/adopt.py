"""After the database was lost: prompts of ours that ComfyUI still has are followed, and not posted again.

They are known by ``extra_pnginfo.comfywatch``, which every prompt carries unless ``provenance: false``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from loguru import logger

from comfywatch.asks import Ours
from comfywatch.installed import body_of
from comfywatch.jobs import Job, Post
from comfywatch.ledger import Ledger
from comfywatch.server import Server


def adopt(found: Iterable[Ours], ledger: Ledger, server: Server) -> None:
    """Take up each prompt whose workflow lies there with the same content, and waits."""
    for ours in found:
        job = _waiting_for(ours, ledger)
        if job is None:
            continue
        run = ours.mark.get("run")
        ledger.change(
            replace(
                job,
                held="",
                run=run if isinstance(run, int) else None,
                prompt_id=ours.prompt_id,
                post=Post.INTENDED,
                server=server.url,
                life=server.link.life,
                number=ours.number,
            )
        )
        ledger.store.save_submitted(job.id, body_of(ours))
        logger.bind(project=job.project, job=job.path, prompt_id=ours.prompt_id).info("found again in ComfyUI")


def _waiting_for(ours: Ours, ledger: Ledger) -> Job | None:
    record = ledger.file(str(ours.mark.get("project")), str(ours.mark.get("workflow")))
    job = ledger.jobs.get(record.job) if record else None
    if job is None or job.post is not Post.NONE:
        return None
    is_same = job.digest == ours.mark.get("digest") or (job.source != "" and job.source == ours.mark.get("source"))
    return job if is_same else None
