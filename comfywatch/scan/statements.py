"""Statements of a Python source, followed in the order in which Python would run them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from comfywatch.scan.definitions import Definitions, Jump
from comfywatch.scan.making import items_of
from comfywatch.scan.operators import combined
from comfywatch.scan.values import (
    UNKNOWN,
    Failed,
    Items,
    Module,
    Scope,
    Table,
    truth,
)

MAX_ROUNDS = 10_000


_CATCHES_IMPORTS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


class Statements(Definitions):
    """Each method returns how it goes on, ``None`` for the next statement."""

    def __init__(self) -> None:
        super().__init__()
        self.guards = 0
        """How many ``try`` there are around what happens now that go on after an ``ImportError``."""

    def follow(self, body: Iterable[ast.stmt], scope: Scope) -> Jump | None:
        """A block; after a jump that is not sure, the rest is in doubt."""
        jump: Jump | None = None
        doubt = self.doubt
        try:
            for statement in body:
                now = self._statement(statement, scope)
                if now is not None and now.is_sure:
                    return now if jump is None else Jump(kind=now.kind, value=UNKNOWN, is_sure=False)
                if now is not None:
                    jump = now
                    self.doubt += 1
        finally:
            self.doubt = doubt
        return jump

    def import_from(self, node: ast.ImportFrom, scope: Scope) -> bool:
        """``from … import …``; whether what it needs is known to be there."""
        raise NotImplementedError

    def import_names(self, node: ast.Import, scope: Scope) -> bool:
        """``import …``; whether what it needs is known to be there."""
        raise NotImplementedError

    def _statement(self, node: ast.stmt, scope: Scope) -> Jump | None:
        follow = self._FOLLOW.get(type(node))
        return None if follow is None else follow(self, node, scope)

    def _perhaps(self, body: Iterable[ast.stmt], scope: Scope) -> Jump | None:
        """A block of which nobody knows whether it is run."""
        self.doubt += 1
        try:
            jump = self.follow(body, scope)
        except Failed:
            return Jump(kind="raise", is_sure=False) if self.guards else None
        finally:
            self.doubt -= 1
        return None if jump is None else Jump(kind=jump.kind, value=UNKNOWN, is_sure=False)

    def _if(self, node: ast.If, scope: Scope) -> Jump | None:
        verdict = truth(self.value(node.test, scope))
        if verdict is not None:
            return self.follow(node.body if verdict else node.orelse, scope)
        jumps = [self._perhaps(node.body, scope), self._perhaps(node.orelse, scope)]
        return next(filter(None, jumps), None)

    def _try(self, node: ast.Try, scope: Scope) -> Jump | None:
        catches = any(_catches_imports(handler) for handler in node.handlers)
        self.guards += catches
        jump: Jump | None
        try:
            jump = self.follow(node.body, scope)
            if jump is None or not jump.is_sure:
                self.guards -= catches
                catches = False
                jump = self.follow(node.orelse, scope) or jump
        except Failed as failed:
            handler = next((handler for handler in node.handlers if _catches(handler, failed)), None)
            if handler is None:
                raise
            jump = self._handle(handler, scope)
        finally:
            self.guards -= catches
            self.follow(node.finalbody, scope)
        return None if jump is not None and jump.kind == "raise" else jump

    def _handle(self, handler: ast.ExceptHandler, scope: Scope) -> Jump | None:
        if handler.name:
            scope.bind(handler.name, UNKNOWN, doubt=self.doubt)
        return self.follow(handler.body, scope)

    def _match(self, node: ast.Match, scope: Scope) -> Jump | None:
        jumps = [self._perhaps(case.body, scope) for case in node.cases]
        return next(filter(None, jumps), None)

    def _with(self, node: ast.With, scope: Scope) -> Jump | None:
        for item in node.items:
            value = self.value(item.context_expr, scope)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, value if isinstance(value, Items) else UNKNOWN, scope)
        return self.follow(node.body, scope)

    def _for(self, node: ast.For, scope: Scope) -> Jump | None:
        items = items_of(self.value(node.iter, scope), level=0)
        with self._open_end():
            for item in list(items):
                self.assign(node.target, item, scope)
                jump = self.follow(node.body, scope)
                if jump is not None and jump.kind != "continue":
                    if jump.is_sure:
                        return None if jump.kind == "break" else jump
                    self.doubt += 1
            if not items.is_whole:
                self.doubt += 1
                self.assign(node.target, UNKNOWN, scope)
                jump = self._perhaps(node.body, scope)
                if jump is not None and jump.kind in {"return", "raise"}:
                    return jump
        return self.follow(node.orelse, scope)

    def _while(self, node: ast.While, scope: Scope) -> Jump | None:
        with self._open_end():
            for _ in range(MAX_ROUNDS):
                verdict = truth(self.value(node.test, scope))
                if verdict is False:
                    return self.follow(node.orelse, scope)
                jump = self.follow(node.body, scope) if verdict else self._perhaps(node.body, scope)
                if jump is not None and jump.kind != "continue":
                    return None if jump.kind == "break" else jump
                if verdict is None:
                    return None
        return None

    @contextmanager
    def _open_end(self) -> Iterator[None]:
        """A loop: what was in doubt in it is no more, once it is over."""
        doubt = self.doubt
        try:
            yield
        finally:
            self.doubt = doubt

    def _assign(self, node: ast.Assign, scope: Scope) -> None:
        value = self.value(node.value, scope)
        for target in node.targets:
            self.assign(target, value, scope)

    def _annotated(self, node: ast.AnnAssign, scope: Scope) -> None:
        if node.value is not None:
            self.assign(node.target, self.value(node.value, scope), scope)

    def _augmented(self, node: ast.AugAssign, scope: Scope) -> None:
        old, new = self.value(node.target, scope), self.value(node.value, scope)
        if isinstance(old, Table) and isinstance(node.op, ast.BitOr):
            old.put_all(new, doubt=self.doubt)
        elif isinstance(old, Items) and isinstance(node.op, ast.BitOr | ast.Add):
            old.add_all(new, doubt=self.doubt)
        else:
            self.assign(node.target, combined(node.op, old, new, level=self.doubt), scope)

    def _delete(self, node: ast.Delete, scope: Scope) -> None:
        for target in node.targets:
            match target:
                case ast.Name(id=name):
                    scope.declared.get(name, scope).names.pop(name, None)
                case ast.Subscript(value=owner, slice=key):
                    table = self.value(owner, scope)
                    if isinstance(table, Table):
                        table.remove(self.value(key, scope))

    def _global(self, node: ast.Global, scope: Scope) -> None:
        top = scope
        while top.outer is not None:
            top = top.outer
        scope.declared |= dict.fromkeys(node.names, top)

    def _nonlocal(self, node: ast.Nonlocal, scope: Scope) -> None:
        for name in node.names:
            outer = scope.outer
            while outer is not None and name not in outer.names:
                outer = outer.outer
            if outer is not None:
                scope.declared[name] = outer

    def _expression(self, node: ast.Expr, scope: Scope) -> None:
        self.value(node.value, scope)

    def _return(self, node: ast.Return, scope: Scope) -> Jump:
        return Jump(kind="return", value=None if node.value is None else self.value(node.value, scope))

    def _raise(self, node: ast.Raise, _: Scope) -> Jump:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        kind = raised.id if isinstance(raised, ast.Name) else "Exception"
        raise Failed(kind, f"line {node.lineno} raises {kind}")

    def _break(self, _: ast.Break, __: Scope) -> Jump:
        return Jump(kind="break")

    def _continue(self, _: ast.Continue, __: Scope) -> Jump:
        return Jump(kind="continue")

    def _import(self, node: ast.Import, scope: Scope) -> Jump | None:
        return self._after_import(self.import_names(node, scope))

    def _import_from(self, node: ast.ImportFrom, scope: Scope) -> Jump | None:
        return self._after_import(self.import_from(node, scope))

    def _after_import(self, is_there: bool) -> Jump | None:
        """Where somebody has seen to it that a library may be missing, it may."""
        return None if is_there or not self.guards else Jump(kind="raise", is_sure=False)

    _FOLLOW: ClassVar[Mapping[Any, Callable[..., Jump | None]]] = {
        ast.AnnAssign: _annotated,
        ast.Assign: _assign,
        ast.AsyncFunctionDef: Definitions.define_function,
        ast.AsyncWith: _with,
        ast.AugAssign: _augmented,
        ast.Break: _break,
        ast.ClassDef: Definitions.define_class,
        ast.Continue: _continue,
        ast.Delete: _delete,
        ast.Expr: _expression,
        ast.For: _for,
        ast.FunctionDef: Definitions.define_function,
        ast.Global: _global,
        ast.If: _if,
        ast.Import: _import,
        ast.ImportFrom: _import_from,
        ast.Match: _match,
        ast.Nonlocal: _nonlocal,
        ast.Raise: _raise,
        ast.Return: _return,
        ast.Try: _try,
        ast.While: _while,
        ast.With: _with,
    }


def module_scope(module: Module) -> Scope:
    """The scope of a module's own statements."""
    return Scope(names=module.names, outer=None, module=module)


def _names_of(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {name.id if isinstance(name, ast.Name) else "Exception" for name in caught}


def _catches_imports(handler: ast.ExceptHandler) -> bool:
    return bool(_names_of(handler) & _CATCHES_IMPORTS)


def _catches(handler: ast.ExceptHandler, failed: Failed) -> bool:
    names = _names_of(handler) | {"Exception"} if handler.type is None else _names_of(handler)
    family = {"ModuleNotFoundError": {"ImportError"}}.get(failed.kind, set())
    return bool(names & ({failed.kind, "Exception", "BaseException"} | family))
