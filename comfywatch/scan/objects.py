"""Modules, classes, objects and functions of the sources: their attributes, and what a call of them gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfywatch.scan.library import LIBRARY
from comfywatch.scan.methods import call_method, path_value
from comfywatch.scan.values import (
    MISSING,
    UNKNOWN,
    Above,
    Bound,
    Class,
    External,
    Function,
    Instance,
    Items,
    Method,
    Module,
    Table,
)

_FIXED = {"typing.TYPE_CHECKING": False}


class Objects:
    """``doubt`` is how many conditions that cannot be known what happens now hangs on."""

    def __init__(self) -> None:
        self.doubt = 0

    def call(self, function: Any, args: list[Any], names: dict[str, Any]) -> Any:
        """What a call gives."""
        match function:
            case Function():
                return self.call_function(function, args, names)
            case Bound(function=inner, receiver=receiver):
                return self.call_function(inner, [receiver, *args], names)
            case Class():
                return self._instance(function, args, names)
            case Method(owner=owner, name=name):
                return call_method(self, owner, name, args, names)
            case External(name=name):
                return self._call_external(name, args, names)
        return UNKNOWN

    def call_function(self, function: Function, args: list[Any], names: dict[str, Any]) -> Any:
        """What a function of the sources returns."""
        raise NotImplementedError

    def load(self, name: str) -> Any:
        """The module of this dotted name; raises ``Failed`` if it cannot be imported."""
        raise NotImplementedError

    def load_file(self, file: Path) -> Any:
        """The module in this file; raises ``Failed`` if it cannot be imported."""
        raise NotImplementedError

    def submodule(self, module: Module, name: str) -> Any:
        """A module in a package, ``MISSING`` if there is none."""
        raise NotImplementedError

    def may_look(self, path: Path) -> bool:
        """Whether this folder or file belongs to what is read."""
        raise NotImplementedError

    def add_path(self, path: str) -> None:
        """Look for modules there too."""
        raise NotImplementedError

    def attribute(self, value: Any, name: str) -> Any:
        """An attribute, ``MISSING`` if it is known not to be there."""
        match value:
            case Module():
                return self._of_module(value, name)
            case Class():
                return self._bound(self._of_class(value, name), value, value)
            case Instance():
                return self._of_instance(value, name)
            case Above(owner=owner, receiver=receiver):
                return self._bound(owner.inherited(name), owner, receiver)
            case External(name=dotted):
                return _FIXED.get(f"{dotted}.{name}", External(f"{dotted}.{name}"))
        return _of_plain(value, name)

    def _of_module(self, module: Module, name: str) -> Any:
        found = module.names.get(name, MISSING)
        if found is MISSING and name == "__dict__":
            return module.names
        if found is MISSING:
            found = self.submodule(module, name)
        return UNKNOWN if found is MISSING and not module.names.is_whole else found

    def _of_class(self, owner: Class, name: str) -> Any:
        own = {"__name__": owner.name, "__qualname__": owner.name, "__dict__": owner.names}
        return own[name] if name in own else owner.find(name)

    def _of_instance(self, instance: Instance, name: str) -> Any:
        if name in instance.names:
            return instance.names[name]
        if isinstance(instance.made_by, External):
            return UNKNOWN
        if name == "__class__":
            return instance.made_by
        found = self._bound(instance.made_by.find(name), instance.made_by, instance)
        return UNKNOWN if found is MISSING and not instance.names.is_whole else found

    def _bound(self, found: Any, owner: Class, receiver: Any) -> Any:
        if not isinstance(found, Function) or found.kind == "staticmethod":
            return found
        if found.kind == "classmethod":
            return Bound(found, receiver if isinstance(receiver, Class) else owner)
        if not isinstance(receiver, Instance):
            return found
        return self.call(found, [receiver], {}) if found.kind == "property" else Bound(found, receiver)

    def _instance(self, made_by: Class, args: list[Any], names: dict[str, Any]) -> Instance:
        is_whole = not any(isinstance(base, External) or base is UNKNOWN for base in made_by.ancestors())
        instance = Instance(made_by, Table(level=self.doubt, is_whole=is_whole))
        starts = made_by.find("__init__")
        if isinstance(starts, Function):
            self.call_function(starts, [instance, *args], names)
        else:
            fields = made_by.all_fields()
            known_args = args if len(args) <= len(fields) else [UNKNOWN] * len(fields)
            instance.names |= {**dict(zip(fields, known_args, strict=False)), **names}
        return instance

    def _call_external(self, name: str, args: list[Any], names: dict[str, Any]) -> Any:
        if name in LIBRARY:
            return LIBRARY[name](self, args, names)
        last = name.rpartition(".")[2]
        if last[:1].isupper():
            return Instance(External(name), Table(names, level=self.doubt, is_whole=False))
        return UNKNOWN


def _of_plain(value: Any, name: str) -> Any:
    if isinstance(value, Path) and (found := path_value(value, name)) is not MISSING:
        return found
    if isinstance(value, str | int) and name == "value":
        return value  # a member of an Enum, which is its value here
    return Method(value, name) if isinstance(value, str | Items | Table | Path) else UNKNOWN
