"""A ComfyUI in memory, as the daemon's askers and collectors see one: honest about what it runs, forgets and loses.

It answers as ``comfywatch.comfy.Comfy`` does, so that ``asker.perform`` and ``collect.collect`` run for real on top
of it. A test plays its process, its network and the people at its own window; ``executions`` says what it really ran.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any

from comfywatch.comfy_errors import Broken, Busy, ComfyError, CutOff, Missing, Rejected, Unreachable, Unsupported
from comfywatch.comfy_values import Accepted, Queue, QueueItem

Json = dict[str, Any]
LATE_SECONDS = 4.0
"""How long a POST may be on its way after the one who sent it has given up; DESIGN 3 trusts in less than five."""


class Road(Enum):
    """What the network and the machine behind it do with whatever is asked."""

    OPEN = auto()
    REFUSED = auto()
    AWAY = auto()
    HANGING = auto()
    STUMBLING = auto()


class PostFate(Enum):
    """What becomes of one POST, told by whether it arrives and by what its sender hears."""

    WELL = auto()
    TIMED_OUT_BEFORE = auto()
    TIMED_OUT_AFTER = auto()
    TIMED_OUT_LATE = auto()
    RESET_BEFORE = auto()
    RESET_AFTER = auto()
    STUMBLED = auto()
    REJECTED = auto()
    PARTIAL = auto()


ARRIVING = frozenset({PostFate.WELL, PostFate.TIMED_OUT_AFTER, PostFate.RESET_AFTER, PostFate.PARTIAL})


class End(Enum):
    """How a prompt ended that ComfyUI began."""

    SUCCESS = auto()
    NO_FILES = auto()
    ERROR = auto()
    INTERRUPTED = auto()
    RESTART = auto()


@dataclass(slots=True, kw_only=True)
class Execution:
    """One time that ComfyUI ran a prompt.

    ``files`` are its outputs by place, ``is_forgotten`` after restart or wipe.
    """

    prompt_id: str
    prompt: Json
    digest: str
    is_partial: bool
    end: End | None = None
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    is_forgotten: bool = False


@dataclass(slots=True, kw_only=True)
class Lying:
    """A prompt in the queue."""

    number: float
    prompt_id: str
    prompt: Json
    extra_data: Json
    is_partial: bool = False

    def as_item(self) -> QueueItem:
        return QueueItem(
            number=self.number, prompt_id=self.prompt_id, prompt=self.prompt, extra_data=dict(self.extra_data)
        )


class FakeComfy:
    """``clock`` gives the time on the monotonic clock and in UTC; ``cancels_jobs`` is what ComfyUI knows since 0.26."""

    def __init__(self, clock: Callable[[], tuple[float, datetime]], *, cancels_jobs: bool) -> None:
        self._clock = clock
        self._cancels_jobs = cancels_jobs
        self.road = Road.OPEN
        self.trips: list[ComfyError] = []
        self.fates: list[PostFate] = []
        self.download_fault: Exception | None = None
        self.disk: dict[tuple[str, str], bytes] = {}
        self.executions: list[Execution] = []
        self.interrupted: set[str] = set()
        self.deleted: set[str] = set()
        self.times_forgotten = 0
        self._late: list[tuple[float, bytes]] = []
        self._forget()

    def _forget(self) -> None:
        self.counter = 0
        self.pending: list[Lying] = []
        self.running: Lying | None = None
        self.remembered: dict[str, Json] = {}

    # --- what is asked of it

    def system_stats(self) -> Json:
        self._reach()
        return {"system": {"comfyui_version": "0.3.64", "argv": []}, "devices": []}

    def features(self) -> Json:
        self._reach()
        return {}

    def node_replacements(self) -> Json | None:
        self._reach()
        return None

    def object_info(self, node_class: str | None = None) -> Json:
        self._reach()
        return OBJECT_INFO if node_class is None else {k: v for k, v in OBJECT_INFO.items() if k == node_class}

    def model_folders(self) -> list[str]:
        self._reach()
        return ["checkpoints"]

    def models_in(self, folder: str) -> list[str] | None:
        self._reach()
        return [] if folder == "checkpoints" else None

    def free(self) -> None:
        self._reach()

    def queue(self) -> Queue:
        self._reach()
        running = (self.running.as_item(),) if self.running else ()
        return Queue(running=running, pending=tuple(lying.as_item() for lying in self.pending))

    def history(self, prompt_id: str) -> Json | None:
        self._reach()
        return self.remembered.get(prompt_id)

    def recent_history(self, max_items: int) -> dict[str, Json]:
        self._reach()
        return dict(list(self.remembered.items())[-max_items:])

    def post_prompt(self, body: bytes) -> Accepted:
        fate = self.fates.pop(0) if self.fates else PostFate.WELL
        self._reach()
        if fate is PostFate.TIMED_OUT_LATE:
            self._late.append((self._clock()[0] + LATE_SECONDS, body))
        if fate not in ARRIVING:
            raise _heard(fate)
        accepted = self._put(body, is_partial=fate is PostFate.PARTIAL)
        if fate in {PostFate.TIMED_OUT_AFTER, PostFate.RESET_AFTER}:
            raise _heard(fate)
        return accepted

    def delete_pending(self, prompt_ids: Sequence[str]) -> None:
        self._reach()
        self.pending = [lying for lying in self.pending if lying.prompt_id not in prompt_ids]

    def interrupt(self, prompt_id: str) -> None:
        self._reach()
        if self.running is not None and self.running.prompt_id == prompt_id:
            self.finish(End.INTERRUPTED)

    def cancel_job(self, prompt_id: str) -> bool:
        if not self._cancels_jobs:
            raise Unsupported("this ComfyUI does not know the cancelling of jobs")
        self.delete_pending([prompt_id])
        self.interrupt(prompt_id)
        return True

    @contextmanager
    def view(self, *, filename: str, subfolder: str, kind: str) -> Iterator[FakeDownload]:
        self._reach()
        try:
            data = self.disk[subfolder, filename]
        except KeyError:
            raise Missing(f"ComfyUI does not have the {kind} file {filename!r} (404)") from None
        fault, self.download_fault = self.download_fault, None
        yield FakeDownload(data, fault)

    def _reach(self) -> None:
        match self.road:
            case Road.REFUSED:
                raise Unreachable("nothing listens there; is ComfyUI running?", refused=True)
            case Road.AWAY:
                raise Unreachable("it cannot be reached: no route to host")
            case Road.HANGING:
                raise Busy("it did not answer in time")
            case Road.STUMBLING:
                raise Broken("it answered 500", status=500, text="")
        if self.trips:
            raise self.trips.pop(0)

    # --- what it does

    def arrive_late(self) -> None:
        """Take in the POSTs that were on their way long enough."""
        now = self._clock()[0]
        due = [body for at, body in self._late if at <= now]
        self._late = [(at, body) for at, body in self._late if at > now]
        if self.road is not Road.REFUSED:
            for body in due:
                self._put(body, is_partial=False)

    def send_late(self, body: bytes, *, after: float) -> None:
        """A POST whose sender is dead already."""
        self._late.append((self._clock()[0] + after, body))

    def _put(self, body: bytes, *, is_partial: bool) -> Accepted:
        """An id that is there already is no obstacle, as in ComfyUI."""
        plain = json.loads(body)
        lying = Lying(
            number=self.counter,
            prompt_id=plain["prompt_id"],
            prompt=plain["prompt"],
            extra_data=plain["extra_data"],
            is_partial=is_partial,
        )
        self.counter += 1
        self.pending.append(lying)
        node_errors = {"2": _left_out()} if is_partial else {}
        return Accepted(prompt_id=lying.prompt_id, number=lying.number, node_errors=node_errors)

    def begin(self) -> bool:
        """Take up the next prompt; false if there is none, or one runs."""
        if self.running is not None or not self.pending:
            return False
        self.running = lying = self.pending.pop(0)
        mark = lying.extra_data.get("extra_pnginfo", {}).get("comfywatch", {})
        self.executions.append(
            Execution(
                prompt_id=lying.prompt_id,
                prompt=lying.prompt,
                digest=mark.get("digest", ""),
                is_partial=lying.is_partial,
            )
        )
        return True

    def finish(self, end: End) -> None:
        """End what runs, with its files on the disk and its entry in the history."""
        lying, execution = self.running, self._at_work()
        if lying is None or execution is None:
            return
        self.running = None
        execution.end = end
        outputs: Json = {}
        for node, inputs in _savers(lying.prompt) if end is End.SUCCESS else ():
            subfolder, _, stem = inputs["filename_prefix"].rpartition("/")
            filename = f"{stem}_{len([1 for place in self.disk if place[0] == subfolder]) + 1:05d}_.png"
            data = f"{lying.prompt_id} node {node} made in execution {len(self.executions)}\n".encode() * 3
            self.disk[subfolder, filename] = execution.files[subfolder, filename] = data
            outputs[node] = {"images": [{"filename": filename, "subfolder": subfolder, "type": "output"}]}
        self.remembered[lying.prompt_id] = self._entry(lying, end, outputs)

    def _at_work(self) -> Execution | None:
        return self.executions[-1] if self.running is not None else None

    def _entry(self, lying: Lying, end: End, outputs: Json) -> Json:
        stamp = {"prompt_id": lying.prompt_id, "timestamp": int(self._clock()[1].timestamp() * 1000)}
        messages = [["execution_start", stamp], [_MESSAGE[end], {**stamp, **_SAID[end]}]]
        is_good = end in {End.SUCCESS, End.NO_FILES}
        return {
            "prompt": [lying.number, lying.prompt_id, lying.prompt, dict(lying.extra_data), list(outputs)],
            "outputs": outputs,
            "status": {"status_str": "success" if is_good else "error", "completed": is_good, "messages": messages},
            "meta": {},
        }

    # --- what happens to it

    def restart(self) -> None:
        """Its memory is gone, its disk is not; what was on its way to it is lost."""
        execution = self._at_work()
        if execution is not None:
            execution.end = End.RESTART
        self._late.clear()
        self._forget()
        self._forgot()

    def wipe(self) -> None:
        """Somebody clears the history."""
        self.remembered.clear()
        self._forgot()

    def _forgot(self) -> None:
        self.times_forgotten += 1
        for execution in self.executions:
            at_work = self.running is not None and execution is self.executions[-1]
            execution.is_forgotten = execution.is_forgotten or not at_work

    def somebody_interrupts(self) -> None:
        """A person at its window stops what runs."""
        if self.running is not None:
            self.interrupted.add(self.running.prompt_id)
            self.finish(End.INTERRUPTED)

    def somebody_deletes(self, index: int) -> None:
        """A person at its window takes a waiting prompt out."""
        if self.pending:
            lying = self.pending.pop(index % len(self.pending))
            self.deleted.add(lying.prompt_id)

    def somebody_posts(self) -> None:
        """A person at its window has a prompt of their own."""
        prompt = {"1": {"class_type": "SaveImage", "inputs": {"filename_prefix": "theirs"}}}
        prompt_id = f"theirs-{self.counter}-{self.times_forgotten}"
        body = json.dumps({"prompt": prompt, "prompt_id": prompt_id, "extra_data": {}}).encode()
        self._put(body, is_partial=False)

    def somebody_tidies(self) -> set[str]:
        """Half of the files in its output folder vanish; the ids of the prompts that made them."""
        gone = set(list(self.disk)[::2])
        for place in gone:
            del self.disk[place]
        return {execution.prompt_id for execution in self.executions if gone & execution.files.keys()}


class FakeDownload:
    """A file that arrives in two parts, with ``fault`` between them."""

    def __init__(self, data: bytes, fault: Exception | None) -> None:
        self._data = data
        self._fault = fault

    def chunks(self) -> Iterator[bytes]:
        half = len(self._data) // 2
        yield self._data[:half]
        if self._fault is not None:
            raise self._fault
        yield self._data[half:]


def _savers(prompt: Mapping[str, Any]) -> list[tuple[str, Json]]:
    return [(node, plain["inputs"]) for node, plain in prompt.items() if plain["class_type"] == "SaveImage"]


def _left_out() -> Json:
    wrong = {"type": "value_not_in_list", "message": "Value not in list", "details": "", "extra_info": {}}
    return {"errors": [wrong], "dependent_outputs": ["2"], "class_type": "SaveImage"}


def _heard(fate: PostFate) -> ComfyError:
    """What the sender of a POST hears, if it is not ComfyUI's yes."""
    match fate:
        case PostFate.TIMED_OUT_BEFORE | PostFate.TIMED_OUT_AFTER | PostFate.TIMED_OUT_LATE:
            return Busy("it did not answer in time")
        case PostFate.STUMBLED:
            return Broken("it answered 500", status=500, text="")
        case PostFate.REJECTED:
            error = {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"}
            return Rejected("ComfyUI refused the prompt", error=error, node_errors={"2": _left_out()})
        case _:
            return CutOff("it closed the connection in the middle")


_MESSAGE: Mapping[End, str] = {
    End.SUCCESS: "execution_success",
    End.NO_FILES: "execution_success",
    End.ERROR: "execution_error",
    End.INTERRUPTED: "execution_interrupted",
}
_SAID: Mapping[End, Json] = {
    End.SUCCESS: {},
    End.NO_FILES: {},
    End.ERROR: {"node_id": "2", "node_type": "SaveImage", "exception_type": "RuntimeError", "exception_message": "no"},
    End.INTERRUPTED: {"node_id": "2", "node_type": "SaveImage"},
}
_NUMBER = ["INT", {"min": 0, "max": 16777215}]
OBJECT_INFO: Json = {
    "EmptyImage": {
        "input": {"required": {"width": _NUMBER, "height": _NUMBER, "batch_size": _NUMBER, "color": _NUMBER}},
        "output": ["IMAGE"],
        "output_node": False,
    },
    "SaveImage": {
        "input": {"required": {"images": ["IMAGE"], "filename_prefix": ["STRING", {"default": "ComfyUI"}]}},
        "output": [],
        "output_node": True,
    },
}
