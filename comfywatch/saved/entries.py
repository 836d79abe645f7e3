"""What each input of a node gets: the value of its own widget, or what comes along a link in its place."""

from __future__ import annotations

from collections.abc import Mapping

from comfywatch.dynamic_inputs import CHOICE, inputs_in
from comfywatch.saved.scopes import Placed
from comfywatch.saved.widgets import MISSING
from comfywatch.saved.wiring import Nothing, Source, Value, Wiring
from comfywatch.schemas import InputSpec


def inputs_of(placed: Placed, wiring: Wiring) -> dict[str, Source]:
    """By the input's name; of what gets nothing, only a link that leads nowhere is there (``Nothing.BROKEN``)."""
    given: dict[str, Source] = {
        name: Value(value=widget.value, of=f"{placed.id}.{name}", widget=widget, is_own=True)
        for name, widget in wiring.widgets(placed).items()
        if widget.value is not MISSING
    }
    for slot in placed.node.inputs:
        if slot.link is None:
            continue
        source = wiring.source(placed.scope, slot.link)
        if source is Nothing.MUTED and not wiring.frontend.keeps_value_of_muted:
            given.pop(slot.name, None)
        elif source is Nothing.BROKEN or not isinstance(source, Nothing):
            given[slot.name] = source
    return _without_gone(placed, given, wiring)


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
