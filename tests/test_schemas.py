"""The schemas of both recorded servers, of none, and of packages that write what they like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfywatch.schemas import Generation, Schemas

RECORDINGS = Path(__file__).parent / "recordings"
VERSIONS = ("0.3.64", "0.33.0")

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def recorded(version: str) -> dict[str, Any]:
    path = RECORDINGS / f"comfyui-{version}" / "some_object_info.json"
    plain: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return plain


def one_input(spec: Any, **entry: Any) -> Schemas:
    return Schemas.read({"Some": {"input": {"required": {"it": spec}}, **entry}})


@pytest.mark.parametrize("version", VERSIONS)
def test_a_class_says_what_it_takes_and_gives(version: str) -> None:
    schemas = Schemas.read(recorded(version))
    assert "KSampler" in schemas
    assert "NoSuchNode" not in schemas
    assert list(schemas.inputs("KSampler"))[:3] == ["model", "seed", "steps"]
    steps = schemas.inputs("KSampler")["steps"]
    assert (steps.type, steps.required, steps.choices) == ("INT", True, None)
    assert steps.options["min"] == 1
    assert schemas.outputs("CheckpointLoaderSimple") == ("MODEL", "CLIP", "VAE")
    assert schemas.display_names["CheckpointLoaderSimple"] == "Load Checkpoint"


@pytest.mark.parametrize("version", VERSIONS)
def test_outputs_are_those_that_the_server_calls_so(version: str) -> None:
    schemas = Schemas.read(recorded(version))
    assert schemas.is_output("SaveImage")
    assert not schemas.is_output("KSampler")
    assert not schemas.is_output("NoSuchNode")


@pytest.mark.parametrize("version", VERSIONS)
def test_choices_are_read_in_both_notations(version: str) -> None:
    schemas = Schemas.read(recorded(version))
    older = schemas.inputs("CheckpointLoaderSimple")["ckpt_name"]
    newer = schemas.inputs("UpscaleModelLoader")["model_name"]
    assert (older.type, older.is_v1_list) == ("COMBO", True)
    assert older.choices == ("flux1-dev.safetensors", "sdxl/RealVisXL_V5.0.safetensors")
    assert (newer.type, newer.is_v1_list) == ("COMBO", False)
    assert newer.choices == ("4x-UltraSharp.pth",)


@pytest.mark.parametrize("version", VERSIONS)
def test_files_that_can_be_uploaded_are_told_from_models(version: str) -> None:
    schemas = Schemas.read(recorded(version))
    uploads = [("LoadImage", "image"), ("LoadAudio", "audio"), ("LoadVideo", "file")]
    assert all(schemas.inputs(class_type)[name].is_upload for class_type, name in uploads)
    assert not schemas.inputs("VAELoader")["vae_name"].is_upload


@pytest.mark.parametrize("version", VERSIONS)
def test_a_remote_choice_is_not_knowable(version: str) -> None:
    image = Schemas.read(recorded(version)).inputs("LoadImageOutput")["image"]
    assert image.is_remote
    assert image.choices is None


def test_the_age_of_a_server_shows_in_its_schemas() -> None:
    assert Schemas.read(recorded("0.3.64")).version_hint is Generation.OLDER
    assert Schemas.read(recorded("0.33.0")).version_hint is Generation.NEWER
    assert one_input(["COMFY_DYNAMICCOMBO_V3", {}]).version_hint is Generation.NEWER


def test_a_dynamic_input_answers_for_what_it_brings_along() -> None:
    schemas = Schemas.read(recorded("0.33.0"))
    brought = schemas.input("BatchImagesNode", "images.image0")
    assert brought is not None
    assert brought.name == "images"
    assert schemas.input("KSampler", "model.sub") is None
    assert schemas.input("KSampler", "no_such_input") is None


def test_optional_and_hidden_inputs_are_told_apart() -> None:
    entry = {"input": {"required": {"a": ["INT"]}, "optional": {"b": ["MASK", {}]}, "hidden": {"c": "PROMPT"}}}
    inputs = Schemas.read({"Some": entry}).inputs("Some")
    assert {name: spec.required for name, spec in inputs.items()} == {"a": True, "b": False}


def test_a_class_is_found_by_the_name_that_people_see() -> None:
    schemas = Schemas.read(recorded("0.33.0"))
    assert schemas.shown_as("LoadCheckpoint") == "CheckpointLoaderSimple"
    assert schemas.shown_as("load checkpoint") == "CheckpointLoaderSimple"
    assert schemas.shown_as("ksampler") == "KSampler"
    assert schemas.shown_as("FaceDetailer") is None


def test_packages_are_those_with_a_class() -> None:
    assert Schemas.read(recorded("0.33.0")).packages == {"comfywatch_testnodes"}


def test_the_fingerprint_is_of_the_content_and_not_of_the_order() -> None:
    plain = recorded("0.33.0")
    turned = dict(reversed(plain.items()))
    assert Schemas.read(plain).fingerprint == Schemas.read(turned).fingerprint
    less = {key: value for key, value in plain.items() if key != "KSampler"}
    assert Schemas.read(plain).fingerprint != Schemas.read(less).fingerprint


def test_an_odd_spec_is_an_input_of_no_type() -> None:
    for spec in ([], None, 5, "INT", [None], [["a"], None], {"a": 1}, [5, 5]):
        assert one_input(spec).inputs("Some")["it"].name == "it"
    assert one_input("INT").inputs("Some")["it"].type == "INT"
    assert one_input([["a", 1, None]]).inputs("Some")["it"].choices == ("a", 1, None)


def test_what_is_no_class_is_left_out() -> None:
    plain: Any = {"Good": {"output_node": True}, "Bad": None, "Worse": [1], "Odd": {"input": [], "output": 5}}
    schemas = Schemas.read(plain)
    assert sorted(schemas) == ["Good", "Odd"]
    assert len(schemas) == 2
    assert schemas.outputs("Odd") == ()
    assert not schemas.inputs("Odd")


def test_many_classes_are_read_without_keeping_them_all() -> None:
    spec = {"input": {"required": {"a": ["INT", {}]}}, "output": ["IMAGE"]}
    schemas = Schemas.read({f"Class{n}": spec for n in range(500)})
    assert all("a" in schemas.inputs(f"Class{n}") for n in range(500))
    assert schemas.outputs("Class0") == ("IMAGE",)


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(st.text(max_size=8), any_json, max_size=4), any_json)
def test_no_object_info_makes_the_reader_raise(plain: dict[str, Any], spec: Any) -> None:
    plain["Some"] = {"input": {"required": {"it": spec}, "optional": spec}, "output": spec, "display_name": spec}
    schemas = Schemas.read(plain)
    for class_type in [*schemas, "NoSuchNode"]:
        schemas.inputs(class_type)
        schemas.outputs(class_type)
        assert schemas.input(class_type, "it.x") is None or class_type == "Some"
    assert schemas.fingerprint
