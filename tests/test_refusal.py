"""ComfyUI's refusals, as two real servers gave them, told to a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfywatch.problems import Problem
from comfywatch.refusal import problems_from_node_errors, problems_from_refusal
from comfywatch.validation import is_invalid

RECORDINGS = Path(__file__).parent / "recordings"
VERSIONS = ("0.3.64", "0.33.0")
REFUSALS = sorted(
    path
    for path in RECORDINGS.glob("comfyui-*/err_*.json")
    if isinstance(json.loads(path.read_text(encoding="utf-8"))["response"]["body"], dict)
)


def exchange(path: Path) -> tuple[Any, dict[str, Any]]:
    """The prompt that was posted and the body that came back."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    return (plain["request"]["json"] or {}).get("prompt"), plain["response"]["body"]


def refused(version: str, name: str) -> tuple[Problem, ...]:
    prompt, body = exchange(RECORDINGS / f"comfyui-{version}" / f"err_{name}.json")
    return problems_from_refusal(body["error"], body["node_errors"], prompt)


def one_error(node: dict[str, Any], **error: Any) -> Problem:
    found = problems_from_node_errors({"3": {"errors": [error], "class_type": "KSampler"}}, {"3": node})
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("path", REFUSALS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_recorded_refusal_says_what_and_what_to_do(path: Path) -> None:
    prompt, body = exchange(path)
    found = problems_from_refusal(body["error"], body["node_errors"], prompt)
    assert found
    for problem in found:
        assert problem.message
        assert problem.fix
        assert "Prompt outputs failed validation" not in problem.message
        assert "Exception when validating" not in problem.message


RECORDED = {
    "bad_link": ("bad_linked_input", "2", "images", "images is linked to node 99, which is not in the workflow"),
    "bad_link_shape": ("bad_linked_input", "2", "images", "a link is a list of two"),
    "bad_slot": (
        "exception_during_validation",
        "2",
        "images",
        "output 7 of EmptyImage (node 1), which has no such output",
    ),
    "cycle": ("dependency_cycle", None, "", "wait for each other in a circle"),
    "empty": ("prompt_no_outputs", "", "", "nothing to run"),
    "invalid_type": (
        "invalid_input_type",
        "1",
        "width",
        "EmptyImage (node 1): width is 'abc', which is not a whole number.",
    ),
    "json_list": ("no_prompt", "", "", "no workflow"),
    "missing_class_type": ("invalid_prompt", "1", "", "Entry '1' is no node"),
    "missing_image": (
        "custom_validation_failed",
        "1",
        "image",
        "the image file 'nosuch.png' is not in ComfyUI's input",
    ),
    "missing_model": (
        "value_not_in_list",
        "1",
        "ckpt_name",
        "Model 'nosuch-model.safetensors' is not installed in checkpoints.",
    ),
    "missing_node": ("missing_node_type", "1", "", "NoSuchNode (node 1) is not installed in this ComfyUI."),
    "no_outputs": ("prompt_no_outputs", "", "", "nothing to run"),
    "no_prompt": ("no_prompt", "", "", "no workflow"),
    "required_input": ("required_input_missing", "2", "images", "SaveImage (node 2): images is not given."),
    "type_mismatch": (
        "return_type_mismatch",
        "2",
        "images",
        "SaveImage (node 2): images takes IMAGE, and gets LATENT from EmptyLatentImage (node 1).",
    ),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", RECORDED)
def test_both_servers_are_told_in_the_same_words(version: str, name: str) -> None:
    code, node, input_name, words = RECORDED[name]
    problem = refused(version, name)[0]
    assert (problem.code, problem.input) == (code, input_name)
    assert node is None or problem.node == node
    assert words in problem.message


@pytest.mark.parametrize("version", VERSIONS)
def test_all_errors_of_a_node_are_told(version: str) -> None:
    assert sorted(problem.message for problem in refused(version, "value_range")) == [
        "EmptyImage (node 1): height is 99999, largest is 16384.",
        "EmptyImage (node 1): width is 0, smallest is 1.",
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_node_of_a_circle_is_named(version: str) -> None:
    assert sorted(problem.node for problem in refused(version, "cycle")) == ["1", "2"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_outputs_that_are_left_out_are_told_beside_a_200(version: str) -> None:
    prompt, body = exchange(RECORDINGS / f"comfyui-{version}" / "prompt_partial_node_errors.json")
    found = problems_from_node_errors(body["node_errors"], prompt)
    assert [(problem.node, problem.code, problem.input) for problem in found] == [
        ("3", "required_input_missing", "images")
    ]
    assert problems_from_node_errors({}, prompt) == ()


def test_a_saved_workflow_is_told_from_a_broken_prompt() -> None:
    assert refused("0.3.64", "ui_format")[0].code == "ui_format"


def test_the_workflows_own_faults_are_invalid_and_the_servers_are_not() -> None:
    for name in ("bad_link", "bad_link_shape", "cycle", "no_outputs", "missing_class_type"):
        assert is_invalid(refused("0.3.64", name)), name
    for name in ("missing_node", "missing_model", "missing_image", "value_range", "bad_slot", "required_input"):
        assert not is_invalid(refused("0.33.0", name)), name


def test_a_title_names_the_node_as_people_know_it() -> None:
    node = {"class_type": "KSampler", "inputs": {"steps": 0}, "_meta": {"title": "My sampler"}}
    problem = one_error(
        node,
        type="value_smaller_than_min",
        message="Value 0 smaller than min of 1",
        extra_info={"input_name": "steps", "input_config": ["INT", {"min": 1}], "received_value": 0},
    )
    assert problem.message == "KSampler 'My sampler' (node 3): steps is 0, smallest is 1."
    assert problem.fix == "Set it to 1 or more."


def test_a_bound_is_read_from_the_words_if_it_is_not_sent_along() -> None:
    node = {"class_type": "KSampler", "inputs": {"steps": 0}}
    error = {"type": "value_smaller_than_min", "message": "Value 0 smaller than min of 1"}
    assert one_error(node, **error, extra_info={"input_name": "steps"}).message.endswith("steps is 0, smallest is 1.")


def test_a_wrong_choice_gets_the_near_one_and_the_list() -> None:
    config = [["euler", "euler_ancestral"], {}]
    info = {"input_name": "sampler_name", "input_config": config, "received_value": "euler_ancestra"}
    problem = one_error({"class_type": "KSampler", "inputs": {}}, type="value_not_in_list", extra_info=info)
    assert (
        problem.message
        == "KSampler (node 3): 'euler_ancestra' is no sampler_name here; did you mean 'euler_ancestral'?"
    )
    assert problem.fix == "It takes 'euler', 'euler_ancestral'."


def test_a_long_list_is_not_sent_along_and_not_missed() -> None:
    info = {"input_name": "sampler_name", "input_config": None, "received_value": "eulr"}
    problem = one_error({"class_type": "KSampler", "inputs": {}}, type="value_not_in_list", extra_info=info)
    assert problem.fix == "Choose one in ComfyUI, and export the workflow again."


@pytest.mark.parametrize("kind", ["exception_during_validation", "exception_during_inner_validation"])
def test_a_node_without_inputs_is_found_by_the_exception(kind: str) -> None:
    prompt = {
        "1": {"class_type": "LoadImage"},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
    }
    error = {"type": kind, "details": "'inputs'", "extra_info": {"input_name": "images"}}
    for node_id in ("1", "3"):
        (problem,) = problems_from_node_errors({node_id: {"errors": [error]}}, prompt)
        assert (problem.node, problem.code) == ("1", "invalid_prompt")
        assert problem.message == "LoadImage (node 1) has no inputs."


def test_the_other_nodes_input_is_not_taken_for_this_ones() -> None:
    problem = one_error(
        {"class_type": "LoadImage", "inputs": {}},
        type="exception_during_inner_validation",
        message="Exception when validating inner node",
        details="something else",
        extra_info={"input_name": "images"},
    )
    assert problem.input == ""
    assert "something else" in problem.message


def test_a_recursion_error_is_a_circle() -> None:
    prompt = {
        "1": {"class_type": "A", "inputs": {"x": ["2", 0]}},
        "2": {"class_type": "B", "inputs": {"x": ["1", 0]}},
    }
    error = {"type": "exception_during_validation", "details": "maximum recursion depth exceeded"}
    (problem,) = problems_from_node_errors({"1": {"errors": [error]}}, prompt)
    assert problem.code == "dependency_cycle"


def test_a_nodes_own_check_is_passed_on() -> None:
    problem = one_error(
        {"class_type": "KSampler", "inputs": {}},
        type="custom_validation_failed",
        details="size - width and height differ",
        extra_info={"input_name": "size"},
    )
    assert problem.message == "KSampler (node 3): size: width and height differ."


def test_a_code_that_nobody_knows_yet_is_passed_on_with_its_words() -> None:
    problem = one_error({"class_type": "Loop", "inputs": {}}, type="loop_error", message="Too many", details="300")
    assert (problem.code, problem.message) == ("loop_error", "Loop (node 3): Too many: 300.")
    found = problems_from_refusal({"type": "new_error", "message": "No", "details": "because"}, {}, {})
    assert [(problem.code, problem.message) for problem in found] == [("new_error", "ComfyUI refused it: No: because.")]


def test_a_refusal_without_a_reason_says_so() -> None:
    error = {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"}
    for told in (error, None, {}):
        (problem,) = problems_from_refusal(told, {}, {"1": {"class_type": "A", "inputs": {}}})
        assert "does not say why" in problem.message
        assert problem.fix


def test_a_text_for_an_error_is_passed_on() -> None:
    assert problems_from_refusal("no more", None, None)[0].message == "ComfyUI refused it: no more."


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from("123"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
codes = st.sampled_from(
    (
        *("required_input_missing", "bad_linked_input", "return_type_mismatch", "invalid_input_type"),
        *("value_smaller_than_min", "value_bigger_than_max", "value_not_in_list", "custom_validation_failed"),
        *("exception_during_validation", "exception_during_inner_validation", "dependency_cycle", "other"),
        *("invalid_prompt", "missing_node_type", "no_prompt", "prompt_outputs_failed_validation"),
    )
)
infos = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("input_name", "input_config", "received_value", "linked_node", "cycle_nodes", "class_type", "node_id"),
        any_json,
    ),
)
details = st.sampled_from(["'99'", "'inputs'", "tuple index out of range", "a - Invalid x file: y", "a, b", "#1'", ""])
told = st.fixed_dictionaries({}, optional={"type": codes, "message": any_json, "details": details, "extra_info": infos})
ids = st.sampled_from(["1", "2", "3"])
node_errors = st.dictionaries(ids, st.fixed_dictionaries({"errors": st.lists(told, max_size=3) | any_json}) | any_json)
links = st.tuples(ids | any_json, any_json).map(list)
prompts = st.dictionaries(
    ids,
    st.fixed_dictionaries(
        {"class_type": st.sampled_from(["KSampler", "CheckpointLoaderSimple"])},
        optional={"inputs": st.dictionaries(st.sampled_from(["ckpt_name", "a"]), links | any_json) | any_json},
    )
    | any_json,
    max_size=3,
)


@settings(deadline=None)  # the machine may be busy
@given(told | any_json, node_errors | any_json, prompts | any_json)
def test_no_shape_of_a_refusal_makes_it_raise_or_say_nothing(error: Any, of_nodes: Any, prompt: Any) -> None:
    found = problems_from_refusal(error, of_nodes, prompt)
    assert found
    assert all(problem.message and problem.fix for problem in found)
