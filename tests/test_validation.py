"""Validation: all of it at once, in ComfyUI's rules, and never more than is known."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfywatch.inventory import Inventory
from comfywatch.problems import Problem, Severity
from comfywatch.replacements import Replacement
from comfywatch.schemas import Schemas
from comfywatch.validation import (
    Partial,
    Verdict,
    as_answered,
    is_invalid,
    partial_outputs,
    respell,
    validate,
    verdict_of,
)

RECORDINGS = Path(__file__).parent / "recordings"
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def recorded(version: str) -> Schemas:
    path = RECORDINGS / f"comfyui-{version}" / "some_object_info.json"
    return Schemas.read(json.loads(path.read_text(encoding="utf-8")))


OLDER = recorded("0.3.64")
NEWER = recorded("0.33.0")
MODELS = {
    "checkpoints": ["flux1-dev.safetensors", "sdxl/RealVisXL_V5.0.safetensors"],
    "loras": ["sage_character.safetensors"],
    "text_encoders": ["clip_l.safetensors"],
    "upscale_models": ["4x-UltraSharp.pth"],
    "vae": ["ae.safetensors"],
}
ONLINE = Inventory.online({}, ["KSampler", "SaveImage", *NEWER], MODELS, AT)


REST: dict[str, dict[str, Any]] = {
    "EmptyImage": {"width": 64, "height": 64, "batch_size": 1, "color": 0},
    "EmptyLatentImage": {"width": 64, "height": 64, "batch_size": 1},
    "ImageScale": {"upscale_method": "area", "width": 64, "height": 64, "crop": "disabled"},
    "SaveImage": {"filename_prefix": "ComfyUI"},
}
"""What a class requires besides what a test is about."""


def node(class_type: str, title: str = "", /, **inputs: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {"class_type": class_type, "inputs": {**REST.get(class_type, {}), **inputs}}
    return {**plain, "_meta": {"title": title}} if title else plain


def picture(**others: Any) -> dict[str, Any]:
    """A prompt that any server runs, with ``others`` in it."""
    return {"1": node("EmptyImage", width=64), "2": node("SaveImage", images=["1", 0]), **others}


def only(problems: tuple[Problem, ...]) -> Problem:
    assert len(problems) == 1, problems
    return problems[0]


def codes(problems: tuple[Problem, ...]) -> list[tuple[str, str]]:
    return [(problem.node, problem.code) for problem in problems]


@pytest.mark.parametrize("schemas", [None, OLDER, NEWER])
def test_a_good_prompt_has_no_problem(schemas: Schemas | None) -> None:
    assert validate(picture(), schemas=schemas) == ()
    assert validate(picture(), schemas=schemas, inventory=ONLINE) == ()


# ---- what is no workflow


@pytest.mark.parametrize("prompt", [None, 5, "x", [], ["1"]])
def test_what_is_no_map_is_invalid(prompt: Any) -> None:
    assert only(validate(prompt)).code == "invalid_prompt"
    assert verdict_of(prompt, validate(prompt), NEWER) is Verdict.REJECTED


def test_no_nodes_are_no_outputs() -> None:
    assert only(validate({})).code == "prompt_no_outputs"


@pytest.mark.parametrize("entry", [None, 5, "class_type", [], {}, {"class_type": None}, {"class_type": ["KSampler"]}])
def test_an_entry_without_a_class_refuses_the_whole(entry: Any) -> None:
    prompt = picture(x=entry)
    problems = validate(prompt, schemas=NEWER)
    assert codes(problems) == [("x", "invalid_prompt")]
    assert verdict_of(prompt, problems, NEWER) is Verdict.REJECTED


# ---- links


@pytest.mark.parametrize("schemas", [None, OLDER, NEWER])
def test_a_link_to_nowhere_names_node_input_and_id(schemas: Schemas | None) -> None:
    problem = only(validate({"2": node("SaveImage", "My result", images=["99", 0])}, schemas=schemas))
    assert (problem.node, problem.class_type, problem.input) == ("2", "SaveImage", "images")
    assert problem.code == "bad_linked_input"
    assert (
        problem.message == "SaveImage 'My result' (node 2): images is linked to node 99, which is not in the workflow."
    )
    assert is_invalid([problem])


@pytest.mark.parametrize("link", [["1"], ["1", 0, 3], [], [1, 0], [["1"], 0], ["1", "0"], ["1", None]])
def test_a_link_of_another_shape_is_named(link: Any) -> None:
    problem = only(validate(picture(**{"2": node("SaveImage", images=link)}), schemas=NEWER))
    assert (problem.code, problem.node, problem.input) == ("bad_linked_input", "2", "images")


def test_an_output_that_the_other_node_does_not_have_may_come_with_a_newer_one() -> None:
    problem = only(validate(picture(**{"2": node("SaveImage", images=["1", 7])}), schemas=NEWER))
    assert (
        problem.message
        == "SaveImage (node 2): images is linked to output 7 of EmptyImage (node 1), which has no such output."
    )
    assert not is_invalid([problem])


def test_outputs_count_from_the_end_too_as_python_does() -> None:
    assert validate(picture(**{"2": node("SaveImage", images=["1", -1])}), schemas=NEWER) == ()


def test_inputs_that_the_class_does_not_have_are_not_read() -> None:
    prompt = picture(**{"2": node("SaveImage", images=["1", 0], extra=["99", 0], more=[1, 2, 3])})
    assert validate(prompt, schemas=NEWER) == ()


def test_a_list_in_a_widget_of_the_class_is_a_bad_link_as_comfyui_has_it() -> None:
    prompt = picture(**{"1": node("EmptyImage", width=[1, 2, 3])})
    assert codes(validate(prompt, schemas=NEWER)) == [("1", "bad_linked_input")]
    wrapped = node("SaveImage", images=["1", 0], filename_prefix={"__value__": [1, 2, 3]})
    assert validate(picture(**{"2": wrapped}), schemas=NEWER) == ()


def test_without_schemas_a_list_is_only_a_link_if_it_looks_like_one() -> None:
    for value in (["RGB", 3], [512, 512], ["1", True], ["a", "b", "c"], [[1, 2]], []):
        assert validate(picture(**{"1": node("Custom", size=value)})) == ()
    assert codes(validate(picture(**{"1": node("Custom", size=["77:8", 0])}))) == [("1", "bad_linked_input")]


def test_what_no_output_needs_is_not_looked_at() -> None:
    loose = {"8": node("ImageInvert", image=["99", 0]), "9": node("CheckpointLoaderSimple", ckpt_name="no.safetensors")}
    assert validate(picture(**loose), schemas=NEWER, inventory=ONLINE) == ()
    assert validate(picture(**loose)) == ()


def test_nested_inputs_of_dynamic_ones_are_links() -> None:
    prompt = picture(**{"2": node("SaveImage", images=["3", 0]), "3": node("BatchImagesNode")})
    prompt["3"]["inputs"] = {"images.image0": ["1", 0], "images.image1": ["98", 0]}
    problem = only(validate(prompt, schemas=NEWER))
    assert (problem.node, problem.input) == ("3", "images.image1")


def test_a_node_without_inputs_is_named_where_an_output_needs_it() -> None:
    prompt = picture(**{"1": {"class_type": "EmptyImage"}, "5": {"class_type": "ImageInvert"}})
    assert codes(validate(prompt, schemas=NEWER)) == [("1", "invalid_prompt")]


# ---- circles


@pytest.mark.parametrize("schemas", [None, OLDER, NEWER])
def test_a_circle_is_named_by_its_ids(schemas: Schemas | None) -> None:
    prompt = {
        "1": node("ImageInvert", image=["2", 0]),
        "2": node("ImageInvert", image=["1", 0]),
        "3": node("SaveImage", images=["2", 0]),
    }
    problems = validate(prompt, schemas=schemas)
    assert codes(problems) == [("1", "dependency_cycle"), ("2", "dependency_cycle")]
    assert {problem.message for problem in problems} == {"These nodes wait for each other in a circle: 1 → 2 → 1."}
    assert is_invalid(problems)


def test_a_node_that_needs_itself_is_a_circle() -> None:
    prompt = {"1": node("ImageInvert", image=["1", 0]), "3": node("SaveImage", images=["1", 0])}
    assert codes(validate(prompt, schemas=NEWER)) == [("1", "dependency_cycle")]


@pytest.mark.parametrize("schemas", [None, NEWER])
def test_every_node_on_a_circle_is_named_once(schemas: Schemas | None) -> None:
    prompt = {
        "1": node("ImageBatch", image1=["2", 0], image2=["3", 0]),
        "2": node("ImageInvert", image=["1", 0]),
        "3": node("ImageInvert", image=["2", 0]),
        "4": node("SaveImage", images=["1", 0]),
    }
    found = [problem.node for problem in validate(prompt, schemas=schemas) if problem.code == "dependency_cycle"]
    assert sorted(found) == ["1", "2", "3"]


def test_a_circle_that_no_output_needs_is_not_looked_at() -> None:
    assert validate(picture(x=node("ImageInvert", image=["x", 0])), schemas=NEWER) == ()


# ---- classes


def test_every_missing_class_is_named_and_not_the_first_only() -> None:
    prompt = picture(a=node("FaceDetailer", "Faces"), b=node("ReActorFaceSwap"), c=node("FaceDetailer"))
    problems = validate(prompt, schemas=NEWER)
    assert codes(problems) == [(node_id, "missing_node_type") for node_id in "abc"]
    assert problems[0].message == "FaceDetailer 'Faces' (node a) is not installed in this ComfyUI."
    assert "restart ComfyUI" in problems[0].fix
    assert not is_invalid(problems)
    assert verdict_of(prompt, problems, NEWER) is Verdict.REJECTED


def test_what_is_new_comes_before_what_repeats() -> None:
    prompt = picture(**{f"a{n}": node("FaceDetailer") for n in range(20)}, b=node("ReActorFaceSwap"))
    assert [problem.class_type for problem in validate(prompt, schemas=NEWER)[:2]] == [
        "FaceDetailer",
        "ReActorFaceSwap",
    ]


def test_the_name_that_people_see_is_told_from_the_class() -> None:
    problem = only(validate(picture(a=node("LoadCheckpoint")), schemas=NEWER))
    assert problem.message == "'LoadCheckpoint' is called CheckpointLoaderSimple in workflow files."


def test_a_slip_of_the_pen_gets_the_near_class() -> None:
    assert "did you mean CLIPTextEncode?" in only(validate(picture(a=node("CLIPTextEncod")), schemas=NEWER)).fix


def test_an_online_inventory_knows_the_classes_without_schemas() -> None:
    assert codes(validate(picture(a=node("FaceDetailer")), inventory=ONLINE)) == [("a", "missing_node_type")]


@pytest.mark.parametrize(
    "plain", [{}, {"mode": "offline", "node_classes": ["A"]}, {"mode": "online"}, {"node_classes": ["A"]}]
)
def test_any_other_inventory_denies_no_class(plain: dict[str, Any]) -> None:
    inventory = Inventory.parse(json.dumps(plain).encode())
    assert validate(picture(a=node("FaceDetailer")), inventory=inventory) == ()
    assert validate(picture(a=node("FaceDetailer"))) == ()


def test_a_class_is_there_if_either_says_so() -> None:
    scanned = Inventory.parse(b'{"mode": "offline", "node_classes": ["FaceDetailer"]}')
    assert validate(picture(a=node("FaceDetailer")), schemas=NEWER, inventory=scanned) == ()


def test_a_class_that_the_server_replaces_is_not_missing() -> None:
    prompt = picture(a=node("OldInvert", "Inverted", picture=["1", 0]), b=node("SaveImage", images=["a", 1]))
    server = recorded("0.33.0")
    assert codes(validate(prompt, schemas=server)) == [("a", "missing_node_type")]
    inverted = Replacement(new="ImageInvert", taken={"image": "picture"}, outputs={1: 0})
    server.replacements = {"OldInvert": inverted}
    assert validate(prompt, schemas=server) == ()
    assert verdict_of(prompt, (), server) is Verdict.OK
    assert codes(validate(prompt, schemas=server, deny_nodes=["ImageInvert"])) == [("a", "node_denied")]
    assert codes(validate(prompt, schemas=server, deny_nodes=["OldInvert"])) == [("a", "node_denied")]


@pytest.mark.parametrize("flaw", ["_meta", "inputs"])
def test_a_node_on_which_the_servers_replacement_fails_is_missing(flaw: str) -> None:
    prompt = picture(a=node("OldInvert", "Inverted", picture=["1", 0]))
    del prompt["a"][flaw]
    server = recorded("0.33.0")
    server.replacements = {"OldInvert": Replacement(new="ImageInvert", taken={"image": "picture"})}
    problem = only(validate(prompt, schemas=server))
    assert problem.code == "missing_node_type"
    assert problem.fix == "Put ImageInvert in its place in ComfyUI, and export the workflow again."
    assert verdict_of(prompt, [problem], server) is Verdict.REJECTED


def test_schemas_without_a_class_deny_nothing() -> None:
    assert validate(picture(), schemas=Schemas.read({})) == ()


def test_a_denied_class_is_denied_wherever_it_is() -> None:
    problem = only(validate(picture(), schemas=NEWER, deny_nodes=["EmptyImage"]))
    assert (problem.code, problem.node) == ("node_denied", "1")
    assert not is_invalid([problem])
    assert verdict_of(picture(), [problem], NEWER) is Verdict.OK


# ---- outputs


def test_no_outputs_are_said_when_all_classes_are_known() -> None:
    prompt = {"1": node("EmptyImage")}
    problem = only(validate(prompt, schemas=NEWER))
    assert problem.code == "prompt_no_outputs"
    assert is_invalid([problem])
    assert verdict_of(prompt, [problem], NEWER) is Verdict.REJECTED


def test_no_outputs_are_not_said_when_a_class_is_not_known() -> None:
    assert validate({"1": node("EmptyImage")}) == ()
    problems = validate({"1": node("EmptyImage"), "2": node("MySaver", images=["1", 0])}, schemas=NEWER)
    assert codes(problems) == [("2", "missing_node_type")]


# ---- models


def checkpoint(name: Any, class_type: str = "CheckpointLoaderSimple") -> dict[str, Any]:
    return {
        "3": node("EmptyLatentImage"),
        "4": node(class_type, ckpt_name=name),
        "5": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "6": node("SaveImage", images=["5", 0]),
    }


@pytest.mark.parametrize("schemas", [None, OLDER, NEWER])
def test_a_missing_model_names_folder_and_mend(schemas: Schemas | None) -> None:
    problem = only(validate(checkpoint("flux1-dev-fp8.safetensors"), schemas=schemas, inventory=ONLINE))
    assert (problem.node, problem.input, problem.code) == ("4", "ckpt_name", "value_not_in_list")
    assert problem.message == "Model 'flux1-dev-fp8.safetensors' is not installed in checkpoints."
    assert problem.fix == (
        "Use 'flux1-dev.safetensors', which is installed "
        '(models: {"flux1-dev-fp8.safetensors": "flux1-dev.safetensors"} in config.yaml), '
        "or put it into models/checkpoints/ of ComfyUI."
    )
    assert not is_invalid([problem])


@pytest.mark.parametrize("name", ["flux1-dev.safetensors", "sdxl/RealVisXL_V5.0.safetensors"])
def test_a_model_that_is_there_is_no_problem(name: str) -> None:
    assert validate(checkpoint(name), schemas=NEWER, inventory=ONLINE) == ()
    assert validate(checkpoint(name.replace("/", "\\")), inventory=ONLINE) == ()


@pytest.mark.parametrize("schemas", [None, OLDER, NEWER])
def test_a_wrapped_name_of_a_model_is_a_name(schemas: Schemas | None) -> None:
    wrapped = checkpoint({"__value__": "no.safetensors"})
    assert only(validate(wrapped, schemas=schemas, inventory=ONLINE)).code == "value_not_in_list"
    spelled = respell(checkpoint({"__value__": "sdxl\\RealVisXL_V5.0.safetensors"}), inventory=ONLINE)
    assert spelled["4"]["inputs"]["ckpt_name"] == "sdxl/RealVisXL_V5.0.safetensors"


@pytest.mark.parametrize("value", [["4", 1], 5, None, "", {"a": 1}, True])
def test_what_is_no_text_is_no_model(value: Any) -> None:
    prompt = {**checkpoint(value), "7": node("EmptyImage")}
    assert not [p for p in validate(prompt, schemas=None, inventory=ONLINE) if p.code == "value_not_in_list"]


@pytest.mark.parametrize(
    "plain",
    [
        {"mode": "offline", "models": {"checkpoints": ["a.safetensors"]}},
        {"mode": "online", "models": {"checkpoints": None}},
        {"mode": "online", "models": {}},
        {"models": {"checkpoints": []}},
    ],
)
@pytest.mark.parametrize("schemas", [None, NEWER])
def test_what_is_not_known_to_be_missing_is_not_missing(plain: dict[str, Any], schemas: Schemas | None) -> None:
    inventory = Inventory.parse(json.dumps(plain).encode())
    assert validate(checkpoint("x.safetensors"), schemas=schemas, inventory=inventory) == ()


def test_without_inventory_the_schemas_lists_decide() -> None:
    assert codes(validate(checkpoint("x.safetensors"), schemas=NEWER)) == [("4", "value_not_in_list")]
    assert validate(checkpoint("x.safetensors")) == ()


@pytest.mark.parametrize("inventory", [None, Inventory.parse(b'{"mode": "online", "models": {"vae": []}}')])
def test_a_model_is_missing_also_where_a_loader_offers_nothing_but_words_of_its_own(inventory: Any) -> None:
    info = {
        "VAELoader": {"input": {"required": {"vae_name": [["pixel_space"]]}}, "output": ["VAE"]},
        "PreviewAny": {"input": {"required": {"source": ["*", {}]}}, "output": [], "output_node": True},
    }

    def loading(name: str) -> dict[str, Any]:
        return {"1": node("VAELoader", vae_name=name), "2": node("PreviewAny", source=["1", 0])}

    schemas = Schemas.read(info)
    problem = only(validate(loading("ae.safetensors"), schemas=schemas, inventory=inventory))
    assert problem.message == "Model 'ae.safetensors' is not installed in vae."
    problem = only(validate(loading("pixels"), schemas=schemas, inventory=inventory))
    assert "'pixels' is no vae_name here" in problem.message
    assert validate(loading("pixel_space"), schemas=schemas, inventory=inventory) == ()


def test_a_loaders_own_word_is_not_a_missing_model() -> None:
    def vae(name: str) -> dict[str, Any]:
        decode = node("VAEDecode", samples=["7", 0], vae=["8", 0])
        latent = node("EmptyLatentImage")
        return {
            **picture(**{"2": node("SaveImage", images=["9", 0])}),
            "7": latent,
            "8": node("VAELoader", vae_name=name),
            "9": decode,
        }

    assert validate(vae("pixel_space"), schemas=NEWER, inventory=ONLINE) == ()
    assert validate(vae("taesd"), inventory=ONLINE) == ()
    assert codes(validate(vae("no.safetensors"), schemas=NEWER, inventory=ONLINE)) == [("8", "value_not_in_list")]


def test_a_newer_list_of_either_kind_is_believed() -> None:
    fresher = ONLINE.with_folder("checkpoints", [*MODELS["checkpoints"], "new.safetensors"])
    assert validate(checkpoint("new.safetensors"), schemas=NEWER, inventory=fresher) == ()
    older = ONLINE.with_folder("checkpoints", [])
    assert validate(checkpoint("flux1-dev.safetensors"), schemas=NEWER, inventory=older) == ()


def test_an_alias_is_put_in_first() -> None:
    aliases = {"wanted\\x.safetensors": "flux1-dev.safetensors"}
    assert validate(checkpoint("wanted/x.safetensors"), inventory=ONLINE, aliases=aliases) == ()
    broken = {"x.safetensors": "y.safetensors"}
    problem = only(validate(checkpoint("x.safetensors"), inventory=ONLINE, aliases=broken))
    assert problem.message == (
        "Model 'y.safetensors', which config.yaml puts for 'x.safetensors', is not installed in checkpoints."
    )


def test_models_and_packages_are_missed_in_one_go() -> None:
    prompt = checkpoint("x.safetensors") | {
        "7": node("PackOne", image=["5", 0], lora_name="y.safetensors"),
        "8": node("PackTwo", image=["7", 0], vae_name="z.safetensors"),
    }
    found = validate(prompt, schemas=NEWER, inventory=ONLINE)
    assert [problem.code for problem in found] == ["missing_node_type"] * 2 + ["value_not_in_list"] * 3


def test_a_wrong_word_where_a_file_is_offered_is_no_unknown_thing() -> None:
    assert codes(validate(checkpoint("x"), schemas=NEWER, inventory=ONLINE)) == [("4", "value_not_in_list")]
    assert validate(checkpoint("Baked"), inventory=ONLINE) == ()


# ---- what ComfyUI would answer


def test_one_bad_output_of_two_makes_it_partial() -> None:
    prompt = picture(**{"3": node("SaveImage", images=["99", 0]), "4": node("PreviewImage", images=["1", 0])})
    problems = validate(prompt, schemas=NEWER)
    assert partial_outputs(prompt, problems, NEWER) == Partial(runs=("2", "4"), dropped=("3",))
    assert verdict_of(prompt, problems, NEWER) is Verdict.PARTIAL


def test_a_fault_upstream_of_all_outputs_rejects() -> None:
    prompt = picture(**{"1": node("ImageInvert", image=["99", 0]), "4": node("PreviewImage", images=["1", 0])})
    assert verdict_of(prompt, validate(prompt, schemas=NEWER), NEWER) is Verdict.REJECTED


def test_without_schemas_the_verdict_is_unknown() -> None:
    assert verdict_of(picture(), (), None) is Verdict.UNKNOWN
    scanned = Inventory.parse(b'{"mode": "offline", "node_classes": ["MySaver"]}')
    prompt = {"1": node("EmptyImage"), "2": node("MySaver", images=["1", 0])}
    assert verdict_of(prompt, validate(prompt, schemas=NEWER, inventory=scanned), NEWER) is Verdict.UNKNOWN


def test_an_old_server_finds_a_missing_model_in_a_new_loader_only_at_run_time() -> None:
    def upscaled() -> dict[str, Any]:
        loader = node("UpscaleModelLoader", model_name="no.pth")
        return {"1": loader, "2": node("PreviewAny", source=["1", 0])}

    older = Schemas.read({**_entries("0.3.64"), "PreviewAny": _any_output()})
    newer = Schemas.read({**_entries("0.33.0"), "PreviewAny": _any_output()})
    problem = only(validate(upscaled(), schemas=older, inventory=ONLINE))
    assert problem.severity is Severity.ERROR
    assert only(as_answered([problem], older)).severity is Severity.WARNING
    assert verdict_of(upscaled(), [problem], older) is Verdict.OK
    assert verdict_of(upscaled(), validate(upscaled(), schemas=newer, inventory=ONLINE), newer) is Verdict.REJECTED


def _entries(version: str) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(
        (RECORDINGS / f"comfyui-{version}" / "some_object_info.json").read_text(encoding="utf-8")
    )
    return plain


def _any_output() -> dict[str, Any]:
    return {"input": {"required": {"source": ["*", {}]}}, "output": [], "output_node": True}


def test_only_the_workflows_own_errors_are_invalid() -> None:
    warning = Problem(code="bad_linked_input", message="", severity=Severity.WARNING)
    assert not is_invalid([warning, Problem(code="value_not_in_list", message="")])
    assert is_invalid([Problem(code="value_not_in_list", message=""), Problem(code="dependency_cycle", message="")])


# ---- spelling


WINDOWS = Inventory.online({}, [], {"loras": ["style\\a.safetensors"], "checkpoints": ["x.ckpt"]}, AT)


def test_models_are_spelled_as_the_server_spells_them_and_nothing_else_changes() -> None:
    prompt = {
        "1": node("LoraLoader", "style/a.safetensors", lora_name="style/a.safetensors", text="style/a.safetensors"),
        "2": node("SaveImage", filename_prefix="a/b", images=["1", 0]),
        "3": {"class_type": "Odd"},
    }
    before = json.loads(json.dumps(prompt))
    found = respell(prompt, inventory=WINDOWS)
    assert found["1"]["inputs"] == {"lora_name": "style\\a.safetensors", "text": "style/a.safetensors"}
    assert found["2"] == prompt["2"]
    assert prompt == before


def test_the_schemas_own_spelling_comes_first() -> None:
    schemas = Schemas.read({"LoraLoader": {"input": {"required": {"lora_name": [["style/a.safetensors"], {}]}}}})
    prompt = {"1": node("LoraLoader", lora_name="style\\a.safetensors")}
    assert respell(prompt, schemas=schemas, inventory=WINDOWS)["1"]["inputs"]["lora_name"] == "style/a.safetensors"


def test_an_alias_is_put_in_for_models_only() -> None:
    prompt = {"1": node("CheckpointLoaderSimple", ckpt_name="w.ckpt"), "2": node("CLIPTextEncode", text="w.ckpt")}
    found = respell(prompt, inventory=WINDOWS, aliases={"w.ckpt": "x.ckpt"})
    assert [found[key]["inputs"] for key in "12"] == [{"ckpt_name": "x.ckpt"}, {"text": "w.ckpt"}]
    assert respell(prompt, aliases={"w.ckpt": "x.ckpt"})["1"]["inputs"] == {"ckpt_name": "x.ckpt"}


# ---- any file at all


def test_ten_thousand_nodes_take_well_under_a_second_each_way() -> None:
    many = 10_000
    chain = {str(n): node("ImageInvert", image=[str(n - 1), 0]) for n in range(1, many)}
    chain |= {"0": node("ImageInvert", image=[str(many - 1), 0]), "s": node("SaveImage", images=["5", 0])}
    missing = {f"m{n}": node(f"Missing{n}", lora_name=f"{n}.safetensors") for n in range(many)}
    started = process_time()
    for schemas in (None, NEWER):
        problems = validate(chain | missing, schemas=schemas, inventory=ONLINE)
        verdict_of(chain | missing, problems, schemas)
    assert len(problems) > 2 * many
    assert process_time() - started < 8  # it is 1 on a slow machine; quadratic would be minutes


def test_strangers_texts_do_not_swell_the_sentences() -> None:
    prompt = {"x" * 10_000: node("y" * 10_000, "z" * 10_000, ckpt_name="v" * 10_000 + ".pt"), **checkpoint("w")}
    assert all(len(p.message) + len(p.fix) < 1_000 for p in validate(prompt, schemas=NEWER, inventory=ONLINE))


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from("123"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
ids = st.sampled_from(["1", "2", "3", "4"])
links = st.tuples(ids | st.integers(), st.integers(-2, 3) | any_json).map(list)
input_names = st.sampled_from(["images", "image", "ckpt_name", "clip_name", "lora_name", "images.image0", "width"])
some_nodes = st.fixed_dictionaries(
    {"class_type": st.sampled_from([*NEWER, "NoSuchNode", "Load Image"])},
    optional={"inputs": st.dictionaries(input_names, links | any_json, max_size=3) | any_json, "_meta": any_json},
)
prompts = any_json | st.dictionaries(ids, some_nodes | any_json, max_size=4)


@settings(deadline=None)  # the machine may be busy
@given(prompts, st.sampled_from([None, OLDER, NEWER]), st.sampled_from([None, ONLINE]))
def test_no_json_makes_it_raise(prompt: Any, schemas: Schemas | None, inventory: Inventory | None) -> None:
    problems = validate(prompt, schemas=schemas, inventory=inventory, aliases={"1": "2"}, deny_nodes=["KSampler"])
    verdict = verdict_of(prompt, problems, schemas)
    assert all(problem.message and problem.fix for problem in problems)
    if verdict is Verdict.OK:
        assert not is_invalid(problems)
    if isinstance(prompt, dict):
        again = respell(prompt, schemas=schemas, inventory=inventory)
        assert list(again) == list(prompt)
        assert respell(again, schemas=schemas, inventory=inventory) == again or again != again  # NaN
