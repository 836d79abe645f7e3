"""What ComfyUI has installed (``state/inventory.json``): read with patience, written with care, asked about a model.

Other tools read and write this file too, so keys stay as they are and what is not understood is kept. Only what is
*known* to be missing is denied: a list that this server gave denies what it does not name; any other list, from an
offline scan or from before, only confirms.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from typing import Any

from comfywatch.device import gpu_name, system_of
from comfywatch.folder_names import Lists, both_names, elsewhere, mirrored

FRESH_FOR = timedelta(hours=1)
NO_MODEL_FOLDERS = frozenset({"custom_nodes", "configs", "datasets"})
"""What ``/models`` lists beside the folders of models."""

_KEYS = (
    "last_updated", "mode", "comfyui_version", "comfyui_path", "system", "models", "custom_nodes", "node_classes"
)  # fmt: skip
_UNCONFIRMED = "unconfirmed_folders"
_CLASSES_FROM = "node_classes_from"
_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")


class NotAnInventory(ValueError):
    """The bytes are no JSON object."""


class Mode(StrEnum):
    """Who was asked: the server, or somebody who looked at the disk."""

    ONLINE = "online"
    OFFLINE = "offline"


class ClassesFrom(StrEnum):
    """How the node classes were found, where it was not the server that named them."""

    SOURCES = "sources"


class Known(Enum):
    """What an inventory can say about one model."""

    YES = "it is installed"
    NO = "it is not installed"
    UNKNOWN = "not confirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """One state of ComfyUI's installation; ``None`` is "not known" everywhere.

    ``unconfirmed`` are folders in ``models`` whose lists are not this server's own; ``classes_from`` says where
    ``node_classes`` are from, if not from a server. ``extra`` are keys of others, and
    values of our keys that could not be read.
    """

    last_updated: datetime | None = None
    mode: Mode | None = None
    comfyui_version: str | None = None
    comfyui_path: str | None = None
    system: Mapping[str, Any] = field(default_factory=dict)
    models: Lists = field(default_factory=dict)
    custom_nodes: tuple[str, ...] | None = None
    node_classes: frozenset[str] | None = None
    classes_from: ClassesFrom | None = None
    unconfirmed: frozenset[str] = frozenset()
    extra: Mapping[str, Any] = field(default_factory=dict)
    _spellings: dict[str, dict[str, str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def parse(cls, data: bytes) -> Inventory:
        """From the bytes of the file, in any UTF; raises ``NotAnInventory``."""
        try:
            plain = json.loads(data, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as error:
            raise NotAnInventory(f"it is not JSON: {error}") from error
        if not isinstance(plain, dict):
            raise NotAnInventory("it is JSON, but not an object")
        return _parsed(plain)

    @classmethod
    def online(
        cls,
        stats: Mapping[str, Any],
        node_classes: Iterable[str],
        models: Mapping[str, Iterable[str] | None],
        at: datetime,
        *,
        packages: Iterable[str] | None = None,
    ) -> Inventory:
        """What the server answered: ``/system_stats``, the classes of ``/object_info``, and each folder's list.

        ``None`` for a folder that it names and did not answer. ``packages`` are those in its ``custom_nodes/``.
        """
        system = stats.get("system")
        lists = {
            folder: None if names is None else tuple(_each_name(names))
            for folder, names in models.items()
            if folder not in NO_MODEL_FOLDERS
        }
        return cls(
            last_updated=at.astimezone(UTC),
            mode=Mode.ONLINE,
            comfyui_version=_version(system.get("comfyui_version") if isinstance(system, Mapping) else None),
            system=system_of(stats.get("devices")),
            models=mirrored(lists),
            custom_nodes=None if packages is None else tuple(sorted(packages)),
            node_classes=frozenset(node_classes),
        )

    def dump(self) -> bytes:
        """As it lies in the file."""
        known = {
            "last_updated": self.last_updated and self.last_updated.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "mode": self.mode and self.mode.value,
            "comfyui_version": self.comfyui_version,
            "comfyui_path": self.comfyui_path,
            "system": dict(self.system),
            "models": {folder: None if names is None else list(names) for folder, names in self.models.items()},
            "custom_nodes": None if self.custom_nodes is None else list(self.custom_nodes),
            "node_classes": None if self.node_classes is None else sorted(self.node_classes),
        }
        plain = {key: self.extra.get(key) if known[key] is None else known[key] for key in _KEYS}
        plain |= {key: value for key, value in self.extra.items() if key not in plain}
        if self.classes_from is not None:
            plain[_CLASSES_FROM] = self.classes_from.value
        if self.unconfirmed:
            plain[_UNCONFIRMED] = sorted(self.unconfirmed)
        try:
            return f"{json.dumps(plain, indent=2, ensure_ascii=False)}\n".encode()
        except UnicodeEncodeError:  # half a surrogate pair in a name
            return f"{json.dumps(plain, indent=2)}\n".encode("ascii")

    def known(self, folder: str, name: str) -> Known:
        """Whether the model ``name`` lies in ``folder``, under either name of the folder and with either separator."""
        if normalised(name) in self.spellings(folder):
            return Known.YES
        if any(self.is_own(key) for key in both_names(folder)):
            return Known.NO
        return Known.YES if self._others_list(folder, normalised(name)) else Known.UNKNOWN

    def is_own(self, folder: str) -> bool:
        """Whether there is a list of ``folder`` that the server itself gave."""
        is_there = self.models.get(folder) is not None
        return is_there and self.mode is Mode.ONLINE and folder not in self.unconfirmed

    def _others_list(self, folder: str, name: str) -> bool:
        """Whether another tool has the model under its own name of the folder."""
        places = elsewhere(folder, name)
        return any(not self.is_own(other) and called in self.spellings(other) for other, called in places)

    def spelling(self, folder: str, name: str) -> str | None:
        r"""The server's own spelling of ``name``, with its ``\`` or ``/``; ``None`` if the folder does not list it."""
        found = self.spellings(folder).get(normalised(name))
        if found is None or found == name:
            return found
        return name if any(name in (self.models.get(key) or ()) for key in both_names(folder)) else found

    def spellings(self, folder: str) -> Mapping[str, str]:
        """Normalised names in ``folder`` to the server's own."""
        found = self._spellings.get(folder)
        if found is None:
            lists = [self.models.get(key) or () for key in both_names(folder)]
            found = self._spellings[folder] = {normalised(name): name for names in lists for name in names}
        return found

    def is_fresh(self, now: datetime) -> bool:
        """Whether it is less than an hour old; a date in the future says nothing."""
        return self.last_updated is not None and timedelta(0) <= now - self.last_updated < FRESH_FOR

    @property
    def fingerprint(self) -> str:
        """The same while what is installed is the same; date and free memory do not count."""
        plain = [
            self.mode,
            self.comfyui_version,
            sorted((folder, None if names is None else sorted(names)) for folder, names in self.models.items()),
            None if self.node_classes is None else sorted(self.node_classes),
            sorted(self.unconfirmed),
        ]
        return hashlib.sha256(json.dumps(plain).encode("ascii")).hexdigest()

    def with_folder(self, folder: str, names: Iterable[str]) -> Inventory:
        """With the server's new list of one folder."""
        lists = mirrored({folder: tuple(names)})
        return replace(self, models={**self.models, **lists}, unconfirmed=self.unconfirmed - lists.keys())


def merge(old: Inventory | None, new: Inventory) -> Inventory:
    """The server's answers over what the file said.

    What the server did not answer is kept: its path, packages that have no classes, keys of others. A list of a folder
    that it did not answer is kept for people and other tools, and marked: it confirms and denies nothing.
    """
    if old is None:
        return new
    answered = {folder: names for folder, names in new.models.items() if names is not None}
    models = {**new.models, **old.models, **answered}
    packages = {**dict.fromkeys(old.custom_nodes or ()), **dict.fromkeys(new.custom_nodes or ())}
    return replace(
        new,
        comfyui_version=new.comfyui_version or old.comfyui_version,
        comfyui_path=new.comfyui_path or old.comfyui_path,
        system={**old.system, **new.system},
        models=models,
        custom_nodes=tuple(packages) if packages else new.custom_nodes or old.custom_nodes,
        node_classes=old.node_classes if new.node_classes is None else new.node_classes,
        unconfirmed=frozenset(folder for folder, names in models.items() if names is not None) - answered.keys(),
        extra={**old.extra, **new.extra},
    )


def normalised(name: str) -> str:
    r"""A model's name with ``/`` for ``\``, as Windows servers spell it."""
    return name.replace("\\", "/")


def _parsed(plain: dict[str, Any]) -> Inventory:
    models = plain.get("models")
    system = plain.get("system")
    classes = _names(plain.get("node_classes"))
    understood: dict[str, Any] = {
        "last_updated": _moment(plain.get("last_updated")),
        "mode": _mode(plain.get("mode")),
        "comfyui_version": _version(plain.get("comfyui_version")),
        "comfyui_path": _text(plain.get("comfyui_path")),
        "system": _known_gpu(system) if isinstance(system, dict) else {},
        "models": {key: _names(names) for key, names in models.items()} if isinstance(models, dict) else {},
        "custom_nodes": _names(plain.get("custom_nodes")),
        "node_classes": None if classes is None else frozenset(classes),
    }
    source = plain.get(_CLASSES_FROM)
    marked = ClassesFrom(source) if source in list(ClassesFrom) else None
    taken = {_UNCONFIRMED} if marked is None else {_UNCONFIRMED, _CLASSES_FROM}
    unread = {key: value for key, value in plain.items() if understood.get(key) is None and key not in taken}
    return Inventory(
        **understood,
        classes_from=marked,
        unconfirmed=frozenset(_names(plain.get(_UNCONFIRMED)) or ()),
        extra={key: value for key, value in unread.items() if value is not None or key not in understood},
    )


def _known_gpu(system: dict[str, Any]) -> dict[str, Any]:
    gpu = system.get("gpu")
    return {**system, "gpu": gpu_name(gpu)} if isinstance(gpu, str) else system


def _names(value: Any) -> tuple[str, ...] | None:
    """A list of names, one name alone, or ``None``; entries that are objects are called by their ``name``."""
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(_each_name(value)) if isinstance(value, list) else None


def _each_name(entries: Iterable[Any]) -> Iterator[str]:
    for entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else entry
        if isinstance(name, str) and name:
            yield name


def _moment(value: Any) -> datetime | None:
    """ISO 8601, with .NET's seven digits of a second too; without a zone it is taken for UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(_LONG_FRACTION.sub(r"\1", value.strip()))
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _mode(value: Any) -> Mode | None:
    word = value.strip().casefold() if isinstance(value, str) else ""
    return Mode(word) if word in list(Mode) else None


def _version(value: Any) -> str | None:
    text = _text(value)
    return None if text is None or text.casefold() == "unknown" else text


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
