"""Paths, folders and imports by name, as sources use them to gather their modules.

Nothing is touched: folders of the installation are listed, and that is all.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comfywatch.scan.methods import known, listed
from comfywatch.scan.values import (
    UNKNOWN,
    External,
    Instance,
    Items,
    Known,
    Machine,
    Names,
    Table,
)


def on_text(function: Callable[..., Any]) -> Known:
    def call(_: Machine, args: list[Any], __: Names) -> Any:
        texts = [str(arg) if isinstance(arg, Path) else arg for arg in args]
        if not texts or not all(isinstance(text, str) for text in texts):
            return UNKNOWN
        return known(function(*texts))

    return call


def looks(function: Callable[[Path], bool]) -> Known:
    def call(machine: Machine, args: list[Any], _: Names) -> Any:
        path = make_path(machine, args, {})
        return function(path) if isinstance(path, Path) and machine.may_look(path) else UNKNOWN

    return call


def make_path(_: Machine, args: list[Any], __: Names) -> Any:
    return Path(*args) if args and all(isinstance(arg, str | Path) for arg in args) else UNKNOWN


def names_in(machine: Machine, args: list[Any], names: Names) -> Items:
    path = make_path(machine, args, names)
    found = listed(machine, path) if isinstance(path, Path) else Items(is_whole=False)
    return Items((file.name for file in found), level=machine.doubt, is_whole=found.is_whole)


def entries_in(machine: Machine, args: list[Any], names: Names) -> Items:
    path = make_path(machine, args, names)
    return listed(machine, path) if isinstance(path, Path) else Items(is_whole=False)


def glob(machine: Machine, args: list[Any], _: Names) -> Items:
    pattern = args[0] if args else UNKNOWN
    if not isinstance(pattern, str) or not Path(pattern).is_absolute():
        return Items(is_whole=False)
    folder = Path(pattern)
    while any(letter in str(folder) for letter in "*?["):
        folder = folder.parent
    found = listed(machine, folder, str(Path(pattern).relative_to(folder))) if str(folder) != pattern else Items()
    return Items(map(str, found), level=machine.doubt, is_whole=found.is_whole)


def walk(machine: Machine, args: list[Any], names: Names) -> Items:
    path = make_path(machine, args, names)
    if not isinstance(path, Path) or not machine.may_look(path):
        return Items(is_whole=False)
    below = [path, *(entry for entry in listed(machine, path, "**/*") if entry.is_dir())]
    return Items((_walked(machine, folder) for folder in below), level=machine.doubt)


def _walked(machine: Machine, folder: Path) -> Items:
    entries = listed(machine, folder)
    folders = Items(entry.name for entry in entries if entry.is_dir())
    return Items([str(folder), folders, Items(entry.name for entry in entries if not entry.is_dir())])


def modules_in(machine: Machine, args: list[Any], names: Names) -> Items:
    """``pkgutil.iter_modules``: (finder, name, whether it is a package)."""
    wanted = args[0] if args else names.get("path", UNKNOWN)
    found = Items(is_whole=isinstance(wanted, Items))
    for folder in wanted if isinstance(wanted, Items) else ():
        inside = listed(machine, Path(folder)) if isinstance(folder, str | Path) else Items(is_whole=False)
        found.is_whole = found.is_whole and inside.is_whole
        found.extend(Items([UNKNOWN, entry.stem, entry.is_dir()]) for entry in inside if _is_module(entry))
    return found


def _is_module(entry: Path) -> bool:
    if entry.is_dir():
        return (entry / "__init__.py").is_file()
    return entry.suffix == ".py" and entry.stem != "__init__"


def import_module(machine: Machine, args: list[Any], names: Names) -> Any:
    name = args[0] if args else names.get("name", UNKNOWN)
    package = args[1] if len(args) > 1 else names.get("package", "")
    if not isinstance(name, str) or not isinstance(package, str):
        return UNKNOWN
    if not name.startswith("."):
        return machine.load(name)
    dots = len(name) - len(name.lstrip("."))
    parts = package.split(".")
    return machine.load(".".join([*parts[: len(parts) - dots + 1], name[dots:]]).strip("."))


def spec(_: Machine, args: list[Any], names: Names) -> Any:
    file = args[1] if len(args) > 1 else names.get("location", UNKNOWN)
    made = Table({"name": args[0] if args else UNKNOWN, "origin": file}, is_whole=False)
    return Instance(External("importlib.machinery.ModuleSpec"), made)


def module_of_spec(machine: Machine, args: list[Any], _: Names) -> Any:
    spec = args[0] if args else UNKNOWN
    origin = spec.names.get("origin") if isinstance(spec, Instance) else UNKNOWN
    return machine.load_file(Path(origin)) if isinstance(origin, str | Path) else UNKNOWN


def add_path(machine: Machine, args: list[Any], _: Names) -> None:
    if args and isinstance(args[-1], str | Path):
        machine.add_path(str(args[-1]))


def matches(_: Machine, args: list[Any], __: Names) -> Any:
    return fnmatch.fnmatch(*args[:2]) if len(args) == 2 and all(isinstance(arg, str) for arg in args) else UNKNOWN
