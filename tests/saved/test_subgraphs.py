"""Subgraphs: their nodes, what goes in and out, and what their instances say of the widgets inside."""

from __future__ import annotations

from typing import Any

import pytest

from comfywatch.saved import FRONTEND_1_27, FRONTEND_1_49, Frontend
from tests.saved.graphs import SUBGRAPH, converted, inputs, node, sampler, saved, subgraph

BOTH = pytest.mark.parametrize("frontend", [FRONTEND_1_27, FRONTEND_1_49], ids=lambda frontend: frontend.name)
OUTER = "99999999-2222-3333-4444-555555555555"
STEPS = subgraph(sampler(5, links={"steps": 1}), inputs=["steps:INT"], links=[(1, -10, 0, 5, 5), (2, 5, 0, -20, 0)])
"""One sampler, whose steps are an input of the subgraph."""


def instance(node_id: int, *values: Any, uuid: str = SUBGRAPH, steps: int | None = None, **more: Any) -> Any:
    slot = {"name": "steps", "type": "INT", "link": steps, "widget": {"name": "steps"}}
    return {"id": node_id, "type": uuid, "inputs": [slot], "widgets_values": list(values), **more}


def steps(workflow: Any, node_id: str, frontend: Frontend) -> Any:
    return inputs(workflow, node_id, frontend)["steps"]


@BOTH
def test_a_node_inside_is_called_by_the_way_to_it(frontend: Frontend) -> None:
    outer = subgraph(instance(7), uuid=OUTER, links=[])
    workflow = saved({"id": 2, "type": OUTER}, subgraphs=[outer, STEPS])
    assert set(converted(workflow, frontend).prompt) == {"2:7:5"}


@BOTH
def test_links_go_in_and_out(frontend: Frontend) -> None:
    workflow = saved(
        node(1, "PrimitiveInt", 70, "fixed"),
        instance(2, 33, steps=8),
        node(9, "VAEDecode", links={"samples": 9}),
        links=[(8, 1, 0, 2, 0), (9, 2, 0, 9, 0)],
        subgraphs=[STEPS],
    )
    assert steps(workflow, "2:5", frontend) == ["1", 0]
    assert inputs(workflow, "9", frontend) == {"samples": ["2:5", 0]}


@BOTH
def test_an_instance_has_a_value_of_its_own_for_a_widget_that_is_an_input(frontend: Frontend) -> None:
    workflow = saved(instance(2, 33), instance(3), subgraphs=[STEPS])
    assert steps(workflow, "2:5", frontend) == 33
    assert steps(workflow, "3:5", frontend) == 20


@BOTH
def test_the_outermost_instance_that_says_something_wins(frontend: Frontend) -> None:
    slot = instance(7, 44, steps=1)
    outer = subgraph(slot, uuid=OUTER, inputs=["steps:INT"], links=[(1, -10, 0, 7, 0)])
    workflow = saved(instance(2, 55, uuid=OUTER), instance(3, uuid=OUTER), subgraphs=[outer, STEPS])
    assert steps(workflow, "2:7:5", frontend) == 55
    assert steps(workflow, "3:7:5", frontend) == 44


@BOTH
def test_a_value_reaches_all_that_its_input_leads_to(frontend: Frontend) -> None:
    two = subgraph(
        sampler(5, links={"steps": 1}), node(6, "PreviewAny", links={"source:*": 2}), inputs=["steps:INT"],
        links=[(1, -10, 0, 5, 5), (2, -10, 0, 6, 0)],
    )  # fmt: skip
    two["nodes"][1]["inputs"][0].pop("widget", None)
    assert inputs(saved(instance(2, 33), subgraphs=[two]), "2:6", frontend) == {"source": 33}


def test_widgets_that_are_no_inputs_count_in_newer_frontends() -> None:
    proxies = {"proxyWidgets": [["5", "seed"], ["5", "cfg"]]}
    inner = subgraph(sampler(5), links=[])
    workflow = saved(
        {"id": 2, "type": SUBGRAPH, "widgets_values": [111, 2.5], "properties": proxies}, subgraphs=[inner]
    )
    assert inputs(workflow, "2:5", FRONTEND_1_49)["seed"] == 111
    assert inputs(workflow, "2:5", FRONTEND_1_27)["seed"] == 5


@BOTH
def test_a_list_of_widgets_says_which_value_is_whose(frontend: Frontend) -> None:
    proxies = {"proxyWidgets": [["5", "cfg"], ["-1", "steps"]]}
    workflow = saved(instance(2, None, 33, properties=proxies), subgraphs=[STEPS])
    assert steps(workflow, "2:5", frontend) == 33
    assert inputs(workflow, "2:5", frontend)["cfg"] == 8


def test_where_a_link_brings_nothing_only_older_frontends_take_the_instances_value() -> None:
    source = node(1, "PrimitiveInt", 70, "fixed", mode=4)
    workflow = saved(source, instance(2, 33, steps=8), links=[(8, 1, 0, 2, 0)], subgraphs=[STEPS])
    assert steps(workflow, "2:5", FRONTEND_1_27) == 33
    assert steps(workflow, "2:5", FRONTEND_1_49) == 20


def test_a_primitive_reaches_into_a_subgraph_in_older_frontends_only() -> None:
    source = node(1, "PrimitiveNode", 66, "fixed")
    workflow = saved(source, instance(2, 33, steps=8), links=[(8, 1, 0, 2, 0)], subgraphs=[STEPS])
    assert steps(workflow, "2:5", FRONTEND_1_27) == 66
    assert steps(workflow, "2:5", FRONTEND_1_49) == 20


@pytest.mark.parametrize("mode", [2, 4])
def test_an_instance_that_is_off_takes_its_nodes_along_in_newer_frontends(mode: int) -> None:
    workflow = saved(instance(2, 33, mode=mode), sampler(3), subgraphs=[STEPS])
    assert set(converted(workflow, FRONTEND_1_49).prompt) == {"3"}
    assert set(converted(workflow, FRONTEND_1_27).prompt) == {"2:5", "3"}


@BOTH
def test_past_a_bypassed_instance_goes_what_fits_though_the_file_leaves_inputs_out(frontend: Frontend) -> None:
    inner = subgraph(sampler(5), inputs=["model:MODEL", "latent:LATENT"], links=[(2, 5, 0, -20, 0)])
    bypassed = {"id": 2, "type": SUBGRAPH, "mode": 4, "inputs": [{"name": "latent", "type": "LATENT", "link": 8}]}
    workflow = saved(
        node(1, "EmptyLatentImage", 64, 64, 1), bypassed, node(9, "VAEDecode", links={"samples": 9}),
        links=[(8, 1, 0, 2, 1), (9, 2, 0, 9, 0)], subgraphs=[inner],
    )  # fmt: skip
    assert inputs(workflow, "9", frontend)["samples"] == ["1", 0]


def test_newer_frontends_number_each_node_once() -> None:
    inner = subgraph(sampler(1), sampler(2), links=[])
    workflow = saved({"id": 2, "type": SUBGRAPH}, sampler(3), last_node_id=7, subgraphs=[inner])
    assert set(converted(workflow, FRONTEND_1_49).prompt) == {"2:1", "2:8", "3"}
    assert set(converted(workflow, FRONTEND_1_27).prompt) == {"2:1", "2:2", "3"}


def test_what_is_numbered_anew_keeps_its_links_and_its_values() -> None:
    inner = subgraph(
        node(2, "EmptyLatentImage", 64, 64, 1), sampler(5, links={"latent_image": 1}), links=[(1, 2, 0, 5, 3)]
    )
    proxies = {"proxyWidgets": [["2", "width"]]}
    workflow = saved(
        {"id": 2, "type": SUBGRAPH, "properties": proxies, "widgets_values": [128]}, last_node_id=9, subgraphs=[inner]
    )
    assert inputs(workflow, "2:5")["latent_image"] == ["2:10", 0]
    assert inputs(workflow, "2:10")["width"] == 128
