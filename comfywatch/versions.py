"""Versions, as far as two of them can be compared."""

from __future__ import annotations

import re

_NUMBERS = re.compile(r"v?(\d{1,6}(?:\.\d{1,6}){0,3})(?:[^\d.].*)?", re.DOTALL)


def numbers(version: str) -> tuple[int, ...] | None:
    """``v0.3.64-dirty`` as ``(0, 3, 64)``; ``None`` for a commit, or what else is no version."""
    found = _NUMBERS.fullmatch(version.strip())
    if found is None or (re.fullmatch(r"[0-9a-f]{7,40}", version.strip()) and "." not in version):
        return None
    return tuple(map(int, found[1].split(".")))


def is_older(version: str, other: str) -> bool:
    """Whether ``version`` is known to be older than ``other``."""
    one, two = numbers(version), numbers(other)
    if one is None or two is None:
        return False
    length = max(len(one), len(two))
    return one + (0,) * (length - len(one)) < two + (0,) * (length - len(two))
