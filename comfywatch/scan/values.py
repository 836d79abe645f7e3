"""What is known of a Python source's values while it is followed, and how they change when it is not sure whether.

The rule: what cannot be known is ``UNKNOWN``, and what happens only perhaps (*in doubt*) never adds anything. A value
remembers at which depth of doubt it was made; a change from deeper down is one that may not happen.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, TypeAlias


class Gap(Enum):
    """Where there is no value to be had."""

    UNKNOWN = "cannot be known"
    MISSING = "is not there"


MAX_ITEMS = 100_000
UNKNOWN, MISSING = Gap.UNKNOWN, Gap.MISSING


class Failed(Exception):
    """The source would raise here; ``kind`` is the name of the exception."""

    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(message or kind)
        self.kind = kind


class TooLong(Exception):
    """Following the source takes more steps than are worth it."""


class Table(dict[Any, Any]):
    """A dict; without ``is_whole`` it may have more keys."""

    def __init__(self, *args: Any, level: int = 0, is_whole: bool = True) -> None:
        super().__init__(*args)
        self.level = level
        self.is_whole = is_whole

    def put(self, key: Any, value: Any, *, doubt: int) -> None:
        """Set a key; in doubt, one that is there is unknown from now on."""
        if not is_key(key):
            self.is_whole = False
        elif doubt <= self.level:
            self[key] = value
        elif key in self:
            self[key] = UNKNOWN
        else:
            self.is_whole = False

    def put_all(self, other: Any, *, doubt: int) -> None:
        """``update``; of what is no known dict, nothing but that there may be more."""
        if isinstance(other, Table):
            for key, value in list(other.items()):
                self.put(key, value, doubt=doubt)
            self.is_whole = self.is_whole and other.is_whole
        else:
            self.is_whole = False

    def remove(self, key: Any) -> Any:
        """``pop``, sure or not; which key is gone that is not known, every one may be."""
        if not is_key(key):
            self.clear()
            self.is_whole = False
            return UNKNOWN
        return self.pop(key, MISSING if self.is_whole else UNKNOWN)


class Items(list[Any]):
    """A list, tuple or set; without ``is_whole`` it may hold more."""

    def __init__(self, items: Iterable[Any] = (), *, level: int = 0, is_whole: bool = True) -> None:
        super().__init__(items)
        self.level = level
        self.is_whole = is_whole

    def add_all(self, other: Any, *, doubt: int) -> None:
        """``extend``; of what is no known list, nothing but that there may be more."""
        if isinstance(other, Items) and doubt <= self.level and len(self) + len(other) <= MAX_ITEMS:
            self.extend(list(other))
            self.is_whole = self.is_whole and other.is_whole
        else:
            self.is_whole = False


@dataclass(slots=True, eq=False)
class Scope:
    """The names of a module, class or function; ``declared`` are those that ``global`` and ``nonlocal`` name."""

    names: Table
    outer: Scope | None
    module: Module
    is_class: bool = False
    declared: dict[str, Scope] = field(default_factory=dict)
    function: Function | None = None
    receiver: Any = MISSING

    def find(self, name: str) -> Any:
        """The value of a name, as Python looks for it."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names and (scope is self or not scope.is_class):
                return scope.names[name]
            if not scope.names.is_whole and not scope.is_class:
                return UNKNOWN
            scope = scope.outer
        return MISSING

    def bind(self, name: str, value: Any, *, doubt: int) -> None:
        """Assign to a name."""
        home = self.declared.get(name, self)
        home.names.put(name, value if doubt <= home.names.level else UNKNOWN, doubt=home.names.level)


@dataclass(slots=True, eq=False)
class Module:
    """A source file; ``package`` is what a dot in its imports stands for.

    ``leans_on`` are libraries that it cannot be imported without, and that may not be there.
    """

    name: str
    file: Path
    package: str
    names: Table = field(default_factory=Table)
    leans_on: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Class:
    """A class; ``names`` are those of its body, ``fields`` those that are annotated, in order, as of a dataclass."""

    name: str
    module: Module
    bases: tuple[Any, ...]
    names: Table
    fields: tuple[str, ...] = ()

    def find(self, name: str) -> Any:
        """A name of the class or of what it derives from."""
        if name in self.names:
            return self.names[name]
        return self.inherited(name)

    def inherited(self, name: str) -> Any:
        """A name of what it derives from."""
        for base in self.bases:
            found = base.find(name) if isinstance(base, Class) else _outside(base)
            if found is not MISSING:
                return found
        return MISSING

    def all_fields(self) -> list[str]:
        """Its fields after those of what it derives from."""
        above = [name for base in self.bases if isinstance(base, Class) for name in base.all_fields()]
        return list(dict.fromkeys([*above, *self.fields]))

    def ancestors(self) -> list[Any]:
        """Itself and all that it derives from, as far as it can be followed."""
        above = [
            ancestor for base in self.bases for ancestor in (base.ancestors() if isinstance(base, Class) else [base])
        ]
        return [self, *above]


@dataclass(slots=True, eq=False)
class Function:
    """A function or method with the scope that it was made in; ``kind`` is a decorator that changes what a call is."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scope: Scope
    defaults: Mapping[str, Any]
    kind: str = ""
    owner: Class | None = None


@dataclass(slots=True, eq=False)
class Bound:
    """A function with its first argument."""

    function: Function
    receiver: Any


@dataclass(slots=True, eq=False)
class Instance:
    """An object: of a class of the sources, or of one from outside that was called with these names."""

    made_by: Class | External
    names: Table


@dataclass(slots=True, eq=False)
class Above:
    """What ``super()`` gives."""

    owner: Class
    receiver: Any


@dataclass(frozen=True, slots=True)
class External:
    """Something that no source of the installation defines, by its dotted name."""

    name: str


@dataclass(slots=True, eq=False)
class Method:
    """A method of a plain value."""

    owner: Any
    name: str


Names: TypeAlias = dict[str, Any]


class Machine(Protocol):
    """What the functions that are known need of the machine that follows a source."""

    doubt: int

    def call(self, function: Any, args: list[Any], names: dict[str, Any]) -> Any: ...

    def attribute(self, value: Any, name: str) -> Any: ...

    def load(self, name: str) -> Any: ...

    def load_file(self, file: Path) -> Any: ...

    def may_look(self, path: Path) -> bool: ...

    def add_path(self, path: str) -> None: ...


Known: TypeAlias = Callable[[Machine, list[Any], Names], Any]
"""A function that is known: what it gives for these arguments."""


def is_key(value: Any) -> bool:
    """Whether a dict can have it as a known key."""
    return isinstance(value, str | int | float | bytes | None | Class | External)


def is_plain(value: Any) -> bool:
    """Whether it is one of Python's own simple values."""
    return value is None or isinstance(value, str | int | float | bytes)


def truth(value: Any) -> bool | None:
    """Whether Python takes it for true; ``None`` if that cannot be known."""
    if value is UNKNOWN or isinstance(value, External):
        return None
    if isinstance(value, Instance) and isinstance(value.made_by, External):
        return None
    if isinstance(value, Table | Items):
        return True if value else (False if value.is_whole else None)
    return bool(value) if is_plain(value) else True


def _outside(base: Any) -> Any:
    return MISSING if base in (External("builtins.object"), External("abc.ABC")) else UNKNOWN
