"""Dicts, lists and texts that are made by Python's own functions, as far as they can be known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfywatch.scan.values import (
    UNKNOWN,
    Items,
    Machine,
    Names,
    Table,
    is_plain,
    truth,
)

MAX_RANGE = 10_000


def make_dict(machine: Machine, args: list[Any], names: Names) -> Table:
    table = Table(level=machine.doubt)
    for arg in args[:1]:
        _fill(table, arg)
    for key, value in names.items():
        table.put(key, value, doubt=machine.doubt)
    return table


def _fill(table: Table, arg: Any) -> None:
    if not isinstance(arg, Items):
        table.put_all(arg, doubt=table.level)
        return
    table.is_whole = table.is_whole and arg.is_whole
    for pair in arg:
        if isinstance(pair, Items) and len(pair) == 2:
            table.put(pair[0], pair[1], doubt=table.level)
        else:
            table.is_whole = False


def make_list(machine: Machine, args: list[Any], _: Names) -> Items:
    return items_of(args[0], level=machine.doubt) if args else Items(level=machine.doubt)


def items_of(value: Any, *, level: int) -> Items:
    """What a loop over ``value`` meets."""
    if isinstance(value, Items):
        return Items(value, level=level, is_whole=value.is_whole)
    if isinstance(value, Table):
        return Items(value.keys(), level=level, is_whole=value.is_whole)
    if isinstance(value, str):
        return Items(value, level=level)
    return Items(level=level, is_whole=False)


def make_sorted(machine: Machine, args: list[Any], names: Names) -> Items:
    items = make_list(machine, args, names)
    if all(isinstance(item, str | Path) for item in items) and not names:
        items.sort(key=str)
    return items


def make_zip(machine: Machine, args: list[Any], _: Names) -> Items:
    lists = [items_of(arg, level=0) for arg in args]
    if not all(items.is_whole for items in lists):
        return Items(is_whole=False)
    return Items(map(Items, zip(*lists, strict=False)), level=machine.doubt)


def make_enumerate(machine: Machine, args: list[Any], names: Names) -> Items:
    items = items_of(args[0] if args else UNKNOWN, level=0)
    start = args[1] if len(args) > 1 else names.get("start", 0)
    if not isinstance(start, int):
        return Items(is_whole=False)
    return Items((Items(pair) for pair in enumerate(items, start)), level=machine.doubt, is_whole=items.is_whole)


def make_range(machine: Machine, args: list[Any], _: Names) -> Items:
    if not 1 <= len(args) <= 3 or not all(isinstance(arg, int) for arg in args) or 0 in args[2:]:
        return Items(is_whole=False)
    numbers = range(*args)
    return Items(numbers, level=machine.doubt) if len(numbers) <= MAX_RANGE else Items(is_whole=False)


def make_map(machine: Machine, args: list[Any], _: Names) -> Items:
    if len(args) != 2:
        return Items(is_whole=False)
    items = items_of(args[1], level=0)
    return Items((machine.call(args[0], [item], {}) for item in items), level=machine.doubt, is_whole=items.is_whole)


def make_filter(machine: Machine, args: list[Any], _: Names) -> Items:
    if len(args) != 2:
        return Items(is_whole=False)
    items = items_of(args[1], level=0)
    judged = [(item, truth(item if args[0] is None else machine.call(args[0], [item], {}))) for item in items]
    is_whole = items.is_whole and all(verdict is not None for _, verdict in judged)
    return Items((item for item, verdict in judged if verdict), level=machine.doubt, is_whole=is_whole)


def length(_: Machine, args: list[Any], __: Names) -> Any:
    value = args[0] if args else UNKNOWN
    if isinstance(value, str):
        return len(value)
    return len(value) if isinstance(value, Table | Items) and value.is_whole else UNKNOWN


def text(_: Machine, args: list[Any], __: Names) -> Any:
    value = args[0] if args else ""
    return str(value) if is_plain(value) or isinstance(value, Path) else UNKNOWN


def verdict(_: Machine, args: list[Any], __: Names) -> Any:
    verdict = truth(args[0]) if args else False
    return UNKNOWN if verdict is None else verdict


def same(_: Machine, args: list[Any], __: Names) -> Any:
    return args[0] if args else UNKNOWN
