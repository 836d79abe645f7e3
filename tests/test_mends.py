"""What mends a missing node or model, put together from everything that says something of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch import sentences
from comfywatch.inventory import Inventory
from comfywatch.mends import LATER, Sources, lacks_something, mended, needed_later
from comfywatch.model_folders import ModelInputs
from comfywatch.packages import PackageMap
from comfywatch.problems import Problem, Severity
from comfywatch.references import References
from comfywatch.schemas import Schemas
from comfywatch.shelf import Shelf
from comfywatch.validation import validate

PAGE = References.read(
    b"### Harbour\n- **Download**: https://example.org/harbour\n- **File**: `harbour.safetensors`\n"
    b"### Rain\n- `rain_lora.safetensors`: https://example.org/files/rain_v2.safetensors\n"
)
NOTHING = Sources()


def missing_class(class_type: str, *, near: str | None = None) -> Problem:
    return sentences.class_missing("5", {"class_type": class_type}, class_type, near=near)


def missing_model(name: str, folder: str = "checkpoints", **more: Any) -> Problem:
    return sentences.model_missing("4", {"class_type": "CheckpointLoaderSimple"}, "ckpt_name", name, folder, **more)


def fix(problem: Problem, sources: Sources = NOTHING, saved: Any = None) -> str:
    (found,) = mended([problem], sources, saved=saved)
    assert (found.code, found.node, found.input) == (problem.code, problem.node, problem.input)
    return found.fix


def saved(class_type: str, **properties: Any) -> dict[str, Any]:
    return {"nodes": [{"type": class_type, "properties": properties}]}


# ---- nodes


def test_a_package_is_named_with_the_command_that_installs_it() -> None:
    assert fix(missing_class("ApplyInstantID", near="ApplyInstant")) == (
        "Install ComfyUI_InstantID: comfy node install comfyui_instantid, or ComfyUI-Manager under that name, "
        "and restart ComfyUI."
    )


def test_a_package_without_an_id_is_named_with_its_place() -> None:
    assert fix(missing_class("ttN text"), saved=saved("ttN text", aux_id="some/where")) == (
        "Install where (https://github.com/some/where) with ComfyUI-Manager, and restart ComfyUI."
    )


def test_what_the_workflow_says_counts_before_the_manager_and_that_before_us() -> None:
    manager = PackageMap.of_manager({"managers-pack": [["FaceDetailer"], {}]})
    problem = missing_class("FaceDetailer")
    assert "ComfyUI-Impact-Pack" in fix(problem)
    assert "managers-pack" in fix(problem, Sources(manager=manager))
    assert "workflows-pack" in fix(problem, Sources(manager=manager), saved("FaceDetailer", cnr_id="workflows-pack"))


def test_several_candidates_are_all_named() -> None:
    said = fix(missing_class("ApplyPulidFlux"))
    assert said.startswith("Several packages have it: ComfyUI-PuLID-Flux (https://github.com/")
    assert "ComfyUI_PuLID_Flux_ll" in said
    assert said.endswith("Install one of them, and restart ComfyUI.")


def test_many_candidates_are_counted() -> None:
    manager = PackageMap.of_manager({f"pack-{n}": [["X"], {}] for n in range(9)})
    said = fix(missing_class("X"), Sources(manager=manager))
    assert "pack-3 (comfy node install pack-3) and 5 more." in said


def test_a_class_that_nobody_knows_keeps_what_was_said_of_it() -> None:
    problem = missing_class("MyOwnNode", near="MyOwnNodes")
    assert fix(problem) == problem.fix
    assert "ComfyUI-Manager finds it by this name" in problem.fix
    assert problem.fix.endswith("Or did you mean MyOwnNodes?")


def test_a_package_that_is_there_without_the_class_is_to_be_updated() -> None:
    sources = Sources(installed=["ComfyUI-Impact-Pack"])
    said = fix(missing_class("FaceDetailer"), sources, saved("FaceDetailer", cnr_id="comfyui-impact-pack", ver="8.8.1"))
    assert said == (
        "ComfyUI-Impact-Pack is installed without it: update it to 8.8.1 or later "
        "(comfy node update comfyui-impact-pack), or see in ComfyUI's log why it did not load, and restart ComfyUI."
    )
    commit = saved("FaceDetailer", cnr_id="comfyui-impact-pack", ver="72495e806bc2ab9c")
    assert "update it (comfy node update" in fix(missing_class("FaceDetailer"), sources, commit)


def test_a_class_of_a_newer_comfyui_says_so() -> None:
    older = Sources(comfyui_version="0.3.64")
    problem = missing_class("APG")
    assert fix(problem, older).startswith("This needs a newer ComfyUI: 0.33.0 has it, and this is 0.3.64. Update it")
    told = fix(missing_class("QuiteNew"), older, saved("QuiteNew", cnr_id="comfy-core", ver="0.40.1"))
    assert told.startswith("This needs a newer ComfyUI: the workflow was saved with 0.40.1, and this is 0.3.64.")


@pytest.mark.parametrize("version", ["", "0.33.0", "1.0"])
def test_a_class_of_comfyuis_own_that_should_be_there_points_at_the_log(version: str) -> None:
    assert "see in its log why it did not load" in fix(missing_class("APG"), Sources(comfyui_version=version))


def test_a_partner_node_may_have_been_switched_off() -> None:
    assert "--disable-api-nodes" in fix(missing_class("GeminiNode"), Sources(comfyui_version="0.33.0"))


@pytest.mark.parametrize("classes", [{"CheckpointLoaderSimple"}, ["CheckpointLoaderSimple", "KSampler"]])
def test_a_name_that_people_see_is_told_without_schemas_too(classes: Any) -> None:
    (problem,) = mended([missing_class("LoadCheckpoint")], Sources(classes=classes))
    assert problem.message == "'LoadCheckpoint' is called CheckpointLoaderSimple in workflow files."
    assert problem.fix == "Write CheckpointLoaderSimple as the class_type of node 5."


# ---- models


def test_the_near_one_that_is_installed_comes_first_as_an_alias_to_copy() -> None:
    assert fix(missing_model("harbour.safetensors", near="harbour_v2.safetensors"), Sources(references=PAGE)) == (
        "Use 'harbour_v2.safetensors', which is installed "
        '(models: {"harbour.safetensors": "harbour_v2.safetensors"} in config.yaml), '
        "or download harbour.safetensors from https://example.org/harbour into models/checkpoints/ of ComfyUI."
    )


def test_a_link_to_the_file_itself_stands_alone() -> None:
    said = {
        "nodes": [
            {
                "type": "X",
                "properties": {
                    "models": [
                        {
                            "name": "a.safetensors",
                            "url": "https://example.org/a.safetensors",
                            "directory": "checkpoints",
                        }
                    ]
                },
            }
        ]
    }
    assert fix(missing_model("a.safetensors"), saved=said) == (
        "Download https://example.org/a.safetensors into models/checkpoints/ of ComfyUI."
    )


def test_a_file_of_another_name_is_to_be_renamed() -> None:
    assert fix(missing_model("sub/rain_lora.safetensors", "loras"), Sources(references=PAGE)) == (
        "Download https://example.org/files/rain_v2.safetensors into models/loras/sub/ of ComfyUI, "
        "under the name rain_lora.safetensors."
    )


def test_the_catalogue_knows_the_models_of_comfyuis_templates() -> None:
    assert fix(missing_model("ae.safetensors", "vae")).startswith("Download https://huggingface.co/Comfy-Org/")
    assert fix(missing_model("umt5_xxl_fp8_e4m3fn_scaled.safetensors", "text_encoders")).count("https://") == 2


def test_a_model_of_another_kind_with_the_same_name_is_none() -> None:
    assert fix(missing_model("ae.safetensors", "loras")) == "Put it into models/loras/ of ComfyUI."


def test_the_folder_is_that_of_the_node_and_not_that_of_the_page() -> None:
    page = References.read(b"# H\n- **Download**: https://example.org/h\n- `h.gguf` -> `models/checkpoints/`\n")
    assert "into models/diffusion_models/" in fix(missing_model("h.gguf", "unet_gguf"), Sources(references=page))


def test_both_names_of_an_alias_are_looked_for() -> None:
    problem = missing_model("nobody-knows.safetensors", alias_of="harbour.safetensors")
    assert "https://example.org/harbour" in fix(problem, Sources(references=PAGE))


def test_what_is_known_of_nowhere_is_to_be_put_there() -> None:
    assert fix(missing_model("my-own.safetensors")) == "Put it into models/checkpoints/ of ComfyUI."


def test_many_links_leave_room_for_what_is_to_be_done() -> None:
    rows = b"".join(b"# H%d\n- `x.bin`: https://example.org/%s/%d\n" % (n, b"y" * 250, n) for n in range(9))
    said = fix(missing_model("x.bin", near="z" * 110 + ".bin"), Sources(references=References.read(rows)))
    assert said.count("https://") == 2
    assert len(said) < 1000


# ---- what will be needed then


def later(prompt: dict[str, Any], inventory: Inventory | None = None, sources: Sources = NOTHING) -> list[Problem]:
    problems = validate(prompt, inventory=inventory, schemas=Schemas.read({"SaveImage": {"output_node": True}}))
    models = ModelInputs(schemas=None, inventory=inventory)
    return list(needed_later(prompt, problems, models, sources))


INSTANT = {"1": {"class_type": "InstantIDModelLoader", "inputs": {"instantid_file": "ip-adapter.bin", "x": "y"}}}


def test_the_models_of_a_missing_node_are_said_with_it() -> None:
    page = References.read(b"# F\n- **IP**: https://example.org/f\n  - File: `ip-adapter.bin` -> `models/instantid/`\n")
    (problem,) = later(INSTANT, sources=Sources(references=page))
    assert (problem.code, problem.severity, problem.input) == (LATER, Severity.WARNING, "instantid_file")
    assert problem.message == (
        "InstantIDModelLoader (node 1) needs the model 'ip-adapter.bin', which ComfyUI does not list yet."
    )
    assert problem.fix == "Download ip-adapter.bin from https://example.org/f into models/instantid/ of ComfyUI."


def test_a_model_that_is_listed_anywhere_is_not_said() -> None:
    listed = Inventory.parse(b'{"mode": "online", "models": {"elsewhere": ["ip-adapter.bin"]}}')
    assert later(INSTANT, listed) == []


def test_a_model_that_is_known_to_be_missing_is_said_once() -> None:
    empty = Inventory.parse(b'{"mode": "online", "models": {"instantid": []}}')
    assert later(INSTANT, empty) == []


def test_a_folder_that_is_in_the_name_already_is_not_doubled() -> None:
    page = References.read(b"# Y\n- **Download**: https://example.org/y\n- `f.pt` -> `models/ultralytics/bbox/`\n")
    prompt = {"1": {"class_type": "UltralyticsDetectorProvider", "inputs": {"model_name": "bbox/f.pt"}}}
    (problem,) = later(prompt, sources=Sources(references=page))
    assert problem.fix == "Download f.pt from https://example.org/y into models/ultralytics/bbox/ of ComfyUI."


# ---- of all of them


def test_problems_that_lack_nothing_stay_as_they_are() -> None:
    problems = (sentences.no_outputs(), sentences.no_class("1"))
    assert not lacks_something(problems)
    assert mended(problems, NOTHING) == problems


def test_what_is_lacking_is_not_written_anywhere() -> None:
    problem = missing_model("a.ckpt", near="b.ckpt")
    assert "lacks" not in problem.as_dict()
    assert Problem.from_dict(json.loads(json.dumps(problem.as_dict()))) == problem
    assert Problem.from_dict({**problem.as_dict(), "lacks": {}}) == problem


def test_what_a_server_has_is_taken_from_schemas_and_inventory() -> None:
    schemas = Schemas.read({"A": {"python_module": "custom_nodes.some-pack"}})
    inventory = Inventory.parse(b'{"comfyui_version": "0.3.64", "custom_nodes": ["other-pack"], "node_classes": ["B"]}')
    both = Sources.of(schemas, inventory, references=PAGE)
    assert set(both.installed) == {"some-pack", "other-pack"}
    assert (set(both.classes), both.comfyui_version) == ({"A"}, "0.3.64")
    assert set(Sources.of(None, inventory, references=PAGE).classes) == {"B"}
    assert Sources.of(None, None, references=PAGE) == Sources(references=PAGE, installed=frozenset())


@given(st.text(max_size=200), st.text(max_size=300), st.text(max_size=300))
def test_what_strangers_write_stays_on_one_short_line(name: str, url: str, said_id: str) -> None:
    link = {"name": name, "url": f"https://example.org/{url}", "directory": said_id}
    workflow = saved(name, cnr_id=said_id, aux_id=url, ver=said_id, models=[link])
    for problem in (missing_class(name), missing_model(name, "vae")):
        said = fix(problem, NOTHING, workflow)
        assert "\n" not in said
        assert "\x1b" not in said
        assert len(said) < 1000


# ---- the page on disk


def test_the_page_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "models.md"
    shelf = Shelf(path)
    assert not shelf.has_changed()
    assert shelf.references() == References()
    path.write_bytes(b"# X\n- `x.bin`: https://example.org/x\n")
    assert shelf.has_changed()
    assert shelf.references().of("x.bin", "")
    assert not shelf.has_changed()
    path.unlink()
    assert shelf.references() == References()


def test_a_page_that_cannot_be_read_counts_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "models.md"
    path.mkdir()
    assert Shelf(path).references() == References()
    path.rmdir()
    path.write_bytes(b"x" * (3 * 2**20))
    assert Shelf(path).references() == References()


def test_thousands_of_missing_things_are_not_all_looked_up() -> None:
    models = [missing_model(f"m{n}.safetensors") for n in range(3000)]
    page = References.read(
        b"".join(b"# M%d\n- `m%d.safetensors`: https://example.org/%d\n" % (n, n, n) for n in range(3000))
    )
    found = mended(models, Sources(references=page))
    assert len(found) == 3000
    assert "https://example.org/0" in found[0].fix
    assert found[-1].fix == models[-1].fix


@pytest.mark.parametrize(
    "name", ["a\x1b[31m/b\n/c\r.ckpt", "x/" * 5000 + "y.ckpt", "\ud83d/\u202e.ckpt", "../../etc/x.ckpt"]
)
def test_a_hostile_name_of_a_model_steers_nothing(name: str) -> None:
    page = References.read(b"# X\n- `%s`: https://example.org/x\n" % name.rpartition("/")[2].encode("utf-8", "replace"))
    said = fix(missing_model(name, near="near.ckpt"), Sources(references=page))
    assert len(said) < 1000
    assert said.isprintable()
    assert ".." not in said.replace("../../etc/x.ckpt", "")
