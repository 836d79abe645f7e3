"""Projects that are away are waited for: nothing of them counts as removed, and nothing runs twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from click.testing import CliRunner

from comfywatch import cli
from comfywatch.away import Away
from comfywatch.settling import Stamp
from comfywatch.store import Store
from comfywatch.tree import Forest, ProjectTree
from tests.world import World, logged, picture

STAMP = Stamp(size=1, mtime_ns=1)


def tree(*files: str, device: int = 1) -> Forest:
    found = ProjectTree(name="film", is_there=True, files=dict.fromkeys(files, STAMP), device=device)
    return Forest(is_there=True, projects={"film": found})


def known(*paths: str) -> Callable[[str | None], int]:
    return lambda project: len(paths) if project in {None, "film"} else 0


@pytest.fixture
def away() -> Iterator[Away]:
    with closing(Store(":memory:")) as store:
        made = Away(store)
        made.judged(tree("a.json"), known("a.json"))
        yield Away(store)


def is_there(away: Away, forest: Forest, files: Callable[[str | None], int]) -> bool:
    return away.judged(forest, files).projects["film"].is_there


def test_an_empty_folder_on_another_disk_is_the_place_of_one_that_was_unmounted(away: Away) -> None:
    with logged() as lines:
        assert not is_there(away, tree(device=2), known("a.json"))
        assert not is_there(away, tree(device=2), known("a.json"))
        assert is_there(away, tree("a.json"), known("a.json"))
    assert ["is waited for" in line or "is back" in line for line in lines] == [True, True]


def test_on_its_own_disk_an_empty_folder_was_emptied_by_people(away: Away) -> None:
    assert is_there(away, tree(), known("a.json"))


def test_a_project_that_moved_to_another_disk_is_that_project(away: Away) -> None:
    assert is_there(away, tree("a.json", device=2), known("a.json"))
    assert is_there(away, tree(device=2), known("a.json"))


def test_what_is_dropped_on_another_disk_is_not_passed_over(away: Away) -> None:
    assert is_there(away, tree("new.json", device=2), known("a.json"))


def test_a_project_of_which_nothing_lay_there_is_no_other(away: Away) -> None:
    assert is_there(away, tree(device=2), known())
    assert is_there(away, tree(device=3), known())


# ---- for real


def doctor(world: World) -> str:
    config = world.root / "config.yaml"
    config.write_text(json.dumps({"comfyui_url": world.sandbox.url}))
    return " ".join(CliRunner().invoke(cli.app, ["doctor", "--config", str(config)]).output.split())


def drop_before_and_while_down(world: World) -> None:
    """One that is done, and one that waits."""
    world.drop("done.json", picture(1))
    world.until_state("done.json", "completed")
    world.sandbox.stop()
    world.drop("waits.json", picture(2))
    world.until_state("waits.json", "pending")


def is_well_again(world: World) -> None:
    world.until_state("waits.json", "completed")
    assert world.status()["counts"] | {"completed": 0} == dict.fromkeys(world.status()["counts"], 0)
    assert len(world.sandbox.posts) == 2
    assert world.entry("done.json")["run"] == 1


@pytest.mark.parametrize("leaves", ["nothing", "an empty folder", "the folder of another"])
def test_a_root_that_is_renamed_is_waited_for_and_doctor_says_so(world: World, leaves: str) -> None:
    world.start()
    with logged() as lines:
        drop_before_and_while_down(world)
        world.projects.rename(world.root / "aside")
        if leaves != "nothing":
            world.projects.mkdir()
        if leaves == "the folder of another":
            (world.projects / "other" / "workflows").mkdir(parents=True)
        else:
            world.until(lambda: any("nothing counts as removed" in line for line in lines))
        world.sandbox.start()
        world.until(lambda: any("ComfyUI is up" in line for line in lines) or len(world.sandbox.requests) > 5)
        said = doctor(world)
        if world.projects.exists():
            world.projects.rename(world.root / "theirs")
        (world.root / "aside").rename(world.projects)
    about = "film is not there; 1 workflow of it unfinished" if "another" in leaves else "2 workflows known of it"
    assert about in said
    is_well_again(world)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="root may mount, on Linux")
def test_a_project_that_is_unmounted_leaves_an_empty_place_that_is_not_taken_for_it(world: World) -> None:
    place = world.projects / "film"
    world.workflows()  # the empty place, with all that a project has
    mount = ["mount", "-t", "tmpfs", "none", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not permitted here")
    kept = world.root / "kept"
    try:
        world.start()
        drop_before_and_while_down(world)
        subprocess.run(["cp", "-a", str(place), str(kept)], check=True)
        with logged() as lines:
            subprocess.run(["umount", "-l", str(place)], check=True)
            world.until(lambda: any("its own disk is waited for" in line for line in lines))
            assert "its own disk is waited for" in doctor(world)
            world.sandbox.start()
            world.until(lambda: len(world.sandbox.requests) > 5)
            assert subprocess.run(mount, check=False).returncode == 0
            subprocess.run(["cp", "-a", f"{kept}/.", str(place)], check=True)
        is_well_again(world)
    finally:
        world.stop()
        subprocess.run(["umount", "-l", str(place)], check=False)
