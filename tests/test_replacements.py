"""Replaced classes: what the server's answer means for a prompt, as a recorded 0.33.0 put it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.replacements import CORE, put_in_place, read

ANSWER: dict[str, Any] = {
    "ResizeImagesByLongerEdge": [
        {
            "new_node_id": "ImageScaleToMaxDimension",
            "old_node_id": "ResizeImagesByLongerEdge",
            "old_widget_ids": ["longer_edge"],
            "input_mapping": [
                {"new_id": "image", "old_id": "images"},
                {"new_id": "largest_size", "old_id": "longer_edge"},
                {"new_id": "upscale_method", "set_value": "lanczos"},
            ],
            "output_mapping": [{"new_idx": 0, "old_idx": 0}],
        }
    ],
    "Load3DAnimation": [
        {
            "new_node_id": "Load3D",
            "old_node_id": "Load3DAnimation",
            "old_widget_ids": None,
            "input_mapping": None,
            "output_mapping": None,
        }
    ],
}
KNOWN = {"ImageScaleToMaxDimension", "Load3D", "SaveImage"}


def old(**inputs: Any) -> dict[str, Any]:
    return {"class_type": "ResizeImagesByLongerEdge", "inputs": inputs, "_meta": {"title": "Resize"}}


def test_the_new_class_has_the_inputs_that_are_named_and_no_others() -> None:
    prompt = {"1": old(images=["2", 0], longer_edge=512, extra=["9", 0])}
    assert put_in_place(prompt, read(ANSWER), KNOWN) == {
        "1": {
            "class_type": "ImageScaleToMaxDimension",
            "inputs": {"image": ["2", 0], "largest_size": 512, "upscale_method": "lanczos"},
            "_meta": {"title": "Resize"},
        }
    }


def test_where_nothing_is_named_nothing_is_taken_over() -> None:
    prompt = {"1": {"class_type": "Load3DAnimation", "inputs": {"model_file": "a.glb"}, "_meta": {}}}
    assert put_in_place(prompt, read(ANSWER), KNOWN)["1"]["inputs"] == {}


def test_links_follow_to_the_new_outputs() -> None:
    answer = {"Load3DAnimation": [{**ANSWER["Load3DAnimation"][0], "output_mapping": [{"old_idx": 2, "new_idx": 1}]}]}
    prompt = {
        "1": {"class_type": "Load3DAnimation", "inputs": {}, "_meta": {}},
        "2": {
            "class_type": "SaveImage",
            "inputs": {"a": ["1", 2], "b": ["1", 0], "c": ["3", 2], "d": [1, 2], "e": "1"},
        },
    }
    taken = put_in_place(prompt, read(answer), KNOWN)["2"]["inputs"]
    assert taken == {"a": ["1", 1], "b": ["1", 0], "c": ["3", 2], "d": [1, 2], "e": "1"}


@pytest.mark.parametrize(
    "node",
    [
        old(images=["2", 0]),
        {"class_type": "ResizeImagesByLongerEdge", "inputs": {"images": ["2", 0], "longer_edge": 5}},
        {"class_type": "ResizeImagesByLongerEdge", "_meta": {}},
        {"class_type": "SaveImage", "inputs": {}, "_meta": {}},
        None,
    ],
)
def test_a_node_that_cannot_be_replaced_is_left_as_it_is(node: Any) -> None:
    prompt = {"1": node}
    assert put_in_place(prompt, read(ANSWER), KNOWN) is prompt


def test_a_class_that_is_there_is_not_replaced_and_none_by_one_that_is_not() -> None:
    prompt = {"1": old(images=["2", 0], longer_edge=512)}
    assert put_in_place(prompt, read(ANSWER), {*KNOWN, "ResizeImagesByLongerEdge"}) is prompt
    assert put_in_place(prompt, read(ANSWER), {"SaveImage"}) is prompt


def test_comfyuis_own_are_as_it_tells_them() -> None:
    assert {name: CORE[name] for name in ANSWER} == read(ANSWER)


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["new_node_id", "input_mapping", "new_id", "old_id", "set_value", "A"]), inner
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("AB"), any_json) | any_json, any_json)
def test_no_answer_makes_it_raise(answer: Any, node: Any) -> None:
    prompt = {"1": node, "2": {"class_type": "A", "inputs": {"x": ["2", 0]}, "_meta": {}}}
    assert put_in_place(prompt, read(answer), {"B"}).keys() == prompt.keys()
