"""What systemd wants to hear (``Type=notify``): ready, alive, stopping. Nothing happens without ``NOTIFY_SOCKET``."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(message: str) -> None:
    """Send one message, such as ``READY=1``; a manager that does not listen is no fault of ours."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(address)
        sender.send(message.encode())


def watchdog_seconds() -> float | None:
    """How often systemd wants a sign of life: half of ``WATCHDOG_USEC``; ``None`` if it does not."""
    raw = os.environ.get("WATCHDOG_USEC", "")
    return int(raw) / 2_000_000 if raw.isdecimal() and int(raw) else None
