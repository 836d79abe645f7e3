"""``comfywatch inventory``: what ComfyUI has installed, as comfywatch knows it, and asking anew."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from comfywatch.commands.options import Finding, NotReachable, Unusable, open_comfy, settings_from, with_config
from comfywatch.commands.terminal import say, show_table

if TYPE_CHECKING:
    from comfywatch.asks import Installed
    from comfywatch.inventory import Inventory
    from comfywatch.settings import Settings

NAMES_SHOWN = 3
DAEMON_PATIENCE = 15.0
"""Seconds in which a running daemon has asked ComfyUI for everything, as a rule."""
_PAUSE = 0.05
_OLD_NAMES = frozenset({"clip", "unet"})  # the same lists as text_encoders and diffusion_models


@click.command()
@click.argument("action", type=click.Choice(["show", "refresh"]), default="show", metavar="[show | refresh]")
@click.option("--json", "as_json", is_flag=True, help="Show the content of state/inventory.json, for programs.")
@with_config
def inventory(action: str, as_json: bool, config: Path | None) -> None:
    """Show what ComfyUI has installed, or ask it anew.

    'show', which may be left out, shows what is known, from state/inventory.json. 'refresh' asks ComfyUI, by a running
    comfywatch or directly; the exit code is 3 if ComfyUI cannot be reached.

    \b
    Examples:
      comfywatch inventory
      comfywatch inventory refresh
      comfywatch inventory show --json
    """
    settings = settings_from(config)
    if action == "refresh":
        _refresh(settings)
    found = _read(settings)
    if found is None:
        raise Finding("It is not known yet what ComfyUI has installed; ask it with: comfywatch inventory refresh")
    if as_json:
        click.echo(found.dump().decode("utf-8"), nl=False)
    else:
        _show(found)


def _read(settings: Settings) -> Inventory | None:
    from comfywatch.inventory import Inventory, NotAnInventory

    try:
        return Inventory.parse(settings.inventory_file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, NotAnInventory) as error:
        raise Finding(
            f"{settings.inventory_file} cannot be read: {error}. 'inventory refresh' writes it anew."
        ) from error


# --- asking anew


def _refresh(settings: Settings) -> None:
    from comfywatch.comfy_errors import ComfyError
    from comfywatch.lock import is_held

    try:
        if is_held(settings.lock):
            with open_comfy(settings) as comfy:
                comfy.system_stats()
            _by_daemon(settings)
        else:
            _keep(_ask(settings), settings)
    except ComfyError as error:
        raise NotReachable(str(error)) from error


def _by_daemon(settings: Settings) -> None:
    """Have the daemon ask, and wait until it has written down what it was told."""
    from comfywatch.commands.database import ask_daemon, opened

    before = datetime.now(UTC)
    with opened(settings) as store:
        ask_daemon(store, "refresh")
    never, until = threading.Event(), time.monotonic() + DAEMON_PATIENCE
    while not _is_newer(settings, before):
        if time.monotonic() > until:
            raise Finding("comfywatch has been told, and is not done yet; see later with: comfywatch inventory")
        never.wait(_PAUSE)


def _is_newer(settings: Settings, before: datetime) -> bool:
    found = _read(settings)
    return found is not None and found.last_updated is not None and found.last_updated > before


def _ask(settings: Settings) -> Installed:
    from comfywatch.asker import perform
    from comfywatch.asks import Installed, Refresh

    with open_comfy(settings) as comfy:
        answer = perform(Refresh(), comfy, url=comfy.url)
    if answer.error is not None:
        raise answer.error
    if not isinstance(answer.result, Installed):
        raise AssertionError("a refresh is answered by what is installed")
    return answer.result


def _keep(found: Installed, settings: Settings) -> None:
    from comfywatch import files, installed, state_folder

    try:
        state_folder.prepare(settings)
        place = installed.Place.of(settings, settings.comfyui_url)
        new, _ = installed.from_server(found, installed.read_inventory(place.inventory), at=datetime.now(UTC))
        for write in installed.written(place, found, new):
            files.write_whole(write.path, write.data)
    except state_folder.StateRefused as error:
        raise Unusable(str(error)) from error
    except OSError as error:
        raise Unusable(f"{settings.state} cannot be written: {error.strerror}.") from error


# --- for a person


def _show(found: Inventory) -> None:
    system = found.system
    memory = f"{system['vram_total_gb']} GB" if "vram_total_gb" in system else ""
    words = (f"ComfyUI {found.comfyui_version or ''}".strip(), str(system.get("gpu", "")), memory, _when(found))
    say(", ".join(filter(None, words)))
    classes = "unknown" if found.node_classes is None else str(len(found.node_classes))
    packages = "" if found.custom_nodes is None else f"; packages of nodes: {len(found.custom_nodes)}"
    say(f"node classes: {classes}{packages}")
    rows = [
        (folder, str(len(names)), _some(names))
        for folder, names in sorted(found.models.items())
        if names and folder not in _OLD_NAMES
    ]
    if rows:
        say()
        show_table(("models in", "", ""), rows)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + (", …" if len(names) > NAMES_SHOWN else "")


def _when(found: Inventory) -> str:
    if found.last_updated is None:
        return ""
    how = "" if found.mode is None else f" ({found.mode.value})"
    return f"as of {found.last_updated.astimezone():%Y-%m-%d %H:%M}{how}"
