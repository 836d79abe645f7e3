"""Chains: an input that is another workflow's output waits for it, and no longer."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.chains import Reference, circle, is_reference, may_be_read, newest_made, reference
from comfywatch.reach import Reach
from comfywatch.schemas import InputSpec
from tests.world import World, picture

PICTURES = InputSpec(name="image", type="COMBO", required=True, options={"image_upload": True})


def loading(name: str) -> dict[str, Any]:
    """A workflow that turns what another one made upside down."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "made"}},
    }


@pytest.fixture
def reach(tmp_path: Path) -> Reach:
    (tmp_path / "film" / "workflows").mkdir(parents=True)
    return Reach(projects=tmp_path)


def made(reach: Reach, workflow: str, run: int, *names: str, state: str = "completed", project: str = "film") -> Path:
    folder = reach.projects / project / "outputs" / workflow / f"{run:03d}"
    folder.mkdir(parents=True)
    rows = "".join(f"- {{path: {name}}}\n" for name in names)
    (folder / "result.yaml").write_text(f"state: {state}\nrun: {run}\noutputs:\n{rows}")
    for name in names:
        (folder / name).write_text(name)
    return folder


# ---- what a reference means


def test_a_name_with_an_at_sign_is_a_reference_and_others_are_none() -> None:
    assert is_reference("@portrait")
    assert is_reference("@other:shots/portrait/2")
    assert not is_reference("portrait.png")
    assert not is_reference("@")
    assert not is_reference("@" + "x" * 2000)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("@portrait", Reference(project="film", workflow="portrait")),
        ("@portrait.json", Reference(project="film", workflow="portrait")),
        ("@portrait/2", Reference(project="film", workflow="portrait", run=2)),
        ("@shots/a", Reference(project="film", workflow="shots/a")),
        ("@shots/a/12", Reference(project="film", workflow="shots/a", run=12)),
        ("@show:portrait", Reference(project="show", workflow="portrait")),
        ("@show:portrait/3", Reference(project="show", workflow="portrait", run=3)),
    ],
)
def test_a_reference_names_project_workflow_and_run(reach: Reach, value: str, meant: Reference) -> None:
    assert reference(value, "film", reach) == meant


def test_a_number_is_no_run_where_a_workflow_is_called_so(reach: Reach) -> None:
    (reach.projects / "film" / "workflows" / "shot").mkdir()
    (reach.projects / "film" / "workflows" / "shot" / "2.json").write_text("{}")
    assert reference("@shot/2", "film", reach) == Reference(project="film", workflow="shot/2")


def test_what_was_made_last_and_is_whole_is_meant(reach: Reach) -> None:
    wanted = Reference(project="film", workflow="portrait")
    assert newest_made(wanted, PICTURES, reach) is None
    made(reach, "portrait", 1, "one.png")
    made(reach, "portrait", 2, "notes.txt", "two.png", "three.png")
    made(reach, "portrait", 3, "failed.png", state="failed")
    found = newest_made(wanted, PICTURES, reach)
    assert found is not None
    assert (found.run, found.path.name) == (2, "two.png")
    first = newest_made(Reference(project="film", workflow="portrait", run=1), PICTURES, reach)
    assert first is not None
    assert first.path.read_text() == "one.png"


def test_an_output_of_another_kind_is_not_taken(reach: Reach) -> None:
    made(reach, "clip", 1, "clip.mp4")
    videos = InputSpec(name="file", type="COMBO", required=True, options={"video_upload": True})
    wanted = Reference(project="film", workflow="clip")
    assert newest_made(wanted, PICTURES, reach) is None
    assert newest_made(wanted, videos, reach) is not None


@pytest.mark.parametrize("workflow", ["../film/portrait", "/etc", "a/../../b", "", "."])
def test_no_reference_leads_out_of_the_outputs(reach: Reach, workflow: str) -> None:
    made(reach, "portrait", 1, "one.png")
    assert newest_made(Reference(project="film", workflow=workflow), PICTURES, reach) is None
    assert newest_made(Reference(project="..", workflow="portrait"), PICTURES, reach) is None


def test_a_forged_result_names_nothing_outside_its_run(reach: Reach) -> None:
    (reach.projects / "secret.png").write_text("secret")
    made(reach, "portrait", 1)
    result = reach.projects / "film" / "outputs" / "portrait" / "001" / "result.yaml"
    for path in ("../../../../secret.png", str(reach.projects / "secret.png"), "../002/x.png"):
        result.write_text(f"state: completed\nrun: 1\noutputs:\n- {{path: '{path}'}}\n")
        assert newest_made(Reference(project="film", workflow="portrait"), PICTURES, reach) is None


def test_another_project_is_read_only_where_the_settings_say_so(reach: Reach) -> None:
    wanted = Reference(project="show", workflow="portrait")
    assert may_be_read(Reference(project="film", workflow="portrait"), "film", reach)
    assert not may_be_read(wanted, "film", reach)
    allowed = Reach(projects=reach.projects, allow_links=(reach.projects / "show",))
    assert may_be_read(wanted, "film", allowed)


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3)))
def test_a_circle_is_found_where_one_comes_back_to_itself_and_only_there(edges: dict[str, list[str]]) -> None:
    def needs(of: Reference) -> list[Reference]:
        return [Reference(project="film", workflow=name) for name in edges.get(of.workflow, [])]

    reached = set(edges.get("a", []))
    while more := {name for near in reached for name in edges.get(near, [])} - reached:
        reached |= more
    way = [step.workflow for step in circle(Reference(project="film", workflow="a"), needs)]
    assert bool(way) == ("a" in reached)
    assert all(after in edges[before] for before, after in itertools.pairwise(way))


# ---- in the daemon


def test_three_that_build_on_each_other_run_in_that_order_however_they_were_dropped(world: World) -> None:
    world.start()
    world.drop("c.json", loading("@b"))
    world.drop("b.json", loading("@a"))
    world.until_state("c.json", "blocked")
    entry = world.until_state("b.json", "blocked")
    assert "film/a" in entry["problems"][0]["message"]
    world.drop("a.json", picture(0xFF0000))
    world.until_state("c.json", "completed")
    posts = [post.extra_data["extra_pnginfo"]["comfywatch"]["workflow"] for post in world.sandbox.posts]
    assert posts == ["a.json", "b.json", "c.json"]
    assert world.result("c.json")["made_from"] == [
        {
            "node": "1",
            "input": "image",
            "project": "film",
            "workflow": "b",
            "run": 1,
            "path": world.outputs("b.json")[0],
        }
    ]
    assert "made_from" not in world.result("a.json")


def test_workflows_that_wait_for_each_other_are_invalid_until_one_of_them_is_mended(world: World) -> None:
    world.start()
    world.drop("a.json", loading("@b"))
    world.until_state("a.json", "blocked")
    world.drop("b.json", loading("@a"))
    entry = world.until_state("b.json", "invalid")
    assert "b → a → b" in entry["problems"][0]["message"]
    world.drop("a.json", picture(3))
    world.until_state("a.json", "completed")
    world.until_state("b.json", "completed")


def test_a_workflow_that_builds_on_itself_is_invalid(world: World) -> None:
    world.start()
    world.drop("a.json", loading("@a"))
    world.until_state("a.json", "invalid")


def test_what_another_project_made_is_used_only_if_the_owner_allows_it(tmp_path: Path, world: World) -> None:
    world.start()
    world.drop("portrait.json", picture(5), project="show")
    world.until_state("portrait.json", "completed", project="show")
    world.drop("a.json", loading("@show:portrait"))
    entry = world.until_state("a.json", "blocked")
    assert "allow_links" in entry["problems"][0]["fix"]
    world.stop()
    world.settings = world.settings.model_copy(update={"allow_links": (world.projects / "show",)})
    world.start()
    world.until_state("a.json", "completed")
