"""The main job: what is dropped becomes outputs and a status.yaml."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from typing import Any

import pytest
import yaml
from PIL import Image

from comfywatch.sandbox import Sandbox
from tests.world import World, picture, text_to_image, with_node


def test_a_dropped_workflow_becomes_a_picture_a_result_and_a_status(world: World) -> None:
    world.start()
    world.drop("shot-01.json", text_to_image())
    entry = world.until_state("shot-01.json", "completed")
    assert entry["run"] == 1
    assert world.outputs("shot-01.json") == ["shot-01_001_ComfyUI_00001_.png"]
    result = world.result("shot-01.json")
    assert result["state"] == "completed"
    assert result["settings"]["checkpoint"] == "v1-5-pruned-emaonly-fp16.safetensors"
    assert result["settings"]["seeds"] == {"3": 1}
    assert world.status()["counts"]["completed"] == 1


def test_what_is_submitted_is_kept_and_differs_only_in_its_prefix(world: World) -> None:
    world.start()
    dropped = picture(7, prefix="pictures/x")
    world.drop("a.json", dropped)
    world.until_state("a.json", "completed")
    kept = json.loads((world.projects / "film/outputs/a/001/workflow.json").read_text())
    prefix = kept["2"]["inputs"].pop("filename_prefix")
    assert prefix.startswith("comfywatch/film/a/001-")
    assert prefix.endswith("/pictures/x")
    del dropped["2"]["inputs"]["filename_prefix"]
    assert kept == dropped


def test_an_output_says_where_it_came_from(world: World) -> None:
    world.start()
    world.drop("a.json", {"prompt": picture(), "extra_data": {"extra_pnginfo": {"workflow": {"id": "w"}}}})
    world.until_state("a.json", "completed")
    png_info = world.sandbox.posts[0].extra_data["extra_pnginfo"]
    assert png_info["workflow"] == {"id": "w"}
    assert png_info["comfywatch"]["project"] == "film"
    assert png_info["comfywatch"]["workflow"] == "a.json"
    assert png_info["comfywatch"]["run"] == 1
    assert world.sandbox.posts[0].client_id


@pytest.mark.parametrize("way", ["plain write", "rename", "move in", "hard link", "in a new folder", "upper case"])
def test_every_way_of_putting_a_file_there_works(world: World, way: str) -> None:
    world.workflows()
    world.start()
    world.until(lambda: world.sandbox.requests)
    aside = world.root / "aside.json"
    aside.write_text(json.dumps(picture()))
    target = world.workflows() / "a.json"
    match way:
        case "plain write":
            target.write_text(aside.read_text())
        case "rename":
            world.drop("a.json", picture())
        case "move in":
            shutil.move(aside, target)
        case "hard link":
            os.link(aside, target)
        case "in a new folder":
            new = world.root / "new"
            (new / "workflows" / "deep").mkdir(parents=True)
            shutil.move(aside, new / "workflows" / "deep" / "a.json")
            shutil.move(new, world.projects / "second")
        case "upper case":
            shutil.move(aside, target.with_name("a.JSON"))
    if way == "in a new folder":
        world.until_state("deep/a.json", "completed", project="second")
    else:
        world.until_state("a.JSON" if way == "upper case" else "a.json", "completed")
    assert len(world.sandbox.posts) == 1


def test_a_rewrite_in_place_runs_once_more_with_its_final_content(world: World) -> None:
    world.start()
    path = world.drop("a.json", picture(1))
    world.until_state("a.json", "completed")
    with path.open("w") as handle:
        for part in (json.dumps(picture(2))[:60], json.dumps(picture(2))[60:]):
            handle.write(part)
            handle.flush()
    world.until(lambda: world.entry("a.json").get("run") == 2 and world.entry("a.json")["state"] == "completed")
    assert [post.prompt["1"]["inputs"]["color"] for post in world.sandbox.posts] == [1, 2]


def test_the_same_content_again_is_nothing_new(world: World) -> None:
    world.start()
    path = world.drop("a.json", picture(1))
    world.until_state("a.json", "completed")
    path.write_text(json.dumps(picture(1), indent=4, sort_keys=True))
    world.until(lambda: "unchanged since run 1" in world.entry("a.json").get("note", ""))
    assert len(world.sandbox.posts) == 1


def test_what_is_not_for_us_is_left_alone(world: World) -> None:
    world.start()
    for name in (".a.json", "~a.json", "a.json~", "a.txt"):
        (world.workflows() / name).write_text(json.dumps(picture()))
    (world.workflows() / "folder.json").mkdir()
    (world.workflows() / "b.json.txt").write_text("{}")
    (world.projects / "film" / "c.json").write_text("{}")
    (world.projects / "d.json").write_text("{}")
    world.drop("real.json", picture())
    world.until_state("real.json", "completed")
    world.until(lambda: len(world.status()["notices"]) >= 4)
    assert list(world.status()["workflows"]) == ["real.json"]
    notices = " | ".join(world.status()["notices"])
    assert "workflows/b.json.txt is not read; rename it to b.json" in notices
    assert "c.json is not read; move it to workflows/" in notices
    assert "d.json is not read; move it to projects/NAME/workflows/" in notices
    assert "workflows/folder.json is not a file and is not read" in notices


def test_comfyui_down_holds_and_its_return_drains(world: World) -> None:
    world.sandbox.stop()
    world.start()
    for number in range(5):
        world.drop(f"shot-{number}.json", picture(number))
    world.until(lambda: world.status().get("counts", {}).get("pending") == 5)
    entry = world.entry("shot-0.json")
    assert "ComfyUI is down" in entry["reason"]
    assert "dragged into ComfyUI's window" in entry["reason"]
    world.sandbox.start()
    world.until(lambda: world.status()["counts"]["completed"] == 5)
    assert len(world.sandbox.posts) == 5


def test_missing_nodes_and_models_are_named_all_at_once_and_free_the_job_when_they_come(world: World) -> None:
    world.sandbox.node_classes.discard("ImageInvert")
    world.start()
    prompt = text_to_image("nosuch.safetensors")
    prompt["10"] = {"class_type": "VAELoader", "inputs": {"vae_name": "novae.safetensors"}}
    prompt["8"]["inputs"]["vae"] = ["10", 0]
    prompt["11"] = {"class_type": "ImageInvert", "inputs": {"image": ["8", 0]}}
    prompt["9"]["inputs"]["images"] = ["11", 0]
    world.drop("a.json", prompt)
    entry = world.until_state("a.json", "blocked")
    text = json.dumps(entry["problems"])
    assert {problem["code"] for problem in entry["problems"]} == {"missing_node_type", "value_not_in_list"}
    for name in ("ImageInvert", "nosuch.safetensors", "novae.safetensors"):
        assert name in text
    assert not world.sandbox.posts
    world.sandbox.models["checkpoints"].append("nosuch.safetensors")
    world.sandbox.models["vae"].append("novae.safetensors")
    world.sandbox.node_classes.add("ImageInvert")
    world.sandbox.stop()
    world.until(lambda: world.status()["comfyui"]["state"] == "down")
    world.sandbox.start()
    world.until_state("a.json", "completed")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{ not json", "not JSON"),
        (json.dumps(picture())[:70], "not JSON"),
        ("", "empty"),
        ("[1, 2]", "no workflow"),
        ("{}", "no nodes"),
        (json.dumps({"nodes": [], "links": [], "version": 0.4}), "no nodes"),
        (json.dumps({"1": {"class_type": "EmptyImage", "inputs": {}}}), "output"),
        (json.dumps({**picture(), "2": {"class_type": "SaveImage", "inputs": {"images": ["9", 0]}}}), "9"),
    ],
)
def test_what_no_server_could_run_is_invalid_and_says_why(world: World, content: str, said: str) -> None:
    world.start()
    (world.workflows() / "a.json").write_text(content)
    entry = world.until_state("a.json", "invalid")
    assert said in json.dumps(entry["problems"])
    assert all(problem.get("fix") for problem in entry["problems"])
    assert not world.sandbox.posts
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")


def test_a_half_written_file_is_waited_for(world: World) -> None:
    world.settings = world.settings.model_copy(update={"settle_seconds": 1.5})
    world.start()
    text = json.dumps(picture())
    path = world.workflows() / "a.json"
    with path.open("w") as handle:
        handle.write(text[:50])
        handle.flush()
        world.until(lambda: "being written" in world.entry("a.json").get("reason", ""))
        handle.write(text[50:])
    world.until_state("a.json", "completed")
    assert len(world.sandbox.posts) == 1


@pytest.mark.parametrize(
    ("kind", "said", "hint"), [("error", "RuntimeError", ""), ("oom", "out of memory", "ran out of memory")]
)
def test_a_failure_at_run_time_is_failed_with_what_comfyui_said(world: World, kind: str, said: str, hint: str) -> None:
    world.start()
    world.drop("a.json", with_node("TestFail", kind=kind))
    entry = world.until_state("a.json", "failed")
    assert said in entry["problems"][0]["message"]
    assert entry["problems"][0]["node"] == "5"
    assert hint in entry.get("hint", "")
    result = world.result("a.json")
    assert result["state"] == "failed"
    assert result["problems"][0]["traceback"]


def test_an_interruption_in_comfyui_is_cancelled_and_never_completed(world: World) -> None:
    world.start()
    world.drop("a.json", with_node("TestSleep", seconds=60))
    world.until_state("a.json", "running")
    _post(world.sandbox, "/interrupt", {})
    entry = world.until_state("a.json", "cancelled")
    assert "interrupted" in entry["problems"][0]["message"]
    assert world.result("a.json")["state"] == "cancelled"


def test_a_partial_prompt_is_held_and_says_which_output_would_be_dropped(world: World) -> None:
    world.start()
    prompt = picture()
    prompt["3"] = {"class_type": "SaveImage", "inputs": {"filename_prefix": "y"}}
    world.drop("a.json", prompt)
    entry = world.until_state("a.json", "blocked", "invalid")
    assert any(problem.get("node") == "3" for problem in entry["problems"])
    world.until(lambda: not world.sandbox.faults.hold)
    assert not (world.projects / "film/outputs/a/001/result.yaml").exists()


def test_a_partial_prompt_runs_where_the_setting_says_so(world: World) -> None:
    world.settings = world.settings.model_copy(update={"partial": "run"})
    world.start()
    prompt = picture()
    prompt["3"] = {"class_type": "SaveImage", "inputs": {"filename_prefix": "y"}}
    world.drop("a.json", prompt)
    entry = world.until_state("a.json", "completed")
    assert entry["problems"][0]["node"] == "3"
    assert entry["problems"][0]["severity"] == "warning"


def test_texts_and_every_kind_of_file_are_collected(world: World) -> None:
    world.start()
    prompt = picture()
    prompt["3"] = {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}
    prompt["4"] = {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}}
    prompt["5"] = {"class_type": "SaveLatent", "inputs": {"samples": ["4", 0], "filename_prefix": "latents/l"}}
    prompt["6"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    world.drop("a.json", prompt)
    world.until_state("a.json", "completed")
    assert [name.rpartition(".")[2] for name in world.outputs("a.json")] == ["png", "latent"] or len(
        world.outputs("a.json")
    ) == 2
    assert world.result("a.json")["texts"]


def test_three_hundred_workflows_in_five_projects_run_once_each_and_in_turn(world: World) -> None:
    world.sandbox.stop()
    world.start()
    for number in range(60):
        for project in range(5):
            world.drop(f"shot-{number:02d}.json", picture(number * 5 + project), project=f"p{project}")
    world.until(
        lambda: all(world.status(f"p{n}").get("counts", {}).get("pending") == 60 for n in range(5)), patience=60
    )
    world.sandbox.start()
    world.until(lambda: len(list(world.projects.glob("*/outputs/*/001/result.yaml"))) == 300, patience=60)
    world.until(lambda: all(world.status(f"p{project}")["counts"]["completed"] == 60 for project in range(5)))
    ids = [post.prompt_id for post in world.sandbox.posts]
    assert len(ids) == len(set(ids)) == 300
    turns = [post.extra_data["extra_pnginfo"]["comfywatch"]["project"] for post in world.sandbox.posts]
    for start in range(0, 300, 50):
        assert {turns[start : start + 50].count(f"p{project}") for project in range(5)} <= set(range(7, 14))


def test_status_is_whole_whenever_it_is_read(world: World) -> None:
    world.start()
    for number in range(40):
        world.drop(f"{number}.json", picture(number))
    world.until(lambda: world.status().get("counts", {}).get("completed") == 40)
    status: dict[str, Any] = yaml.safe_load((world.projects / "film/status.yaml").read_bytes())
    assert status["schema"] == 1
    assert status["daemon"]["state"] == "running"
    assert sum(status["counts"].values()) == len(status["workflows"]) == 40


def _post(sandbox: Sandbox, path: str, body: Any) -> None:
    import urllib3

    assert urllib3.request("POST", sandbox.url + path, json=body, timeout=5).status == 200


def test_what_is_dropped_while_the_daemon_still_gets_ready_is_an_order(world: World) -> None:
    began_ns = time.time_ns() - 10**9
    world.drop("meanwhile.json", picture(2))
    world.start(began_ns=began_ns)
    world.until_state("meanwhile.json", "completed")


def test_the_daemon_began_when_its_process_did() -> None:
    before = time.time_ns()
    script = "import time; time.sleep(0.3); from comfywatch.began import began_ns; print(began_ns())"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout
    slack = 20_000_000  # the clocks of processes and of files go by ticks
    assert before - slack <= int(said)
    if sys.platform == "linux":
        assert int(said) <= before + 250_000_000


def test_an_input_file_of_the_project_is_sent_and_used(world: World) -> None:
    world.start()
    prompt = picture()
    prompt["1"] = {"class_type": "LoadImage", "inputs": {"image": "face.png"}}
    world.drop("a.json", prompt)
    entry = world.until_state("a.json", "blocked")
    assert "face.png" in entry["problems"][0]["message"]
    assert "projects/film/inputs/" in entry["problems"][0]["fix"]
    inputs = world.projects / "film" / "inputs"
    inputs.mkdir()
    Image.new("RGB", (8, 8), "red").save(inputs / "face.png")
    world.until_state("a.json", "completed")
    sent = world.sandbox.posts[0].prompt["1"]["inputs"]["image"]
    assert sent.startswith("comfywatch/")
    assert sent.endswith("/face.png")


def test_an_inventory_that_another_tool_writes_is_noticed_and_its_keys_are_kept(world: World) -> None:
    world.sandbox.stop()
    world.settings.state.mkdir(parents=True)
    written = {"mode": "online", "models": {"checkpoints": []}, "of_another_tool": {"kept": True}}
    world.settings.inventory_file.write_text(json.dumps(written))
    world.start()
    world.drop("a.json", text_to_image())
    world.until_state("a.json", "blocked")
    written["models"] = {"checkpoints": ["v1-5-pruned-emaonly-fp16.safetensors"]}
    world.settings.inventory_file.write_text("\ufeff" + json.dumps(written))
    world.until_state("a.json", "pending")
    world.sandbox.start()
    world.until_state("a.json", "completed")
    inventory = json.loads(world.settings.inventory_file.read_bytes())
    assert inventory["of_another_tool"] == {"kept": True}
    assert "loras" in inventory["models"]
