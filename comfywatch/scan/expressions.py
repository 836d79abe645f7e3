"""Expressions of a Python source, as far as their values can be known without running it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from comfywatch.scan.looking import names_of
from comfywatch.scan.making import items_of
from comfywatch.scan.methods import MAX_TEXT
from comfywatch.scan.objects import Objects
from comfywatch.scan.operators import combined, compared
from comfywatch.scan.values import (
    MISSING,
    UNKNOWN,
    Above,
    External,
    Failed,
    Function,
    Items,
    Scope,
    Table,
    TooLong,
    is_key,
    is_plain,
    truth,
)

MAX_STEPS = 3_000_000


class Expressions(Objects):
    """Evaluates, one step an expression."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def value(self, node: ast.expr | None, scope: Scope) -> Any:
        """The value of an expression; ``UNKNOWN`` where it cannot be told."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TooLong
        if isinstance(node, ast.Constant):
            return node.value
        evaluate = self._EVALUATE.get(type(node))
        return UNKNOWN if evaluate is None else evaluate(self, node, scope)

    def in_doubt(self, node: ast.expr, scope: Scope) -> Any:
        """The value that an expression has if it is evaluated, which is not sure."""
        self.doubt += 1
        try:
            return self.value(node, scope)
        except Failed:
            return UNKNOWN
        finally:
            self.doubt -= 1

    def _call(self, node: ast.Call, scope: Scope) -> Any:
        function = self.value(node.func, scope)
        if isinstance(function, External) and function.name in {"builtins.globals", "builtins.locals"}:
            return scope.names if function.name == "builtins.locals" else scope.module.names
        if function == External("builtins.super"):
            return _above(scope)
        args = [self.value(arg, scope) for arg in node.args if not isinstance(arg, ast.Starred)]
        names: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value, scope)
            if keyword.arg is not None:
                names[keyword.arg] = value
            elif isinstance(value, Table):
                names |= {key: item for key, item in value.items() if isinstance(key, str)}
        for arg in node.args:
            if isinstance(arg, ast.Starred):
                args += items_of(self.value(arg.value, scope), level=0)
        return self.call(function, args, names)

    def _name(self, node: ast.Name, scope: Scope) -> Any:
        found = scope.find(node.id)
        return External(f"builtins.{node.id}") if found is MISSING else found

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Any:
        found = self.attribute(self.value(node.value, scope), node.attr)
        return UNKNOWN if found is MISSING else found

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Any:
        value = self.value(node.value, scope)
        if isinstance(node.slice, ast.Slice):
            return self._slice(value, node.slice, scope)
        key = self.value(node.slice, scope)
        if isinstance(value, Table) and is_key(key):
            return value.get(key, UNKNOWN)
        if isinstance(value, Items | str) and isinstance(key, int) and -len(value) <= key < len(value):
            return value[key] if isinstance(value, str) or value.is_whole or key >= 0 else UNKNOWN
        return UNKNOWN

    def _slice(self, value: Any, part: ast.Slice, scope: Scope) -> Any:
        bounds = [None if node is None else self.value(node, scope) for node in (part.lower, part.upper, part.step)]
        if not all(bound is None or isinstance(bound, int) for bound in bounds) or bounds[2] == 0:
            return UNKNOWN
        if isinstance(value, str):
            return value[slice(*bounds)]
        if isinstance(value, Items) and value.is_whole:
            return Items(list(value)[slice(*bounds)], level=self.doubt)
        return UNKNOWN

    def _table(self, node: ast.Dict, scope: Scope) -> Table:
        table = Table(level=self.doubt)
        for key, item in zip(node.keys, node.values, strict=True):
            value = self.value(item, scope)
            if key is None:
                table.put_all(value, doubt=self.doubt)
            else:
                table.put(self.value(key, scope), value, doubt=self.doubt)
        return table

    def _items(self, node: ast.List | ast.Tuple | ast.Set, scope: Scope) -> Items:
        items = Items(level=self.doubt)
        for element in node.elts:
            if isinstance(element, ast.Starred):
                items.add_all(items_of(self.value(element.value, scope), level=0), doubt=self.doubt)
            else:
                items.append(self.value(element, scope))
        return items

    def _text(self, node: ast.JoinedStr, scope: Scope) -> Any:
        parts = [self.value(part, scope) for part in node.values]
        whole = all(isinstance(part, str) for part in parts)
        return "".join(parts) if whole and sum(map(len, parts)) <= MAX_TEXT else UNKNOWN

    def _formatted(self, node: ast.FormattedValue, scope: Scope) -> Any:
        value = self.value(node.value, scope)
        form = "" if node.format_spec is None else self.value(node.format_spec, scope)
        if not (is_plain(value) or isinstance(value, Path)) or not isinstance(form, str) or len(form) > 6:
            return UNKNOWN
        try:
            return format(repr(value) if node.conversion == ord("r") else value if form else str(value), form)
        except (ValueError, TypeError):
            return UNKNOWN

    def _lambda(self, node: ast.Lambda, scope: Scope) -> Function:
        return Function(node, scope, self.defaults(node.args, scope))

    def defaults(self, args: ast.arguments, scope: Scope) -> dict[str, Any]:
        """The arguments that need not be given."""
        plain = [*args.posonlyargs, *args.args]
        last = plain[len(plain) - len(args.defaults) :]
        found = {arg.arg: self.value(node, scope) for arg, node in zip(last, args.defaults, strict=True)}
        for arg, node in zip(args.kwonlyargs, args.kw_defaults, strict=True):
            if node is not None:
                found[arg.arg] = self.value(node, scope)
        return found

    def _list_of(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, scope: Scope) -> Items:
        items = Items(level=self.doubt)
        for inner in self._rounds(node.generators, self._inside(scope), items):
            items.append(self.value(node.elt, inner))
        return items

    def _table_of(self, node: ast.DictComp, scope: Scope) -> Table:
        table = Table(level=self.doubt)
        for inner in self._rounds(node.generators, self._inside(scope), table):
            table.put(self.value(node.key, inner), self.value(node.value, inner), doubt=self.doubt)
        return table

    def _inside(self, scope: Scope) -> Scope:
        return Scope(names=Table(level=self.doubt), outer=scope, module=scope.module)

    def _rounds(self, loops: list[ast.comprehension], scope: Scope, result: Items | Table) -> Iterator[Scope]:
        if not loops:
            yield scope
            return
        items = items_of(self.value(loops[0].iter, scope), level=0)
        result.is_whole = result.is_whole and items.is_whole
        for item in items:
            self.assign(loops[0].target, item, scope)
            verdicts = [truth(self.value(test, scope)) for test in loops[0].ifs]
            if all(verdicts):
                yield from self._rounds(loops[1:], scope, result)
            elif False not in verdicts:
                result.is_whole = False

    def assign(self, target: ast.expr, value: Any, scope: Scope) -> None:
        """Give ``value`` to whatever stands left of the equals sign."""
        match target:
            case ast.Name(id=name):
                scope.bind(name, value, doubt=self.doubt)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                self._unpack(parts, value, scope)
            case ast.Attribute(value=owner, attr=name):
                names = names_of(self.value(owner, scope))
                if names is not None:
                    names.put(name, value, doubt=self.doubt)
            case ast.Subscript(value=owner, slice=key):
                self._put(self.value(owner, scope), self.value(key, scope), value)

    def _put(self, owner: Any, key: Any, value: Any) -> None:
        if isinstance(owner, Table):
            owner.put(key, value, doubt=self.doubt)
        elif isinstance(owner, Items):
            is_sure = self.doubt <= owner.level and isinstance(key, int) and -len(owner) <= key < len(owner)
            if is_sure:
                owner[key] = value
            else:
                owner[:] = [UNKNOWN] * len(owner)

    def _unpack(self, parts: list[ast.expr], value: Any, scope: Scope) -> None:
        items = items_of(value, level=0)
        fits = items.is_whole and len(items) == len(parts) and not any(isinstance(p, ast.Starred) for p in parts)
        for place, part in enumerate(parts):
            inner = part.value if isinstance(part, ast.Starred) else part
            self.assign(inner, items[place] if fits else UNKNOWN, scope)

    def _binary(self, node: ast.BinOp, scope: Scope) -> Any:
        return combined(node.op, self.value(node.left, scope), self.value(node.right, scope), level=self.doubt)

    def _compare(self, node: ast.Compare, scope: Scope) -> Any:
        if len(node.ops) != 1:
            return UNKNOWN
        return compared(node.ops[0], self.value(node.left, scope), self.value(node.comparators[0], scope))

    def _unary(self, node: ast.UnaryOp, scope: Scope) -> Any:
        value = self.value(node.operand, scope)
        if isinstance(node.op, ast.Not):
            verdict = truth(value)
            return UNKNOWN if verdict is None else not verdict
        return -value if isinstance(node.op, ast.USub) and isinstance(value, int | float) else UNKNOWN

    def _and_or(self, node: ast.BoolOp, scope: Scope) -> Any:
        stops = isinstance(node.op, ast.Or)
        value: Any = UNKNOWN
        for part in node.values:
            value = self.value(part, scope)
            verdict = truth(value)
            if verdict is None:
                rest = [self.in_doubt(other, scope) for other in node.values]
                ends = any(truth(other) is stops for other in rest)
                return stops if ends else UNKNOWN
            if verdict is stops:
                return value
        return value

    def _if_else(self, node: ast.IfExp, scope: Scope) -> Any:
        verdict = truth(self.value(node.test, scope))
        if verdict is not None:
            return self.value(node.body if verdict else node.orelse, scope)
        this, that = self.in_doubt(node.body, scope), self.in_doubt(node.orelse, scope)
        return this if this is that or (is_plain(this) and is_plain(that) and this == that) else UNKNOWN

    def _named(self, node: ast.NamedExpr, scope: Scope) -> Any:
        value = self.value(node.value, scope)
        scope.bind(node.target.id, value, doubt=self.doubt)
        return value

    def _awaited(self, node: ast.Await, scope: Scope) -> Any:
        return self.value(node.value, scope)

    _EVALUATE: ClassVar[Mapping[Any, Callable[..., Any]]] = {
        ast.Attribute: _attribute,
        ast.Await: _awaited,
        ast.BinOp: _binary,
        ast.BoolOp: _and_or,
        ast.Call: _call,
        ast.Compare: _compare,
        ast.Dict: _table,
        ast.DictComp: _table_of,
        ast.FormattedValue: _formatted,
        ast.GeneratorExp: _list_of,
        ast.IfExp: _if_else,
        ast.JoinedStr: _text,
        ast.Lambda: _lambda,
        ast.List: _items,
        ast.ListComp: _list_of,
        ast.Name: _name,
        ast.NamedExpr: _named,
        ast.Set: _items,
        ast.SetComp: _list_of,
        ast.Subscript: _subscript,
        ast.Tuple: _items,
        ast.UnaryOp: _unary,
    }


def _above(scope: Scope) -> Any:
    function = scope.function
    if function is None or function.owner is None or scope.receiver is MISSING:
        return UNKNOWN
    return Above(function.owner, scope.receiver)
