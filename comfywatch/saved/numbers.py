"""Values as a browser holds and sends them: every number there is a double.

So ``20.0`` is sent as ``20``, and the seed ``9007199254740993`` as ``9007199254740992``.
"""

from __future__ import annotations

from typing import Any

_EXACT = 2**53


def as_id(plain: Any) -> str | None:
    """The id of a node or a link, which is a number or a text; ``None`` for anything else."""
    if isinstance(plain, str):
        return plain
    number = _double(plain) if type(plain) is int or isinstance(plain, float) else None
    return None if number is None else str(number)


def as_sent(value: Any) -> Any:
    """The same value, after it has been in a browser."""
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return _double(value)
    if isinstance(value, list):
        return [as_sent(part) for part in value]
    return {key: as_sent(part) for key, part in value.items()}


def _double(number: float) -> int | float | None:
    """``None`` for what JSON has no word for."""
    if isinstance(number, int) and abs(number) <= _EXACT:
        return number
    try:
        double = float(number)
    except OverflowError:
        return None
    if double != double or abs(double) == float("inf"):
        return None
    return int(double) if double.is_integer() else double
