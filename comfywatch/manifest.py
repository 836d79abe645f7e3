"""``manifest.yaml``: what the people of a project ask of comfywatch. It is only read, and nothing in it raises.

A key that will not do is left out with a notice, and the rest counts. What a manifest that cannot be read means for its
project is not decided here: whoever holds the last good one goes on with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from comfywatch.files import NotRegular, TooBig
from comfywatch.inside import open_folder
from comfywatch.plain_yaml import NotYaml, load, shown
from comfywatch.urls import BadUrl, checked_url, is_loopback, same_server

NAMES = ("manifest.yaml", "manifest.yml")
MAX_BYTES = 256 * 1024
"""Some of YAML takes seconds to read for a megabyte, and all projects wait meanwhile."""
MAX_PRIORITY = 1_000_000
MAX_NOTICES = 10


class Status(StrEnum):
    """Whether a project's workflows run; all but ``active`` hold them."""

    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was asked for; empty where nothing was. ``models`` maps a wanted name to an installed one."""

    status: Status = Status.ACTIVE
    comfyui_url: str = ""
    priority: int = 0
    owner: str = ""
    models: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestReading:
    """A manifest and what to tell people about it; if it is not ``readable``, the last good one holds.

    ``is_refused``: it was the system that did not let it be read, which may pass without a change to the file.
    """

    manifest: Manifest = field(default_factory=Manifest)
    notices: tuple[str, ...] = ()
    readable: bool = True
    is_refused: bool = False


def read_manifest(folder: Path) -> ManifestReading:
    """The manifest of the project in ``folder``; without one, a readable empty one."""
    for name in NAMES:
        try:
            with open_folder(folder) as project:
                data, _ = project.read(name, max_bytes=MAX_BYTES)
            content = load(data)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            notice, is_refused = f"{name} cannot be read: {_why(error)}", isinstance(error, OSError)
            return ManifestReading(notices=(notice,), readable=False, is_refused=is_refused)
        return _reading(name, content, unread=_unread(folder, name))
    return ManifestReading()


def allowed_url(url: str, *, configured: str, allow_project_urls: bool) -> bool:
    """Whether a project may have its jobs run at ``url``: on this machine, at the configured ComfyUI, or if all may."""
    return allow_project_urls or is_loopback(url) or same_server(url, configured)


def _why(error: OSError | ValueError) -> str:
    match error:
        case NotYaml():
            return str(error)
        case NotRegular():
            return "it is a link or no regular file; put a plain file in its place"
        case TooBig():
            return f"it has {error.size} bytes, more than {MAX_BYTES // 1024} KiB"
        case OSError():
            return error.strerror or "the system does not say why"
        case _:
            return "its path has a character that no path can have"


def _unread(folder: Path, name: str) -> list[str]:
    other = NAMES[-1]
    there = name != other and os.path.lexists(folder / other)
    return [f"{other} is not read, as {name} is there; remove one of them"] if there else []


def _reading(name: str, content: Any, *, unread: list[str]) -> ManifestReading:
    content = {} if content is None else content
    if not isinstance(content, Mapping):
        notice = f"{name} cannot be read: expected lines such as 'status: paused', got {shown(content)}"
        return ManifestReading(notices=(notice,), readable=False)
    notices: list[str] = []
    manifest = Manifest(
        status=_status(content.get("status"), notices),
        comfyui_url=_url(content.get("comfyui_url"), notices),
        priority=_priority(content.get("priority"), notices),
        owner=_owner(content.get("owner"), notices),
        models=_models(content.get("models"), notices),
    )
    return ManifestReading(manifest=manifest, notices=_bounded(unread + [f"{name}: {notice}" for notice in notices]))


def _status(value: Any, notices: list[str]) -> Status:
    word = Status.ACTIVE if value is None else value
    for status in Status:
        if isinstance(word, str) and word.strip().lower() == status:
            return status
    notices.append(f"status: expected one of {', '.join(Status)}, got {shown(value)}; taken as active")
    return Status.ACTIVE


def _url(value: Any, notices: list[str]) -> str:
    if value is None:
        return ""
    try:
        return checked_url(value) if isinstance(value, str) else _left_out("comfyui_url", "an address", value, notices)
    except BadUrl as error:
        notices.append(f"comfyui_url: {error}; it is left out")
        return ""


def _priority(value: object, notices: list[str]) -> int:
    if value is None:
        return 0
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MAX_PRIORITY:
        return round(value)
    _left_out("priority", f"a number from -{MAX_PRIORITY} to {MAX_PRIORITY}", value, notices)
    return 0


def _owner(value: Any, notices: list[str]) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and value.isprintable():
        return value.strip()
    return _left_out("owner", "the name of a machine (in quotes if it is a number)", value, notices)


def _models(value: Any, notices: list[str]) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        _left_out("models", "a map of names, 'wanted: installed'", value, notices)
        return {}
    for wanted, installed in value.items():
        if not (isinstance(wanted, str) and isinstance(installed, str)):
            _left_out(f"models: {shown(wanted)}", "two names (in quotes if they are numbers)", installed, notices)
    return {w: i for w, i in value.items() if isinstance(w, str) and isinstance(i, str)}


def _left_out(key: str, expected: str, value: Any, notices: list[str]) -> str:
    """Say that the value of a key will not do; what stands in for it is nothing."""
    notices.append(f"{key}: expected {expected}, got {shown(value)}; it is left out")
    return ""


def _bounded(notices: list[str]) -> tuple[str, ...]:
    more = len(notices) - MAX_NOTICES
    return (*notices[:MAX_NOTICES], f"and {more} more of the kind") if more > 0 else tuple(notices)
