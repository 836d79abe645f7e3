"""Functions and classes of a Python source: made where they are defined, followed where they are called."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from comfywatch.scan.expressions import Expressions
from comfywatch.scan.values import (
    MISSING,
    UNKNOWN,
    Bound,
    Class,
    Function,
    Items,
    Scope,
    Table,
)

MAX_DEPTH = 60
"""Calls within calls."""
_KINDS = frozenset({"classmethod", "staticmethod", "property"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A statement that is not followed by the next; not ``is_sure`` if it may be all the same."""

    kind: str
    value: Any = None
    is_sure: bool = True


class Definitions(Expressions):
    """Makes and calls; ``depth`` counts calls within calls."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0

    def follow(self, body: Iterable[ast.stmt], scope: Scope) -> Jump | None:
        """Follow statements, and say how they end."""
        raise NotImplementedError

    def call_function(self, function: Function, args: list[Any], names: dict[str, Any]) -> Any:
        if self.depth >= MAX_DEPTH:
            return UNKNOWN
        scope = Scope(
            names=Table(level=self.doubt),
            outer=function.scope,
            module=function.scope.module,
            function=function,
            receiver=args[0] if args else MISSING,
        )
        _give(function, args, names, scope)
        if isinstance(function.node, ast.Lambda):
            return self.value(function.node.body, scope)
        self.depth += 1
        try:
            jump = self.follow(function.node.body, scope)
        finally:
            self.depth -= 1
        if jump is None or jump.kind != "return":
            return None
        return jump.value if jump.is_sure else UNKNOWN

    def define_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        home = scope
        while home.is_class and home.outer is not None:
            home = home.outer
        made = Function(node, home, self.defaults(node.args, scope))
        made.kind = next(filter(None, map(_kind, node.decorator_list)), "")
        others = [decorator for decorator in node.decorator_list if not _kind(decorator)]
        scope.bind(node.name, self._decorated(made, others, scope), doubt=self.doubt)

    def define_class(self, node: ast.ClassDef, scope: Scope) -> None:
        bases = tuple(self.value(base, scope) for base in node.bases)
        inner = Scope(names=Table(level=self.doubt), outer=scope, module=scope.module, is_class=True)
        annotated = (part.target for part in node.body if isinstance(part, ast.AnnAssign))
        fields = tuple(target.id for target in annotated if isinstance(target, ast.Name))
        made = Class(node.name, scope.module, bases, inner.names, fields)
        self.follow(node.body, inner)
        for value in inner.names.values():
            if isinstance(value, Function) and value.owner is None:
                value.owner = made
        scope.bind(node.name, self._decorated(made, node.decorator_list, scope), doubt=self.doubt)

    def _decorated(self, made: Any, decorators: list[ast.expr], scope: Scope) -> Any:
        """What the decorators make of it; one that is not known is taken to give back what it was given."""
        for node in reversed(decorators):
            decorator = self.value(node, scope)
            if isinstance(decorator, Function | Bound | Class):
                result = self.call(decorator, [made], {})
                made = made if result is UNKNOWN or result is None else result
        return made


def _give(function: Function, args: list[Any], names: dict[str, Any], scope: Scope) -> None:
    """Bind the arguments of a call; what is not given and has no default is unknown."""
    wanted = function.node.args
    plain = [arg.arg for arg in (*wanted.posonlyargs, *wanted.args)]
    given = {**function.defaults, **dict(zip(plain, args, strict=False)), **names}
    own = [*plain, *(arg.arg for arg in wanted.kwonlyargs)]
    for name in own:
        scope.names[name] = given.get(name, UNKNOWN)
    if wanted.vararg is not None:
        scope.names[wanted.vararg.arg] = Items(args[len(plain) :], level=scope.names.level)
    if wanted.kwarg is not None:
        rest = {name: value for name, value in names.items() if name not in own}
        scope.names[wanted.kwarg.arg] = Table(rest, level=scope.names.level)


def _kind(decorator: ast.expr) -> str:
    """The name of a decorator that changes what a call is, else nothing."""
    return decorator.id if isinstance(decorator, ast.Name) and decorator.id in _KINDS else ""
