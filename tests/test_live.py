"""Against a real ComfyUI at ``COMFYUI_URL``: what ``/view`` gives is what lies in the folder, byte for byte."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from comfywatch.sandbox import Sandbox, SandboxSettings
from tests.world import World, picture

URL = os.environ.get("COMFYUI_URL", "")
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not URL, reason="COMFYUI_URL does not name a real ComfyUI"),
]


def _frames(color: int) -> dict[str, Any]:
    return {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 64, "batch_size": 4, "color": color},
    }


def _prompts(seed: int) -> dict[str, dict[str, Any]]:
    """One prompt of each kind of output; ``seed`` keeps ComfyUI from answering out of its cache."""
    two = picture(seed)
    two["3"] = {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}}
    two["4"] = {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "deep/inverted"}}
    webp = {
        "1": _frames(seed),
        "2": {
            "class_type": "SaveAnimatedWEBP",
            "inputs": {
                "images": ["1", 0],
                "filename_prefix": "w",
                "fps": 6.0,
                "lossless": True,
                "quality": 80,
                "method": "default",
            },
        },
    }
    video = {
        "1": _frames(seed + 1),
        "3": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8.0}},
        "2": {
            "class_type": "SaveVideo",
            "inputs": {"video": ["3", 0], "filename_prefix": "video/v", "format": "auto", "codec": "auto"},
        },
    }
    latent = {
        "1": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": 64, "height": 64 + 8 * (seed % 50), "batch_size": 1},
        },
        "2": {"class_type": "SaveLatent", "inputs": {"samples": ["1", 0], "filename_prefix": "latents/l"}},
    }
    text = {
        "1": _frames(seed + 2),
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    return {"one": picture(seed + 3), "two": two, "webp": webp, "video": video, "latent": latent, "text": text}


@pytest.fixture
def live(tmp_path: Path) -> Iterator[World]:
    """A world whose ComfyUI is the real one."""
    made = World(tmp_path / "root", Sandbox(SandboxSettings()), comfyui_url=URL, api_timeout_seconds=30)
    yield made
    made.stop()


def test_every_kind_of_output_is_in_the_folder_byte_for_byte(live: World) -> None:
    live.start()
    kinds = _prompts(int.from_bytes(os.urandom(2)))
    for name, prompt in kinds.items():
        live.drop(f"{name}.json", prompt)
    for name in kinds:
        live.until_state(f"{name}.json", "completed")
    files = {name: live.outputs(f"{name}.json") for name in kinds}
    assert {name: len(found) for name, found in files.items()} == {
        "one": 1,
        "two": 2,
        "webp": 1,
        "video": 1,
        "latent": 1,
        "text": 0,
    }
    assert live.result("text.json")["texts"]
    for name in kinds:
        result = live.result(f"{name}.json")
        history = urllib3.request("GET", f"{URL}/history/{result['prompt_id']}", timeout=10).json()[result["prompt_id"]]
        items = [
            item for ui in history["outputs"].values() for key in ("images", "latents") for item in ui.get(key, ())
        ]
        viewed = [urllib3.request("GET", f"{URL}/view", fields=item, timeout=10).data for item in items]
        folder = live.projects / "film" / "outputs" / name / "001"
        assert [(folder / output["path"]).read_bytes() for output in result["outputs"]] == viewed


def test_a_failure_an_interruption_and_hostile_names(live: World) -> None:
    available = urllib3.request("GET", f"{URL}/object_info/TestFail", timeout=10).json()
    if not available:
        pytest.skip("the ComfyUI at COMFYUI_URL does not have the nodes for tests")
    live.start()
    for kind in ("error", "oom", "unicode"):
        failing = picture(int.from_bytes(os.urandom(3)))
        failing["5"] = {"class_type": "TestFail", "inputs": {"image": ["1", 0], "kind": kind}}
        failing["2"]["inputs"]["images"] = ["5", 0]
        live.drop(f"{kind}.json", failing)
    sleeping = picture(int.from_bytes(os.urandom(3)))
    sleeping["5"] = {"class_type": "TestSleep", "inputs": {"image": ["1", 0], "seconds": 60}}
    sleeping["2"]["inputs"]["images"] = ["5", 0]
    live.drop("sleep.json", sleeping)
    live.until_state("sleep.json", "running")
    urllib3.request("POST", f"{URL}/interrupt", json={"prompt_id": live.entry("sleep.json")["prompt_id"]}, timeout=10)
    live.until_state("sleep.json", "cancelled")
    for kind in ("error", "oom", "unicode"):
        assert live.until_state(f"{kind}.json", "failed")["problems"][0]["message"]
    assert "ran out of memory" in live.entry("oom.json")["hint"]
    hostile = {"1": {"class_type": "TestManyFiles", "inputs": {"names": "../../evil.png\n/etc/passwd\nnot-there.png"}}}
    live.drop("hostile.json", hostile)
    live.until_state("hostile.json", "failed")
    assert live.outputs("hostile.json") == []
