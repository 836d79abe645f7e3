"""The headers that are sent to ComfyUI, such as a token for the proxy before it: read from a file, never shown.

The file has a line ``Name: value`` for each, or is a YAML or JSON map in braces. Errors never hold a value.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from pathlib import Path
from typing import Any

from comfywatch import plain_yaml

MAX_BYTES = 64 * 1024
# They belong to each request; a fixed one breaks uploads.
_OURS = {"content-length", "content-type", "transfer-encoding"}
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~\xa0-\xff]*")


class BadHeaders(ValueError):
    """The file cannot be used; ``problems`` are sentences without any value."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read_headers(path: Path) -> dict[str, str]:
    """The headers in ``path``. Raises ``BadHeaders``, with everything that is wrong."""
    text = _text(path)
    entries = _from_map(text) if text.lstrip().startswith("{") else _from_lines(text)
    problems = [f"{place}: {problem}" for place, name, value in entries if (problem := _problem(name, value))]
    if not problems:
        problems = _twice([name for _, name, _ in entries])
    if problems:
        raise BadHeaders(*problems)
    return {name: value.strip() for _, name, value in entries}


def readable_by_others(path: Path) -> bool:
    """Whether every user of this machine may read ``path``; ``False`` where that cannot be told."""
    try:
        return os.name == "posix" and bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _text(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise BadHeaders(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if len(data) > MAX_BYTES:
        raise BadHeaders(f"is larger than {MAX_BYTES // 1024} KiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:  # not chained: it holds the whole file
        raise BadHeaders("is not UTF-8 text") from None


def _from_lines(text: str) -> list[tuple[str, str, Any]]:
    entries: list[tuple[str, str, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, _, value = line.partition(":") if ":" in line else ("", "", "")
        entries.append((f"line {number}", name.strip(), _unquoted(value.strip())))
    return entries


def _from_map(text: str) -> list[tuple[str, Any, Any]]:
    try:
        value = plain_yaml.load(text)
    except plain_yaml.NotYaml as error:  # not chained, and without its sentence: they may quote a value
        raise BadHeaders(f"line {error.line}: is no proper map") from None
    return [(f"entry {number}", name, item) for number, (name, item) in enumerate(value.items(), start=1)]


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _twice(names: list[str]) -> list[str]:
    counted = Counter(name.lower() for name in names)
    return [f"{name}: is there {count} times" for name, count in counted.items() if count > 1]


def _problem(name: Any, value: Any) -> str:
    """What is wrong with a header, or nothing; line breaks and the like would let a value write other headers."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return "expected 'Name: value', and a name of letters, digits and hyphens"
    if name.lower() in _OURS:
        return f"{name} is set for each request; leave it out"
    if not isinstance(value, str):
        return "expected text; put the value in quotes"
    if not _VALUE.fullmatch(value):
        return "the value has characters that no header can carry"
    return ""
