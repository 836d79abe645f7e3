"""The daemon's database as commands see it: they read it, and add requests, which the daemon answers."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from comfywatch.bell import ring
from comfywatch.commands.options import Unusable

if TYPE_CHECKING:
    from comfywatch.settings import Settings
    from comfywatch.store import Store

PATIENCE = 2.0
"""Seconds that a command waits for the daemon's answer."""
_PAUSE = 0.02


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """The database, made if it is not there; raises ``Unusable`` if it cannot be used."""
    from comfywatch.store import Damaged, NewerSchema, Store

    try:
        settings.state.mkdir(parents=True, exist_ok=True)
        store = Store(settings.database)
        try:
            yield store
        finally:
            store.close()
    except (NewerSchema, Damaged, sqlite3.Error, OSError) as error:
        raise Unusable(f"{settings.database} cannot be used: {error}.") from error


def ask_daemon(store: Store, settings: Settings, command: str, target: str = "", **options: Any) -> int:
    """Add a request, and ring; its number."""
    number = store.add_request(command=command, target=target, options=options, at=datetime.now(UTC))
    store.commit()
    ring(settings.state)
    return number


def wait_for_answer(store: Store, number: int) -> str | None:
    """The daemon's answer; ``None`` if it took longer than ``PATIENCE``."""
    never, until = threading.Event(), time.monotonic() + PATIENCE
    while (answer := store.answer_to(number)) is None and time.monotonic() < until:
        never.wait(_PAUSE)
    return answer
