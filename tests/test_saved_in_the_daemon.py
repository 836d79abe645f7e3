"""Saved workflows, dropped as people have them: they wait for schemas, run as the window would run them, and last."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from typing import Any

from PIL import Image

from comfywatch.store import Store
from tests.world import World, picture, text_to_image

NO_MODEL = "nobody-has-this.safetensors"


def saved(paint: int = 3, *, prefix: str = "ComfyUI", **layout: Any) -> dict[str, Any]:
    """What ComfyUI's Save writes for ``picture``; ``layout`` is what only people see."""
    return {
        "id": "0f1e2d3c-0000-4000-8000-000000000000",
        "last_node_id": 3,
        "nodes": [
            {
                "id": 1,
                "type": "EmptyImage",
                "mode": 0,
                "inputs": [],
                "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}],
                "widgets_values": [8, 8, 1, paint],
                **layout,
            },
            {
                "id": 2,
                "type": "SaveImage",
                "mode": 0,
                "inputs": [{"name": "images", "type": "IMAGE", "link": 1}],
                "outputs": [],
                "widgets_values": [prefix],
            },
            {"id": 3, "type": "Note", "mode": 0, "widgets_values": ["how it was made"]},
        ],
        "links": [[1, 1, 0, 2, 0, "IMAGE"]],
        "version": 0.4,
    }


def exported(color: int = 3) -> dict[str, Any]:
    """The same as its export."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": color}},
        "2": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["1", 0]}},
    }


def sampling(*, control: str = "randomize", text: str = "a {red|blue} lamp") -> dict[str, Any]:
    """A text-to-image workflow, saved."""

    def node(number: int, kind: str, values: list[Any], **inputs: int) -> dict[str, Any]:
        slots = [{"name": name, "type": "*", "link": link} for name, link in inputs.items()]
        return {"id": number, "type": kind, "mode": 0, "inputs": slots, "widgets_values": values}

    return {
        "nodes": [
            node(4, "CheckpointLoaderSimple", ["v1-5-pruned-emaonly-fp16.safetensors"]),
            node(5, "EmptyLatentImage", [64, 64, 1]),
            node(6, "CLIPTextEncode", [text], clip=1),
            node(7, "CLIPTextEncode", ["blurry"], clip=2),
            node(
                3,
                "KSampler",
                [42, control, 2, 8, "euler", "normal", 1],
                model=3,
                positive=4,
                negative=5,
                latent_image=6,
            ),
            node(8, "VAEDecode", [], samples=7, vae=8),
            node(9, "SaveImage", ["ComfyUI"], images=9),
        ],
        "links": [
            [1, 4, 1, 6, 0, "CLIP"],
            [2, 4, 1, 7, 0, "CLIP"],
            [3, 4, 0, 3, 0, "MODEL"],
            [4, 6, 0, 3, 1, "CONDITIONING"],
            [5, 7, 0, 3, 2, "CONDITIONING"],
            [6, 5, 0, 3, 3, "LATENT"],
            [7, 3, 0, 8, 0, "LATENT"],
            [8, 4, 2, 8, 1, "VAE"],
            [9, 8, 0, 9, 0, "IMAGE"],
        ],
        "version": 0.4,
    }


def retry(world: World, target: str, **options: Any) -> None:
    store = Store(world.settings.database)
    store.add_request(command="retry", target=target, options=options, at=datetime.now(UTC))
    store.close()


def test_a_saved_workflow_runs_as_its_export_would_and_its_picture_opens_it_again(world: World) -> None:
    world.start()
    world.drop("a.json", saved())
    world.until_state("a.json", "completed")
    post = world.sandbox.posts[0]
    sent = {node: {**entry, "inputs": dict(entry["inputs"])} for node, entry in post.prompt.items()}
    sent["2"]["inputs"]["filename_prefix"] = "ComfyUI"
    assert {node: {key: entry[key] for key in ("class_type", "inputs")} for node, entry in sent.items()} == exported()
    assert post.extra_data["extra_pnginfo"]["workflow"] == saved()
    made = world.projects / "film" / "outputs" / "a" / "001" / world.outputs("a.json")[0]
    with Image.open(made) as image:
        assert json.loads(image.info["workflow"]) == saved()


def test_moving_a_node_on_the_canvas_runs_nothing_again(world: World) -> None:
    world.start()
    world.drop("a.json", saved())
    world.until_state("a.json", "completed")
    world.drop("a.json", saved(pos=[10, 20], title="My picture", color="#232"))
    world.until(lambda: "unchanged since run 1" in world.entry("a.json").get("note", ""))
    world.drop("a.json", exported())  # the same as a prompt
    world.drop("b.json", picture(9))
    world.until_state("b.json", "completed")
    assert len(world.sandbox.posts) == 2


def test_without_schemas_it_waits_and_counts_afterwards_as_what_it_became(world: World) -> None:
    world.sandbox.stop()
    world.start()
    world.drop("a.json", saved())
    entry = world.until_state("a.json", "pending")
    assert entry["reason"]
    world.sandbox.start()
    world.until_state("a.json", "completed")
    world.drop("a.json", exported())
    world.until(lambda: "unchanged since run 1" in world.entry("a.json").get("note", ""))
    world.drop("a.json", saved(pos=[1, 1]))
    world.drop("b.json", picture(9))
    world.until_state("b.json", "completed")
    assert len(world.sandbox.posts) == 2


def test_what_was_finished_before_the_state_was_lost_stays_finished(world: World) -> None:
    world.start()
    world.drop("a.json", saved())
    world.until_state("a.json", "completed")
    world.stop()
    shutil.rmtree(world.settings.state)
    world.sandbox.stop()
    world.start()
    world.until_state("a.json", "completed")


def test_a_model_that_is_missing_blocks_and_its_arrival_frees(world: World) -> None:
    workflow = sampling()
    workflow["nodes"][0]["widgets_values"] = [NO_MODEL]
    workflow["nodes"][0]["properties"] = {
        "models": [{"name": NO_MODEL, "url": f"https://example.org/{NO_MODEL}", "directory": "checkpoints"}]
    }
    world.start()
    world.drop("a.json", workflow)
    entry = world.until_state("a.json", "blocked")
    assert [problem["code"] for problem in entry["problems"]] == ["value_not_in_list"]
    assert f"https://example.org/{NO_MODEL}" in entry["problems"][0]["fix"]


def test_what_cannot_be_converted_is_said_by_its_node_and_never_runs_as_something_else(world: World) -> None:
    broken = saved(4)
    broken["nodes"][1]["inputs"][0]["link"] = 99
    group = saved(5)
    group["nodes"].append({"id": 7, "type": "workflow>My group", "mode": 0, "inputs": [], "widgets_values": []})
    world.start()
    world.drop("broken.json", broken)
    world.drop("group.json", group)
    entry = world.until_state("broken.json", "invalid")
    assert (entry["problems"][0]["node"], entry["problems"][0]["code"]) == ("2", "bad_linked_input")
    entry = world.until_state("group.json", "invalid")
    assert (entry["problems"][0]["node"], entry["problems"][0]["code"]) == ("7", "group_node")
    assert not world.sandbox.posts


def test_what_is_random_is_drawn_once_a_run_and_written_down(world: World) -> None:
    world.start()
    world.drop("a.json", sampling())
    world.until_state("a.json", "completed")
    drawn = world.result("a.json")["drawn"]
    assert drawn == [{"node": "6", "input": "text", "text": drawn[0]["text"]}]
    assert drawn[0]["text"] in {"a red lamp", "a blue lamp"}
    assert world.sandbox.posts[0].prompt["6"]["inputs"]["text"] == drawn[0]["text"]
    world.drop("a.json", sampling(text="a {red|green} lamp"))
    world.until(lambda: world.entry("a.json").get("run") == 2)


def test_new_seeds_are_what_the_window_would_take_next(world: World) -> None:
    world.start()
    world.drop("up.json", sampling(control="increment"))
    world.drop("chance.json", sampling(control="randomize", text="lamp"))
    world.drop("fixed.json", sampling(control="fixed", text="chair"))
    for name in ("up", "chance", "fixed"):
        world.until_state(f"{name}.json", "completed")
    for run in (2, 3):
        for name in ("up", "chance", "fixed"):
            retry(world, f"film/{name}.json", new_seed=True)
        for name in ("up", "chance", "fixed"):
            world.until(lambda name=name, run=run: world.entry(f"{name}.json").get("run") == run)  # type: ignore[misc]
            world.until_state(f"{name}.json", "completed")
    seeds = [world.result("up.json", run=run)["settings"]["seeds"]["3"] for run in (1, 2, 3)]
    assert seeds == [42, 43, 44]
    assert world.result("up.json", run=2)["new_seeds"] == [
        {"node": "3", "input": "seed", "control": "increment", "value": 43}
    ]
    assert len({world.result("chance.json", run=run)["settings"]["seeds"]["3"] for run in (1, 2, 3)}) == 3
    assert {world.result("fixed.json", run=run)["settings"]["seeds"]["3"] for run in (1, 2, 3)} == {42}
    retry(world, "film/up.json")
    world.until(lambda: world.entry("up.json").get("run") == 4)
    world.until_state("up.json", "completed")
    assert world.result("up.json", run=4)["settings"]["seeds"]["3"] == 42


def test_the_seeds_of_a_prompt_are_rolled_by_chance(world: World) -> None:
    world.start()
    world.drop("a.json", text_to_image())
    world.until_state("a.json", "completed")
    retry(world, "film/a.json", new_seed=True)
    world.until(lambda: world.entry("a.json").get("run") == 2)
    world.until_state("a.json", "completed")
    first, second = (world.result("a.json", run=run)["settings"]["seeds"] for run in (1, 2))
    assert first != second
