"""Progress, previews and quick endings on a real daemon and real sockets; and that nothing hangs on any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from comfywatch import live
from comfywatch.progress import Progress
from comfywatch.sandbox import Sandbox, SandboxSettings
from comfywatch.store import Store
from tests.world import World, picture, text_to_image, with_node


@pytest.fixture
def version() -> str:
    """Overridden by parametrizing."""
    return "0.33.0"


@pytest.fixture
def sandbox(version: str) -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(version=version, step_seconds=0.02, preview_method="auto")) as running:
        yield running


@pytest.fixture
def worlds(tmp_path: Path, sandbox: Sandbox) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(**settings: Any) -> World:
        made.append(World(tmp_path, sandbox, **settings))
        return made[-1]

    yield make
    sandbox.faults.release()
    for world in made:
        world.stop()


def told(world: World) -> dict[int, Progress]:
    """What somebody who follows sees."""
    live.want(world.settings.live_file)
    return live.written(world.settings.live_file, at=datetime.now(UTC))


def sockets(sandbox: Sandbox) -> int:
    return sum(path.endswith("/ws") for _, path in sandbox.requests)


def progress_of(world: World, path: str = "a.json") -> dict[str, Any]:
    """What ``status.yaml`` says of how far a job is; empty if nothing."""
    progress: dict[str, Any] = world.entry(path).get("progress", {})
    return progress


# ---- progress


@pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])
def test_progress_stands_in_the_status_while_a_job_runs_and_no_longer(
    worlds: Callable[..., World], version: str
) -> None:
    world = worlds(progress_seconds=0.1)
    world.start()
    world.drop("a.json", text_to_image(steps=80))
    progress = world.until(lambda: got if (got := progress_of(world)).get("percent", 0) > 0 else None)
    assert progress["node"] == "KSampler"
    assert 0 < progress["percent"] < 100
    assert "progress" not in world.until_state("a.json", "completed")


def test_the_second_run_knows_how_long_it_takes(worlds: Callable[..., World]) -> None:
    world = worlds(progress_seconds=0.1)
    world.start()
    world.drop("a.json", text_to_image(steps=60, seed=1))
    world.until_state("a.json", "completed")
    world.drop("a.json", text_to_image(steps=60, seed=2))
    world.until(lambda: "eta_seconds" in progress_of(world))
    world.until_state("a.json", "completed")
    world.stop()
    store = Store(world.settings.database)
    paces = store.paces("film", "a.json")
    store.close()
    assert paces["3"].class_type == "KSampler"
    assert 1 < paces["3"].seconds < 20


def test_who_follows_is_told_and_nobody_else_is_written_for(worlds: Callable[..., World]) -> None:
    world = worlds()
    world.start()
    world.drop("a.json", text_to_image(steps=200))
    world.until_state("a.json", "running")
    assert not world.settings.live_file.exists()
    seen: list[Progress] = []

    def watch() -> bool:
        seen.extend(told(world).values())
        return world.entry("a.json").get("state") == "completed"

    world.until(watch)
    assert seen
    assert [each.percent for each in seen] == sorted(each.percent for each in seen)
    assert {each.node for each in seen} & {"KSampler"}


def test_a_cached_part_does_not_count(worlds: Callable[..., World], sandbox: Sandbox) -> None:
    world = worlds(progress_seconds=0.1)
    world.start()
    world.drop("a.json", picture(1))
    world.until_state("a.json", "completed")
    sandbox.faults.hold = True
    world.drop("b.json", with_node("TestSleep", 1, seconds=0))
    world.until(lambda: progress_of(world, "b.json").get("node") == "TestSleep")
    assert world.entry("b.json")["progress"]["percent"] == 0
    sandbox.faults.release()
    world.until_state("b.json", "completed")


def test_a_daemon_that_starts_in_the_middle_of_a_job_finds_its_place(
    worlds: Callable[..., World], sandbox: Sandbox
) -> None:
    world = worlds(progress_seconds=0.1)
    world.start()
    world.drop("a.json", text_to_image(steps=60))
    world.until_state("a.json", "running")
    world.stop()
    world.start()
    world.until(lambda: progress_of(world).get("node") == "KSampler")
    world.until_state("a.json", "completed")


# ---- an end


def test_the_prompts_of_others_change_nothing(worlds: Callable[..., World], sandbox: Sandbox) -> None:
    import urllib3

    world = worlds()
    world.start()
    world.until(lambda: sockets(sandbox) > 0)
    urllib3.request("POST", f"{sandbox.url}/prompt", json={"prompt": picture(9), "client_id": "other"}, timeout=5)
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    assert world.status()["counts"]["completed"] == 1


# ---- without a word, or with the wrong ones


def _refused(sandbox: Sandbox) -> None:
    sandbox.faults.where, sandbox.faults.status = "/ws", 403


def _a_login_page(sandbox: Sandbox) -> None:
    sandbox.faults.where, sandbox.faults.html = "/ws", True


def _hanging(sandbox: Sandbox) -> None:
    sandbox.faults.hang = "/ws"


def _silent(sandbox: Sandbox) -> None:
    sandbox.faults.socket_silent = True


def _dropping(sandbox: Sandbox) -> None:
    sandbox.faults.socket_drop = 2


def _noisy(sandbox: Sandbox) -> None:
    sandbox.faults.socket_noise = True


@pytest.mark.parametrize("fault", [_refused, _a_login_page, _hanging, _silent, _dropping, _noisy])
def test_whatever_the_socket_does_jobs_run_and_are_fetched(
    worlds: Callable[..., World], sandbox: Sandbox, fault: Callable[[Sandbox], None]
) -> None:
    fault(sandbox)
    world = worlds(progress_seconds=0.1, previews="live")
    world.start()
    world.until(lambda: sockets(sandbox) > 0)
    for number in range(5):
        world.drop(f"{number}.json", picture(number))
    world.drop("long.json", text_to_image(steps=20))
    for name in (*(f"{number}.json" for number in range(5)), "long.json"):
        world.until_state(name, "completed")
    assert len(sandbox.executed) == 6
    assert "preview.jpg" not in world.outputs("long.json")


def test_with_the_socket_blocked_the_usual_time_still_tells(worlds: Callable[..., World], sandbox: Sandbox) -> None:
    _refused(sandbox)
    world = worlds(progress_seconds=0.1)
    world.start()
    for seed in (1, 2):
        world.drop("a.json", text_to_image(steps=60, seed=seed))
        world.until_state("a.json", "running")
        if seed == 2:
            world.until(lambda: progress_of(world).get("percent", 0) > 0)
        world.until_state("a.json", "completed")


def test_a_comfyui_that_comes_back_is_heard_again(worlds: Callable[..., World], sandbox: Sandbox) -> None:
    world = worlds(progress_seconds=0.1)
    world.start()
    world.until(lambda: sockets(sandbox) == 1)
    sandbox.restart()
    world.until(lambda: sockets(sandbox) >= 2)
    world.drop("a.json", text_to_image(steps=60))
    world.until(lambda: progress_of(world).get("node") == "KSampler")


# ---- previews


@pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])
def test_a_preview_lies_in_the_run_folder_while_the_job_runs(worlds: Callable[..., World], version: str) -> None:
    world = worlds(previews="live")
    world.start()
    world.drop("a.json", text_to_image(steps=60))
    preview = world.projects / "film" / "outputs" / "a" / "001" / "preview.jpg"
    world.until(preview.exists)
    assert preview.read_bytes().startswith(b"\xff\xd8\xff")
    world.until_state("a.json", "completed")
    assert [name.rpartition(".")[2] for name in world.outputs("a.json")] == ["png"]


def test_a_preview_that_a_crash_left_is_removed_at_the_end(worlds: Callable[..., World], sandbox: Sandbox) -> None:
    world = worlds(previews="live")
    world.start()
    sandbox.faults.hold = True
    world.drop("a.json", picture())
    world.until_state("a.json", "running")
    world.stop()
    folder = world.projects / "film" / "outputs" / "a" / "001"
    folder.mkdir(parents=True)
    (folder / "preview.jpg").write_bytes(b"left")
    sandbox.faults.release()
    world.start()
    world.until_state("a.json", "completed")
    assert "preview.jpg" not in world.outputs("a.json")


def test_a_preview_goes_nowhere_through_a_link(worlds: Callable[..., World], tmp_path: Path) -> None:
    world = worlds(previews="live")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    world.start()
    (world.projects / "film" / "outputs").mkdir(parents=True)
    try:
        (world.projects / "film" / "outputs" / "a").symlink_to(elsewhere, target_is_directory=True)
    except OSError:
        pytest.skip("this system makes no links for us")
    world.drop("a.json", text_to_image(steps=20))
    world.until(lambda: world.sandbox.executed)
    world.until(lambda: "cannot be fetched" in str(world.entry("a.json").get("reason")))
    assert list(elsewhere.iterdir()) == []


def test_without_previews_live_none_is_asked_for_or_written(worlds: Callable[..., World], sandbox: Sandbox) -> None:
    world = worlds()
    world.start()
    world.drop("a.json", text_to_image(steps=60))
    world.until_state("a.json", "running")
    world.until_state("a.json", "completed")
    assert "preview_method" not in sandbox.posts[0].extra_data


def test_newer_servers_are_asked_for_previews_with_the_prompt(worlds: Callable[..., World], sandbox: Sandbox) -> None:
    world = worlds(previews="live")
    world.start()
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    assert sandbox.posts[0].extra_data["preview_method"] == "auto"
