"""JSON Schemas of ``config.yaml`` and ``manifest.yaml``, by which editors complete keys and mark what is wrong.

The rule they keep: what ``settings`` and ``manifest`` take is never marked. They are made from these two; only what a
schema cannot know of them by itself is said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfywatch.manifest import MAX_PRIORITY, Status
from comfywatch.settings import Settings

_DIALECT = "http://json-schema.org/draft-07/schema#"
"""Every editor knows this one."""
_URL = r"^\s*[Hh][Tt][Tt][Pp][Ss]?://[^\s?#]+\s*$"
_ONE_LINE = r"^[^\x00-\x1f\x7f]*$"
_CANNOT_KNOW: dict[str, dict[str, Any]] = {
    "comfyui_url": {"pattern": _URL},
    "previews": {"enum": ["off", "keep", "live", False]},  # to YAML 1.1 a bare off is false
}
_OTHER_TOOLS = {
    "name": "What the project is called.",
    "description": "What it is about.",
    "created": "When it was begun.",
    "hardware": "The machine that it is made for.",
    "defaults": "What new workflows of it begin with.",
    "characters": "Who appears in it; their pictures are in characters/NAME/references/.",
    "workflows": "What is said of its workflows.",
    "notes": "Whatever is worth to be known.",
}
"""Keys of a manifest that comfywatch leaves alone, and that tools for projects write."""


def of_config() -> dict[str, Any]:
    """Of ``config.yaml``: no other keys than the settings."""
    generated = Settings.model_json_schema()
    definitions = generated.get("$defs", {})
    keys = {}
    for name, entry in generated["properties"].items():
        keys[name] = _or_nothing({**_unfolded(entry, definitions), **_CANNOT_KNOW.get(name, {})})
    about = "The settings of comfywatch. A key without a value takes its default."
    return _schema("config.yaml of comfywatch", about, keys, additionalProperties=False)


def of_manifest() -> dict[str, Any]:
    """Of ``manifest.yaml``: the keys that comfywatch reads; any others may stand there."""
    names = {"type": "object", "additionalProperties": {"type": "string"}}
    read: dict[str, dict[str, Any]] = {
        "status": {
            "description": "active runs what is dropped into workflows/; the others hold it.",
            "anyOf": [{"enum": list(Status)}, {"type": "string", "pattern": _in_any_case(Status)}],
            "default": Status.ACTIVE,
        },
        "priority": {
            "description": "Projects with a higher one come first.",
            "type": "number",
            "minimum": -MAX_PRIORITY,
            "maximum": MAX_PRIORITY,
            "default": 0,
        },
        "owner": {
            "description": "The machine that serves this project, by its owner setting.",
            "type": "string",
            "pattern": _ONE_LINE,
        },
        "comfyui_url": {"description": "Another ComfyUI for this project.", "type": "string", "pattern": _URL},
        "models": {"description": "Model names that workflows ask for, and what they are called here.", **names},
    }
    keys = {name: _or_nothing(entry) for name, entry in read.items()}
    others = {name: {"description": f"{text} comfywatch leaves it alone."} for name, text in _OTHER_TOOLS.items()}
    about = "What is known of a project; comfywatch only reads it."
    return _schema("manifest.yaml of a comfywatch project", about, {**keys, **others})


def _schema(title: str, description: str, keys: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    head = {"$schema": _DIALECT, "title": title, "description": description}
    return {**head, "type": ["object", "null"], "properties": dict(keys), **more}


def _unfolded(entry: Any, definitions: Mapping[str, Any]) -> Any:
    """``entry`` with what it refers to in its place, and without titles and defaults that say nothing."""
    if isinstance(entry, list):
        return [_unfolded(item, definitions) for item in entry]
    if not isinstance(entry, Mapping):
        return entry
    named = definitions[entry["$ref"].rpartition("/")[2]] if "$ref" in entry else {}
    plain = {**named, **entry}
    kept = {key: value for key, value in plain.items() if key not in {"$ref", "format"} and not _is_noise(key, value)}
    return {key: value if key == "default" else _unfolded(value, definitions) for key, value in kept.items()}


def _is_noise(key: str, value: Any) -> bool:
    return (key == "title" and isinstance(value, str)) or (key == "default" and value is None)


def _or_nothing(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A key may stand without a value, as in the example file."""
    plain = dict(entry)
    if "anyOf" in plain:
        plain["anyOf"] = [*(kind for kind in plain["anyOf"] if kind != {"type": "null"}), {"type": "null"}]
    if "enum" in plain:
        plain["enum"] = [*plain["enum"], None]
        plain.pop("type", None)
    elif "type" in plain:
        plain["type"] = [plain["type"], "null"]
    return plain


def _in_any_case(words: type[Status]) -> str:
    """A pattern for these words as ``manifest`` takes them: in any case, with white space around."""
    spelt = ("".join(f"[{letter.upper()}{letter}]" for letter in word) for word in words)
    return rf"^\s*({'|'.join(spelt)})\s*$"
