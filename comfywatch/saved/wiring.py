"""Where the value of an input comes from: along its link, through all that is no node to ComfyUI.

Reroutes and bypassed nodes pass on, subgraphs are entered and left, a muted node gives nothing, and a primitive gives a
value and no link.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from comfywatch.saved.frontends import Frontend
from comfywatch.saved.graph import FROM_OUTSIDE, Mode, Node
from comfywatch.saved.scopes import Placed, Scope
from comfywatch.saved.widgets import MISSING, Widget, control_of, widgets_of
from comfywatch.schemas import Schemas

PRIMITIVE = "PrimitiveNode"
REROUTE = "Reroute"

_LONGEST_WAY = 1000
"""Steps along one link, far above what people draw: there may be no end to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """An output slot of a node in the prompt."""

    node: str
    slot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value; ``of`` says whose it is, the same for all inputs that it reaches, and ``widget`` where it was set.

    ``is_own`` is one that the input's own widget holds, which then does with it what it does with its own.
    """

    value: Any
    of: str
    widget: Widget | None = None
    is_own: bool = False


class Nothing(Enum):
    """Why nothing comes."""

    UNLINKED = "unlinked"
    MUTED = "muted"
    BROKEN = "broken"
    """The link, or the node that it begins at, is not in the file."""


Source = Output | Value | Nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class _At:
    """A place on the way: a link, in its scope."""

    scope: Scope
    link: str | None
    past_reroute: bool = False
    """A primitive does not reach beyond one."""


@dataclass(slots=True, kw_only=True)
class Wiring:
    """Asked about one unfolded workflow; what was found of a node's widgets is kept."""

    schemas: Schemas
    frontend: Frontend
    _widgets: dict[str, Mapping[str, Widget]] = field(default_factory=dict)

    def widgets(self, placed: Placed) -> Mapping[str, Widget]:
        """Those of a node of a known class, with what the instance around it says of them."""
        known = self._widgets.get(placed.id)
        if known is None:
            known = self._widgets[placed.id] = self._read(placed)
        return known

    def source(self, scope: Scope, link: str | None) -> Source:
        """What comes along a link of ``scope``."""
        at: _At | Source = _At(scope=scope, link=link)
        entered: list[tuple[Scope, str]] = []
        for _ in range(_LONGEST_WAY):
            if not isinstance(at, _At):
                break
            at = self._step(at, entered)
        source = Nothing.UNLINKED if isinstance(at, _At) else at
        for inside, name in reversed(entered):
            if source is Nothing.UNLINKED or (source is Nothing.MUTED and self.frontend.keeps_value_of_muted):
                source = self._promoted(inside, name)
        return replace(source, is_own=False) if isinstance(source, Value) and entered else source

    def _promoted(self, scope: Scope, name: str) -> Source:
        """What an instance gives for its input when nothing is linked: its value, or that of the widget inside."""
        of, value = scope.path + name, MISSING
        while scope.subgraph is not None:
            value = scope.promoted.get(name, MISSING) if value is MISSING else value
            inside = next(
                ((n, slot) for n, slot in scope.subgraph.entries.get(name, ()) if slot.widget is not None), None
            )
            if inside is None:
                break
            node, slot = inside
            if node.id in scope.inner:
                scope, name = scope.inner[node.id], slot.name
                continue
            widget = self.widgets(Placed(scope=scope, node=node)).get(slot.widget or slot.name)
            value = widget.value if widget is not None and value is MISSING else value
            return Nothing.UNLINKED if value is MISSING else Value(value=value, of=of, widget=widget)
        return Nothing.UNLINKED

    def _read(self, placed: Placed) -> Mapping[str, Widget]:
        node, proxied = placed.node, placed.scope.proxied
        found = widgets_of(node.type, self.schemas.inputs(node.type).values(), node.values)
        for name, widget in found.items() if proxied else ():
            if (node.id, name) in proxied:
                found[name] = replace(widget, value=proxied[node.id, name])
        return found

    def _step(self, at: _At, entered: list[tuple[Scope, str]]) -> _At | Source:
        """One node further up; ``entered`` grows by the input of a subgraph that was left that way."""
        if at.link is None:
            return Nothing.UNLINKED
        link = at.scope.graph.links.get(at.link)
        if link is None:
            return Nothing.BROKEN
        if link.origin == FROM_OUTSIDE:
            return _outward(at, link.origin_slot, entered)
        node = at.scope.graph.nodes.get(link.origin)
        if node is None:
            return Nothing.BROKEN
        if node.type == PRIMITIVE:
            return Nothing.UNLINKED if at.past_reroute else _primitive(at.scope, node)
        if node.type == REROUTE:
            return self._past_reroute(at, node)
        return self._into(at, node, link.origin_slot)

    def _past_reroute(self, at: _At, node: Node) -> _At | Source:
        if node.mode is Mode.MUTED and self.frontend.muted_reroute_stops:
            return Nothing.MUTED
        return replace(at, link=node.inputs[0].link if node.inputs else None, past_reroute=True)

    def _into(self, at: _At, node: Node, slot: int) -> _At | Source:
        inner = at.scope.inner.get(node.id)
        if node.mode is Mode.MUTED:
            return Nothing.MUTED
        if node.mode is Mode.BYPASSED:
            return replace(at, link=_bypass(node, inner, slot))
        if inner is not None and inner.subgraph is not None:
            return replace(at, scope=inner, link=inner.subgraph.exits.get(slot))
        return Output(node=at.scope.path + node.id, slot=slot)


def _bypass(node: Node, inner: Scope | None, slot: int) -> str | None:
    """The link of the input that stands in for an output: the one beside it, or the first, of the same type."""
    inputs, outputs = node.inputs, node.outputs
    if inner is not None and inner.subgraph is not None:  # a file leaves out those that are not linked
        inputs = tuple(replace(known, link=inner.linked.get(known.name)) for known in inner.subgraph.inputs)
        outputs = inner.subgraph.outputs
    if not 0 <= slot < len(outputs):
        return None
    beside = inputs[slot : slot + 1]
    return next((there.link for there in (*beside, *inputs) if there.type == outputs[slot]), None)


def _outward(at: _At, number: int, entered: list[tuple[Scope, str]]) -> _At | Source:
    scope = at.scope
    if scope.subgraph is None or scope.outer is None or not 0 <= number < len(scope.subgraph.inputs):
        return Nothing.BROKEN
    name = scope.subgraph.inputs[number].name
    entered.append((scope, name))
    return replace(at, scope=scope.outer, link=scope.linked.get(name))


def _primitive(scope: Scope, node: Node) -> Source:
    """Its first value; the second is the word that says what becomes of it, as with a seed."""
    if not isinstance(node.values, list) or not node.values:
        return Nothing.UNLINKED
    value, *rest = node.values
    control = control_of(rest[0]) if rest else None
    widget = Widget(name="value", value=value, control=control)
    return Value(value=value, of=scope.path + node.id, widget=widget, is_own=True)
