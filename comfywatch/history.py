"""What ComfyUI's history says of a prompt: how it ended, what it made, and when.

The end is read from ``messages`` before ``status_str``: an interrupted prompt has the status ``error`` too, and a
failed one can carry ``success``. Whatever stands in ``outputs`` is collected by its shape (a dict with a ``filename``),
never by the name of its key, because node packages choose those freely.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from comfywatch.jobs import JobState
from comfywatch.problems import Problem

_MODEL_ENDINGS = (".glb", ".gltf", ".obj", ".fbx", ".usdz", ".ply", ".stl", ".splat", ".spz", ".ksplat")
_ANNOTATION = re.compile(r"^(?P<name>.*?) ?\[(?P<kind>output|temp|input)\]$", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """A file that a node says it made, in ComfyUI's terms; ``kind`` is ``output``, ``temp`` or ``input``."""

    node: str
    key: str
    filename: str
    subfolder: str = ""
    kind: str = "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a prompt. ``seconds`` is ComfyUI's own time from start to end, ``None`` where it does not say."""

    state: JobState
    files: tuple[OutputFile, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    problems: tuple[Problem, ...] = ()
    started: datetime | None = None
    finished: datetime | None = None
    seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For the database."""
        return {
            "state": self.state.value,
            "files": [asdict(file) for file in self.files],
            "texts": [list(text) for text in self.texts],
            "problems": [problem.as_dict() for problem in self.problems],
            "started": self.started.isoformat() if self.started else None,
            "finished": self.finished.isoformat() if self.finished else None,
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Outcome:
        """The opposite of ``as_dict``."""
        return cls(
            state=JobState(plain["state"]),
            files=tuple(OutputFile(**file) for file in plain["files"]),
            texts=tuple((node, text) for node, text in plain["texts"]),
            problems=tuple(Problem.from_dict(problem) for problem in plain["problems"]),
            started=datetime.fromisoformat(plain["started"]) if plain["started"] else None,
            finished=datetime.fromisoformat(plain["finished"]) if plain["finished"] else None,
            seconds=plain["seconds"],
        )


def read_outcome(entry: Mapping[str, Any]) -> Outcome:
    """The outcome in one entry of ``/history``; odd shapes are read as far as they go."""
    messages = list(_messages(entry))
    times = _times(messages)
    outputs = entry.get("outputs")
    outputs = outputs if isinstance(outputs, Mapping) else {}
    state, problems = _end(entry, messages)
    return Outcome(
        state=state,
        files=tuple(_files(outputs)),
        texts=tuple(_texts(outputs)),
        problems=problems,
        started=_moment(times[0]) if times else None,
        finished=_moment(times[-1]) if times else None,
        seconds=round((times[-1] - times[0]) / 1000, 3) if times else None,
    )


def _messages(entry: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    status = entry.get("status")
    raw = status.get("messages") if isinstance(status, Mapping) else None
    for message in raw if isinstance(raw, list) else []:
        if isinstance(message, list) and len(message) == 2 and isinstance(message[1], Mapping):
            yield str(message[0]), message[1]


def _end(
    entry: Mapping[str, Any], messages: Iterable[tuple[str, Mapping[str, Any]]]
) -> tuple[JobState, tuple[Problem, ...]]:
    said = dict(messages)
    if "execution_interrupted" in said:
        return JobState.CANCELLED, (_interrupted(said["execution_interrupted"]),)
    if "execution_error" in said:
        return JobState.FAILED, (_failure(said["execution_error"]),)
    if "execution_success" in said:
        return JobState.COMPLETED, ()
    status = entry.get("status")
    word = status.get("status_str") if isinstance(status, Mapping) else None
    if word == "success" or (word is None and entry.get("outputs")):
        return JobState.COMPLETED, ()
    return JobState.FAILED, (
        Problem(
            code="execution_error",
            message="ComfyUI says that it failed, and not why.",
            fix="Look into ComfyUI's log.",
        ),
    )


def _interrupted(message: Mapping[str, Any]) -> Problem:
    return Problem(
        code="execution_interrupted",
        message="It was interrupted in ComfyUI.",
        fix="comfywatch retry runs it again.",
        node=_text(message.get("node_id")),
        class_type=_text(message.get("node_type")),
    )


def _failure(message: Mapping[str, Any]) -> Problem:
    kind = _text(message.get("exception_type")).rpartition(".")[2] or "an error"
    said = _text(message.get("exception_message")).strip() or "no message"
    traceback = message.get("traceback")
    return Problem(
        code="execution_error",
        message=f"{_text(message.get('node_type')) or 'A node'} failed with {kind}: {said}",
        node=_text(message.get("node_id")),
        class_type=_text(message.get("node_type")),
        traceback=tuple(_text(line) for line in traceback) if isinstance(traceback, list) else (),
    )


def _files(outputs: Mapping[str, Any]) -> Iterator[OutputFile]:
    for node, ui in outputs.items():
        for key, items in ui.items() if isinstance(ui, Mapping) else ():
            for item in items if isinstance(items, list) else ():
                file = _file(node, key, item)
                if file is not None:
                    yield file


def _file(node: str, key: str, item: Any) -> OutputFile | None:
    if isinstance(item, Mapping) and isinstance(item.get("filename"), str) and item["filename"]:
        return OutputFile(
            node=node,
            key=key,
            filename=item["filename"],
            subfolder=_text(item.get("subfolder")),
            kind=_text(item.get("type")) or "output",
        )
    if isinstance(item, str) and key in {"result", "3d", "model_file"}:
        return _model_path(node, key, item)
    return None


def _model_path(node: str, key: str, path: str) -> OutputFile | None:
    """A 3D preview gives its model as a path below the output folder."""
    annotated = _ANNOTATION.match(path)
    name, kind = (annotated["name"], annotated["kind"]) if annotated else (path, "output")
    if not name.lower().endswith(_MODEL_ENDINGS):
        return None
    subfolder, _, filename = name.replace("\\", "/").rpartition("/")
    return OutputFile(node=node, key=key, filename=filename, subfolder=subfolder, kind=kind)


def _texts(outputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for node, ui in outputs.items():
        shown = ui.get("text") if isinstance(ui, Mapping) else None
        for text in [shown] if isinstance(shown, str) else shown if isinstance(shown, list) else []:
            if isinstance(text, str):
                yield node, text


def _times(messages: Iterable[tuple[str, Mapping[str, Any]]]) -> list[float]:
    stamps = [message.get("timestamp") for _, message in messages]
    return sorted(stamp for stamp in stamps if isinstance(stamp, int | float) and 0 < stamp < 32503680000000)


def _moment(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
