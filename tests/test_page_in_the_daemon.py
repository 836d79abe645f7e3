"""``index.html`` as a daemon writes it: when, with what, and what it leaves alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from comfywatch.files import SCRATCH_PREFIX
from comfywatch.sandbox import Sandbox
from comfywatch.templates import MARK
from tests.world import World, logged, picture, text_to_image


def page(world: World, project: str = "film") -> str:
    """The page of a project, empty while there is none."""
    path = world.projects / project / "index.html"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def runs(world: World, project: str = "film") -> list[dict[str, Any]]:
    """What the page has for its script."""
    found = re.search(r'<script type="application/json" id="runs">(.*?)</script>', page(world, project), re.DOTALL)
    return json.loads(found[1]) if found else []


def overview(world: World) -> str:
    path = world.projects / "index.html"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_a_finished_run_appears_with_its_picture_seed_and_folder(world: World) -> None:
    world.start()
    world.drop("scene/a.json", text_to_image(seed=2**60))
    world.until(lambda: runs(world))
    (run,) = runs(world)
    assert (run["w"], run["n"], run["s"], run["e"]) == ("scene/a", 1, "completed", [str(2**60)])
    ((name, kind, _),) = run["o"]
    assert kind == "p"
    assert (world.projects / "film" / run["f"] / name).is_file()
    assert f'src="./outputs/scene/a/001/{name}"' in page(world)
    world.until(lambda: f"./film/outputs/scene/a/001/{name}" in overview(world))


def test_what_is_wrong_stands_there_with_its_mend(world: World) -> None:
    world.start()
    world.drop("a.json", text_to_image("nowhere.safetensors"))
    world.until(lambda: "nowhere.safetensors" in page(world))
    assert 'class="copy"' in page(world)


def test_the_last_run_is_there_when_run_once_ends(world: World) -> None:
    for number in range(3):
        world.drop(f"{number}.json", picture(number))
    assert world.run_once() == 0
    assert sorted(run["w"] for run in runs(world)) == ["0", "1", "2"]
    assert "3 completed" in overview(world)


def test_after_the_state_was_lost_the_pictures_are_found_again(world: World) -> None:
    world.drop("a.json", text_to_image(seed=7))
    world.drop("b.json", picture(2))
    world.run_once()
    before = runs(world)
    for file in world.settings.state.iterdir():
        if file.is_file():
            file.unlink()
    (world.projects / "film" / "index.html").unlink()
    world.start()
    world.until(lambda: len(runs(world)) == 2)
    told = {run["w"]: (run["n"], run["f"], run["o"], run["e"]) for run in runs(world)}
    assert told == {run["w"]: (run["n"], run["f"], run["o"], run["e"]) for run in before}


def test_what_a_page_says_already_is_not_written_again(world: World) -> None:
    world.drop("a.json", picture(1))
    world.run_once()
    written = (world.projects / "film" / "index.html").stat()
    world.run_once()
    assert (world.projects / "film" / "index.html").stat().st_mtime_ns == written.st_mtime_ns


def test_a_page_of_somebody_elses_is_left_alone(world: World) -> None:
    world.workflows()
    mine = world.projects / "film" / "index.html"
    mine.write_text("<h1>My film</h1>")
    world.drop("a.json", picture(1))
    with logged() as lines:
        world.run_once()
    assert mine.read_text() == "<h1>My film</h1>"
    assert any("was not written by comfywatch and is left alone" in line for line in lines)


def test_a_link_in_the_place_of_a_page_leads_nowhere(world: World, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(MARK)
    world.workflows()
    (world.projects / "film" / "index.html").symlink_to(secret)
    world.drop("a.json", picture(1))
    world.run_once()
    assert secret.read_text() == MARK


def test_nothing_is_written_where_no_page_is_wanted(tmp_path: Path, sandbox: Sandbox) -> None:
    world = World(tmp_path / "root", sandbox, page=False)
    world.drop("a.json", picture(1))
    assert world.run_once() == 0
    assert page(world) == overview(world) == ""


def test_no_scratch_file_is_left(world: World) -> None:
    world.drop("a.json", picture(1))
    world.run_once()
    assert not list(world.projects.rglob(f"{SCRATCH_PREFIX}*"))


def test_a_moved_workflow_shows_the_runs_where_they_lie(world: World) -> None:
    world.start()
    old = world.drop("a.json", picture(1))
    world.until(lambda: runs(world))
    old.rename(old.with_name("b.json"))
    world.until(lambda: [run["w"] for run in runs(world)] == ["b"])
    (run,) = runs(world)
    assert (world.projects / "film" / run["f"] / run["o"][0][0]).is_file()


@pytest.mark.parametrize(("other", "is_ours"), [("a-machine", False), ("z-machine", True)])
def test_of_several_machines_one_writes_the_page_over_all(world: World, other: str, is_ours: bool) -> None:
    theirs = world.workflows("theirs").parent
    (theirs / "manifest.yaml").write_text(f"owner: {other}\n")
    world.drop("a.json", picture(1))
    world.run_once()
    assert bool(overview(world)) is is_ours
    assert ("./theirs/index.html" in overview(world)) is is_ours
    assert page(world, "theirs") == ""


def test_nothing_is_written_into_the_empty_place_of_what_was_unmounted(world: World) -> None:
    world.start()
    world.drop("a.json", picture(1))
    world.until(lambda: overview(world))
    world.projects.rename(world.root / "unmounted")
    world.projects.mkdir()
    world.stop()
    assert list(world.projects.iterdir()) == []
