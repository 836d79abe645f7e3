"""Circles in a graph: which nodes need each other, and the shortest way round for each of them.

Linear but for the ways round, and without recursion: a prompt may be thousands of nodes deep.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

Edges = Mapping[str, Collection[str]]


def circles(edges: Edges, starts: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Circles that can be reached from ``starts``, until every node that is on a circle was in one of them."""
    for together in _components(edges, starts):
        left = dict.fromkeys(together)
        while left:
            circle = _way_round(edges, next(iter(left)), together)
            yield circle
            for node in circle:
                left.pop(node, None)


@dataclass(slots=True)
class _Search:
    """Gabow's algorithm: nodes lie open until all that they reach is known."""

    edges: Edges
    found: dict[str, int] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    open: list[str] = field(default_factory=list)
    bounds: list[int] = field(default_factory=list)

    def enter(self, node: str) -> tuple[str, Iterator[str]]:
        self.found[node] = len(self.found)
        self.open.append(node)
        self.bounds.append(self.found[node])
        return node, iter(self.edges.get(node, ()))

    def meet(self, node: str) -> None:
        """What lies between here and ``node``, which lies open, reaches itself."""
        while node not in self.done and self.bounds[-1] > self.found[node]:
            self.bounds.pop()

    def leave(self, node: str) -> dict[str, None]:
        """What reaches ``node`` and is reached by it, if ``node`` was the first of them; in order."""
        if self.bounds[-1] != self.found[node]:
            return {}
        self.bounds.pop()
        at = len(self.open) - 1
        while self.open[at] != node:
            at -= 1
        together = dict.fromkeys(self.open[at:])
        del self.open[at:]
        self.done.update(together)
        return together


def _components(edges: Edges, starts: Iterable[str]) -> Iterator[dict[str, None]]:
    """Nodes that reach each other, and themselves."""
    search = _Search(edges)
    for start in starts:
        path = [] if start in search.found else [search.enter(start)]
        while path:
            node, rest = path[-1]
            target = next(rest, None)
            if target is None:
                path.pop()
                together = search.leave(node)
                if len(together) > 1 or (together and node in edges.get(node, ())):
                    yield together
            elif target in search.found:
                search.meet(target)
            else:
                path.append(search.enter(target))


def _way_round(edges: Edges, start: str, within: Collection[str]) -> tuple[str, ...]:
    """The shortest way from ``start`` back to it; there is one."""
    came_from: dict[str, str] = {}
    layer = [start]
    while start not in came_from:
        nearer, layer = layer, []
        for node in nearer:
            for target in edges.get(node, ()):
                if target in within and target not in came_from:
                    came_from[target] = node
                    layer.append(target)
    way = [came_from[start]]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))
