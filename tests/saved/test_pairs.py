"""What two real frontends sent, for published workflows and for hand-made graphs, is what the converter makes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from comfywatch.saved import FRONTEND_1_27, FRONTEND_1_49, Frontend, convert, frontend_of
from comfywatch.schemas import Schemas
from tests.saved.graphs import NOW, RECORDINGS, VERSIONS, schemas

SHARED = Path(__file__).parent.parent.parent.parent / "shared/conversion"
FRONTENDS = {frontend.name: frontend for frontend in (FRONTEND_1_27, FRONTEND_1_49)}
PUBLISHED = [
    pytest.param(name, file, id=f"{name}-{file.stem}")
    for name, version in VERSIONS.items()
    for file in sorted((RECORDINGS / version).glob("*.json"))
    if file.stem != "object_info"
]
GRAPHS: dict[str, Any] = json.loads((RECORDINGS / "graphs.json").read_bytes())

ON_PURPOSE = {
    "dictvalues": "values with names count by their name, as the packages mean it that write them",
    "dyn": "one that ends in a backslash is sent with the word undefined",
    "prim_none": "null in a primitive became the smallest number",
    "straight": "a subgraph that only passes on could not be sent",
    "tokens": "the recording has its own date; tokens for a primitive's value and for the word beside a seed are left",
    "px_l": "an input that the file leaves out of its list took the value of another",
    "px_m": "as px_l",
    "px_n": "as px_l",
    "vals_short": "where there is no choice at all, the word undefined was sent",
}
"""What the frontends did that is not followed, and why."""
ON_PURPOSE_IN_1_27 = {
    "by_star_order": "the class is not known there",
    "promoted_dyn": "a text of one instance took the place of the other's",
    "proxy_d": "values were read at the wrong places",
    "proxy_e": "as proxy_d",
    "proxy_g": "as proxy_d",
    "two_ab_": "as promoted_dyn",
    "two_abc": "as promoted_dyn",
    "two_rev": "as promoted_dyn",
    "vals_short33": "the classes are not known there",
}


def read_by_comfyui(prompt: Mapping[str, Any], known: Schemas) -> dict[str, Any]:
    """A prompt without what ComfyUI does not read: inputs that are not the class's, and texts for people."""
    return {
        node_id: {
            "class_type": entry["class_type"],
            "inputs": {
                name: value
                for name, value in entry["inputs"].items()
                if known.input(entry["class_type"], name) is not None or entry["class_type"] == "CustomCombo"
            },
        }
        for node_id, entry in prompt.items()
    }


def recorded(graphs: Mapping[str, Any]) -> Iterator[Any]:
    for frontend in VERSIONS:
        for name in graphs:
            if name not in ON_PURPOSE and not (frontend == "1.27" and name in ON_PURPOSE_IN_1_27):
                yield pytest.param(frontend, name, id=f"{frontend}-{name}")


def made(workflow: Any, frontend: Frontend) -> Any:
    return convert(workflow, schemas(VERSIONS[frontend.name]), frontend, draw=random.Random(1), now=NOW)


@pytest.mark.parametrize(("name", "file"), PUBLISHED)
def test_a_published_workflow_becomes_what_the_frontend_sends(name: str, file: Path) -> None:
    pair = json.loads(file.read_bytes())
    found = made(pair["workflow"], FRONTENDS[name])
    known = schemas(VERSIONS[name])
    assert not found.problems
    assert read_by_comfyui(found.prompt, known) == read_by_comfyui(pair["prompt"], known)
    assert all(entry["_meta"]["title"] for entry in found.prompt.values())


@pytest.mark.parametrize(("name", "graph"), list(recorded(GRAPHS)))
def test_a_hand_made_graph_becomes_what_the_frontend_sends(name: str, graph: str) -> None:
    found = made(GRAPHS[graph]["workflow"], FRONTENDS[name])
    sent = GRAPHS[graph][name]
    if sent is None:  # the browser threw
        assert found.problems or graph == "sub_prim"
        return
    known = schemas(VERSIONS[name])
    assert read_by_comfyui(found.prompt, known) == read_by_comfyui(sent, known)


@pytest.mark.parametrize("version", VERSIONS.values())
def test_of_the_shared_pairs_99_in_100_agree(version: str) -> None:
    folder = SHARED / version
    if not folder.is_dir():
        pytest.skip("../shared/conversion is not there")
    known = Schemas.read(json.loads((folder / "object_info.json").read_bytes()))
    pairs = [
        pair for pair in json.loads((folder / "index.json").read_bytes()) if pair["stable"] and not pair["suspect"]
    ]
    agree = 0
    for pair in pairs:
        workflow = json.loads((folder / f"{pair['name']}.ui.json").read_bytes())
        found = convert(workflow, known, frontend_of(known), draw=random.Random(1), now=NOW)
        sent = json.loads((folder / f"{pair['name']}.api.json").read_bytes())
        agree += read_by_comfyui(found.prompt, known) == read_by_comfyui(sent, known)
    assert agree >= 0.99 * len(pairs)
