"""Texts that say how they are to be filled in."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.saved import FRONTEND_1_27, FRONTEND_1_49
from comfywatch.saved.texts import drawn_text, filled_in
from tests.saved.graphs import NOW, SUBGRAPH, converted, inputs, node, sampler, saved, subgraph


def drawn(text: str, chance: int = 0) -> str:
    return drawn_text(text, random.Random(chance))[0]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("{x}", "x"),
        ("{}", ""),
        ("{x}}", "x}"),
        ("a}b", "a}b"),
        ("a|b", "a|b"),
        ("{a", "a"),
        ("{a}{b}", "ab"),
        ("x{{y}}z", "xyz"),
        (r"x\{y\}z", "x{y}z"),
        (r"p\|q {a\|b}", "p|q a|b"),
        (r"\\{a}\n", r"\\a\n"),
        ("a // b\nc", "a \nc"),
        ("a /* b // c */ d", "a  d"),
        ("a // /* b\n c */", "a \n c */"),
        ("/* x", "/* x"),
        ("see http://example.org", "see http:"),
    ],
)
def test_braces_and_comments_go(text: str, sent: str) -> None:
    assert drawn_text(text, random.Random(0)) == (sent, False)


def test_of_options_one_is_drawn_also_within_another() -> None:
    found = {drawn("{red|{light|dark} blue} house", chance) for chance in range(50)}
    assert found == {"red house", "light blue house", "dark blue house"}


def test_the_same_chance_draws_the_same() -> None:
    assert drawn("{a|b|c|d|e|f}", 7) == drawn("{a|b|c|d|e|f}", 7)


def test_what_was_drawn_is_told() -> None:
    workflow = saved(node(1, "CLIPTextEncode", "a {red|blue} house"), node(2, "CLIPTextEncode", "{x}"))
    found = converted(workflow)
    (drawn,) = found.drawn
    assert found.is_random
    assert (drawn.node, drawn.input, drawn.text) == ("1", "text", found.prompt["1"]["inputs"]["text"])


def test_a_text_that_is_no_prompt_keeps_its_braces() -> None:
    assert inputs(saved(node(1, "PrimitiveStringMultiline", "{a|b}")), "1") == {"value": "{a|b}"}


def test_what_an_instance_says_is_sent_as_it_stands() -> None:
    inner = subgraph(
        node(5, "CLIPTextEncode", "inner", links={"text": 1}), inputs=["text:STRING"], links=[(1, -10, 0, 5, 1)]
    )
    workflow = saved({"id": 2, "type": SUBGRAPH, "widgets_values": ["{a|b} // c"]}, subgraphs=[inner])
    assert inputs(workflow, "2:5") == {"text": "{a|b} // c"}


@given(st.text(alphabet="{}|\\/*ab\n"), st.integers())
def test_any_text_can_be_drawn(text: str, chance: int) -> None:
    found, is_random = drawn_text(text, random.Random(chance))
    assert len(found) <= len(text)
    assert not is_random or "|" in text


@pytest.mark.parametrize(
    "text", ["{" * 100_000, "/*" * 100_000, "%" * 100_000, "{a|" * 50_000, "{" * 50_000 + "}" * 50_000]
)
def test_a_huge_text_can_be_read(text: str) -> None:
    assert len(drawn(text)) <= len(text)
    assert filled_in(text, lambda _node, _widget: None, NOW) == text


@pytest.mark.parametrize(
    ("prefix", "sent"),
    [
        ("%date:yyyy-MM-dd_hh.mm.ss%", "2026-11-23_04.05.06"),
        ("%date:yy-M-d-h-m-s%", "26-11-23-4-5-6"),
        ("%date:yyy%", "yyy"),
        ("%date%_%width%", "%date%_%width%"),
        ("%KSampler.seed%-%mine.steps%", "5-20"),
        ("%mine.nothing%%nobody.seed%", "%mine.nothing%%nobody.seed%"),
        ("%words.text%", "a_b_ c_"),
        ("%linked.text%", "from elsewhere"),
    ],
)
def test_tokens_in_the_name_of_a_file_are_replaced(prefix: str, sent: str) -> None:
    workflow = saved(
        sampler(1, title="mine"),
        node(2, "CLIPTextEncode", 'a/b: c"', title="words"),
        node(3, "PrimitiveNode", "from elsewhere"),
        node(4, "CLIPTextEncode", "own", title="linked", links={"text": 7}),
        node(9, "SaveImage", prefix),
        links=[(7, 3, 0, 4, 1)],
    )
    assert inputs(workflow, "9") == {"filename_prefix": sent}


def test_a_name_in_the_file_goes_before_a_title() -> None:
    named: dict[str, Any] = {"properties": {"Node name for S&R": "it"}}
    workflow = saved(sampler(1, seed=1, title="it"), sampler(2, seed=2, **named), node(9, "SaveImage", "%it.seed%"))
    assert inputs(workflow, "9") == {"filename_prefix": "2"}


def test_which_nodes_have_tokens_hangs_on_the_frontend() -> None:
    for kind, frontend, sent in (
        ("SaveImage", FRONTEND_1_27, "2026"),
        ("SaveVideo", FRONTEND_1_27, "%date:yyyy%"),
        ("SaveVideo", FRONTEND_1_49, "2026"),
        ("CheckpointSave", FRONTEND_1_49, "%date:yyyy%"),
    ):
        found = converted(saved(node(9, kind, "%date:yyyy%")), frontend)
        assert found.prompt["9"]["inputs"]["filename_prefix"] == sent
