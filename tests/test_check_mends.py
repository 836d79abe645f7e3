"""``comfywatch check`` says where what is missing can be had, without any daemon, with and without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from comfywatch import cli
from comfywatch.sandbox import Sandbox
from tests.world import text_to_image

NOBODY = "http://127.0.0.1:9"
"""An address at which nothing listens."""
PAGE = "### Harbour\n- **Download**: https://example.org/harbour\n- **File**: `harbour.safetensors`\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a page of references, no state, and no ComfyUI."""
    (tmp_path / "references").mkdir()
    (tmp_path / "references" / "models.md").write_text(PAGE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMFYUI_URL", NOBODY)
    return tmp_path


def lacking() -> dict[str, Any]:
    prompt = text_to_image("harbour.safetensors")
    prompt["12"] = {"class_type": "FaceDetailer", "inputs": {"image": ["8", 0], "model": "face_yolov8m.pt"}}
    prompt["9"]["inputs"]["images"] = ["12", 0]
    return prompt


def checked(root: Path, prompt: Any, *options: str) -> dict[str, dict[str, str]]:
    """The problems of a workflow by class."""
    (root / "shot.json").write_text(json.dumps(prompt))
    result = CliRunner().invoke(cli.app, ["check", "--json", *options, "shot.json"], catch_exceptions=False)
    return {f"{one['class_type']} {one['code']}": one for one in json.loads(result.stdout.splitlines()[0])["problems"]}


def test_a_running_server_is_enough(root: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUI_URL", sandbox.url)
    problems = checked(root, lacking())
    assert "https://example.org/harbour" in problems["CheckpointLoaderSimple value_not_in_list"]["fix"]
    assert "comfy node install comfyui-impact-pack" in problems["FaceDetailer missing_node_type"]["fix"]
    assert problems["FaceDetailer model_not_confirmed"]["severity"] == "warning"


def test_what_is_kept_of_a_server_is_enough(root: Path, sandbox: Sandbox) -> None:
    manager = root / "ComfyUI" / "custom_nodes" / "ComfyUI-Manager"
    manager.mkdir(parents=True)
    (manager / "extension-node-map.json").write_text(
        json.dumps({"a-fork": [["FaceDetailer"], {"title_aux": "A Fork"}]})
    )
    state = root / "state"
    state.mkdir()
    (state / "object_info.json").write_text(json.dumps(sandbox.installation.schemas()))
    kept = {"mode": "online", "comfyui_path": str(root / "ComfyUI"), "models": {"checkpoints": []}}
    (state / "inventory.json").write_text(json.dumps(kept))
    problems = checked(root, lacking())
    assert problems["FaceDetailer missing_node_type"]["fix"].startswith("Install A Fork: comfy node install a-fork")
    assert "https://example.org/harbour" in problems["CheckpointLoaderSimple value_not_in_list"]["fix"]


def test_with_the_schemas_of_a_file_what_comes_along_is_enough(root: Path, sandbox: Sandbox) -> None:
    (root / "info.json").write_text(json.dumps(sandbox.installation.schemas()))
    prompt = lacking()
    prompt["4"]["inputs"]["ckpt_name"] = "ace_step_v1_3.5b.safetensors"
    prompt["13"] = {"class_type": "APG", "inputs": {}}
    problems = checked(root, prompt, "--object-info", "info.json", "--comfyui-version", "0.3.1")
    assert "huggingface.co/Comfy-Org/" in problems["CheckpointLoaderSimple value_not_in_list"]["fix"]
    assert "newer ComfyUI" in problems["APG missing_node_type"]["fix"]


def test_a_saved_workflow_that_comes_along_has_the_first_word(root: Path, sandbox: Sandbox) -> None:
    (root / "info.json").write_text(json.dumps(sandbox.installation.schemas()))
    saved = {"nodes": [{"type": "FaceDetailer", "properties": {"cnr_id": "their-fork", "ver": "1.0"}}]}
    body = {"prompt": lacking(), "extra_data": {"extra_pnginfo": {"workflow": saved}}}
    problems = checked(root, body, "--object-info", "info.json")
    assert "comfy node install their-fork" in problems["FaceDetailer missing_node_type"]["fix"]
