"""How a command tells the daemon at once that it asks for something: by a file in a folder that the daemon watches.

The wish itself is in the database. Where the bell is not heard, the daemon looks there every so often.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path

BELL = "bell"
"""The folder in ``state/``; nothing else happens in it."""


def ring(state: Path) -> None:
    """Tell whoever listens, if anybody does. No file stays there, for another user could not touch it."""
    rung = state / BELL / uuid.uuid4().hex
    with suppress(OSError):
        rung.touch()
        rung.unlink()
