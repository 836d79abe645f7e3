"""Which settings were given, where, and under which label a person knows them: the file, then the environment.

Values are not judged here but for names that do not exist: ``settings`` does that, for all of them at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from comfywatch import plain_yaml
from comfywatch.files import read_regular
from comfywatch.plain_yaml import shown
from comfywatch.urls import checked_url

MAX_BYTES = 1024 * 1024
_MAX_SESSION_BYTES = 64 * 1024
PREFIX = "COMFYWATCH_"
_OTHER_VARIABLES = (f"{PREFIX}LIVE_",)
_OUTSIDE = (PREFIX, "COMFYUI_URL:", "--url:")
_OF_ITEMS = {"string_type", "path_type"}
_EXPECTED_OF_TYPE = {
    "string_type": "text (in quotes)",
    "path_type": "a path",
    "model_type": "a map",
    "tuple_type": "a list",
}
_KEY = "[key]"
"""The last step where it is the key of a map, and not its value, that will not do."""
_CONFIG = f"{PREFIX}CONFIG"


@dataclass(slots=True, kw_only=True)
class Given:
    """Gathered from weak to strong: what comes later replaces what was there."""

    known: Collection[str]
    values: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, key: str, value: Any, *, label: str) -> None:
        """A value with nothing in it leaves things as they are."""
        if value is None or value == "":
            return
        self.values[key] = value
        self.labels[key] = label

    def take_file(self, path: Path) -> None:
        """All keys of a config file."""
        try:
            content = _content(path)
        except (OSError, ValueError) as error:
            self.problems.append(_why(error))
            return
        for key, value in content.items():
            if key in self.known:
                self.take(key, value, label=key)
            else:
                near = _nearest(str(key), self.known)
                self.problems.append(f"{_word(key)}: no such setting{near and _guess(near)}")

    def take_environment(self, env: Mapping[str, str], *, as_text: Collection[str]) -> None:
        """``COMFYWATCH_…`` variables: ``as_text`` names the keys whose variables are not YAML."""
        keys = {f"{PREFIX}{key.upper()}": key for key in self.known}
        for name, text in sorted(env.items()):
            if not name.startswith(PREFIX) or name == _CONFIG or name.startswith(_OTHER_VARIABLES):
                continue
            if name not in keys:
                near = _nearest(name.removeprefix(PREFIX).lower(), self.known)
                self.problems.append(f"{_word(name)}: no such variable{near and _guess(PREFIX + near.upper())}")
                continue
            try:
                value = text if keys[name] in as_text else plain_yaml.load(text)
            except plain_yaml.NotYaml as error:
                self.problems.append(f"{name}: {error.sentence}")
            else:
                self.take(keys[name], value, label=name)

    def judge(
        self, errors: Iterable[Mapping[str, Any]], *, expected: Mapping[str, str], secret: Collection[str]
    ) -> None:
        """pydantic's findings in our words, one a place; ``expected`` says what would do; ``secret`` is not shown."""
        places: set[str] = set()
        for error in errors:
            key, *inner = error["loc"] or ("",)
            inner = inner if error["type"] in _OF_ITEMS or isinstance(next(iter(inner), None), int) else []
            place = self.labels.get(key, key) + _within(inner)
            if place in places:
                continue
            places.add(place)
            words = None if inner else expected.get(key)
            sentence = _sentence(error, words=words, show=key not in secret)
            self.problems.append(f"{place}: {sentence}" if place else sentence)

    def is_fault_of_file(self) -> bool:
        """Whether any problem is not one of a variable or an option."""
        return not all(problem.startswith(_OUTSIDE) for problem in self.problems)


def config_file(path: Path | None, *, env: Mapping[str, str], cwd: Path) -> Path | None:
    """The file to read, as a person would name it: the one asked for, the environment's, ``config.yaml`` or none."""
    if path is not None:
        return path
    if named := env.get(_CONFIG):
        return Path(named)
    here = Path("config.yaml")
    return here if os.path.lexists(cwd / here) else None


def url_of_session(path: Path) -> str | None:
    """Where another tool left word of the ComfyUI it uses; nothing if it cannot be read."""
    try:
        data, _ = read_regular(path, max_bytes=_MAX_SESSION_BYTES)
        return checked_url(json.loads(data)["comfyui_url"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _content(path: Path) -> Mapping[Any, Any]:
    with path.open("rb") as handle:
        data = handle.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES // 1024} KiB")
    content = plain_yaml.load(data)
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise ValueError(f"expected 'name: value' lines, got {shown(content)}")
    return content


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError):
        return f"it cannot be read ({error.strerror})"
    return str(error)


def _sentence(error: Mapping[str, Any], *, words: str | None, show: bool) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "no such key"
        case "less_than_equal":
            words = f"at most {context['le']:g}"
        case "enum":
            words = f"one of {context['expected']}"
        case kind:
            words = words or _EXPECTED_OF_TYPE.get(kind, error["msg"])
    return f"expected {words}, got {shown(error['input'])}" if show else f"expected {words}"


def _within(steps: list[Any]) -> str:
    """A place in a list (``[0]``), a map (``.name``), or a list of maps (``[0].name``)."""
    if steps[-1:] == [_KEY]:
        return f".{_word(steps[0])}"
    return "".join(f"[{step}]" if isinstance(step, int) else f".{_word(step)}" for step in steps)


def _word(name: Any) -> str:
    """A name as it stands, if it is short and on one line."""
    return name if isinstance(name, str) and name.isprintable() and len(name) <= 60 else shown(name)


def _nearest(name: str, known: Collection[str]) -> str:
    return "".join(get_close_matches(name, known, n=1))


def _guess(name: str) -> str:
    return f" (did you mean '{name}'?)"
