"""The state folder: made if need be, and refused where SQLite and locks cannot be trusted (DESIGN 2)."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from comfywatch.bell import BELL
from comfywatch.files import remove_leftovers
from comfywatch.mounts import NETWORK_FILE_SYSTEMS, file_system_of
from comfywatch.settings import Settings
from comfywatch.sync_tools import MARKS, has_mark

MEND = (
    "set 'state:' in config.yaml to a folder on a local disk that no tool synchronises, "
    "such as ~/.local/state/comfywatch"
)


class StateRefused(Exception):
    """The state folder cannot be used; the text says why, and what to do."""


def prepare(settings: Settings) -> None:
    """Make the folder and tidy it; raises ``StateRefused``."""
    state = settings.state
    _refuse(state)
    try:
        state.mkdir(parents=True, exist_ok=True)
        (state / BELL).mkdir(exist_ok=True)
        ignore = state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        settings.projects.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateRefused(f"{error.filename or state} cannot be made or written: {error.strerror}") from error
    remove_leftovers(state)


def set_aside(database: Path, *, at: datetime) -> Path:
    """Keep a damaged database under another name, for whoever wants to look into it; returns where.

    What SQLite keeps beside it goes along: a new database must not find the old one's log. Raises ``OSError``.
    """
    aside = database.with_name(f"{database.name}.damaged-{at:%Y%m%dT%H%M%S}")
    for beside in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            database.with_name(database.name + beside).replace(aside.with_name(aside.name + beside))
    database.replace(aside)
    return aside


def _refuse(state: Path) -> None:
    kind = file_system_of(state)
    if kind in NETWORK_FILE_SYSTEMS:
        raise StateRefused(f"{state} is on a network drive ({kind}), where the database could be damaged: {MEND}")
    synced = synced_root(state)
    if synced is not None:
        raise StateRefused(f"{state} is below {synced}, which a sync tool copies to other machines: {MEND}")


def synced_root(folder: Path) -> Path | None:
    """The root of a synchronised folder that ``folder`` is in, by the marks that sync tools leave."""
    here = folder.resolve()
    return next((root for root in (here, *here.parents) if has_mark(root, MARKS)), None)
