"""Operators and comparisons of values that are known."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from comfywatch.scan.methods import MAX_TEXT, is_swelling, known
from comfywatch.scan.values import (
    UNKNOWN,
    External,
    Items,
    Table,
    is_key,
    is_plain,
)

_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def combined(op: ast.operator, left: Any, right: Any, *, level: int) -> Any:
    """``left op right``; a new list or dict is made at this depth of doubt."""
    match op, left, right:
        case ast.Add(), str(), str() if len(left) + len(right) <= MAX_TEXT:
            return left + right
        case ((ast.Add() | ast.BitOr()), Items(), Items()):
            joined = Items(left, level=level, is_whole=left.is_whole)
            joined.add_all(right, doubt=level)
            return joined
        case ast.BitOr(), Table(), _:
            merged = Table(left, level=level, is_whole=left.is_whole)
            merged.put_all(right, doubt=level)
            return merged
        case ast.BitOr(), _, Table():
            return Table(right, level=level, is_whole=False)
        case ast.Div(), (Path() | str()), (Path() | str()) if isinstance(left, Path) or isinstance(right, Path):
            return Path(left) / right
        case ast.Mod(), str(), _:
            return _filled(left, right)
    return _calculated(op, left, right)


def compared(op: ast.cmpop, left: Any, right: Any) -> Any:
    """``left op right``, true or false where that can be known."""
    match op:
        case ast.In() | ast.NotIn():
            verdict = _is_in(left, right)
        case ast.Is() | ast.IsNot():
            verdict = _is_same(left, right)
        case _:
            return _ordered(op, left, right)
    return verdict if verdict is UNKNOWN or isinstance(op, ast.In | ast.Is) else not verdict


def _ordered(op: ast.cmpop, left: Any, right: Any) -> Any:
    try:
        return _COMPARE[type(op)](left, right) if is_plain(left) and is_plain(right) else UNKNOWN
    except TypeError:
        return UNKNOWN


def _calculated(op: ast.operator, left: Any, right: Any) -> Any:
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return UNKNOWN
    return left + right if isinstance(op, ast.Add) else left - right if isinstance(op, ast.Sub) else UNKNOWN


def _is_in(left: Any, right: Any) -> Any:
    if isinstance(right, str):
        return left in right if isinstance(left, str) else UNKNOWN
    if not isinstance(right, Items | Table) or not is_key(left):
        return UNKNOWN
    if any(left is item or (is_key(item) and left == item) for item in right):
        return True
    return UNKNOWN if UNKNOWN in right or not right.is_whole else False


def _is_same(left: Any, right: Any) -> Any:
    if UNKNOWN in (left, right):
        return UNKNOWN
    if left is None or right is None:
        other = right if left is None else left
        return UNKNOWN if isinstance(other, External) else other is None
    return UNKNOWN if is_plain(left) and is_plain(right) and not isinstance(left, bool) else left is right


def _filled(form: str, value: Any) -> Any:
    values = tuple(value) if isinstance(value, Items) and value.is_whole else value
    plain = values if isinstance(values, tuple) else (values,)
    if "*" in form or is_swelling(form) or not all(isinstance(part, str | int) for part in plain):
        return UNKNOWN
    try:
        return known(form % values)
    except (TypeError, ValueError):
        return UNKNOWN
