"""One node: its widgets by their places, and what its inputs get."""

from __future__ import annotations

from typing import Any

import pytest

from comfywatch.saved import FRONTEND_1_27, FRONTEND_1_49, Frontend
from tests.saved.graphs import converted, inputs, node, sampler, saved

BOTH = pytest.mark.parametrize("frontend", [FRONTEND_1_27, FRONTEND_1_49], ids=lambda frontend: frontend.name)


def test_values_go_by_their_places_and_the_word_beside_a_seed_is_left_out() -> None:
    assert inputs(saved(sampler(1)), "1") == {
        "seed": 5,
        "steps": 20,
        "cfg": 8,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1,
    }


def test_the_inputs_that_a_file_lists_do_not_matter_for_its_values() -> None:
    assert inputs(saved(sampler(1) | {"inputs": []}), "1") == inputs(saved(sampler(1)), "1")


def test_what_is_missing_has_its_default_and_what_is_too_much_is_left() -> None:
    assert inputs(saved(node(1, "KSampler", 9, "fixed")), "1")["steps"] == 20
    assert inputs(saved(node(1, "PrimitiveInt", 3, "fixed", "more", 4)), "1") == {"value": 3}


@pytest.mark.parametrize("value", ["20", 20.7, -3, None, True])
def test_a_value_is_sent_as_it_was_saved_be_it_right_or_wrong(value: Any) -> None:
    assert inputs(saved(sampler(1, steps=value)), "1")["steps"] == value


@pytest.mark.parametrize(
    ("given", "sent"), [(20.0, "20"), (2**53 + 1, str(2**53)), (2**64 - 1, "18446744073709552000"), (1e21, "1e+21")]
)
def test_numbers_are_what_a_browser_makes_of_them(given: Any, sent: str) -> None:
    assert str(inputs(saved(sampler(1, seed=given)), "1")["seed"]) == sent


def test_a_list_is_wrapped_so_that_it_is_no_link() -> None:
    assert inputs(saved(sampler(1, steps=["1", 0])), "1")["steps"] == {"__value__": ["1", 0]}


def test_an_older_frontend_makes_a_text_of_what_is_in_a_text_box() -> None:
    workflow = saved(node(1, "CLIPTextEncode", ["a", 1.0, None, True]))
    assert inputs(workflow, "1", FRONTEND_1_27) == {"text": "a,1,,true"}
    assert inputs(workflow, "1", FRONTEND_1_49) == {"text": {"__value__": ["a", 1, None, True]}}


def test_samplers_have_lost_their_old_first_name() -> None:
    workflow = saved(node(1, "KSampler", 9, True, 5, 6, "sample_euler", "normal", 1))
    assert inputs(workflow, "1")["sampler_name"] == "euler"


def test_an_option_brings_its_inputs_along_with_their_values_right_behind_it() -> None:
    workflow = saved(node(1, "ResizeImageMaskNode", "scale by multiplier", 2.5, "area"))
    assert inputs(workflow, "1") == {
        "resize_type": "scale by multiplier",
        "resize_type.multiplier": 2.5,
        "scale_method": "area",
    }


def test_an_option_that_is_not_offered_brings_nothing_along() -> None:
    workflow = saved(node(1, "ResizeImageMaskNode", "nonsense", "area"))
    assert inputs(workflow, "1") == {"resize_type": "nonsense", "scale_method": "area"}


def test_of_inputs_that_grow_in_number_those_that_are_linked_are_sent() -> None:
    expression = node(2, "ComfyMathExpression", "a", links={"values.a:INT": 7})
    workflow = saved(node(1, "PrimitiveInt", 3, "fixed"), expression, links=[(7, 1, 0, 2, 0)])
    assert inputs(workflow, "2") == {"expression": "a", "values.a": ["1", 0]}


def test_choices_that_a_person_typed_in_are_sent_with_the_number_of_the_chosen_one() -> None:
    found = inputs(saved(node(1, "CustomCombo", "b", 7, "a", "b")), "1")
    assert found == {"choice": "b", "index": 1, "option1": "a", "option2": "b", "option3": ""}


def test_values_with_names_count_by_their_names() -> None:
    workflow = saved({"id": 1, "type": "KSampler", "widgets_values": {"steps": 3}})
    assert inputs(workflow, "1")["steps"] == 3


@BOTH
@pytest.mark.parametrize(("mode", "is_there"), [(0, True), (1, True), (2, False), (3, True), (4, False)])
def test_muted_and_bypassed_nodes_are_left_out(mode: int, is_there: bool, frontend: Frontend) -> None:
    assert ("1" in converted(saved(sampler(1, mode=mode), sampler(2)), frontend).prompt) == is_there


def test_what_is_for_people_alone_is_left_out() -> None:
    workflow = saved(node(1, "Note", "hello"), node(2, "MarkdownNote", "# hello"), sampler(3))
    assert set(converted(workflow).prompt) == {"3"}


def test_a_node_has_its_title_or_the_name_that_people_see() -> None:
    found = converted(saved(sampler(1, title="mine"), node(2, "CLIPTextEncode", "a"))).prompt
    assert found["1"]["_meta"] == {"title": "mine"}
    assert found["2"]["_meta"] == {"title": "CLIP Text Encode (Prompt)"}


def test_of_two_nodes_with_one_id_the_last_counts_and_ids_may_be_texts() -> None:
    found = converted(saved(sampler(1, steps=1), sampler(1, steps=2), sampler("x", steps=3))).prompt
    assert {node_id: entry["inputs"]["steps"] for node_id, entry in found.items()} == {"1": 2, "x": 3}
