"""What can be asked of a ComfyUI, as values, and what comes back; ``asker`` performs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from comfywatch.comfy_errors import ComfyError
from comfywatch.comfy_values import Accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Is it there? Answered by the ``/system_stats``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """``POST /prompt`` with the kept body; answered by ``Accepted``."""

    job: int
    prompt_id: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Where are these prompts (ids by job)? Answered by ``Sightings``.

    ``witness`` is the id of a prompt that history should know if it has not been restarted; asked only if one is
    absent.
    """

    prompts: Mapping[int, str]
    witness: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """What does the history say of these prompts (ids by job), whose end was heard of? Answered by ``Sightings``.

    Only what is there is in the answer: that a prompt is missing says nothing, for the queue was not asked before.
    """

    prompts: Mapping[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOut:
    """Take a prompt out of the queue, and interrupt it if it runs and ``interrupt`` says so; answered by ``None``."""

    job: int
    prompt_id: str
    interrupt: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """What is installed? Answered by ``Installed``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peek:
    """Have these folders' lists changed, or are these classes there now? Answered by true or false."""

    folders: Mapping[str, tuple[str, ...]]
    classes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """Which prompts of ours does it have that we do not know? Answered by a tuple of ``Ours``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """Unload models and free memory; answered by ``None``."""


Ask: TypeAlias = Probe | Post | Look | LookUp | TakeOut | Refresh | Peek | Adopt | Free


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """In ComfyUI's queue."""

    number: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """ComfyUI is at it."""

    number: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """In the history; ``entry`` is its record there."""

    entry: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """In neither queue nor history."""


Sighting: TypeAlias = Waiting | AtWork | Ended | Absent


@dataclass(frozen=True, slots=True, kw_only=True)
class Lying:
    """The ids of the prompts in ComfyUI's queue, whoever posted them."""

    running: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """Where the prompts are, by job; ``witness_known`` is ``None`` if the witness was not asked for."""

    by_job: Mapping[int, Sighting]
    witness_known: bool | None = None
    lying: Lying = Lying()


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What a server has; ``object_info`` is the answer's JSON, ``models`` without the folders that are no models.

    ``node_replacements`` is ``None`` where the server does not know the question.
    """

    stats: Mapping[str, Any]
    features: Mapping[str, Any]
    object_info: Mapping[str, Any]
    models: Mapping[str, tuple[str, ...]]
    node_replacements: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """A prompt in ComfyUI that carries our mark, with the prompt and what ``extra_pnginfo.comfywatch`` says."""

    prompt_id: str
    prompt: Mapping[str, Any]
    mark: Mapping[str, Any]
    number: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of an ask. ``took`` is in seconds; ``error`` is set where there is no result."""

    url: str
    ask: Ask
    result: Accepted | Sightings | Installed | Mapping[str, Any] | tuple[Ours, ...] | bool | None = None
    error: ComfyError | None = None
    took: float = 0.0
