"""Methods of plain values (texts, lists, dicts, paths) that are known; every other one gives what cannot be known."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from comfywatch.scan.values import MISSING, UNKNOWN, Items, Machine, Table, is_key, is_plain

MAX_TEXT = 100_000
_WIDE = re.compile(r"\d{4}")
_TEXT = frozenset(
    {
        *("capitalize", "casefold", "count", "endswith", "find", "format", "index", "isalnum", "isalpha", "isdigit"),
        *("isidentifier", "islower", "isupper", "lower", "lstrip", "partition", "removeprefix", "removesuffix"),
        *("replace", "rfind", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip"),
        *("swapcase", "title", "upper"),
    }
)
_PATH = frozenset({"as_posix", "joinpath", "relative_to", "with_name", "with_suffix", "with_stem", "match"})
_SAME_PATH = frozenset({"absolute", "resolve", "expanduser"})
_PATH_VALUES = frozenset({"name", "stem", "suffix", "parent", "parts"})
_LOOKS: Mapping[str, Callable[[Path], bool]] = {"exists": Path.exists, "is_dir": Path.is_dir, "is_file": Path.is_file}
_LISTS = frozenset({"glob", "rglob", "iterdir"})


def known(value: Any) -> Any:
    """A result of Python's own, as the machine has it."""
    if isinstance(value, list | tuple | set):
        return Items(known(item) for item in value)
    return value


def path_value(path: Path, name: str) -> Any:
    """``parent``, ``stem`` and the like; ``MISSING`` for the name of a method."""
    return known(getattr(path, name)) if name in _PATH_VALUES else MISSING


def is_swelling(form: str) -> bool:
    """Whether filling this in may give a huge text: ``{:>1000000000}``."""
    return _WIDE.search(form) is not None


def call_method(machine: Machine, owner: Any, name: str, args: list[Any], names: dict[str, Any]) -> Any:
    """What a method gives, and what it changes."""
    if isinstance(owner, str):
        return _call_text(owner, name, args, names)
    if isinstance(owner, Path):
        return _call_path(machine, owner, name, args)
    table = _OF_TABLE if isinstance(owner, Table) else _OF_ITEMS if isinstance(owner, Items) else {}
    method = table.get(name)
    return UNKNOWN if method is None else method(machine, owner, args, names)


def listed(machine: Machine, path: Path, pattern: str = "*") -> Items:
    """What a folder of the installation holds, by name; nothing is known of any other folder."""
    if not machine.may_look(path):
        return Items(is_whole=False)
    try:
        return Items(sorted(path.glob(pattern)), level=machine.doubt)
    except (OSError, ValueError, NotImplementedError):
        return Items(is_whole=False)


def _call_text(owner: str, name: str, args: list[Any], names: dict[str, Any]) -> Any:
    if name == "join" and args:
        return _joined(owner, args[0])
    if name == "format":
        args, names = [_shown(arg) for arg in args], {key: _shown(value) for key, value in names.items()}
    plain = [tuple(arg) if isinstance(arg, Items) else arg for arg in args]
    if name not in _TEXT or not all(map(_is_plain_or_tuple, plain)) or not all(map(is_plain, names.values())):
        return UNKNOWN
    longest = max((len(arg) for arg in plain if isinstance(arg, str)), default=0)
    if is_swelling(owner) or len(owner) * longest > MAX_TEXT:
        return UNKNOWN
    try:
        result = getattr(owner, name)(*plain, **names)
    except (TypeError, ValueError, LookupError, AttributeError, MemoryError, OverflowError):
        return UNKNOWN
    return known(result) if not isinstance(result, str) or len(result) <= MAX_TEXT else UNKNOWN


def _shown(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _is_plain_or_tuple(value: Any) -> bool:
    return all(map(is_plain, value)) if isinstance(value, tuple) else is_plain(value)


def _joined(owner: str, parts: Any) -> Any:
    if not isinstance(parts, Items) or not parts.is_whole or not all(isinstance(part, str) for part in parts):
        return UNKNOWN
    if sum(map(len, parts)) + len(owner) * len(parts) > MAX_TEXT:
        return UNKNOWN
    return owner.join(parts)


def _call_path(machine: Machine, owner: Path, name: str, args: list[Any]) -> Any:
    if name in _SAME_PATH:
        return owner
    if name in _LISTS:
        pattern = args[0] if args and isinstance(args[0], str) else "*"
        return listed(machine, owner, f"**/{pattern}" if name == "rglob" else pattern)
    if name in _LOOKS:
        return _LOOKS[name](owner) if machine.may_look(owner) else UNKNOWN
    if name not in _PATH or not all(isinstance(arg, str | Path) for arg in args):
        return UNKNOWN
    try:
        return known(getattr(owner, name)(*args))
    except (TypeError, ValueError):
        return UNKNOWN


def _update(machine: Machine, owner: Table, args: list[Any], names: dict[str, Any]) -> None:
    for arg in (*args[:1], Table(names)):
        owner.put_all(_as_table(arg), doubt=machine.doubt)


def _as_table(value: Any) -> Any:
    if isinstance(value, Items) and all(isinstance(pair, Items) and len(pair) == 2 for pair in value):
        table = Table(is_whole=value.is_whole)
        for key, item in value:
            table.put(key, item, doubt=0)
        return table
    return value


def _get(_: Machine, owner: Table, args: list[Any], __: dict[str, Any]) -> Any:
    if not args or not is_key(args[0]):
        return UNKNOWN
    otherwise = (args[1] if len(args) > 1 else None) if owner.is_whole else UNKNOWN
    return owner.get(args[0], otherwise)


def _set_default(machine: Machine, owner: Table, args: list[Any], _: dict[str, Any]) -> Any:
    if not args or not is_key(args[0]):
        owner.is_whole = False
        return UNKNOWN
    if args[0] not in owner:
        value = (args[1] if len(args) > 1 else None) if owner.is_whole else UNKNOWN
        owner.put(args[0], value, doubt=machine.doubt)
    return owner.get(args[0], UNKNOWN)


def _pop(_: Machine, owner: Table, args: list[Any], __: dict[str, Any]) -> Any:
    found = owner.remove(args[0] if args else UNKNOWN)
    return found if found is not MISSING else args[1] if len(args) > 1 else UNKNOWN


def _copy_table(machine: Machine, owner: Table, _: list[Any], __: dict[str, Any]) -> Table:
    return Table(owner, level=machine.doubt, is_whole=owner.is_whole)


def _append(machine: Machine, owner: Items, args: list[Any], _: dict[str, Any]) -> None:
    owner.add_all(Items(args[-1:]), doubt=machine.doubt)


def _extend(machine: Machine, owner: Items, args: list[Any], _: dict[str, Any]) -> None:
    for arg in args:
        owner.add_all(Items(arg) if isinstance(arg, Table) else arg, doubt=machine.doubt)


def _forget(_: Machine, owner: Items | Table, __: list[Any], ___: dict[str, Any]) -> Any:
    owner.clear()
    owner.is_whole = False
    return UNKNOWN


def _copy_items(machine: Machine, owner: Items, args: list[Any], _: dict[str, Any]) -> Items:
    copy = Items(owner, level=machine.doubt, is_whole=owner.is_whole)
    for arg in args:
        copy.add_all(arg, doubt=machine.doubt)
    return copy


def _clear(machine: Machine, owner: Items | Table, _: list[Any], __: dict[str, Any]) -> None:
    owner.clear()
    owner.is_whole = machine.doubt <= owner.level


def _from_keys(view: Callable[[Table], Any]) -> Callable[..., Items]:
    def items(machine: Machine, owner: Table, _: list[Any], __: dict[str, Any]) -> Items:
        return Items(map(known, view(owner)), level=machine.doubt, is_whole=owner.is_whole)

    return items


_OF_TABLE: Mapping[str, Callable[..., Any]] = {
    "update": _update,
    "get": _get,
    "setdefault": _set_default,
    "pop": _pop,
    "popitem": _forget,
    "clear": _clear,
    "copy": _copy_table,
    "keys": _from_keys(Table.keys),
    "values": _from_keys(Table.values),
    "items": _from_keys(Table.items),
}
_OF_ITEMS: Mapping[str, Callable[..., Any]] = {
    "append": _append,
    "add": _append,
    "insert": _append,
    "extend": _extend,
    "update": _extend,
    "union": _copy_items,
    "copy": _copy_items,
    "clear": _clear,
    "sort": lambda *_: None,
    "reverse": lambda *_: None,
    "remove": _forget,
    "discard": _forget,
    "pop": _forget,
    "intersection_update": _forget,
    "difference_update": _forget,
}
