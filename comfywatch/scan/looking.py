"""What a source asks of its own objects: their attributes, their members, what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfywatch.scan.values import (
    MISSING,
    UNKNOWN,
    Bound,
    Class,
    External,
    Function,
    Instance,
    Items,
    Machine,
    Module,
    Names,
    Table,
    truth,
)


def get_attribute(machine: Machine, args: list[Any], _: Names) -> Any:
    if len(args) < 2 or not isinstance(args[1], str):
        return UNKNOWN
    found = machine.attribute(args[0], args[1])
    return found if found is not MISSING else args[2] if len(args) > 2 else UNKNOWN


def has_attribute(machine: Machine, args: list[Any], _: Names) -> Any:
    if len(args) != 2 or not isinstance(args[1], str):
        return UNKNOWN
    found = machine.attribute(args[0], args[1])
    return UNKNOWN if found is UNKNOWN or isinstance(found, External) else found is not MISSING


def set_attribute(machine: Machine, args: list[Any], _: Names) -> Any:
    if len(args) == 3:
        names = names_of(args[0])
        if names is not None:
            names.put(args[1], args[2], doubt=machine.doubt)
    return None


def names_of(value: Any) -> Table | None:
    """The attributes that a value of the sources has of its own."""
    return value.names if isinstance(value, Module | Class | Instance) else None


def variables(_: Machine, args: list[Any], __: Names) -> Any:
    names = names_of(args[0]) if args else None
    return UNKNOWN if names is None else names


def listed_names(machine: Machine, args: list[Any], _: Names) -> Any:
    names = names_of(args[0]) if args else None
    return (
        Items(is_whole=False) if names is None else Items(sorted(names), level=machine.doubt, is_whole=names.is_whole)
    )


def members(machine: Machine, args: list[Any], names: Names) -> Items:
    wanted = args[1] if len(args) > 1 else names.get("predicate")
    own = names_of(args[0]) if args else None
    if own is None:
        return Items(is_whole=False)
    members = [(name, own[name]) for name in sorted(own)]
    judged = [(pair, True if wanted is None else truth(machine.call(wanted, [pair[1]], {}))) for pair in members]
    is_whole = own.is_whole and all(verdict is not None for _, verdict in judged)
    return Items((Items(pair) for pair, verdict in judged if verdict), level=machine.doubt, is_whole=is_whole)


def is_class(_: Machine, args: list[Any], __: Names) -> Any:
    value = args[0] if args else UNKNOWN
    return UNKNOWN if value is UNKNOWN or isinstance(value, External) else isinstance(value, Class)


def is_function(_: Machine, args: list[Any], __: Names) -> Any:
    value = args[0] if args else UNKNOWN
    return UNKNOWN if value is UNKNOWN or isinstance(value, External) else isinstance(value, Function)


def is_subclass(_: Machine, args: list[Any], __: Names) -> Any:
    if len(args) != 2 or not isinstance(args[0], Class):
        return UNKNOWN
    ancestors = args[0].ancestors()
    wanted = list(args[1]) if isinstance(args[1], Items) else [args[1]]
    if any(ancestor == base for ancestor in ancestors for base in wanted):
        return True
    if UNKNOWN in ancestors or UNKNOWN in wanted:
        return UNKNOWN
    outside = any(isinstance(ancestor, External) for ancestor in ancestors)
    return UNKNOWN if outside and any(isinstance(base, External) for base in wanted) else False


_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "str": str,
    "bool": bool,
    "int": int,
    "float": float,
    "dict": Table,
    "list": Items,
    "tuple": Items,
    "set": Items,
    "type": Class,
}


def is_instance(_: Machine, args: list[Any], __: Names) -> Any:
    if len(args) != 2 or args[0] is UNKNOWN or isinstance(args[0], External):
        return UNKNOWN
    wanted = list(args[1]) if isinstance(args[1], Items) else [args[1]]
    types = [_TYPES.get(base.name.removeprefix("builtins.")) for base in wanted if isinstance(base, External)]
    if len(types) < len(wanted) or None in types:
        return UNKNOWN
    return any(isinstance(args[0], kind) for kind in types if kind is not None)


def undecorated(_: Machine, args: list[Any], __: Names) -> Any:
    """A decorator that changes nothing but the speed."""
    return args[0] if len(args) == 1 and isinstance(args[0], Function | Bound) else UNKNOWN
