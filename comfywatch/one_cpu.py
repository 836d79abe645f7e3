"""Staying on one processor, which a program of many threads under one interpreter lock does best.

The threads take turns in any case. On several processors each turn wakes another one of these, and takes up to a third
of all that the daemon needs (see docs/performance.md). Nothing happens where the system has no such call, or where the
interpreter has no such lock.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

STAT = Path("/proc/self/stat")
_PROCESSOR = 36
"""Where in ``/proc/self/stat`` the processor stands, counted from the field after the program's name (proc(5))."""


def stay_on_one_cpu(stat: Path = STAT) -> int | None:
    """Keep this thread, and those that it begins from now on, on one of the processors that they may use.

    It is the one on which the system has put it. Returns its number, or ``None`` if nothing was changed.
    """
    if not hasattr(os, "sched_setaffinity") or not _has_one_lock():
        return None
    try:
        allowed = os.sched_getaffinity(0)
        here = _processor(stat)
        chosen = here if here in allowed else min(allowed)
        os.sched_setaffinity(0, {chosen})
    except OSError:  # forbidden, as some containers do
        return None
    return chosen


def _has_one_lock() -> bool:
    """Whether only one thread runs at a time; there are builds of Python 3.13 and later of which that is not true."""
    is_enabled = getattr(sys, "_is_gil_enabled", None)
    return is_enabled is None or bool(is_enabled())


def _processor(stat: Path) -> int | None:
    try:
        return int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[_PROCESSOR])
    except (OSError, ValueError, LookupError):
        return None
