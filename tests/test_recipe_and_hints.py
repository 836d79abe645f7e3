"""What is told of a finished run: the settings that made it, and what usually lies behind a failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from comfywatch.hints import HINTS, hint_for
from comfywatch.history import read_outcome
from comfywatch.problems import Problem
from comfywatch.recipe import recipe
from tests.world import picture, text_to_image

RECORDINGS = Path(__file__).parent / "recordings"


def failure(message: str, *traceback: str) -> Problem:
    return Problem(code="execution_error", message=message, traceback=traceback)


# ---- the recipe


def test_the_classic_chain_is_told_as_people_speak_of_it() -> None:
    told = recipe(text_to_image("sdxl/harborXL.safetensors", seed=7, steps=20))
    nodes = told.pop("nodes")
    assert told == {
        "checkpoint": "sdxl/harborXL.safetensors",
        "sampler": "euler",
        "scheduler": "normal",
        "steps": 20,
        "cfg": 8,
        "denoise": 1,
        "seeds": {"3": 7},
        "models": ["sdxl/harborXL.safetensors"],
    }
    assert nodes["3"]["class_type"] == "KSampler"
    assert nodes["5"] == {"class_type": "EmptyLatentImage", "width": 64, "height": 64, "batch_size": 1}
    assert nodes["4"] == {"class_type": "CheckpointLoaderSimple", "ckpt_name": "sdxl/harborXL.safetensors"}


def test_every_seed_and_every_model_is_told_once() -> None:
    prompt = {
        "1": {"class_type": "KSampler", "inputs": {"seed": 1}},
        "2": {"class_type": "RandomNoise", "inputs": {"noise_seed": 2}},
        "3": {"class_type": "LoraLoader", "inputs": {"lora_name": "b.safetensors"}},
        "4": {"class_type": "LoraLoader", "inputs": {"lora_name": "B.GGUF"}},
        "5": {"class_type": "LoraLoader", "inputs": {"lora_name": "b.safetensors"}},
    }
    told = recipe(prompt)
    assert told["seeds"] == {"1": 1, "2": 2}
    assert told["models"] == ["B.GGUF", "b.safetensors"]


def test_a_diffusion_model_is_a_checkpoint_too() -> None:
    prompt = {"1": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors"}}}
    assert recipe(prompt)["checkpoint"] == "flux1-dev.safetensors"


def test_linked_inputs_are_left_out() -> None:
    assert recipe({"1": {"class_type": "KSampler", "inputs": {"seed": ["2", 0], "steps": ["3", 0]}}}) == {}


def test_keys_are_there_only_where_the_prompt_says_something() -> None:
    assert recipe({}) == {}
    assert recipe({"1": {"class_type": "X"}}) == {}
    assert recipe(picture()).keys() == {"nodes"}


# ---- hints


@pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])
@pytest.mark.parametrize(("name", "said"), [("oom", "memory"), ("corrupt_image", "picture is damaged")])
def test_recorded_failures_have_their_hints(version: str, name: str, said: str) -> None:
    recording = json.loads((RECORDINGS / f"comfyui-{version}" / f"history_error_{name}.json").read_bytes())
    (entry,) = recording["response"]["body"].values()
    assert said in hint_for(read_outcome(entry).problems)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("KSampler failed with OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "comfywatch free"),
        ("SaveImage failed with OSError: [Errno 28] No space left on device", "disk"),
        ("mat1 and mat2 shapes cannot be multiplied (77x2048 and 768x320)", "one family"),
        ("Error(s) in loading state_dict for UNetModel:", "one family"),
        ("Error while deserializing header: HeaderTooLarge", "Download it again"),
        ("expected scalar type Half but found Float", "precision"),
        ("[Errno 2] No such file or directory: 'x.png'", "not on the machine"),
        ("Unauthorized: Please login first to use this node.", "Log in"),
        ("something quite new", ""),
    ],
)
def test_a_failure_is_explained_where_it_is_known(message: str, said: str) -> None:
    hint = hint_for([failure(message)])
    assert said in hint
    assert bool(hint) == bool(said)


def test_the_last_line_of_the_traceback_counts_too() -> None:
    assert hint_for([failure("X failed with an error: no message", "File x", "torch.OutOfMemoryError: …")])


def test_the_first_problem_with_a_hint_has_the_word() -> None:
    assert "disk" in hint_for([failure("?"), failure("No space left on device"), failure("out of memory")])


def test_only_failures_at_run_time_have_hints() -> None:
    assert hint_for([Problem(code="value_not_in_list", message="out of memory.safetensors is not installed")]) == ""
    assert hint_for([]) == ""


def test_every_hint_says_what_to_do_in_sentences() -> None:
    assert all(hint.endswith(".") for _, hint in HINTS)
