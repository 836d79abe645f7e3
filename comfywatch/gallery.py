"""What finished runs have to show: their outputs and seeds, kept so that a page need not read every ``result.yaml``.

The rule it keeps: names and texts are whatever somebody wrote. Addresses are percent-encoded and relative, and what a
browser would run rather than show is never linked to by itself, only its folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from comfywatch.jobs import JobState, workflow_name
from comfywatch.names import safe_name

MAX_OUTPUTS = 500
"""Outputs of one run that are kept to be shown; its folder has them all."""
MAX_SEEDS = 4


class Kind(StrEnum):
    """How a browser can show an output."""

    PICTURE = "picture"
    VIDEO = "video"
    AUDIO = "audio"
    FILE = "file"


_ENDINGS = {
    Kind.PICTURE: ("png", "jpg", "jpeg", "jfif", "webp", "gif", "apng", "avif", "bmp", "svg"),
    Kind.VIDEO: ("mp4", "m4v", "webm", "ogv", "mov", "mkv"),
    Kind.AUDIO: ("mp3", "m4a", "aac", "ogg", "oga", "opus", "flac", "wav"),
}
_KINDS = {ending: kind for kind, endings in _ENDINGS.items() for ending in endings}
_RUN_BY_BROWSERS = frozenset({"svg", "svgz", "htm", "html", "shtml", "xht", "xhtml", "mht", "mhtml", "xml", "xsl"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is kept of a finished run: the names of its outputs in its folder, and its seeds, each once."""

    outputs: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()


NOTHING = Shown()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run. ``folder`` is where its outputs lie, seen from its project; ``seconds`` may not be known."""

    path: str
    run: int
    state: JobState
    folder: str
    finished: datetime | None = None
    seconds: float | None = None
    shown: Shown = NOTHING

    @property
    def workflow(self) -> str:
        return _workflow_name(self.path)

    @property
    def month(self) -> str:
        """As ``2026-11``, empty if nobody knows."""
        return self.finished.isoformat()[:7] if self.finished else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One file of a run."""

    run: Run
    name: str

    @property
    def kind(self) -> Kind:
        return kind_of(self.name)

    @property
    def address(self) -> str:
        """Where it lies, seen from the page."""
        return address(f"{self.run.folder}/{self.name}")

    @property
    def opens(self) -> bool:
        """Whether it may be opened by itself: a browser runs nothing in it."""
        return _opens(self.name)


def shown(names: Iterable[Any], seeds: Iterable[Any]) -> Shown:
    """What is worth keeping; names that we would not have given, and what are no seeds, are left out."""
    kept = [name for name in names if isinstance(name, str) and safe_name(name) == name]
    numbers = [seed for seed in seeds if type(seed) is int]
    return Shown(outputs=tuple(kept[:MAX_OUTPUTS]), seeds=tuple(dict.fromkeys(numbers))[:MAX_SEEDS])


def outputs_of(runs: Iterable[Run]) -> Iterator[Output]:
    """Every file of every run, in order."""
    return (Output(run=run, name=name) for run in runs for name in run.shown.outputs)


def kind_of(name: str) -> Kind:
    """By the ending of a file's name."""
    return _KINDS.get(_ending(name), Kind.FILE)


def address(path: str) -> str:
    """A path as a relative address: no part of it can be read as a scheme, a host, a query or a fragment."""
    steps = quote(path.encode("utf-8", "replace"), safe="/")
    return steps if steps.startswith("../") else f"./{steps.lstrip('/')}"


def plain_run(run: Run) -> Mapping[str, Any]:
    """A run for the page's script, in few bytes; seeds are text, as JavaScript's numbers are too short for them."""
    return {
        "w": run.workflow,
        "n": run.run,
        "s": run.state.value,
        "f": run.folder,
        "t": f"{run.finished.isoformat()[:19]}Z" if run.finished else "",
        "d": run.seconds,
        "e": [str(seed) for seed in run.shown.seeds],
        "o": [[name, kind_of(name).value[0], int(_opens(name))] for name in run.shown.outputs],
    }


def _opens(name: str) -> bool:
    return _ending(name) not in _RUN_BY_BROWSERS


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()


_workflow_name = lru_cache(4096)(workflow_name)
