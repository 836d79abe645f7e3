"""The last step: from what an input gets to what is sent, as the browser writes it.

Texts with choices and tokens are filled in, but only where a widget holds them itself: what an instance of a subgraph
says goes out as it stands. Lists are wrapped, because a bare one would be taken for a link.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from comfywatch.saved.browser import as_sent, as_text
from comfywatch.saved.entries import inputs_of
from comfywatch.saved.scopes import Placed, Scope, everything
from comfywatch.saved.texts import drawn_text, filled_in
from comfywatch.saved.widgets import Widget
from comfywatch.saved.wiring import Output, Source, Value, Wiring

_NAME_IN_FILE = "Node name for S&R"
"""A property: what a node is called in tokens, which people can set apart from its title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A prompt in which choices were drawn at random, and what it became."""

    node: str
    input: str
    text: str


@dataclass(slots=True, kw_only=True)
class Filling:
    """For one conversion: chance, the time on the wall, and ``root``, whose nodes a token may name."""

    root: Scope
    wiring: Wiring
    draw: random.Random | None
    now: datetime | None
    drawn: list[Drawn] = field(default_factory=list)
    _called: dict[str, Placed] | None = None
    _values: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def filled(self, placed: Placed, inputs: Mapping[str, Source]) -> dict[str, Any]:
        """The ``inputs`` of an entry in the prompt: values first, then links, as the frontend has them."""
        values = {name: source for name, source in inputs.items() if isinstance(source, Value)}
        links = {name: [source.node, source.slot] for name, source in inputs.items() if isinstance(source, Output)}
        return {name: self._sent(placed, name, value) for name, value in values.items()} | links

    def _sent(self, placed: Placed, name: str, given: Value) -> Any:
        value = as_sent(given.value)
        widget = self.wiring.widgets(placed).get(name)
        if widget is not None and widget.is_text_box and self._becomes_text(given):
            value = as_text(value)
        if isinstance(value, str) and given.is_own and widget is not None:
            return self._text(placed, widget, value)
        return {"__value__": value} if isinstance(value, list) else value

    def _becomes_text(self, given: Value) -> bool:
        return self.wiring.frontend.texts_are_texts or (given.value is None and given.is_own)

    def _text(self, placed: Placed, widget: Widget, text: str) -> str:
        if widget.is_dynamic_prompt and self.draw is not None:
            text, is_random = drawn_text(text, self.draw)
            if is_random:
                self.drawn.append(Drawn(node=placed.id, input=widget.name, text=text))
        elif self.now is not None and self._is_name_of_file(placed, widget):
            return filled_in(text, self._value_of, self.now)
        return text

    def _is_name_of_file(self, placed: Placed, widget: Widget) -> bool:
        return widget.name == "filename_prefix" and placed.node.type in self.wiring.frontend.fills_in_prefix_of

    def _value_of(self, name: str, widget: str) -> str | None:
        """What a token names; ``None`` if there is no such node or widget."""
        if self._called is None:
            self._called = _names(self.root)
        if (name, widget) not in self._values:
            self._values[name, widget] = self._read(self._called.get(name), widget)
        return self._values[name, widget]

    def _read(self, placed: Placed | None, widget: str) -> str | None:
        known = None if placed is None else self.wiring.widgets(placed).get(widget)
        if placed is None or known is None:
            return None
        given = inputs_of(placed, self.wiring).get(widget)
        return as_text(as_sent(given.value if isinstance(given, Value) else known.value))


def _names(root: Scope) -> dict[str, Placed]:
    """Each node by what tokens call it: the name in the file, its class for want of one, or else the title."""
    nodes = list(everything(root))[::-1]  # the first of a name counts
    by_title = {there.node.title: there for there in nodes}
    names = ((there.node.properties.get(_NAME_IN_FILE, there.node.type), there) for there in nodes)
    return by_title | {name: there for name, there in names if isinstance(name, str)}
