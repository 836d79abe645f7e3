"""The client of ComfyUI's HTTP API: one method for each question.

The rule it keeps: a method returns ComfyUI's answer as a value or raises one error of ``comfy_errors``, which says what
the caller may conclude. It knows nothing of jobs; how a question travels is ``comfy_session``'s.

A ``Comfy`` keeps one session and belongs to one thread: whoever moves files in other threads makes one for each.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import quote

from comfywatch import comfy_values
from comfywatch.comfy_answers import Refused
from comfywatch.comfy_errors import ComfyError, CutOff, Missing, NotComfy, Rejected, Unsupported
from comfywatch.comfy_session import ComfySession, Download
from comfywatch.comfy_upload import FileForm, Unreadable
from comfywatch.comfy_values import Accepted, Queue

_NOT_IN_A_HEADER = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


class Comfy:
    """One ComfyUI, asked by one thread.

    ``timeout`` is in seconds and counts for each wait, not for a whole transfer. Raises ``ValueError`` for a URL, a
    header or a ``ca_file`` that cannot be used. ``url`` has no slash at the end and no password.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 30.0,
        headers: Mapping[str, str] | None = None,
        ca_file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = ComfySession(url, timeout=timeout, headers=headers or {}, ca_file=ca_file, clock=clock)
        self.url = self._session.url

    def __repr__(self) -> str:
        return f"Comfy({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def system_stats(self) -> dict[str, Any]:
        """Version, system and devices; the look by which ComfyUI is known as such."""
        return self._session.ask("/system_stats", comfy_values.stats)

    def features(self) -> dict[str, Any]:
        """What the server says it can do; empty where it does not know the question."""
        try:
            return self._session.ask("/features", comfy_values.table)
        except Refused as refused:
            if refused.status == 404:
                return {}
            raise

    def object_info(self, node_class: str | None = None) -> dict[str, Any]:
        """The schemas by class, of all nodes (megabytes) or of one; a class that is not known is not in the answer."""
        if node_class is None:
            return self._session.ask("/object_info", comfy_values.table)
        if not _fits_a_path(node_class):
            return {}
        return self._session.ask(f"/object_info/{_part(node_class)}", comfy_values.table)

    def node_replacements(self) -> dict[str, Any] | None:
        """The classes that it puts in the place of others; ``None`` where it does not know the question."""
        try:
            return self._session.ask("/node_replacements", comfy_values.table)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def model_folders(self) -> list[str]:
        """The names of the folders for models."""
        return self._session.ask("/models", comfy_values.names)

    def models_in(self, folder: str) -> list[str] | None:
        """The files in a folder for models, with the server's separators; ``None`` where there is no such folder."""
        if not _fits_a_path(folder):
            return None
        try:
            return self._session.ask(f"/models/{_part(folder)}", comfy_values.names)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def node_mappings(self) -> dict[str, Any]:
        """Which package has which classes, as the server's ComfyUI-Manager knows it; empty where there is none."""
        for path in ("/v2/customnode/getmappings", "/customnode/getmappings"):
            try:
                return self._session.ask(path, comfy_values.table, query={"mode": "local"})
            except Refused as refused:
                if refused.status not in {404, 405}:
                    raise
        return {}

    def post_prompt(self, body: bytes | Mapping[str, Any]) -> Accepted:
        """Queue a prompt; raises ``Rejected`` with the reasons.

        After ``Busy``, ``CutOff`` and ``NotComfy`` it may be queued.
        """
        try:
            return self._session.ask("/prompt", comfy_values.accepted, body=_encoded(body))
        except Refused as refused:
            if refused.status == 400 and refused.answer:
                raise _rejected(refused.answer) from refused
            raise

    def queue(self) -> Queue:
        """What runs and what waits; ask this before ``history``, or a prompt that ends meanwhile is in neither."""
        return self._session.ask("/queue", comfy_values.queue)

    def queue_remaining(self) -> int:
        """How many prompts wait or run: the cheapest look."""
        return self._session.ask("/prompt", comfy_values.remaining)

    def delete_pending(self, prompt_ids: Sequence[str]) -> None:
        """Take prompts out of the queue; one that runs or is not there stays as it is."""
        if prompt_ids:
            self._session.tell("/queue", _encoded({"delete": list(prompt_ids)}))

    def history(self, prompt_id: str) -> dict[str, Any] | None:
        """What became of a prompt; ``None`` while it waits or runs, and for one that is not known (any more)."""
        return self._session.ask(f"/history/{_part(prompt_id)}", comfy_values.entries).get(prompt_id)

    def recent_history(self, max_items: int) -> dict[str, dict[str, Any]]:
        """The newest entries by prompt id."""
        return self._session.ask("/history", comfy_values.entries, query={"max_items": str(max_items)})

    def job(self, prompt_id: str) -> dict[str, Any] | None:
        """A prompt wherever it is; ``None`` if it is not known. Raises ``Unsupported`` before ComfyUI 0.6."""
        try:
            return self._session.ask(f"/jobs/{_part(prompt_id)}", comfy_values.table)
        except Refused as refused:
            if _names_no_job(refused):
                return None
            raise _unsupported(refused, what="jobs") from refused

    def cancel_job(self, prompt_id: str) -> bool:
        """Take a prompt out or interrupt it; false if there was nothing to do. Raises ``Unsupported`` before 0.26."""
        try:
            return self._session.ask(f"/jobs/{_part(prompt_id)}/cancel", comfy_values.cancelled, body=b"{}")
        except Refused as refused:
            if _names_no_job(refused):
                return False
            raise _unsupported(refused, what="the cancelling of jobs") from refused

    def interrupt(self, prompt_id: str) -> None:
        """Interrupt a prompt if it is the one that runs; without an id, which would stop anybody's, ``ValueError``."""
        if not prompt_id:
            raise ValueError("an interrupt without a prompt id stops whatever runs")
        self._session.tell("/interrupt", _encoded({"prompt_id": prompt_id}))

    def input_size(self, *, filename: str, subfolder: str) -> int | None:
        """How many bytes a file in the input folder has; ``None`` if it is not there, or that is not said."""
        try:
            return self._session.size_of("/view", {"filename": filename, "subfolder": subfolder, "type": "input"})
        except Refused as refused:
            if refused.status in {400, 403, 404, 405}:
                return None
            raise

    @contextmanager
    def view(self, *, filename: str, subfolder: str, kind: str) -> Iterator[Download]:
        """Receive a file as it lies there; ``kind`` is ``output``, ``temp`` or ``input``. Raises ``Missing``."""
        query = {"filename": filename, "subfolder": subfolder, "type": kind}
        with ExitStack() as stack:
            try:
                download = stack.enter_context(self._session.download("/view", query))
            except Refused as refused:
                if refused.status in {400, 403, 404}:
                    raise Missing(f"ComfyUI does not have the {kind} file {filename!r} ({refused.status})") from refused
                raise
            except CutOff as cut:
                if _NOT_IN_A_HEADER.search(filename):  # ComfyUI puts the name into one, and breaks off over these
                    raise Missing(
                        f"ComfyUI cannot give out a file with a line break or the like in its name: {filename!r}"
                    ) from cut
                raise
            yield download

    def upload_image(self, source: BinaryIO, *, name: str, subfolder: str, overwrite: bool = False) -> str:
        """Send all of ``source``, an input file of any kind that can seek; the name under which nodes find it there.

        Raises the ``OSError`` of a ``source`` that cannot be read, ``Truncated`` for one that becomes shorter.
        """
        fields = {"type": "input", "subfolder": subfolder} | ({"overwrite": "true"} if overwrite else {})
        form = FileForm(source, name=name, fields=fields)
        try:
            return self._session.ask("/upload/image", comfy_values.uploaded, body=form, content_type=form.content_type)
        except Unreadable as failure:
            raise failure.error from failure
        except Refused as refused:
            if refused.status == 400:
                raise Rejected(f"ComfyUI does not take a file as {name!r}", error={}, node_errors={}) from refused
            raise

    def free(self, *, unload_models: bool = True, free_memory: bool = True) -> None:
        """Have ComfyUI give back memory once it is idle."""
        self._session.tell("/free", _encoded({"unload_models": unload_models, "free_memory": free_memory}))


def _encoded(body: bytes | Mapping[str, Any]) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode("ascii")


def _fits_a_path(name: str) -> bool:
    """Whether a URL can carry ``name`` as one part of its path: dots alone are taken for steps, escaped or not."""
    return name not in {"", ".", ".."}


def _part(name: str) -> str:
    """``name`` escaped for a path; raises ``ValueError`` for one that would ask for something else."""
    if not _fits_a_path(name):
        raise ValueError(f"{name!r} is not an id")
    return quote(name, safe="", errors="replace")


def _rejected(answer: Mapping[str, Any]) -> Rejected:
    error = answer.get("error")
    error = error if isinstance(error, dict) else {"message": str(error or "")}
    said = error.get("message") or "it gave no reason"
    return Rejected(
        f"ComfyUI refused the prompt: {said}",
        error=error,
        node_errors=comfy_values.table_or_empty(answer.get("node_errors")),
    )


def _names_no_job(refused: Refused) -> bool:
    """Whether the 404 is about the id: an unknown route has no JSON."""
    return refused.status == 404 and bool(refused.answer)


def _unsupported(refused: Refused, *, what: str) -> ComfyError:
    if refused.status in {404, 405}:
        return Unsupported(f"this ComfyUI does not know {what}")
    return NotComfy(str(refused))
