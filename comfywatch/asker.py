"""A thread that asks one ComfyUI, one ask after the other, in the order given.

There are two for each ComfyUI: one posts, and the other asks for what became of that. Behind dozens of POSTs a look
would see all of those end at once, and ComfyUI would have nothing to do while that is taken in.

Every ask is answered exactly once, by an ``Answer`` with a result or an error; nothing here decides what it means.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from comfywatch.asks import (
    Absent,
    Adopt,
    Answer,
    Ask,
    AtWork,
    Ended,
    Free,
    Installed,
    Look,
    LookUp,
    Lying,
    Ours,
    Peek,
    Post,
    Probe,
    Refresh,
    Sighting,
    Sightings,
    TakeOut,
    Waiting,
)
from comfywatch.comfy import Comfy
from comfywatch.comfy_errors import ComfyError, Unsupported
from comfywatch.comfy_values import Queue
from comfywatch.inventory import NO_MODEL_FOLDERS

RECENT_HISTORY = 1000
"""Entries of the history that are searched for prompts of ours after the database was lost."""

MOST_AT_ONCE = 64
"""Entries of the history that are asked for at once: each holds its whole prompt, and a saved workflow is large."""


class Asker(threading.Thread):
    """Performs asks until the process ends; ``answer`` is called on this thread."""

    def __init__(self, url: str, open_client: Callable[[str], Comfy], answer: Callable[[Answer], None]) -> None:
        super().__init__(name=f"asker {url}", daemon=True)
        self._url = url
        self._open_client = open_client
        self._answer = answer
        self._asks: queue.SimpleQueue[Ask | None] = queue.SimpleQueue()

    def ask(self, ask: Ask) -> None:
        """Perform it when those before it are done."""
        self._asks.put(ask)

    def stop(self) -> None:
        """End once what was asked before is done."""
        self._asks.put(None)

    def run(self) -> None:
        """The thread."""
        with self._open_client(self._url) as comfy:
            while (ask := self._asks.get()) is not None:
                self._answer(perform(ask, comfy, url=self._url))


def perform(ask: Ask, comfy: Comfy, *, url: str) -> Answer:
    """One ask, with its time; ``url`` is how the daemon calls this ComfyUI."""
    start = time.monotonic()
    try:
        result = _result(ask, comfy)
    except ComfyError as error:
        return Answer(url=url, ask=ask, error=error, took=time.monotonic() - start)
    return Answer(url=url, ask=ask, result=result, took=time.monotonic() - start)


def _result(ask: Ask, comfy: Comfy) -> Any:
    return _PERFORM[type(ask)](ask, comfy)


def _look(ask: Look, comfy: Comfy) -> Sightings:
    """The queue first, then the history: the other way round a prompt that just ended is in neither."""
    queue_now = comfy.queue()
    in_queue, lying = _by_prompt(queue_now), _lying(queue_now)
    ended = _newest_ended(comfy, len(set(ask.prompts.values()) - in_queue.keys()))
    by_job = {
        job: in_queue.get(prompt_id) or ended.get(prompt_id) or _ended(comfy, prompt_id)
        for job, prompt_id in ask.prompts.items()
    }
    if ask.witness and any(isinstance(sighting, Absent) for sighting in by_job.values()):
        known = ask.witness in in_queue or comfy.history(ask.witness) is not None
        return Sightings(by_job=by_job, witness_known=known, lying=lying)
    return Sightings(by_job=by_job, lying=lying)


def _look_up(ask: LookUp, comfy: Comfy) -> Sightings:
    newest = _newest_ended(comfy, len(ask.prompts))
    found = {job: newest.get(prompt_id) or _ended(comfy, prompt_id) for job, prompt_id in ask.prompts.items()}
    return Sightings(by_job={job: sighting for job, sighting in found.items() if isinstance(sighting, Ended)})


def _by_prompt(lying: Queue) -> dict[str, Sighting]:
    waiting: dict[str, Sighting] = {item.prompt_id: Waiting(number=item.number) for item in lying.pending}
    return waiting | {item.prompt_id: AtWork(number=item.number) for item in lying.running}


def _lying(queue_now: Queue) -> Lying:
    return Lying(
        running=frozenset(item.prompt_id for item in queue_now.running),
        pending=frozenset(item.prompt_id for item in queue_now.pending),
    )


def _newest_ended(comfy: Comfy, count: int) -> Mapping[str, Sighting]:
    """The newest entries of the history, if more than one of ours may be among them: one question for all.

    Others may have ended since it was known that these had.
    """
    if count < 2:
        return {}
    return {key: Ended(entry=entry) for key, entry in comfy.recent_history(min(2 * count, MOST_AT_ONCE)).items()}


def _ended(comfy: Comfy, prompt_id: str) -> Sighting:
    entry = comfy.history(prompt_id)
    return Absent() if entry is None else Ended(entry=entry)


def _take_out(ask: TakeOut, comfy: Comfy) -> None:
    if ask.interrupt:
        try:
            comfy.cancel_job(ask.prompt_id)
        except Unsupported:
            comfy.delete_pending([ask.prompt_id])
            comfy.interrupt(ask.prompt_id)
    else:
        comfy.delete_pending([ask.prompt_id])


def _installed(comfy: Comfy) -> Installed:
    folders = [folder for folder in comfy.model_folders() if folder not in NO_MODEL_FOLDERS]
    return Installed(
        stats=comfy.system_stats(),
        features=comfy.features(),
        object_info=comfy.object_info(),
        models={folder: tuple(comfy.models_in(folder) or ()) for folder in folders},
        node_replacements=comfy.node_replacements(),
    )


def _has_changed(ask: Peek, comfy: Comfy) -> bool:
    if any(tuple(comfy.models_in(folder) or ()) != known for folder, known in ask.folders.items()):
        return True
    return any(comfy.object_info(node_class) for node_class in sorted(ask.classes))


def _ours(comfy: Comfy) -> list[Ours]:
    lying = comfy.queue()
    found = [
        Ours(prompt_id=item.prompt_id, prompt=item.prompt, mark=mark, number=item.number)
        for item in (*lying.running, *lying.pending)
        if (mark := _mark(item.extra_data))
    ]
    for prompt_id, entry in comfy.recent_history(RECENT_HISTORY).items():
        posted = entry.get("prompt")
        if isinstance(posted, list) and len(posted) > 3 and (mark := _mark(posted[3])):
            found.append(Ours(prompt_id=prompt_id, prompt=posted[2], mark=mark))
    return found


def _mark(extra_data: Any) -> Mapping[str, Any]:
    png_info = extra_data.get("extra_pnginfo") if isinstance(extra_data, Mapping) else None
    mark = png_info.get("comfywatch") if isinstance(png_info, Mapping) else None
    return mark if isinstance(mark, Mapping) else {}


_PERFORM: Mapping[type[Ask], Callable[[Any, Comfy], Any]] = {
    Probe: lambda _, comfy: comfy.system_stats(),
    Post: lambda ask, comfy: comfy.post_prompt(ask.body),
    Look: _look,
    LookUp: _look_up,
    TakeOut: _take_out,
    Refresh: lambda _, comfy: _installed(comfy),
    Peek: _has_changed,
    Adopt: lambda _, comfy: tuple(_ours(comfy)),
    Free: lambda _, comfy: comfy.free(),
}
