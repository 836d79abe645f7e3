"""What is missing: one entry says all of it with its mend, and the job goes on by itself once it is there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from comfywatch import server
from comfywatch.sandbox import Sandbox
from tests.world import Prompt, World, text_to_image

PAGE = """\
# Ours

### Harbour XL
- **Download**: https://example.org/models/139562
- **File**: `harbour.safetensors`
- **Path**: `models/checkpoints/`
"""


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job lacks is looked for every half a minute; a test does not wait so long."""
    monkeypatch.setattr(server, "PEEK_SECONDS", 0.2)


def lacking() -> Prompt:
    """A prompt that needs two packages and three models."""
    prompt = text_to_image("harbour.safetensors")
    prompt["10"] = {"class_type": "VAELoader", "inputs": {"vae_name": "ae.safetensors"}}
    prompt["11"] = {
        "class_type": "LoraLoader",
        "inputs": {
            "model": ["4", 0],
            "clip": ["4", 1],
            "lora_name": "rain.safetensors",
            "strength_model": 1.0,
            "strength_clip": 1.0,
        },
    }
    prompt["3"]["inputs"]["model"] = ["11", 0]
    prompt["8"]["inputs"]["vae"] = ["10", 0]
    prompt["12"] = {"class_type": "ImageInvert", "inputs": {"image": ["8", 0]}}
    prompt["13"] = {
        "class_type": "ImageScaleBy",
        "inputs": {"image": ["12", 0], "upscale_method": "bilinear", "scale_by": 1.0},
    }
    prompt["9"]["inputs"]["images"] = ["13", 0]
    return prompt


def saved() -> dict[str, Any]:
    """The workflow as ComfyUI's window saved it: one node says its package, another where its model is."""
    rain = {"name": "rain.safetensors", "url": "https://example.org/files/rain.safetensors", "directory": "loras"}
    return {
        "nodes": [
            {"type": "LoraLoader", "properties": {"cnr_id": "comfy-core", "ver": "0.3.64", "models": [rain]}},
            {"type": "ImageInvert", "properties": {"cnr_id": "invert-pack", "ver": "1.2.0"}},
        ],
        "definitions": {
            "subgraphs": [{"nodes": [{"type": "ImageScaleBy", "properties": {"aux_id": "some/Scale-Pack"}}]}]
        },
    }


def write_page(world: World, text: str = PAGE) -> None:
    world.settings.references_file.parent.mkdir(parents=True, exist_ok=True)
    world.settings.references_file.write_text(text, encoding="utf-8")


def said(entry: dict[str, Any]) -> str:
    return "\n".join(f"{problem['message']} {problem['fix']}" for problem in entry["problems"])


def test_two_packages_and_three_models_are_named_in_one_entry_and_once_there_it_runs(
    world: World, sandbox: Sandbox
) -> None:
    write_page(world)
    sandbox.node_classes.difference_update({"ImageInvert", "ImageScaleBy"})
    world.start()
    world.drop("shot.json", {"prompt": lacking(), "extra_data": {"extra_pnginfo": {"workflow": saved()}}})
    entry = world.until_state("shot.json", "blocked")
    for found in (
        "ImageInvert (node 12) is not installed in this ComfyUI. Install invert-pack: comfy node install invert-pack",
        "ImageScaleBy (node 13) is not installed in this ComfyUI. Install Scale-Pack (https://github.com/some/Scale-Pack)",
        "'harbour.safetensors' is not installed in checkpoints. "
        "Download harbour.safetensors from https://example.org/models/139562 into models/checkpoints/",
        "'rain.safetensors' is not installed in loras. "
        "Download https://example.org/files/rain.safetensors into models/loras/",
        "'ae.safetensors' is not installed in vae. Download https://huggingface.co/Comfy-Org/",
    ):
        assert found in said(entry)
    assert len(entry["problems"]) == 5

    for folder, name in (("checkpoints", "harbour"), ("loras", "rain"), ("vae", "ae")):
        sandbox.models[folder].append(f"{name}.safetensors")
    sandbox.stop()
    sandbox.node_classes.update({"ImageInvert", "ImageScaleBy"})
    sandbox.start()
    entry = world.until_state("shot.json", "completed")
    assert entry["run"] == 1
    assert world.outputs("shot.json")


def test_a_model_alone_frees_its_job_without_a_restart(world: World, sandbox: Sandbox) -> None:
    world.start()
    world.drop("shot.json", text_to_image("harbour.safetensors"))
    world.until_state("shot.json", "blocked")
    sandbox.models["checkpoints"].append("harbour.safetensors")
    world.until_state("shot.json", "completed")
    assert server.PEEK_SECONDS < 60


def test_a_page_that_is_written_later_is_taken_in(world: World) -> None:
    world.start()
    world.drop("shot.json", text_to_image("harbour.safetensors"))
    entry = world.until_state("shot.json", "blocked")
    assert "https://" not in said(entry)
    write_page(world)
    world.until(lambda: "https://example.org/models/139562" in said(world.entry("shot.json")))
    write_page(world, PAGE.replace("139562", "7"))
    world.until(lambda: "https://example.org/models/7" in said(world.entry("shot.json")))
    assert world.entry("shot.json")["state"] == "blocked"


def test_the_map_of_a_manager_on_this_machine_is_asked(world: World, sandbox: Sandbox) -> None:
    comfyui = world.root / "ComfyUI"
    manager = comfyui / "custom_nodes" / "ComfyUI-Manager"
    manager.mkdir(parents=True)
    known = {"https://github.com/some/Tint-Pack": [["TintIt"], {"title_aux": "Tint Pack"}]}
    (manager / "extension-node-map.json").write_text(json.dumps(known))
    world.settings.state.mkdir(parents=True)
    world.settings.inventory_file.write_text(json.dumps({"comfyui_path": str(comfyui)}))
    world.start()
    prompt = text_to_image()
    prompt["12"] = {"class_type": "TintIt", "inputs": {"image": ["8", 0]}}
    prompt["9"]["inputs"]["images"] = ["12", 0]
    world.drop("shot.json", prompt)
    world.until_state("shot.json", "blocked")
    world.until(lambda: "Install Tint Pack (https://github.com/some/Tint-Pack)" in said(world.entry("shot.json")))


def test_the_example_of_the_skill_cards_is_blocked_with_the_right_class(world: World) -> None:
    prompt = text_to_image()
    prompt["4"]["class_type"] = "LoadCheckpoint"
    world.start()
    world.drop("card.json", prompt)
    entry = world.until_state("card.json", "blocked")
    assert entry["problems"][0]["message"] == "'LoadCheckpoint' is called CheckpointLoaderSimple in workflow files."
    assert entry["problems"][0]["fix"] == "Write CheckpointLoaderSimple as the class_type of node 4."
