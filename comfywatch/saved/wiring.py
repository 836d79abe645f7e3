"""Where the value of an input comes from: along its link, through all that is no node to ComfyUI.

Reroutes and bypassed nodes pass on, subgraphs are entered and left, a muted node gives nothing, and a primitive gives a
value and no link.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from comfywatch.link_types import fits
from comfywatch.saved.frontends import Frontend
from comfywatch.saved.graph import FROM_OUTSIDE, Mode, Node, Slot
from comfywatch.saved.scopes import Endless, Placed, Scope
from comfywatch.saved.widgets import MISSING, Widget, control_of, widgets_of
from comfywatch.schemas import Schemas

PRIMITIVE = "PrimitiveNode"
REROUTE = "Reroute"

_LONGEST_WAY = 250
"""Steps along one link, far above what people draw: a circle has no end."""
_MOST_STEPS = 300_000
"""Along all links of a workflow, the inputs of bypassed nodes that were looked at included."""


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
    """A place on the way: a link in its scope, and the type of the input that it leads to."""

    scope: Scope
    link: str | None
    type: str
    is_direct: bool = True
    """Nothing but subgraphs lies between: a primitive reaches no further."""


@dataclass(slots=True, kw_only=True)
class Wiring:
    """Asked about one unfolded workflow; what was found of a node's widgets is kept."""

    schemas: Schemas
    frontend: Frontend
    _widgets: dict[str, Mapping[str, Widget]] = field(default_factory=dict)
    _steps: int = 0

    def widgets(self, placed: Placed) -> Mapping[str, Widget]:
        """Those of a node of a known class, as the file has them."""
        known = self._widgets.get(placed.id)
        if known is None:
            node = placed.node
            inputs = self.schemas.inputs(node.type).values()
            known = self._widgets[placed.id] = widgets_of(node.type, inputs, node.values)
        return known

    def source(self, placed: Placed, slot: Slot) -> Source:
        """What comes along the link of an input; raises ``Endless``."""
        at: _At | Source = _At(scope=placed.scope, link=slot.link, type=self._type(placed.node, slot))
        left: list[tuple[Scope, str]] = []
        for _ in range(_LONGEST_WAY):
            if not isinstance(at, _At):
                break
            at = self._step(at, left)
        if isinstance(at, _At) or (isinstance(at, Value) and at.is_own and left and not self.frontend.primitives_enter):
            at = Nothing.UNLINKED
        for scope, name in reversed(left) if self.frontend.keeps_value_under_link else ():
            at = self._promoted(scope, name) if at is Nothing.UNLINKED else at
        return at

    def _step(self, at: _At, left: list[tuple[Scope, str]]) -> _At | Source:
        """One node further up; ``left`` grows by the input through which a subgraph is left."""
        self._count()
        if at.link is None:
            return Nothing.UNLINKED
        link = at.scope.graph.links.get(at.link)
        if link is None:
            return Nothing.BROKEN
        if link.origin == FROM_OUTSIDE:
            return self._outward(at, link.origin_slot, left)
        node = at.scope.graph.nodes.get(link.origin)
        if node is None:
            return Nothing.BROKEN
        if node.type == PRIMITIVE:
            return _primitive(at.scope, node) if at.is_direct else Nothing.UNLINKED
        if node.type == REROUTE:
            return self._past_reroute(at, node)
        return self._into(at, node, link.origin_slot)

    def _outward(self, at: _At, number: int, left: list[tuple[Scope, str]]) -> _At | Source:
        scope = at.scope
        if scope.subgraph is None or scope.outer is None or not 0 <= number < len(scope.subgraph.inputs):
            return Nothing.BROKEN
        slot = scope.subgraph.inputs[number]
        link = scope.linked.get(slot.name)
        if link is None:
            return self._promoted(scope, slot.name)
        left.append((scope, slot.name))
        return replace(at, scope=scope.outer, link=link, type=slot.type)

    def _past_reroute(self, at: _At, node: Node) -> _At | Source:
        if node.mode is Mode.MUTED and self.frontend.muted_reroute_stops:
            return Nothing.MUTED
        return replace(at, link=node.inputs[0].link if node.inputs else None, is_direct=False)

    def _into(self, at: _At, node: Node, slot: int) -> _At | Source:
        inner = at.scope.inner.get(node.id)
        if node.mode is Mode.BYPASSED:
            return self._beside(at, node, inner, slot)
        if node.mode is Mode.MUTED and (inner is None or self.frontend.instance_can_be_off):
            return Nothing.MUTED
        if inner is not None and inner.subgraph is not None:
            return replace(at, scope=inner, link=inner.subgraph.exits.get(slot))
        return Output(node=at.scope.path + node.id, slot=slot)

    def _beside(self, at: _At, node: Node, inner: Scope | None, slot: int) -> _At:
        """Past a bypassed node: by the input beside the output, or else the first one that fits."""
        inputs = node.inputs
        if inner is not None and inner.subgraph is not None:  # a file leaves out those that are not linked
            inputs = tuple(
                Slot(name=known.name, type=known.type, link=inner.linked.get(known.name))
                for known in inner.subgraph.inputs
            )
        for there in (*inputs[max(slot, 0) : slot + 1], *inputs):
            self._count()
            kind = self._type(node, there)
            if fits(kind, at.type, self.schemas.version_hint):
                return replace(at, link=there.link, type=kind, is_direct=False)
        return replace(at, link=None)

    def _count(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise Endless

    def _type(self, node: Node, slot: Slot) -> str:
        """As the class has it now; files keep what it was."""
        spec = self.schemas.inputs(node.type).get(slot.name)
        return slot.type if spec is None else spec.type

    def _promoted(self, scope: Scope, name: str) -> Source:
        """What an instance gives for an input that is not linked: its value, or that of the widget inside."""
        of, value = scope.path + name, MISSING
        while scope.subgraph is not None:
            value = scope.promoted.get(name, MISSING) if value is MISSING else value
            if name not in scope.subgraph.promoted:
                break
            node, slot = scope.subgraph.promoted[name]
            if node.id in scope.inner:
                scope, name = scope.inner[node.id], slot.name
                continue
            widget = self.widgets(Placed(scope=scope, node=node)).get(slot.widget or slot.name)
            value = widget.value if widget is not None and value is MISSING else value
            return Nothing.UNLINKED if value is MISSING else Value(value=value, of=of, widget=widget)
        return Nothing.UNLINKED


def _primitive(scope: Scope, node: Node) -> Source:
    """Its first value; the second is the word that says what becomes of it, as with a seed."""
    if not isinstance(node.values, list) or not node.values or node.values[0] is None:
        return Nothing.UNLINKED
    value, *rest = node.values
    control = control_of(rest[0]) if rest else None
    widget = Widget(name="value", value=value, control=control)
    return Value(value=value, of=scope.path + node.id, widget=widget, is_own=True)
