"""``comfywatch inventory``: what ComfyUI has installed, as comfywatch knows it, and asking anew."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from comfywatch.commands.options import Finding, NotReachable, Unusable, open_comfy, settings_from, with_config
from comfywatch.commands.stock import show
from comfywatch.logs import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from comfywatch.asks import Installed
    from comfywatch.effects import WriteFile
    from comfywatch.inventory import Inventory
    from comfywatch.settings import Settings

NOTICES_SHOWN = 20
DAEMON_PATIENCE = 15.0
"""Seconds in which a running daemon has asked ComfyUI for everything, as a rule."""
_PAUSE = 0.05


@click.command()
@click.argument("action", type=click.Choice(["show", "refresh", "scan"]), default="show", metavar="[show | refresh |")
@click.argument("folder", type=click.Path(path_type=Path), required=False, metavar="scan DIR]")
@click.option("--json", "as_json", is_flag=True, help="Show the content of state/inventory.json, for programs.")
@with_config
def inventory(action: str, folder: Path | None, as_json: bool, config: Path | None) -> None:
    """Show what ComfyUI has installed, ask it anew, or look through its folder.

    'show', which may be left out, shows what is known, from state/inventory.json. 'refresh' asks ComfyUI, by a running
    comfywatch or directly; the exit code is 3 if ComfyUI cannot be reached. 'scan' reads ComfyUI's folder DIR, while
    ComfyUI is off: models, packages, and node classes as far as the sources tell. What was found so is confirmed, and
    nothing is denied for not being found.

    \b
    Examples:
      comfywatch inventory
      comfywatch inventory refresh
      comfywatch inventory scan ~/ComfyUI
      comfywatch inventory show --json
    """
    if (action == "scan") != (folder is not None):
        raise click.UsageError("'scan', and nothing else, takes the folder of a ComfyUI: comfywatch inventory scan DIR")
    settings = settings_from(config)
    if action == "refresh":
        _refresh(settings)
    elif folder is not None:
        _scan(folder, settings)
    found = _read(settings)
    if found is None:
        raise Finding("It is not known yet what ComfyUI has installed; ask it with: comfywatch inventory refresh")
    if as_json:
        click.echo(found.dump().decode("utf-8"), nl=False)
    else:
        show(found, now=datetime.now(UTC))


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
        ask_daemon(store, settings, "refresh")
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
    from comfywatch import installed

    place = installed.Place.of(settings, settings.comfyui_url)
    new, _ = installed.from_server(found, installed.read_inventory(place.inventory), at=datetime.now(UTC))
    _write(installed.written(place, found, new), settings)


def _write(wanted: Iterable[WriteFile], settings: Settings) -> None:
    from comfywatch import files, state_folder

    try:
        state_folder.prepare(settings)
        for write in wanted:
            files.write_whole(write.path, write.data)
    except state_folder.StateRefused as error:
        raise Unusable(str(error)) from error
    except OSError as error:
        raise Unusable(f"{settings.state} cannot be written: {error.strerror}.") from error


# --- looking through the folder


def _scan(folder: Path, settings: Settings) -> None:
    from comfywatch import installed
    from comfywatch.effects import WriteFile
    from comfywatch.scan.installation import NoComfyUI, over, scan

    try:
        scanned = scan(folder, at=datetime.now(UTC))
    except NoComfyUI as error:
        raise Unusable(str(error)) from error
    for notice in scanned.notices[:NOTICES_SHOWN]:
        click.echo(one_line(notice), err=True)
    if len(scanned.notices) > NOTICES_SHOWN:
        click.echo(f"… and {len(scanned.notices) - NOTICES_SHOWN} more that could not be read", err=True)
    place = installed.Place.of(settings, settings.comfyui_url)
    new = over(installed.read_inventory(place.inventory), scanned.inventory)
    _write([WriteFile(path=place.inventory, data=new.dump())], settings)
