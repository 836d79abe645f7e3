"""The promises of the first page: never lost, never twice by accident, never a false "completed"."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
import urllib3

from comfywatch.daemon import AlreadyRunning, Daemon
from comfywatch.sandbox import Sandbox, SandboxSettings
from comfywatch.store import NewerSchema, Store
from tests.world import World, picture, text_to_image, with_node

# --- kills


def _process(world: World) -> subprocess.Popen[bytes]:
    """The daemon as people run it, in a process of its own."""
    config = world.root / "config.yaml"
    config.write_text(
        f"comfyui_url: {world.sandbox.url}\nowner: here\npoll_seconds: 0.2\nsettle_seconds: 0.1\nrescan_seconds: 1\n"
    )
    env = {key: value for key, value in os.environ.items() if not key.startswith(("COMFYWATCH", "COMFYUI"))}
    return subprocess.Popen(
        [sys.executable, "-m", "comfywatch", "run", "--config", str(config)], stderr=subprocess.DEVNULL, env=env
    )


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that a test started; what is left of them is ended."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_killed_while_a_job_runs_it_is_completed_once_with_one_post(
    world: World, processes: list[subprocess.Popen[bytes]]
) -> None:
    processes.append(_process(world))
    world.until(lambda: (world.settings.state / "comfywatch.db").exists())
    world.until(lambda: world.sandbox.requests)
    world.drop("a.json", with_node("TestSleep", seconds=1.5))
    world.until_state("a.json", "running")
    processes[-1].kill()
    processes[-1].wait()
    processes.append(_process(world))
    world.until_state("a.json", "completed")
    assert len(world.sandbox.posts) == 1
    assert len(world.outputs("a.json")) == 1


def test_sigterm_ends_it_within_a_second_and_says_so(world: World, processes: list[subprocess.Popen[bytes]]) -> None:
    processes.append(_process(world))
    world.drop("a.json", with_node("TestSleep", seconds=30))
    world.until(lambda: world.status())
    world.sandbox.faults.hang = "/"
    start = time.monotonic()
    processes[-1].send_signal(signal.SIGTERM)
    assert processes[-1].wait(5) == 0
    assert time.monotonic() - start < 1.5
    assert world.status()["daemon"]["state"] == "stopped"


# --- an unknown outcome


@pytest.mark.parametrize("arrived", ["before", "after"])
def test_a_post_that_was_cut_off_is_looked_for_before_it_is_posted_again(
    world: World, arrived: Literal["before", "after"]
) -> None:
    world.start()
    world.until(lambda: world.sandbox.requests)
    world.sandbox.faults.reset_post = arrived
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    assert len({post.prompt_id for post in world.sandbox.posts}) == 1
    assert len(world.sandbox.executed) == 1
    accepted = [post for post in world.sandbox.posts if post.status == 200]
    assert len(accepted) == 1
    looks = [path for method, path in world.sandbox.requests if method == "GET" and path.endswith("/queue")]
    assert looks


def test_slow_is_not_dead_and_posts_nothing_twice(world: World) -> None:
    world.start()
    world.until(lambda: world.sandbox.requests)
    world.sandbox.faults.hang_after = "POST /prompt"
    world.drop("a.json", picture())
    world.until(lambda: world.sandbox.posts)
    world.until(lambda: world.status().get("comfyui", {}).get("state") == "busy" or world.entry("a.json").get("run"))
    world.until_state("a.json", "completed")
    assert len(world.sandbox.posts) == 1


# --- ComfyUI's own life


def test_a_restart_of_comfyui_with_jobs_queued_and_running_runs_them_again(world: World) -> None:
    world.start()
    world.sandbox.faults.hold = True
    world.drop("a.json", picture(1))
    world.until_state("a.json", "running")
    world.drop("b.json", picture(2))
    world.until_state("b.json", "queued")
    world.sandbox.stop()
    world.until(lambda: world.status()["comfyui"]["state"] == "down")
    world.sandbox.faults.clear()
    world.sandbox.start()
    world.until_state("a.json", "completed")
    world.until_state("b.json", "completed")
    assert len({post.prompt_id for post in world.sandbox.posts}) == 4
    assert world.entry("a.json")["run"] == 1


def test_a_workflow_that_takes_comfyui_down_twice_is_failed_and_the_others_go_on(world: World) -> None:
    world.start()
    world.sandbox.faults.hold = True
    world.drop("bad.json", picture(1))
    for life in (1, 2):
        world.until(lambda life=life: len(world.sandbox.executed) == life)  # type: ignore[misc]
        world.until(lambda: world.entry("bad.json").get("prompt_id") == world.sandbox.executed[-1])
        world.until_state("bad.json", "running")
        world.sandbox.stop()
        world.until(lambda: world.status()["comfyui"]["state"] == "down")
        world.sandbox.start()
    entry = world.until_state("bad.json", "failed")
    assert "went away twice" in entry["problems"][0]["message"]
    world.sandbox.faults.clear()
    world.drop("good.json", picture(2))
    world.until_state("good.json", "completed")
    assert len(world.sandbox.posts) == 3


def test_a_workflow_that_may_have_taken_comfyui_down_stands_back_for_those_that_waited(world: World) -> None:
    world.start()
    world.sandbox.faults.hold = True
    world.drop("0.json", picture(0))
    world.until_state("0.json", "running")
    for number in range(1, 4):
        world.drop(f"{number}.json", picture(number))
        world.until(lambda known=number: sum(world.status()["counts"].values()) > known)  # type: ignore[misc]
    world.sandbox.stop()
    world.until(lambda: world.status()["comfyui"]["state"] == "down")
    world.sandbox.faults.clear()
    world.sandbox.start()
    world.until(lambda: world.status()["counts"]["completed"] == 4)
    posts = [post.extra_data["extra_pnginfo"]["comfywatch"]["workflow"] for post in world.sandbox.posts]
    assert posts[2:] == ["1.json", "2.json", "3.json", "0.json"]


def test_a_prompt_deleted_from_the_queue_by_a_person_is_cancelled(world: World) -> None:
    world.start()
    world.sandbox.faults.hold = True
    world.drop("a.json", picture(1))
    world.until_state("a.json", "running")
    world.drop("b.json", picture(2))
    entry = world.until_state("b.json", "queued")
    urllib3.request("POST", f"{world.sandbox.url}/queue", json={"delete": [entry["prompt_id"]]}, timeout=5)
    entry = world.until_state("b.json", "cancelled")
    assert "taken out of ComfyUI's queue" in entry["problems"][0]["message"]
    world.sandbox.faults.clear()
    world.until_state("a.json", "completed")
    assert len(world.sandbox.posts) == 2


def test_outputs_that_are_gone_are_made_once_more_and_then_it_is_failed(world: World) -> None:
    world.start()
    world.sandbox.faults.view_404 = True
    world.drop("a.json", picture())
    entry = world.until_state("a.json", "failed")
    assert "does not have what it made" in entry["problems"][0]["message"]
    assert len(world.sandbox.posts) == 2


def test_a_truncated_download_is_never_taken_for_the_file(world: World) -> None:
    world.start()
    world.sandbox.faults.view_truncated = 10
    world.drop("a.json", picture())
    world.until(lambda: "cannot be fetched" in world.entry("a.json").get("reason", ""))
    assert world.outputs("a.json") == []
    world.sandbox.faults.view_truncated = None
    world.until_state("a.json", "completed")
    assert len(world.sandbox.posts) == 1


# --- what comes back that is no answer


def test_a_log_in_page_holds_the_job_with_a_sentence(world: World) -> None:
    world.sandbox.faults.html = True
    world.start()
    world.drop("a.json", picture())
    world.until(lambda: "headers_file" in world.entry("a.json").get("reason", ""))
    assert world.status()["comfyui"]["state"] == "down"
    world.sandbox.faults.html = False
    world.until_state("a.json", "completed")


def test_three_errors_of_the_server_are_failed_with_a_hint_and_the_others_go_on(world: World) -> None:
    world.start()
    world.until(lambda: world.sandbox.requests)
    world.sandbox.faults.error_500_count = 3
    world.sandbox.faults.error_500 = "POST /prompt"
    world.drop("a.json", picture(1))
    entry = world.until_state("a.json", "failed")
    assert "log" in entry["hint"]
    world.drop("b.json", picture(2))
    world.until_state("b.json", "completed")


def test_a_refusal_tells_the_servers_words_per_node_and_is_not_posted_again(world: World) -> None:
    world.start()
    prompt = picture()
    prompt["1"] = {"class_type": "LoadImage", "inputs": {"image": "a subfolder/only ComfyUI can know.png"}}
    world.drop("a.json", prompt)
    entry = world.until_state("a.json", "blocked")
    assert entry["problems"][0]["node"] == "1"
    assert "only ComfyUI can know.png" in json.dumps(entry["problems"])
    assert "Prompt outputs failed validation" not in json.dumps(entry)
    world.drop("b.json", picture(2))
    world.until_state("b.json", "completed")
    assert len(world.sandbox.posts) == 2


def test_too_large_is_invalid_with_the_limit(tmp_path: Path) -> None:
    with Sandbox(SandboxSettings(max_upload_bytes=2**20)) as sandbox:
        world = World(tmp_path / "root", sandbox)
        world.start()
        prompt = picture()
        prompt["2"]["_meta"] = {"title": "x" * 2**21}
        world.drop("a.json", prompt)
        entry = world.until_state("a.json", "invalid")
        world.stop()
    assert entry["problems"][0]["code"] == "too_large"
    assert "1 MiB" in entry["problems"][0]["message"]


# --- files that move, come and go


def test_a_renamed_workflow_takes_its_history_along_and_runs_nothing(world: World) -> None:
    world.start()
    path = world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    (world.workflows() / "done").mkdir()
    path.rename(world.workflows() / "done" / "b.json")
    world.until_state("done/b.json", "completed")
    assert "a.json" not in world.status()["workflows"]
    shutil.move(world.projects / "film", world.projects / "movie")
    world.until_state("done/b.json", "completed", project="movie")
    assert len(world.sandbox.posts) == 1


def test_a_removed_file_is_cancelled_after_its_grace_and_pending_again_when_it_returns(world: World) -> None:
    world.sandbox.stop()
    world.start()
    path = world.drop("a.json", picture())
    world.until_state("a.json", "pending")
    path.unlink()
    world.until_state("a.json", "cancelled")
    world.drop("a.json", picture())
    world.until_state("a.json", "pending")
    world.sandbox.start()
    world.until_state("a.json", "completed")
    assert len(world.sandbox.posts) == 1


def test_a_removal_takes_a_queued_prompt_out_and_leaves_a_running_one(world: World) -> None:
    world.start()
    world.sandbox.faults.hold = True
    running = world.drop("a.json", picture(1))
    world.until_state("a.json", "running")
    queued = world.drop("b.json", picture(2))
    world.until_state("b.json", "queued")
    running.unlink()
    queued.unlink()
    world.until_state("b.json", "cancelled")
    assert world.result("b.json")["state"] == "cancelled"
    world.sandbox.faults.clear()
    world.until_state("a.json", "completed")
    assert len(world.sandbox.executed) == 1


def test_new_content_replaces_what_has_not_run_yet(world: World) -> None:
    world.start()
    world.sandbox.faults.hold = True
    world.drop("first.json", picture(1))
    world.until_state("first.json", "running")
    world.drop("a.json", picture(2))
    world.until_state("a.json", "queued")
    world.drop("a.json", picture(3))
    world.until(lambda: world.entry("a.json").get("run") == 2)
    world.until_state("a.json", "queued")
    world.sandbox.faults.clear()
    world.until_state("a.json", "completed")
    colors = [
        post.prompt["1"]["inputs"]["color"] for post in world.sandbox.posts if post.prompt_id in world.sandbox.executed
    ]
    assert colors == [1, 3]


def test_a_vanished_root_is_not_everything_deleted(world: World) -> None:
    world.sandbox.stop()
    world.start()
    world.drop("a.json", picture())
    world.until_state("a.json", "pending")
    aside = world.root / "unmounted"
    world.projects.rename(aside)
    world.projects.mkdir()
    deadline = time.monotonic() + 1.5
    world.until(lambda: time.monotonic() > deadline)
    world.projects.rmdir()
    aside.rename(world.projects)
    world.sandbox.start()
    world.until_state("a.json", "completed")
    assert len(world.sandbox.posts) == 1


# --- the first start, and later ones


def _was_there_before(world: World) -> None:
    for name, color in (("a.json", 1), ("b.json", 2)):
        path = world.drop(name, picture(color))
        os.utime(path, (time.time() - 3600,) * 2)
    time.sleep(0.01)


def test_what_lay_there_before_the_first_start_waits_for_a_retry(world: World) -> None:
    _was_there_before(world)
    world.start()
    entry = world.until_state("a.json", "pending")
    assert "was here before comfywatch" in entry["reason"]
    world.drop("new.json", picture(3))
    world.until_state("new.json", "completed")
    _request(world, "retry", "film/a")
    world.until_state("a.json", "completed")
    assert world.entry("b.json")["state"] == "pending"
    assert len(world.sandbox.posts) == 2


def test_run_once_takes_everything_and_says_how_it_went(world: World) -> None:
    _was_there_before(world)
    assert world.run_once() == 0
    assert world.status()["counts"]["completed"] == 2
    world.drop("bad.json", "[]")
    assert world.run_once() == 1
    world.sandbox.stop()
    world.settings = world.settings.model_copy(update={"api_timeout_seconds": 0.3})
    world.drop("c.json", picture(9))
    assert world.run_once() == 3
    assert world.entry("c.json")["state"] == "pending"


def test_what_has_a_result_is_known_to_be_finished_when_the_state_is_lost(world: World) -> None:
    world.start()
    path = world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    world.stop()
    shutil.rmtree(world.settings.state)
    world.start()
    world.until_state("a.json", "completed")
    path.write_text(json.dumps(picture(5)))
    world.until(lambda: world.entry("a.json").get("run") == 2 and world.entry("a.json")["state"] == "completed")
    assert len(world.sandbox.posts) == 2


def test_prompts_in_comfyui_are_found_again_when_the_state_is_lost(world: World) -> None:
    world.start()
    world.sandbox.faults.hold = True
    world.drop("a.json", picture())
    world.until_state("a.json", "running")
    world.stop()
    shutil.rmtree(world.settings.state)
    world.settings = world.settings.model_copy(update={"existing": "run"})
    world.start()
    world.until_state("a.json", "running")
    world.sandbox.faults.clear()
    world.until_state("a.json", "completed")
    assert len(world.sandbox.posts) == 1
    assert world.result("a.json")["run"] == 1


def test_a_file_dropped_while_it_was_stopped_is_taken_at_the_next_start(world: World) -> None:
    world.start()
    world.until(lambda: world.sandbox.requests)
    world.stop()
    world.drop("a.json", picture())
    world.start()
    world.until_state("a.json", "completed")


def test_a_second_daemon_on_the_same_state_is_refused_with_a_sentence(world: World) -> None:
    world.start()
    with pytest.raises(AlreadyRunning, match="another comfywatch already works on"):
        Daemon(world.settings).run()


def test_a_newer_schema_is_refused(world: World) -> None:
    world.start()
    world.stop()
    import sqlite3

    database = sqlite3.connect(world.settings.database)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(NewerSchema, match="newer comfywatch"):
        Daemon(world.settings).run()


# --- what people ask for


def _request(world: World, command: str, target: str, **options: Any) -> str:
    store = Store(world.settings.database)
    try:
        number = store.add_request(command=command, target=target, options=options, at=datetime.now(UTC))
        store.commit()
        world.until(lambda: store.answer_to(number) is not None)
        return store.answer_to(number) or ""
    finally:
        store.close()


def test_retry_makes_a_new_run_and_keeps_the_old(world: World) -> None:
    world.start()
    world.drop("a.json", text_to_image())
    world.until_state("a.json", "completed")
    assert "1 run again" in _request(world, "retry", "film/a.json")
    world.until(lambda: world.entry("a.json").get("run") == 2 and world.entry("a.json")["state"] == "completed")
    assert world.outputs("a.json", run=1)
    assert world.outputs("a.json", run=2)


def test_cancel_interrupts_what_runs_and_only_that(world: World) -> None:
    world.start()
    world.drop("a.json", with_node("TestSleep", seconds=60))
    world.until_state("a.json", "running")
    world.drop("b.json", picture(2))
    world.until_state("b.json", "queued")
    _request(world, "cancel", "film/a")
    world.until_state("a.json", "cancelled")
    world.until_state("b.json", "completed")
    assert len(world.sandbox.interrupted) == 1


def test_a_paused_project_waits_and_goes_on(world: World) -> None:
    world.workflows()
    manifest = world.projects / "film" / "manifest.yaml"
    manifest.write_text("status: paused\n")
    world.start()
    world.drop("a.json", picture())
    world.until(lambda: "paused" in world.entry("a.json").get("reason", ""))
    manifest.write_text("status: active\n")
    world.until_state("a.json", "completed")


def test_a_project_of_another_machine_is_left_alone(world: World) -> None:
    world.workflows()
    (world.projects / "film" / "manifest.yaml").write_text("owner: elsewhere\n")
    world.start()
    world.drop("a.json", picture())
    world.drop("b.json", picture(), project="ours")
    world.until_state("b.json", "completed", project="ours")
    assert not (world.projects / "film" / "status.yaml").exists()
    assert len(world.sandbox.posts) == 1
