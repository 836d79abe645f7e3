"""What cannot be converted is said, and whatever comes in, nothing else happens."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfywatch.problems import Problem
from comfywatch.saved import FRONTEND_1_27, FRONTEND_1_49, Converted, convert, frontend_of
from comfywatch.schemas import Generation, Schemas
from comfywatch.validation import is_invalid
from tests.saved.graphs import NOW, SUBGRAPH, converted, node, sampler, saved, schemas, subgraph

FRONTENDS = (FRONTEND_1_27, FRONTEND_1_49)


def only_problem(workflow: Any) -> Problem:
    (problem,) = converted(workflow).problems
    assert problem.message
    assert problem.fix
    return problem


@pytest.mark.parametrize("workflow", [None, 5, [], {}, {"nodes": {}}, {"1": {"class_type": "KSampler", "inputs": {}}}])
def test_what_is_no_saved_workflow_is_told_so(workflow: Any) -> None:
    assert only_problem(workflow).code == "not_a_workflow"


def test_a_class_that_is_not_there_is_named_and_blocks() -> None:
    problem = only_problem(saved(sampler(1), node(2, "NobodyHasThis")))
    assert (problem.code, problem.node, problem.class_type) == ("missing_node_type", "2", "NobodyHasThis")
    assert not is_invalid([problem])


@pytest.mark.parametrize("mode", [2, 4])
def test_a_missing_class_that_is_off_harms_nobody(mode: int) -> None:
    assert not converted(saved(sampler(1), node(2, "NobodyHasThis", mode=mode))).problems


@pytest.mark.parametrize(
    ("kind", "code"),
    [("workflow>mine", "group_node"), ("workflow/mine", "group_node"), (SUBGRAPH, "no_subgraph")],
)
def test_what_no_server_could_know_is_invalid(kind: str, code: str) -> None:
    problem = only_problem(saved(node(2, kind)))
    assert (problem.code, problem.node) == (code, "2")
    assert is_invalid([problem])


def test_what_the_browser_renders_cannot_be_made_without_it() -> None:
    shown = Schemas.read({"Load3D": {"input": {"required": {"image": ["LOAD_3D", {}]}}, "output": []}})
    found = convert(saved(node(1, "Load3D")), shown, FRONTEND_1_49, draw=random.Random(0), now=NOW)
    (problem,) = found.problems
    assert (problem.code, problem.node) == ("rendered_in_browser", "1")
    assert is_invalid(found.problems)


def test_a_subgraph_in_itself_has_no_end() -> None:
    workflow = saved({"id": 1, "type": SUBGRAPH}, subgraphs=[subgraph({"id": 1, "type": SUBGRAPH}, links=[])])
    assert only_problem(workflow).code == "endless"


def test_subgraphs_that_grow_without_measure_are_stopped() -> None:
    names = [f"{level:08d}-2222-3333-4444-555555555555" for level in range(12)]
    bomb = [
        subgraph(*({"id": number, "type": inner} for number in range(10)), uuid=outer, links=[])
        for outer, inner in pairwise(names)
    ]
    assert only_problem(saved({"id": 1, "type": names[0]}, subgraphs=bomb)).code == "endless"


def test_a_huge_text_in_many_instances_is_not_written_out() -> None:
    text = node(5, "CLIPTextEncode", "x" * 1_000_000)
    many = [{"id": number, "type": SUBGRAPH} for number in range(200)]
    assert only_problem(saved(*many, subgraphs=[subgraph(text, links=[])])).code == "endless"


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    assert only_problem(saved(node(1, "CLIPTextEncode", deep))).code == "not_a_workflow"


def test_the_schemas_tell_for_which_frontend_to_convert() -> None:
    known = Schemas.read({})
    known.version_hint = Generation.NEWER
    assert frontend_of(known) is FRONTEND_1_49
    known.version_hint = Generation.OLDER
    assert frontend_of(known) is FRONTEND_1_27


def as_json(found: Converted) -> str:
    return json.dumps(found.prompt, allow_nan=False)


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
)
ids = st.integers(-20, 6) | st.sampled_from(["1", "2", "x", "-10"]) | anything
kinds = st.sampled_from(
    [
        *("KSampler", "CLIPTextEncode", "Reroute", "PrimitiveNode", "VAEDecode", "SaveImage", "CustomCombo"),
        *("ResizeImageMaskNode", "PreviewAny", "workflow>x", "a", "b", SUBGRAPH),
    ]
)
slots = st.fixed_dictionaries(
    {"name": st.sampled_from(["steps", "text", "samples", "in"]) | anything, "link": ids},
    optional={
        "type": st.sampled_from(["*", "INT", "LATENT"]) | anything,
        "widget": st.just({"name": "steps"}) | anything,
    },
)
links = st.tuples(ids, ids, st.integers(-1, 2), ids, st.integers(-1, 2), st.just("*")).map(list) | anything
proxies = st.lists(
    st.tuples(st.sampled_from(["-1", "1", "2"]), st.sampled_from(["steps", "text"])).map(list) | anything, max_size=3
)
nodes = st.fixed_dictionaries(
    {"id": ids, "type": kinds | anything},
    optional={
        "mode": st.sampled_from([0, 2, 4]) | anything,
        "inputs": st.lists(slots | anything, max_size=3) | anything,
        "widgets_values": st.lists(anything, max_size=9) | anything,
        "properties": st.fixed_dictionaries({"proxyWidgets": proxies | anything, "models": anything}) | anything,
        "title": anything,
    },
)
graphs = {"nodes": st.lists(nodes | anything, max_size=6), "links": st.lists(links, max_size=6) | anything}
definitions = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", SUBGRAPH]) | anything, **graphs},
    optional={
        "inputs": st.lists(st.fixed_dictionaries({"name": st.just("in") | anything, "linkIds": anything}), max_size=3)
        | anything,
        "outputs": anything,
    },
)
workflows = st.fixed_dictionaries(
    graphs,
    optional={
        "definitions": st.fixed_dictionaries({"subgraphs": st.lists(definitions | anything, max_size=3)}) | anything,
        "last_node_id": anything,
    },
)


@settings(max_examples=150)
@given(workflows | anything, st.sampled_from(FRONTENDS))
def test_whatever_comes_in_a_prompt_comes_out_or_a_problem(workflow: Any, frontend: Any) -> None:
    found = convert(workflow, schemas(), frontend, draw=random.Random(0), now=NOW)
    assert as_json(found)
    assert found.prompt or found.problems or isinstance(workflow.get("nodes"), list)
    for seed in found.seeds:
        assert seed.rolled(random.Random(0)).value <= max(seed.high, seed.value)


@settings(max_examples=50)
@given(st.dictionaries(kinds, anything), workflows)
def test_whatever_a_package_says_of_its_nodes(object_info: Any, workflow: Any) -> None:
    assert as_json(convert(workflow, Schemas.read(object_info), FRONTEND_1_49, draw=random.Random(0), now=NOW))
