"""ComfyUI's node schemas (``/object_info``): which classes there are, what each takes and gives.

One reader for whoever asks about a node. The answer is megabytes for some hundred classes, of which a workflow uses a
few: each class is kept as packed JSON and read when it is asked for. Nothing a package wrote makes it raise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from comfywatch.replacements import CORE, Replacements

MATCH_TYPE = "COMFY_MATCHTYPE_V3"
"""An input that takes what another one of its node takes; ComfyUI lets any link through."""

COMBO = "COMBO"
"""A choice in either notation; as a slot's type, one in V3's."""

SlotType = str | tuple[Any, ...]
"""The type of an input or output as ComfyUI compares it: a word, words with commas, or a list of choices."""

_UNUSED = frozenset({"description", "output_tooltips", "price_badge", "essentials_category", "name"})
_UPLOADS = ("image_upload", "video_upload", "audio_upload", "file_upload", "upload")
_CLASSES_READ_AT_ONCE = 128
_PACKAGE = "custom_nodes."


class Generation(StrEnum):
    """What a server's schemas tell of its age, where its version is not known."""

    OLDER = "older"
    NEWER = "newer"
    """It checks the options of V3 inputs too, as ComfyUI does since 0.8."""


_NEWER_SINCE = (0, 8)
_REPLACES_SINCE = (0, 14)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """One input of a class; ``type`` is ``COMBO`` for a choice in either notation, else ComfyUI's word."""

    name: str
    type: str
    required: bool
    options: Mapping[str, Any] = field(default_factory=dict)
    choices: tuple[Any, ...] | None = None
    """What may be chosen, mostly strings; ``None`` if it is no choice, or only the server knows."""
    is_v1_list: bool = False
    """The notation that every ComfyUI checks; V3's ``COMBO`` is checked by newer ones only."""

    @property
    def is_upload(self) -> bool:
        """Its choices are files of the server's input folder, which can be uploaded."""
        return any(self.options.get(key) for key in _UPLOADS)

    @property
    def is_remote(self) -> bool:
        """Its choices are fetched by the browser: not knowable from here."""
        return "remote" in self.options or "remote_combo" in self.options

    @property
    def is_dynamic(self) -> bool:
        """It brings further inputs along, named ``thisname.another``."""
        return self.type.startswith("COMFY_") and self.type != MATCH_TYPE

    @property
    def slot_type(self) -> SlotType:
        """What a link has to bring: a choice in the older notation is a list of its own."""
        return self.choices if self.is_v1_list and self.choices is not None else self.type


@dataclass(frozen=True, slots=True, kw_only=True)
class _Class:
    """What is asked of a class again and again."""

    inputs: Mapping[str, InputSpec]
    outputs: tuple[SlotType, ...]
    has_dynamic: bool

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> _Class:
        inputs: dict[str, InputSpec] = {}
        for name, spec in input_specs(entry.get("input")):
            inputs.setdefault(name, spec)  # one that is listed twice is required
        output = entry.get("output")
        return cls(
            inputs=MappingProxyType(inputs),
            outputs=tuple(map(_slot_type, output)) if isinstance(output, list | str) else (),
            has_dynamic=any(spec.is_dynamic for spec in inputs.values()),
        )


class Schemas:
    """The classes of one server at one time; made by ``read``."""

    __slots__ = (
        "_output_classes", "_packed", "_read", "_shown_as", "display_names", "fingerprint", "packages", "replacements",
        "version_hint"
    )  # fmt: skip

    def __init__(
        self,
        packed: Mapping[str, bytes],
        *,
        output_classes: frozenset[str],
        display_names: Mapping[str, str],
        packages: frozenset[str],
        version_hint: Generation,
    ) -> None:
        self._packed = packed
        self._output_classes = output_classes
        self._read: dict[str, _Class] = {}
        self._shown_as: dict[str, str] | None = None
        self.display_names = display_names
        """Class to the name that people see."""
        self.packages = packages
        """Folders in ``custom_nodes/`` of which at least one class is there."""
        self.version_hint = version_hint
        self.replacements: Replacements = CORE if version_hint is Generation.NEWER else {}
        """Classes that this server puts in the place of others; ComfyUI's own as long as it has not been asked."""
        self.fingerprint = _fingerprint(packed)
        """The same for the same schemas, in whatever order the server lists the classes."""

    @classmethod
    def read(cls, object_info: Mapping[str, Any]) -> Schemas:
        """From the answer of ``/object_info``, which is not kept; what is no class is left out."""
        packed: dict[str, bytes] = {}
        output_classes: set[str] = set()
        display_names: dict[str, str] = {}
        packages: set[str] = set()
        newer = False
        for class_type, entry in _entries(object_info):
            packed[class_type] = _pack(entry)
            newer = newer or "search_aliases" in entry or b'"COMFY_' in packed[class_type]
            if entry.get("output_node") is True:
                output_classes.add(class_type)
            if isinstance(entry.get("display_name"), str):
                display_names[class_type] = entry["display_name"]
            module = entry.get("python_module")
            if isinstance(module, str) and module.startswith(_PACKAGE):
                packages.add(module.removeprefix(_PACKAGE))
        return cls(
            packed,
            output_classes=frozenset(output_classes),
            display_names=MappingProxyType(display_names),
            packages=frozenset(packages),
            version_hint=Generation.NEWER if newer else Generation.OLDER,
        )

    def __contains__(self, class_type: object) -> bool:
        return class_type in self._packed

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def set_version(self, version: str) -> bool:
        """The server's version tells more than its schemas; false if it is none. Before ``replacements`` are set."""
        numbers = version.removeprefix("v").split(".")
        if len(numbers) < 2 or not all(number.isdecimal() for number in numbers[:2]):
            return False
        since = (int(numbers[0]), int(numbers[1]))
        self.version_hint = Generation.NEWER if since >= _NEWER_SINCE else Generation.OLDER
        self.replacements = CORE if since >= _REPLACES_SINCE else {}
        return True

    def is_output(self, class_type: str) -> bool:
        """Whether a prompt with this class alone has an output."""
        return class_type in self._output_classes

    def shown_as(self, name: str) -> str | None:
        """The class that people see as ``name``, or that is spelled so but for case and blanks."""
        if self._shown_as is None:
            self._shown_as = {_letters(shown): class_type for class_type, shown in self.display_names.items()}
            self._shown_as |= {_letters(class_type): class_type for class_type in self._packed}
        return self._shown_as.get(_letters(name))

    def entry(self, class_type: str) -> dict[str, Any]:
        """The class as the server describes it, without its texts for people; empty for an unknown one."""
        try:
            entry: dict[str, Any] = json.loads(self._packed.get(class_type, b"{}"))
        except RecursionError:  # the stack is deeper here than it was in ``read``
            return {}
        return entry

    def inputs(self, class_type: str) -> Mapping[str, InputSpec]:
        """Required ones first, then optional ones, as listed; hidden ones are not there."""
        return self._class(class_type).inputs

    def input(self, class_type: str, name: str) -> InputSpec | None:
        """The input called ``name``, or the dynamic one which brings it along (``images`` for ``images.image0``)."""
        inputs = self.inputs(class_type)
        spec = inputs.get(name)
        if spec is None and "." in name:
            spec = inputs.get(name.partition(".")[0])
            return spec if spec is not None and spec.is_dynamic else None
        return spec

    def outputs(self, class_type: str) -> tuple[SlotType, ...]:
        """The type of each output slot."""
        return self._class(class_type).outputs

    def has_dynamic(self, class_type: str) -> bool:
        """Whether an input of the class brings further ones along."""
        return self._class(class_type).has_dynamic

    def _class(self, class_type: str) -> _Class:
        known = self._read.get(class_type)
        if known is None:
            if len(self._read) >= _CLASSES_READ_AT_ONCE:
                self._read.clear()
            entry = self.entry(class_type)
            known = self._read[class_type] = _Class.of(entry)
        return known


def input_specs(sections: Any, *, under: str = "") -> Iterator[tuple[str, InputSpec]]:
    """The inputs that ComfyUI looks at in ``{"required": {...}, "optional": {...}}``; ``under`` goes before names."""
    for section in ("required", "optional"):
        specs = sections.get(section) if isinstance(sections, Mapping) else None
        for name, spec in specs.items() if isinstance(specs, Mapping) else ():
            yield under + name, input_spec(under + name, spec, required=section == "required")


def input_spec(name: str, spec: Any, *, required: bool) -> InputSpec:
    """One input as a class describes it: its type, and mostly options."""
    parts = spec if isinstance(spec, list) and spec else [spec]
    kind = parts[0]
    options = parts[1] if len(parts) > 1 and isinstance(parts[1], dict) else {}
    if isinstance(kind, list):
        return InputSpec(
            name=name, type=_type(kind), required=required, options=options, choices=tuple(kind), is_v1_list=True
        )
    listed = options.get("options") if kind == COMBO else None
    return InputSpec(
        name=name,
        type=_type(kind),
        required=required,
        options=options,
        choices=tuple(listed) if isinstance(listed, list) else None,
    )


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


def _entries(object_info: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for class_type, entry in object_info.items() if isinstance(object_info, Mapping) else ():
        if isinstance(entry, Mapping):
            yield class_type, entry


def _pack(entry: Mapping[str, Any]) -> bytes:
    kept = {key: value for key, value in entry.items() if key not in _UNUSED}
    try:
        return json.dumps(kept, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError):  # not from JSON, or nested without end
        return b"{}"


def _fingerprint(packed: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for class_type in sorted(packed):
        digest.update(class_type.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
        digest.update(packed[class_type])
        digest.update(b"\0")
    return digest.hexdigest()


def _type(kind: Any) -> str:
    if isinstance(kind, list):
        return COMBO
    return kind if isinstance(kind, str) else ""


def _slot_type(kind: Any) -> SlotType:
    return tuple(kind) if isinstance(kind, list) else _type(kind)
