"""Which folder an input names a file of: by the schemas, by the table, or none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from comfywatch.inventory import Inventory
from comfywatch.model_folders import folder_of, looks_like_model
from comfywatch.schemas import Schemas

RECORDINGS = Path(__file__).parent / "recordings"
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def recorded(version: str) -> Schemas:
    path = RECORDINGS / f"comfyui-{version}" / "some_object_info.json"
    return Schemas.read(json.loads(path.read_text(encoding="utf-8")))


def listing(class_type: str, name: str, choices: Any) -> Schemas:
    return Schemas.read({class_type: {"input": {"required": {name: [choices, {}]}}}})


def online(**models: list[str]) -> Inventory:
    return Inventory.online({}, [], models, AT)


@pytest.mark.parametrize(
    ("class_type", "name", "folder"),
    [
        ("CheckpointLoaderSimple", "ckpt_name", "checkpoints"),
        ("CLIPLoader", "clip_name", "text_encoders"),
        ("CLIPVisionLoader", "clip_name", "clip_vision"),
        ("DualCLIPLoader", "clip_name2", "text_encoders"),
        ("LoraLoader", "lora_name", "loras"),
        ("UNETLoader", "unet_name", "diffusion_models"),
        ("UnetLoaderGGUF", "unet_name", "unet_gguf"),
        ("UpscaleModelLoader", "model_name", "upscale_models"),
        ("ADE_LoadAnimateDiffModel", "model_name", "animatediff_models"),
        ("FaceRestoreModelLoader", "model_name", "facerestore_models"),
        ("UltralyticsDetectorProvider", "model_name", "ultralytics"),
        ("SomebodysLoader", "lora_name", "loras"),
        ("SomebodysLoader", "model_name", None),
        ("KSampler", "sampler_name", None),
    ],
)
def test_the_table_knows_the_loaders_without_schemas(class_type: str, name: str, folder: str | None) -> None:
    assert folder_of(class_type, name, "x.safetensors", None, None) == folder


@pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])
def test_the_table_agrees_with_recorded_schemas(version: str) -> None:
    schemas = recorded(version)
    for class_type, name, folder in (
        ("CheckpointLoaderSimple", "ckpt_name", "checkpoints"),
        ("HypernetworkLoader", "hypernetwork_name", "hypernetworks"),
        ("UpscaleModelLoader", "model_name", "upscale_models"),
        ("VAELoader", "vae_name", "vae"),
    ):
        assert folder_of(class_type, name, "x.safetensors", schemas, None) == folder
    assert folder_of("KSampler", "sampler_name", "euler", schemas, None) is None
    assert folder_of("LoadImage", "image", "x.png", schemas, None) is None


def test_a_package_of_its_own_is_told_by_its_list() -> None:
    schemas = listing("FaceLoader", "model_name", ["bbox/face.pt", "None"])
    inventory = online(sams=["sam.pth"], ultralytics=["bbox/face.pt", "bbox/hand.pt"])
    assert folder_of("FaceLoader", "model_name", "bbox/x.pt", schemas, inventory) == "ultralytics"


def test_the_tables_folder_comes_before_another_with_the_same_files() -> None:
    schemas = listing("UNETLoader", "unet_name", ["a.safetensors"])
    inventory = online(checkpoints=["a.safetensors"], diffusion_models=["a.safetensors", "b.safetensors"])
    assert folder_of("UNETLoader", "unet_name", "a.safetensors", schemas, inventory) == "diffusion_models"


def test_a_list_of_other_files_under_a_loaders_name_is_not_that_folder() -> None:
    schemas = listing("FaceRestore", "ckpt_name", ["codeformer.pth"])
    assert folder_of("FaceRestore", "ckpt_name", "x.pth", schemas, online(checkpoints=["a.safetensors"])) is None


def test_a_text_that_is_no_list_names_no_file() -> None:
    schemas = Schemas.read({"LoraByText": {"input": {"required": {"lora_name": ["STRING", {}]}}}})
    assert folder_of("LoraByText", "lora_name", "x", schemas, online(loras=["a.safetensors"])) is None


def test_a_list_without_files_names_no_file() -> None:
    schemas = listing("Preset", "ckpt_name", ["sd15", "sdxl"])
    assert folder_of("Preset", "ckpt_name", "sd3", schemas, None) is None


def test_one_of_two_folders_is_named_by_what_lies_in_it() -> None:
    inventory = online(clip_gguf=["t5.gguf"], text_encoders=["clip_l.safetensors"])
    assert folder_of("DualCLIPLoaderGGUF", "clip_name1", "clip_l.safetensors", None, inventory) == "text_encoders"
    assert folder_of("DualCLIPLoaderGGUF", "clip_name1", "other.gguf", None, inventory) == "clip_gguf"


@pytest.mark.parametrize(("name", "is_file"), [("a.SafeTensors", True), ("taesd", False), ("None", False), ("", False)])
def test_a_loaders_own_words_are_no_files(name: str, is_file: bool) -> None:
    assert looks_like_model(name) is is_file
