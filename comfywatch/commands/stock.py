"""The inventory as a person reads it: how old it is, who says so, what there is, and what is not known."""

from __future__ import annotations

from datetime import datetime, timedelta
from textwrap import fill
from typing import TYPE_CHECKING

import click

from comfywatch.commands.terminal import bold, say, show_table
from comfywatch.inventory import ClassesFrom, Mode

if TYPE_CHECKING:
    from comfywatch.inventory import Inventory

NAMES_SHOWN = 3
WIDTH = 80
PACKAGES_SHOWN = 6
_SAID_BY = {
    Mode.ONLINE: "ComfyUI itself said so.",
    Mode.OFFLINE: "Read from the disk (offline): what is listed is there, and there may be more.",
    None: "It does not say who looked: what is listed is there, and there may be more.",
}


def show(found: Inventory, *, now: datetime) -> None:
    """All of it on a page, the models as a table."""
    system = found.system
    memory = f"{system['vram_total_gb']} GB" if system.get("vram_total_gb") else ""
    version = f"ComfyUI {found.comfyui_version or '(version not known)'}"
    click.echo(bold(", ".join(filter(None, (version, str(system.get("gpu") or ""), memory)))))
    if found.comfyui_path:
        say(f"in {found.comfyui_path}")
    say(_as_of(found, now))
    say(_SAID_BY[found.mode])
    say()
    say(f"node classes: {_classes(found)}")
    _say_wrapped(f"packages: {_packages(found)}")
    _show_models(found)


def age(then: datetime, *, now: datetime) -> str:
    """How long ago, in the largest unit."""
    passed = now - then
    if passed < timedelta(0):
        return "in the future, by this machine's clock"
    for unit, length in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        if count := passed // length:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def _as_of(found: Inventory, now: datetime) -> str:
    if found.last_updated is None:
        return "From when it is, it does not say"
    return f"As of {found.last_updated.astimezone():%Y-%m-%d %H:%M}, {age(found.last_updated, now=now)}"


def _classes(found: Inventory) -> str:
    if found.node_classes is None:
        return "not known"
    read = found.classes_from is ClassesFrom.SOURCES
    return f"{len(found.node_classes)}{', as far as the sources tell' if read else ''}"


def _packages(found: Inventory) -> str:
    if found.custom_nodes is None:
        return "not known"
    shown = f" ({_some(found.custom_nodes, PACKAGES_SHOWN)})" if found.custom_nodes else ""
    return f"{len(found.custom_nodes)}{shown}"


def _show_models(found: Inventory) -> None:
    lists = {folder: names for folder, names in sorted(found.models.items()) if not _is_mirror(found, folder)}
    rows = [(_shown(found, key), str(len(names)), _some(names, NAMES_SHOWN)) for key, names in lists.items() if names]
    say()
    if rows:
        show_table(("models in", "files", "among them"), rows)
    if any(names and folder in found.unconfirmed for folder, names in lists.items()):
        say("* ComfyUI itself did not list this folder")
    _list("models: none in", [folder for folder, names in lists.items() if names is not None and not names])
    _list("models: not known in", [folder for folder, names in lists.items() if names is None])
    if not lists:
        say("models: not known")


def _list(title: str, folders: list[str]) -> None:
    if folders:
        _say_wrapped(f"{title} {', '.join(folders)}")


def _say_wrapped(text: str) -> None:
    say(fill(text, width=WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False))


def _is_mirror(found: Inventory, folder: str) -> bool:
    new = {"clip": "text_encoders", "unet": "diffusion_models"}.get(folder)
    return new is not None and found.models.get(new) == found.models[folder]


def _shown(found: Inventory, folder: str) -> str:
    return f"{folder} *" if folder in found.unconfirmed else folder


def _some(names: tuple[str, ...], most: int) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
