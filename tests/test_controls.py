"""Empty files beside a workflow: each acts once for each appearance, is acknowledged, and is never removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.world import World, picture, with_node


def put(world: World, name: str, project: str = "film") -> Path:
    file = world.workflows(project) / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return file


def is_completed(world: World, run: int, path: str = "a.json", project: str = "film") -> bool:
    entry = world.entry(path, project=project)
    return (entry.get("state"), entry.get("run")) == ("completed", run)


# ---- retry


def test_a_retry_runs_again_once_and_is_acknowledged(world: World) -> None:
    world.start()
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    file = put(world, "a.retry")
    world.until(lambda: is_completed(world, 2))
    assert world.entry("a.json")["note"] == "a.retry seen: run 2"
    assert file.exists()
    world.drop("b.json", picture(2))
    world.until_state("b.json", "completed")
    assert len(world.sandbox.posts) == 3


def test_it_acts_again_when_it_was_gone_in_between(world: World) -> None:
    world.start()
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    put(world, "a.retry")
    world.until(lambda: is_completed(world, 2))
    (world.workflows() / "a.retry").unlink()
    world.until(lambda: "note" not in world.entry("a.json"))
    put(world, "a.retry")
    world.until(lambda: is_completed(world, 3))


def test_after_a_restart_it_does_not_act_again(world: World) -> None:
    world.start()
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    put(world, "a.retry")
    world.until(lambda: is_completed(world, 2))
    world.stop()
    assert world.run_once() == 0
    assert world.entry("a.json")["note"] == "a.retry seen: run 2"
    assert len(world.sandbox.posts) == 2


def test_it_goes_along_when_its_workflow_or_project_is_renamed(world: World) -> None:
    world.start()
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    put(world, "a.retry")
    world.until(lambda: is_completed(world, 2))
    (world.projects / "film").rename(world.projects / "movie")
    world.until(lambda: is_completed(world, 2, project="movie"))
    world.until(lambda: world.entry("a.json", project="movie").get("note") == "a.retry seen: run 2")
    done = world.workflows("movie") / "done"
    done.mkdir()
    for name in ("a.json", "a.retry"):
        (world.workflows("movie") / name).rename(done / name)
    world.until(lambda: is_completed(world, 2, "done/a.json", "movie"))
    world.drop("b.json", picture(2), project="movie")
    world.until_state("b.json", "completed", project="movie")
    assert len(world.sandbox.posts) == 3


def test_one_that_comes_before_its_workflow_waits_for_it_and_runs_nothing_twice(world: World) -> None:
    put(world, "a.retry")
    world.start()
    world.drop("b.json", picture(2))
    world.until(lambda: world.status().get("notices"))
    assert world.status()["notices"] == ["workflows/a.retry is for no workflow; put it beside a.json"]
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    world.until(lambda: not world.status()["notices"])
    assert world.entry("a.json")["run"] == 1
    assert len(world.sandbox.posts) == 2


def test_what_lies_there_at_the_first_start_is_no_order(world: World) -> None:
    world.drop("a.json", picture())
    put(world, "a.retry")
    world.start()
    world.until(lambda: "note" in world.entry("a.json"))
    assert world.entry("a.json")["state"] == "pending"
    assert "remove it, and put it there again" in world.entry("a.json")["note"]
    (world.workflows() / "a.retry").unlink()
    world.until(lambda: "note" not in world.entry("a.json"))
    put(world, "a.retry")
    world.until_state("a.json", "completed")
    assert world.entry("a.json")["note"] == "a.retry seen: released"


@pytest.mark.parametrize("name", ["a.RETRY", "a.json.retry"])
def test_how_it_is_called_is_taken_lightly(world: World, name: str) -> None:
    world.start()
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    put(world, name)
    world.until(lambda: is_completed(world, 2))


def test_a_failed_workflow_is_run_again(world: World) -> None:
    world.start()
    world.drop("shots/a.json", with_node("TestFail", kind="error"))
    world.until_state("shots/a.json", "failed")
    put(world, "shots/a.retry")
    world.until(
        lambda: world.entry("shots/a.json").get("run") == 2 and world.entry("shots/a.json")["state"] == "failed"
    )


# ---- cancel


def test_a_cancel_ends_what_waits_once_and_a_new_version_runs(world: World) -> None:
    world.sandbox.stop()
    world.start()
    world.drop("a.json", picture())
    world.until_state("a.json", "pending")
    put(world, "a.cancel")
    world.until_state("a.json", "cancelled")
    assert world.entry("a.json")["note"] == "a.cancel seen: cancelled"
    world.sandbox.start()
    world.drop("a.json", picture(2))
    world.until_state("a.json", "completed")
    assert [post.prompt["1"]["inputs"]["color"] for post in world.sandbox.posts] == [2]


# ---- hold


def test_a_hold_holds_as_long_as_it_is_there(world: World) -> None:
    world.start()
    hold = put(world, "a.hold")
    world.drop("a.json", picture())
    world.drop("b.json", picture(2))
    world.until_state("b.json", "completed")
    assert world.entry("a.json") == {"state": "pending", "reason": "on hold; to run it: remove a.hold"}
    hold.unlink()
    world.until_state("a.json", "completed")


def test_a_hold_outlives_a_restart_a_retry_and_a_new_version(world: World) -> None:
    world.start()
    put(world, "a.hold")
    world.drop("a.json", picture())
    world.until_state("a.json", "pending")
    world.stop()
    assert world.run_once() == 0
    world.start()
    world.drop("a.json", picture(3))
    put(world, "a.retry")
    world.until(lambda: "a.retry seen" in world.entry("a.json").get("note", ""))
    world.drop("b.json", picture(2))
    world.until_state("b.json", "completed")
    assert world.entry("a.json")["state"] == "pending"
    assert len(world.sandbox.posts) == 1


def test_a_hold_that_is_moved_with_its_project_still_holds(world: World) -> None:
    world.start()
    put(world, "a.hold")
    world.drop("a.json", picture())
    world.until_state("a.json", "pending")
    (world.projects / "film").rename(world.projects / "movie")
    world.drop("b.json", picture(2), project="movie")
    world.until_state("b.json", "completed", project="movie")
    assert world.entry("a.json", project="movie")["state"] == "pending"


# ---- what is none


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("b.retry", "workflows/b.retry is for no workflow; put it beside b.json"),
        ("shots/a.hold", "workflows/shots/a.hold is for no workflow; put it beside a.json"),
        ("a.retry.txt", "workflows/a.retry.txt is not read; rename it to a.retry"),
        ("a.Hold.TXT", "workflows/a.Hold.TXT is not read; rename it to a.Hold"),
    ],
)
def test_one_for_no_workflow_is_told(world: World, name: str, said: str) -> None:
    world.start()
    world.drop("a.json", picture())
    put(world, name)
    world.until(lambda: world.status().get("notices") == [said])


def test_scratch_and_conflict_copies_of_them_are_none(world: World) -> None:
    world.start()
    for name in (
        ".a.retry.aB3dEf",
        ".syncthing.a.retry.tmp",
        "a.sync-conflict-20260818-173636-D4LGQYW.retry",
        ".retry",
    ):
        put(world, name)
    (world.workflows() / "a.cancel").mkdir()
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    assert world.status()["notices"] == []
    assert world.entry("a.json")["run"] == 1


def test_a_picture_that_carries_a_workflow_has_them_too(world: World) -> None:
    world.start()
    world.drop("made.json", picture(7))
    world.until_state("made.json", "completed")
    (made,) = (world.projects / "film/outputs/made/001").glob("*.png")
    put(world, "b.hold")
    (world.workflows() / "b.png").write_bytes(made.read_bytes())
    world.until_state("b.png", "pending")
    assert "on hold" in json.dumps(world.entry("b.png"))
