"""What each input of a node gets: the value of its own widget, or what comes along a link in its place."""

from __future__ import annotations

from collections.abc import Mapping

from comfywatch.dynamic_inputs import CHOICE, inputs_in
from comfywatch.saved.graph import Slot
from comfywatch.saved.scopes import Placed
from comfywatch.saved.widgets import MISSING
from comfywatch.saved.wiring import Nothing, Output, Source, Value, Wiring
from comfywatch.schemas import InputSpec


def inputs_of(placed: Placed, wiring: Wiring) -> dict[str, Source]:
    """By the input's name; of what gets nothing, only a link that leads nowhere is there (``Nothing.BROKEN``)."""
    widgets = wiring.widgets(placed)
    own: dict[str, Source] = {
        name: Value(value=widget.value, of=f"{placed.id}.{name}", widget=widget, is_own=True)
        for name, widget in widgets.items()
        if widget.value is not MISSING
    }
    given = own | {
        name: Value(value=value, of=f"{placed.id}.{name}", widget=widgets[name])
        for name, value in placed.scope.proxied.get(placed.node.id, {}).items()
        if name in own
    }
    for slot in placed.node.inputs:
        if slot.link is None:
            continue
        source = wiring.source(placed, slot)
        if source is Nothing.MUTED and not wiring.frontend.keeps_value_of_muted:
            given.pop(slot.name, None)
        elif source is Nothing.BROKEN or isinstance(source, Output) or _takes(slot, source, own):
            given[slot.name] = source
    return _without_gone(placed, given, wiring)


def _takes(slot: Slot, source: Source, own: Mapping[str, Source]) -> bool:
    """A primitive's value needs a widget to be set at; an instance's value reaches any input."""
    return isinstance(source, Value) and (slot.name in own or not source.is_own)


def _without_gone(placed: Placed, given: dict[str, Source], wiring: Wiring) -> dict[str, Source]:
    """Without links into inputs that the chosen option of a dynamic choice does not bring."""
    schemas, class_type = wiring.schemas, placed.node.type
    if not schemas.has_dynamic(class_type):
        return given
    chosen = {name: source.value if isinstance(source, Value) else source for name, source in given.items()}
    there = inputs_in(schemas, class_type, chosen)
    return {
        name: source
        for name, source in given.items()
        if isinstance(source, Value) or name in there or not _is_brought(name, schemas.inputs(class_type))
    }


def _is_brought(name: str, inputs: Mapping[str, InputSpec]) -> bool:
    spec = inputs.get(name.partition(".")[0])
    return "." in name and spec is not None and spec.type == CHOICE
