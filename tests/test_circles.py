"""Circles: every node that is on one is in one that is given, and each that is given is one."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from comfywatch.circles import circles

Graph = dict[str, tuple[str, ...]]
graphs = st.dictionaries(st.sampled_from("abcdefg"), st.lists(st.sampled_from("abcdefg"), max_size=3).map(tuple))


def reached(edges: Graph, start: str) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        for target in edges.get(todo.pop(), ()):
            if target not in found:
                found.add(target)
                todo.append(target)
    return found


@given(graphs, st.lists(st.sampled_from("abcdefg")))
def test_who_reaches_itself_is_in_a_circle_and_nobody_else(edges: Graph, starts: list[str]) -> None:
    seen = set(starts).union(*(reached(edges, start) for start in starts))
    given_ones = list(circles(edges, starts))
    assert {node for ids in given_ones for node in ids} == {node for node in seen if node in reached(edges, node)}
    for ids in given_ones:
        assert len(set(ids)) == len(ids)
        assert all(target in edges[node] for node, target in pairwise((*ids, ids[0])))


def test_the_shortest_way_round_is_given() -> None:
    assert list(circles({"a": ("b", "c"), "b": ("c",), "c": ("a",)}, "a")) == [("a", "c"), ("b", "c", "a")]


def test_a_graph_may_be_deeper_than_the_stack() -> None:
    deep = {str(at): (str(at + 1),) for at in range(20_000)}
    assert not list(circles(deep, ["0"]))
    assert len(next(circles({**deep, "20000": ("0",)}, ["0"]))) == 20_001
