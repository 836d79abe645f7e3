"""When this process began: what is dropped from then on is an order, however long it takes to get ready."""

from __future__ import annotations

import os
import time
from pathlib import Path

_IMPORTED_NS = time.time_ns()
_START_TICKS = 19
"""Of the fields behind the name in ``/proc/self/stat``: ``starttime``, in ticks since the machine was switched on."""


def began_ns() -> int:
    """The time, as file times are; elsewhere than on Linux that of the first look at this module."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2].split()
        since_boot = int(fields[_START_TICKS]) * 10**9 // os.sysconf("SC_CLK_TCK")
        return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME) + since_boot
    except (AttributeError, OSError, LookupError, ValueError):
        return _IMPORTED_NS
