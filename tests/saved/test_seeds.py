"""Seeds, and what becomes of them for another run."""

from __future__ import annotations

import random

import pytest

from comfywatch.saved import Control, Seed, with_seeds
from tests.saved.graphs import SUBGRAPH, converted, node, sampler, saved, subgraph


def test_each_value_with_a_word_beside_it_is_told() -> None:
    (seed,) = converted(saved(sampler(1, seed=5, control="increment"))).seeds
    assert seed == Seed(places=(("1", "seed"),), value=5, control=Control.INCREMENT, low=0, high=2**64 - 1)


@pytest.mark.parametrize(
    ("word", "control"), [(True, "randomize"), (False, "fixed"), ("nonsense", "fixed"), (7, "fixed")]
)
def test_old_and_odd_words_mean_something(word: object, control: str) -> None:
    (seed,) = converted(saved(sampler(1, control=word))).seeds
    assert seed.control == control


def test_a_linked_seed_is_no_seed_of_this_node() -> None:
    workflow = saved(node(2, "PrimitiveInt", 3, "randomize"), sampler(1, links={"seed": 7}), links=[(7, 2, 0, 1, 4)])
    (seed,) = converted(workflow).seeds
    assert seed.places == (("2", "value"),)


def test_what_one_primitive_gives_to_two_is_one_seed() -> None:
    workflow = saved(
        node(3, "PrimitiveNode", 9, "randomize"), sampler(1, links={"seed": 7}), sampler(2, links={"seed": 8}),
        links=[(7, 3, 0, 1, 4), (8, 3, 0, 2, 4)],
    )  # fmt: skip
    (seed,) = converted(workflow).seeds
    assert (seed.value, seed.control, seed.places) == (9, "randomize", (("1", "seed"), ("2", "seed")))


def test_so_is_what_an_instance_gives_to_two() -> None:
    inner = subgraph(
        sampler(5, links={"seed": 1}, control="randomize"), sampler(6, links={"seed": 2}), inputs=["seed:INT"],
        links=[(1, -10, 0, 5, 4), (2, -10, 0, 6, 4)],
    )  # fmt: skip
    (seed,) = converted(saved({"id": 2, "type": SUBGRAPH, "widgets_values": [99]}, subgraphs=[inner])).seeds
    assert (seed.value, seed.control, seed.places) == (99, "randomize", (("2:5", "seed"), ("2:6", "seed")))


@pytest.mark.parametrize(
    ("control", "value", "rolled"),
    [("fixed", 5, 5), ("increment", 5, 6), ("decrement", 5, 4), ("increment", 9, 9), ("decrement", 2, 2)],
)
def test_a_seed_is_rolled_as_its_word_says_and_stays_in_its_range(control: str, value: int, rolled: int) -> None:
    seed = Seed(places=(), value=value, control=Control(control), low=2, high=9)
    assert seed.rolled(random.Random(0)).value == rolled


def test_a_random_seed_comes_from_its_whole_range() -> None:
    seed = Seed(places=(), value=5, control=Control.RANDOMIZE, low=2, high=4)
    assert {seed.rolled(random.Random(chance)).value for chance in range(50)} == {2, 3, 4}


def test_a_prompt_takes_rolled_seeds_and_the_old_one_stays_as_it_was() -> None:
    found = converted(saved(sampler(1, seed=5, control="increment"), sampler(2, seed=7)))
    again = with_seeds(found.prompt, [seed.rolled(random.Random(0)) for seed in found.seeds])
    assert [again[node_id]["inputs"]["seed"] for node_id in "12"] == [6, 7]
    assert found.prompt["1"]["inputs"]["seed"] == 5
    assert again["1"]["inputs"]["steps"] == 20
