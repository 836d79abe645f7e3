"""The inventory at work: what is missing blocks, what comes frees, and what is not known does neither."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from comfywatch import server
from comfywatch.installed import read_inventory
from comfywatch.inventory import Mode
from comfywatch.scan.installation import over, scan
from tests.world import World, picture, text_to_image, with_node

CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"
ANOTHER_TOOLS: dict[str, Any] = {
    "last_updated": "2025-10-20T12:34:56.1234567Z",
    "mode": "offline",
    "comfyui_version": "unknown",
    "comfyui_path": "C:\\ComfyUI",
    "system": {"gpu": "cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync", "vram_total_gb": 24},
    "models": {
        "checkpoints": "only-this-one.safetensors",
        "clip": ["t5.safetensors"],
        "unet": None,
        "facerestore": ["GFPGANv1.4.pth"],
        "animatediff_motion": "mm_sd_v15.ckpt",
        "detection": ["face_yolov8m.pt"],
    },
    "custom_nodes": "ComfyUI-Impact-Pack",
    "scanned_by": {"tool": "theirs", "recursive": False},
}


def write_inventory(world: World, plain: dict[str, Any]) -> None:
    """As another tool does: with a byte order mark, and in place."""
    world.settings.state.mkdir(parents=True, exist_ok=True)
    world.settings.inventory_file.write_text("\ufeff" + json.dumps(plain), encoding="utf-8")


def kept(world: World) -> dict[str, Any]:
    found = json.loads(world.settings.inventory_file.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    assert isinstance(found, dict)
    return found


def is_waiting(world: World, *paths: str) -> bool:
    return all(world.entry(path).get("state") == "pending" for path in paths)


def comfyui_folder(tmp_path: Path, *models: str) -> Path:
    root = tmp_path / "on_disk"
    for folder in ("models", "custom_nodes"):
        (root / folder).mkdir(parents=True)
    for name in models:
        (root / "models" / name).parent.mkdir(exist_ok=True)
        (root / "models" / name).touch()
    return root


def test_with_comfyui_down_since_before_the_first_start_nothing_is_blocked(world: World) -> None:
    world.sandbox.stop()
    world.start()
    world.drop("good.json", text_to_image())
    world.drop("model.json", text_to_image("nowhere.safetensors"))
    world.drop("node.json", with_node("NodeOfNobody"))
    world.until(lambda: is_waiting(world, "good.json", "model.json", "node.json"))
    assert "ComfyUI" in world.entry("node.json")["reason"]
    assert not world.settings.inventory_file.exists()
    world.sandbox.start()
    world.until_state("good.json", "completed")
    world.until_state("model.json", "blocked")
    world.until_state("node.json", "blocked")
    assert len(world.sandbox.posts) == 1


def test_an_inventory_of_another_tool_confirms_and_never_denies(world: World) -> None:
    write_inventory(world, ANOTHER_TOOLS)
    world.sandbox.stop()
    world.start()
    world.drop("good.json", text_to_image())  # its checkpoint is not in their list
    world.drop("listed.json", text_to_image("only-this-one.safetensors"))
    world.drop("node.json", with_node("NodeOfNobody"))
    world.until(lambda: is_waiting(world, "good.json", "listed.json", "node.json"))
    assert kept(world) == ANOTHER_TOOLS
    world.sandbox.start()
    world.until_state("good.json", "completed")
    world.until_state("listed.json", "blocked")
    now = kept(world)
    assert now["scanned_by"] == ANOTHER_TOOLS["scanned_by"]
    assert now["comfyui_path"] == "C:\\ComfyUI"
    assert (now["mode"], now["custom_nodes"][0]) == ("online", "ComfyUI-Impact-Pack")
    assert now["models"]["facerestore"] == ["GFPGANv1.4.pth"]
    assert "facerestore" in now["unconfirmed_folders"]


def test_a_model_alone_frees_its_job_without_a_restart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PEEK_SECONDS", 0.2)
    world.start()
    world.drop("a.json", text_to_image("later.safetensors"))
    world.until_state("a.json", "blocked")
    world.sandbox.models["checkpoints"].append("later.safetensors")
    world.until_state("a.json", "completed")
    assert kept(world)["models"]["checkpoints"].count("later.safetensors") == 1


def test_a_class_frees_its_job_when_comfyui_has_been_restarted(world: World) -> None:
    world.sandbox.node_classes.discard("ImageInvert")
    world.start()
    world.drop("a.json", with_node("ImageInvert"))
    world.until_state("a.json", "blocked")
    world.sandbox.node_classes.add("ImageInvert")
    world.sandbox.stop()
    world.until(lambda: world.status()["comfyui"]["state"] == "down")
    world.sandbox.start()
    world.until_state("a.json", "completed")


def test_a_restart_that_nobody_saw_frees_by_the_class_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PEEK_SECONDS", 0.2)
    world.sandbox.node_classes.discard("ImageInvert")
    world.start()
    world.drop("a.json", with_node("ImageInvert"))
    world.until_state("a.json", "blocked")
    world.sandbox.node_classes.add("ImageInvert")
    world.until_state("a.json", "completed")


def test_a_scan_frees_what_it_confirms_while_comfyui_is_down(world: World, tmp_path: Path) -> None:
    world.start()
    world.drop("a.json", text_to_image("later.safetensors"))
    world.until_state("a.json", "blocked")
    world.sandbox.stop()
    world.until(lambda: world.status()["comfyui"]["state"] == "down")
    found = scan(comfyui_folder(tmp_path, "checkpoints/later.safetensors"), at=datetime.now(UTC)).inventory
    world.settings.inventory_file.write_bytes(over(read_inventory(world.settings.inventory_file), found).dump())
    world.until_state("a.json", "pending")


def test_a_scan_beside_a_comfyui_that_is_up_is_followed_by_its_own_word(world: World, tmp_path: Path) -> None:
    world.start()
    world.drop("a.json", text_to_image("later.safetensors"))
    world.until_state("a.json", "blocked")
    found = scan(comfyui_folder(tmp_path, "checkpoints/other.safetensors"), at=datetime.now(UTC)).inventory
    assert found.mode is Mode.OFFLINE
    world.settings.inventory_file.write_bytes(over(read_inventory(world.settings.inventory_file), found).dump())
    world.until(lambda: kept(world)["mode"] == "online" and CHECKPOINT in kept(world)["models"]["checkpoints"])
    world.drop("b.json", picture())
    world.until_state("b.json", "completed")
    assert world.entry("a.json")["state"] == "blocked"
    assert len(world.sandbox.posts) == 1
