"""Values as a browser holds and writes them: every number there is a double, and any value can become a text.

So ``20.0`` is sent as ``20``, and the seed ``9007199254740993`` as ``9007199254740992``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

_EXACT = 2**53
_AS_POWER = 1e21
"""From here on a browser writes ``1e+21``."""


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


def as_text(value: Any) -> str:
    """What a value, as it is sent, becomes in a text box."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return ",".join(map(as_text, value))
        case dict():
            return "[object Object]"
    return str(value)


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
    if not double.is_integer() or abs(double) >= _AS_POWER:
        return double
    return int(Decimal(repr(double)))  # as many digits as tell it apart, and noughts
