"""The widgets of a node, with the values that were saved for them.

The rule it keeps: a saved value has no name, only its place in a list. The places follow the inputs that the class has
now, each that is a widget with one, and with further ones for what the browser adds: the word that says what becomes of
a seed, and buttons. Nothing is repaired: where a file lacks a place, all that follows has moved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from comfywatch.dynamic_inputs import CHOICE, chosen
from comfywatch.schemas import InputSpec


class Control(StrEnum):
    """What the frontend does to a value after each run."""

    FIXED = "fixed"
    INCREMENT = "increment"
    DECREMENT = "decrement"
    RANDOMIZE = "randomize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Widget:
    """A value that a person sets at a node; ``spec`` is missing for the few that only the browser knows."""

    name: str
    value: Any
    spec: InputSpec | None = None
    control: Control | None = None

    @property
    def is_text_box(self) -> bool:
        """Whether it holds a text of many lines."""
        return self.spec is not None and self.spec.type == "STRING" and bool(self.spec.options.get("multiline"))

    @property
    def is_dynamic_prompt(self) -> bool:
        """Whether choices and comments in its text mean something."""
        return self.spec is not None and bool(self.spec.options.get("dynamicPrompts"))

    @property
    def bounds(self) -> tuple[int, int]:
        """The smallest and the largest whole number that it takes."""
        options = {} if self.spec is None else self.spec.options
        low, high = options.get("min"), options.get("max")
        return low if type(low) is int else 0, high if type(high) is int else _HIGHEST


class _Missing:
    """Stands for a value that is not there at all, which is not ``null``."""


MISSING = _Missing()

_WIDGETS = frozenset({"BOOLEAN", "COMBO", "FLOAT", "INT", "STRING", CHOICE})
_MADE_IN_BROWSER = frozenset({"AUDIO_RECORD", "LOAD_3D", "LOAD_3D_ANIMATION", "WEBCAM"})
_EMPTY: Mapping[str, Any] = {
    "AUDIO_RECORD": "",
    "BOOLEAN": False,
    "FLOAT": 0,
    "INT": 0,
    "STRING": "",
    "IMAGECOMPARE": ["", ""],
}
_SEEDS = frozenset({"seed", "noise_seed"})
_SAMPLERS = frozenset({"KSampler", "KSamplerAdvanced"})
_CUSTOM_CHOICE = "CustomCombo"
"""The class whose choices a person types in: they are widgets of their own, as is the index of the chosen one."""
_CONTROLS = {control.value: control for control in Control}
_HIGHEST = 2**53
_MOST = 2000
"""Widgets of one node: a package may nest what it likes."""


def widgets_of(class_type: str, inputs: Iterable[InputSpec], saved: Any) -> dict[str, Widget]:
    """Each widget of a node by its name; ``saved`` is the ``widgets_values`` of the file, be it what it may."""
    named = saved if isinstance(saved, Mapping) else {}
    places = iter(saved if isinstance(saved, list) else ())
    found: dict[str, Widget] = {}
    todo = deque(spec for spec in _with_buttons(inputs))
    while todo and len(found) < _MOST:
        spec = todo.popleft()
        value = named.get(spec.name, next(places, MISSING))
        if spec is _BUTTON:
            continue
        value = _as_known(class_type, spec, default_of(spec) if value is MISSING else value)
        words = [next(places, None) for _ in range(_control_places(spec))]
        control = control_of(words[0]) if words else None
        found[spec.name] = Widget(name=spec.name, value=value, spec=spec, control=control)
        if spec.type == CHOICE:
            todo.extendleft(reversed([sub for sub in chosen(spec, value) if is_widget(sub)]))
    if class_type == _CUSTOM_CHOICE:
        found |= _typed_in(found["choice"].value if "choice" in found else None, places)
    return found


def is_widget(spec: InputSpec) -> bool:
    """Whether an input has a value of its own; all others only take links."""
    options = spec.options
    if options.get("forceInput"):
        return False
    return (
        spec.type in _WIDGETS
        or spec.type in _MADE_IN_BROWSER
        or "widgetType" in options
        or "socketless" in options  # only widgets say so, whichever way
    )


def is_rendered(spec: InputSpec) -> bool:
    """Whether the browser makes the value anew for each run, from what it shows."""
    return spec.type in ("LOAD_3D", "LOAD_3D_ANIMATION", "WEBCAM")


def default_of(spec: InputSpec) -> Any:
    """What a widget has when nothing was saved for it; ``MISSING`` if there is nothing to choose from."""
    if "default" in spec.options:
        return spec.options["default"]
    if spec.type == CHOICE:
        options = spec.options.get("options")
        first = options[0] if isinstance(options, list) and options else None
        return first.get("key", MISSING) if isinstance(first, Mapping) else MISSING
    if spec.choices:
        return spec.choices[0]
    return _EMPTY.get(str(spec.options.get("widgetType", spec.type)), MISSING)


_BUTTON = InputSpec(name="", type="(button)", required=True)
"""Takes a place among the saved values, and is not sent."""


def _with_buttons(inputs: Iterable[InputSpec]) -> Iterator[InputSpec]:
    """The widgets in the order of their places: buttons to upload come after all that is required."""
    buttons = 0
    optional = []
    for spec in filter(is_widget, inputs):
        if not spec.required:
            optional.append(spec)
            continue
        yield spec
        remote = spec.options.get("remote")
        if isinstance(remote, Mapping):
            yield from [_BUTTON] * sum(key in remote for key in ("refresh_button", "control_after_refresh"))
        buttons += _upload_places(spec)
    yield from [_BUTTON] * buttons
    yield from optional


def _upload_places(spec: InputSpec) -> int:
    if spec.type != "COMBO":
        return 0
    if spec.options.get("audio_upload"):
        return 2  # with the player
    return 1 if spec.options.get("image_upload") or spec.options.get("video_upload") else 0


def _control_places(spec: InputSpec) -> int:
    flag = spec.options.get("control_after_generate")
    if spec.type == "INT":
        return 1 if flag or (flag is None and spec.name in _SEEDS) else 0
    return 2 if spec.type == "COMBO" and flag else 0  # with the filter


def control_of(word: Any) -> Control:
    """Old files say true for ``randomize``; what is no such word does nothing."""
    if isinstance(word, bool):
        return Control.RANDOMIZE if word else Control.FIXED
    return _CONTROLS.get(word, Control.FIXED) if isinstance(word, str) else Control.FIXED


def _as_known(class_type: str, spec: InputSpec, value: Any) -> Any:
    """Samplers were once called ``sample_euler``."""
    if class_type in _SAMPLERS and spec.name == "sampler_name" and isinstance(value, str):
        return value.removeprefix("sample_")
    return value


def _typed_in(choice: Any, places: Iterator[Any]) -> dict[str, Widget]:
    """The choices that a person typed in, an empty one to go on with, and which one it is, whatever the file says."""
    _, *options = [value for _, value in zip(range(_MOST), places, strict=False)] or [None]
    if options[-1:] != [""]:
        options.append("")
    named = {"index": options.index(choice) if choice in options else -1}
    named |= {f"option{number}": option for number, option in enumerate(options, start=1)}
    return {name: Widget(name=name, value=value) for name, value in named.items()}
