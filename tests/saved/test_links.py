"""From an input along its link: reroutes, bypassed and muted nodes, primitives, and links that are broken."""

from __future__ import annotations

from typing import Any

import pytest

from comfywatch.saved import FRONTEND_1_27, FRONTEND_1_49, Frontend
from tests.saved.graphs import converted, inputs, node, sampler, saved

BOTH = pytest.mark.parametrize("frontend", [FRONTEND_1_27, FRONTEND_1_49], ids=lambda frontend: frontend.name)
NUMBER = node(1, "PrimitiveInt", 70, "fixed")
LATENT = node(1, "EmptyLatentImage", 512, 512, 1)


def decode(link: int) -> Any:
    return node(9, "VAEDecode", links={"samples": link})


def test_a_link_is_looked_up_by_its_id_alone() -> None:
    workflow = saved(NUMBER, sampler(2, links={"steps": 4}), links=[(4, 1, 0, 77, 99)])
    assert inputs(workflow, "2")["steps"] == ["1", 0]


def test_links_may_be_lists_or_maps() -> None:
    workflow = saved(NUMBER, sampler(2, links={"steps": 4}))
    link = {"id": 4, "origin_id": 1, "origin_slot": 0, "target_id": 2, "target_slot": 5}
    assert inputs(workflow | {"links": [link]}, "2")["steps"] == ["1", 0]


def test_a_link_that_no_input_names_is_none() -> None:
    assert inputs(saved(NUMBER, sampler(2), links=[(4, 1, 0, 2, 5)]), "2")["steps"] == 20


@BOTH
def test_reroutes_pass_on_one_after_the_other(frontend: Frontend) -> None:
    workflow = saved(
        NUMBER,
        node(3, "Reroute", links={":*": 5}),
        node(4, "Reroute", links={":*": 6}, mode=4),
        sampler(2, links={"steps": 7}),
        links=[(5, 1, 0, 3, 0), (6, 3, 0, 4, 0), (7, 4, 0, 2, 5)],
    )
    assert inputs(workflow, "2", frontend)["steps"] == ["1", 0]


@pytest.mark.parametrize(("frontend", "steps"), [(FRONTEND_1_27, ["1", 0]), (FRONTEND_1_49, 20)])
def test_a_muted_reroute_stops_newer_frontends(frontend: Frontend, steps: Any) -> None:
    workflow = saved(
        NUMBER,
        node(3, "Reroute", links={":*": 5}, mode=2),
        sampler(2, links={"steps": 7}),
        links=[(5, 1, 0, 3, 0), (7, 3, 0, 2, 5)],
    )
    assert inputs(workflow, "2", frontend)["steps"] == steps


def test_a_circle_of_reroutes_brings_nothing() -> None:
    workflow = saved(node(3, "Reroute", links={":*": 5}), decode(7), links=[(5, 3, 0, 3, 0), (7, 3, 0, 9, 0)])
    assert inputs(workflow, "9") == {}


@BOTH
def test_past_a_bypassed_node_goes_what_fits_the_input(frontend: Frontend) -> None:
    upscale = node(2, "LatentUpscale", "area", 64, 64, "disabled", links={"samples": 5}, mode=4)
    workflow = saved(LATENT, upscale, decode(7), links=[(5, 1, 0, 2, 0), (7, 2, 0, 9, 0)])
    assert inputs(workflow, "9", frontend) == {"samples": ["1", 0]}


@BOTH
def test_past_a_bypassed_node_the_input_beside_the_output_goes_first_linked_or_not(frontend: Frontend) -> None:
    bypassed = node(2, "ImageCompositeMasked", 0, 0, False, links={"destination:IMAGE": 0, "source:IMAGE": 5}, mode=4)
    bypassed["inputs"][0]["link"] = None
    picture = node(1, "LoadImage", "a.png", "image")
    workflow = saved(
        picture, bypassed, node(9, "SaveImage", "a", links={"images": 7}), links=[(5, 1, 0, 2, 1), (7, 2, 0, 9, 0)]
    )
    assert "images" not in inputs(workflow, "9", frontend)


@BOTH
def test_where_nothing_fits_the_input_is_left_out(frontend: Frontend) -> None:
    bypassed = node(2, "VAEDecode", links={"samples": 5}, mode=4)
    workflow = saved(
        LATENT, bypassed, node(9, "SaveImage", "a", links={"images": 7}), links=[(5, 1, 0, 2, 0), (7, 2, 0, 9, 0)]
    )
    assert inputs(workflow, "9", frontend) == {"filename_prefix": "a"}


@BOTH
def test_from_a_muted_node_comes_nothing(frontend: Frontend) -> None:
    workflow = saved(LATENT | {"mode": 2}, decode(7), links=[(7, 1, 0, 9, 0)])
    assert inputs(workflow, "9", frontend) == {}


def test_a_widget_under_a_muted_link_keeps_its_value_in_newer_frontends() -> None:
    workflow = saved(NUMBER | {"mode": 2}, sampler(2, links={"steps": 7}), links=[(7, 1, 0, 2, 5)])
    assert inputs(workflow, "2", FRONTEND_1_49)["steps"] == 20
    assert "steps" not in inputs(workflow, "2", FRONTEND_1_27)


@BOTH
@pytest.mark.parametrize("mode", [0, 2, 4])
def test_a_primitive_gives_its_value_whatever_its_mode(mode: int, frontend: Frontend) -> None:
    workflow = saved(
        node(1, "PrimitiveNode", 66, "fixed", mode=mode), sampler(2, links={"steps": 7}), links=[(7, 1, 0, 2, 5)]
    )
    assert inputs(workflow, "2", frontend)["steps"] == 66


@BOTH
@pytest.mark.parametrize(
    "between",
    [node(3, "Reroute", links={":*": 5}), node(3, "PrimitiveInt", 3, "fixed", links={"value": 5}, mode=4)],
    ids=["reroute", "bypassed"],
)
def test_a_primitive_reaches_only_what_it_is_linked_to(between: Any, frontend: Frontend) -> None:
    workflow = saved(
        node(1, "PrimitiveNode", 66, "fixed"), between, sampler(2, links={"steps": 7}),
        links=[(5, 1, 0, 3, 0), (7, 3, 0, 2, 5)],
    )  # fmt: skip
    assert inputs(workflow, "2", frontend)["steps"] == 20


@BOTH
@pytest.mark.parametrize("links", [(), [(7, 88, 0, 2, 5)]], ids=["no link", "no node"])
def test_a_link_that_begins_nowhere_is_a_problem_at_its_node(links: Any, frontend: Frontend) -> None:
    found = converted(saved(NUMBER, sampler(2, links={"steps": 7}), links=links), frontend)
    (problem,) = found.problems
    assert (problem.code, problem.node, problem.class_type, problem.input) == (
        "bad_linked_input",
        "2",
        "KSampler",
        "steps",
    )
    assert problem.fix


def test_a_broken_link_at_a_node_that_is_off_harms_nobody() -> None:
    assert not converted(saved(NUMBER, sampler(2, links={"steps": 7}, mode=2))).problems
