"""What is submitted: the dropped prompt with the changes that DESIGN 3 names, and no others."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.jobs import Job
from comfywatch.submission import post_body, prefix_of, prepared, prompt_in, savers
from comfywatch.workflow import digest_of
from tests.made import PROMPT_ID, a_job
from tests.world import picture, text_to_image


def saver(class_type: str, prefix: Any = "ComfyUI") -> dict[str, Any]:
    return {"9": {"class_type": class_type, "inputs": {"images": ["8", 0], "filename_prefix": prefix}}}


def ran(**changes: Any) -> Job:
    return a_job(**{"run": 3, "prompt_id": PROMPT_ID, **changes})


def prefix(prompt: dict[str, Any], job: Job | None = None) -> Any:
    return prepared(prompt, job or ran(), uploads={})["9"]["inputs"]["filename_prefix"]


# ---- the prefix


def test_the_prefix_says_project_workflow_run_and_prompt() -> None:
    assert prefix(saver("SaveImage", "lamp")) == "comfywatch/film/a/003-6613aa0e/lamp"


@given(st.text(max_size=60), st.text(max_size=60), st.integers(1, 10**6))
def test_the_prefix_is_ascii_and_has_four_steps_whatever_the_names(project: str, path: str, run: int) -> None:
    made = prefix_of(ran(project=project, path=path, run=run))
    assert re.fullmatch(r"comfywatch/[\w.-]{1,40}/[\w.-]{1,40}/\d{3,}-[0-9a-f]{8}/", made, re.ASCII)
    assert ".." not in made.split("/")


def test_no_two_runs_share_a_folder_although_their_names_read_alike() -> None:
    one = prefix_of(ran(path="日本.json"))
    other = prefix_of(ran(path="中国.json", prompt_id="0d3b3d2e-0000-4000-8000-000000000000"))
    assert one != other


def test_an_own_prefix_that_is_there_already_is_taken_off_first() -> None:
    """Who drops a kept ``workflow.json`` does not get a folder in a folder in a folder."""
    once = prepared(saver("SaveImage", "lamp/x"), ran(), uploads={})
    assert prefix(once, ran(run=4, path="b.json")) == "comfywatch/film/b/004-6613aa0e/lamp/x"


@pytest.mark.parametrize("mine", ["comfywatch/lamp", "comfywatch/a/b/c/d", "x/comfywatch/film/a/003-6613aa0e/y"])
def test_a_persons_own_folders_stay(mine: str) -> None:
    assert prefix(saver("SaveImage", mine)) == f"comfywatch/film/a/003-6613aa0e/{mine}"


@pytest.mark.parametrize(
    "class_type",
    [
        "SaveImage",
        "SaveAnimatedWEBP",
        "SaveVideo",
        "SaveWEBM",
        "SaveAudio",
        "SaveAudioMP3",
        "SaveLatent",
        "SaveGLB",
        "SaveSVGNode",
        "SaveText",
        "VHS_VideoCombine",
        "Image Saver",
    ],
)
def test_what_saves_pictures_video_audio_text_or_3d_gets_it(class_type: str) -> None:
    assert prefix(saver(class_type)) == "comfywatch/film/a/003-6613aa0e/ComfyUI"
    assert [node for node, _ in savers(saver(class_type))] == ["9"]


@pytest.mark.parametrize(
    "class_type",
    [
        "CheckpointSave",
        "ImageOnlyCheckpointSave",
        "ModelSave",
        "ModelSaveKJ",
        "VAESave",
        "CLIPSave",
        "LoraSave",
        "SaveLoRA",
        "SaveLoRANode",
    ],
)
def test_what_saves_models_is_left_alone(class_type: str) -> None:
    assert prefix(saver(class_type)) == "ComfyUI"
    assert list(savers(saver(class_type))) == []


@pytest.mark.parametrize("linked", [["4", 0], None, 5])
def test_a_prefix_that_is_a_link_stays(linked: Any) -> None:
    assert prefix(saver("SaveImage", linked)) == linked


# ---- nothing else


@pytest.mark.parametrize("prompt", [picture(), text_to_image()])
def test_nothing_else_is_changed(prompt: dict[str, Any]) -> None:
    made = prepared(prompt, ran(), uploads={})
    assert list(made) == list(prompt)
    for node_id, node in prompt.items():
        if "filename_prefix" in node["inputs"]:
            assert made[node_id]["inputs"].pop("filename_prefix").endswith("/ComfyUI")
            del node["inputs"]["filename_prefix"]
        assert made[node_id] == node


def test_the_dropped_prompt_itself_is_not_touched() -> None:
    dropped = text_to_image()
    before = copy.deepcopy(dropped)
    prepared(dropped, ran(), uploads={("4", "ckpt_name"): "x"})
    assert dropped == before


def test_input_files_get_the_names_under_which_they_were_uploaded() -> None:
    prompt = {"5": {"class_type": "LoadImage", "inputs": {"image": "lamp.png"}}, **saver("SaveImage")}
    made = prepared(prompt, ran(), uploads={("5", "image"): "comfywatch/0123456789ab/lamp.png"})
    assert made["5"]["inputs"] == {"image": "comfywatch/0123456789ab/lamp.png"}


def test_a_node_without_inputs_is_no_stumbling_block() -> None:
    prompt = {"1": {"class_type": "X"}, **saver("SaveImage")}
    assert prepared(prompt, ran(), uploads={})["1"] == {"class_type": "X"}


# ---- the body


def posted(*, saved: dict[str, Any] | None = None, provenance: bool = True) -> Any:
    return json.loads(
        post_body(picture(), ran(digest=digest_of(picture())), client_id="me", saved=saved, provenance=provenance)
    )


def test_the_client_id_is_always_sent_and_the_prompt_id_is_ours() -> None:
    body = posted(provenance=False)
    assert body["client_id"]
    assert body["prompt_id"] == PROMPT_ID


def test_an_output_says_where_it_came_from() -> None:
    assert posted()["extra_data"]["extra_pnginfo"]["comfywatch"] == {
        "project": "film",
        "workflow": "a.json",
        "run": 3,
        "digest": digest_of(picture()),
    }


def test_without_provenance_nothing_is_said() -> None:
    assert posted(provenance=False)["extra_data"] == {}


def test_the_saved_workflow_goes_along_so_that_the_output_opens_in_comfyui() -> None:
    saved = {"nodes": [{"id": 1}]}
    assert posted(saved=saved, provenance=False)["extra_data"]["extra_pnginfo"] == {"workflow": saved}


@given(st.text(), st.text())
def test_a_kept_body_is_plain_ascii_and_gives_its_prompt_back(text: str, project: str) -> None:
    prompt = {"1": {"class_type": "X", "inputs": {"text": text}}}
    body = post_body(prompt, ran(project=project), client_id="me", saved=None, provenance=True)
    assert body.isascii()
    assert prompt_in(body) == prompt
