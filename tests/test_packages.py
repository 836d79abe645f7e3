"""Which package has a class: what a Manager says, what a saved workflow says, and what we know ourselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch import core_nodes, shipped
from comfywatch.effects import FindPackages
from comfywatch.inventory import Inventory
from comfywatch.link import Link
from comfywatch.model_links import ModelLink
from comfywatch.package_search import find_packages
from comfywatch.packages import Package, PackageMap, completed, well_known
from comfywatch.server import Server
from comfywatch.versions import is_older, numbers
from comfywatch.wanted import Wanted
from tests.comfy_talk import EMPTY_404, talking
from tests.stub_http import Reply, reply

MANAGER = {
    "https://github.com/one/ComfyUI-Rain": [["RainMaker", "Umbrella"], {"title_aux": "Rain Nodes"}],
    "https://github.com/two/Rain-Fork.git": [["RainMaker"], {"title_aux": "Rain Fork"}],
    "comfyui-snow": [["SnowMaker"], {"title_aux": "ComfyUI-Snow", "nodename_pattern": " \\(snow\\)$"}],
}

anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=30,
)


def names(packages: tuple[Package, ...]) -> list[str]:
    return [package.name for package in packages]


# ---- the Manager's map


def test_every_package_that_has_a_class_is_named() -> None:
    found = PackageMap.of_manager(MANAGER).having("RainMaker")
    assert names(found) == ["Rain Nodes", "Rain Fork"]
    assert [package.repository for package in found] == [
        "https://github.com/one/ComfyUI-Rain",
        "https://github.com/two/Rain-Fork",
    ]


def test_a_key_is_an_address_or_an_id() -> None:
    known = PackageMap.of_manager(MANAGER)
    assert known.having("SnowMaker") == (Package(name="ComfyUI-Snow", id="comfyui-snow"),)
    assert known.having("Umbrella")[0].id == ""


def test_a_pattern_of_names_counts_where_no_name_does() -> None:
    assert names(PackageMap.of_manager(MANAGER).having("Flakes (snow)")) == ["ComfyUI-Snow"]
    assert PackageMap.of_manager(MANAGER).having("Flakes") == ()


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a*)*", "[", "(", "a{1000}{1000}", "x" * 300, 7, None])
def test_a_pattern_that_is_none_or_could_take_for_ever_is_not_tried(pattern: Any) -> None:
    assert PackageMap.of_manager({"x": [[], {"nodename_pattern": pattern}]}).having("a" * 100_000 + "b") == ()


@given(anything)
def test_a_map_of_any_shape_is_read_as_far_as_it_goes(mappings: Any) -> None:
    for package in PackageMap.of_manager(mappings).having("x"):
        assert package.name.isprintable()


def test_hostile_names_become_short_single_lines() -> None:
    (package,) = PackageMap.of_manager({"x; rm -rf /": [["A"], {"title_aux": "evil\n\x1b[31m" + "z" * 9999}]}).having(
        "A"
    )
    assert package.id == ""
    assert package.name.isprintable()
    assert len(package.name) <= 100


# ---- our own


@pytest.mark.parametrize(
    ("class_type", "package"),
    [
        ("ApplyInstantID", "ComfyUI_InstantID"),
        ("IPAdapter", "ComfyUI_IPAdapter_plus"),
        ("IPAdapterUnifiedLoaderFaceID", "ComfyUI_IPAdapter_plus"),
        ("FaceDetailer", "ComfyUI-Impact-Pack"),
        ("UltralyticsDetectorProvider", "ComfyUI-Impact-Subpack"),
        ("ReActorFaceSwap", "ComfyUI-ReActor"),
        ("AnimateDiffLoaderWithContext", "ComfyUI-AnimateDiff-Evolved"),
        ("ADE_AnimateDiffLoaderGen1", "ComfyUI-AnimateDiff-Evolved"),
        ("VHS_VideoCombine", "ComfyUI-VideoHelperSuite"),
        ("UltimateSDUpscaleNoUpscale", "ComfyUI_UltimateSDUpscale"),
        ("RIFE VFI", "ComfyUI-Frame-Interpolation"),
        ("UnetLoaderGGUF", "ComfyUI-GGUF"),
        ("Power Lora Loader (rgthree)", "rgthree-comfy"),
        ("CR Prompt Text", "ComfyUI_Comfyroll_CustomNodes"),
        ("DWPreprocessor", "comfyui_controlnet_aux"),
        ("easy fullLoader", "ComfyUI-Easy-Use"),
        ("ImageResize+", "ComfyUI_essentials"),
        ("ImageResizeKJv2", "ComfyUI-KJNodes"),
        ("Florence2Run", "ComfyUI-Florence2"),
        ("WanVideoSampler", "ComfyUI-WanVideoWrapper"),
        ("KSampler (Efficient)", "efficiency-nodes-comfyui"),
        ("GlobalSeed //Inspire", "ComfyUI-Inspire-Pack"),
        ("GroundingDinoSAMSegment (segment anything)", "comfyui_segment_anything"),
        ("WD14Tagger|pysssss", "ComfyUI-WD14-Tagger"),
        ("ShowText|pysssss", "ComfyUI-Custom-Scripts"),
    ],
)
def test_the_best_known_packages_are_known(class_type: str, package: str) -> None:
    assert names(well_known().having(class_type)) == [package]


def test_a_class_that_several_have_names_all() -> None:
    assert names(well_known().having("ApplyPulidFlux")) == ["ComfyUI-PuLID-Flux", "ComfyUI_PuLID_Flux_ll"]


def test_no_package_claims_a_class_of_comfyuis_own() -> None:
    claimed = {form for row in shipped.load("packages.json")["packages"] for form in row["classes"]}
    assert not [form for form in claimed if core_nodes.is_core(form) or core_nodes.is_partner(form)]


def test_the_file_of_packages_is_in_order_and_plain() -> None:
    rows = shipped.load("packages.json")["packages"]
    assert [row["name"] for row in rows] == sorted((row["name"] for row in rows), key=str.casefold)
    for row in rows:
        assert row.keys() - {"id"} == {"name", "repository", "classes"}
        assert row["repository"] == f"https://github.com/{row['repository'].split('/')[3]}/{row['name']}"
        assert row["classes"] == sorted(set(row["classes"]))
        assert all("*" not in form[1:-1] and form.count("*") <= 1 for form in row["classes"])


# ---- the saved workflow


def node(class_type: str, **properties: Any) -> dict[str, Any]:
    return {"id": 1, "type": class_type, "properties": {"Node name for S&R": class_type, **properties}}


def test_a_saved_workflow_says_the_package_of_each_class() -> None:
    wanted = Wanted.of(
        {
            "nodes": [
                node("FaceDetailer", cnr_id="comfyui-impact-pack", ver="8.8.1"),
                node("Rain", aux_id="one/ComfyUI-Rain", ver="72495e806bc2ab9c"),
                node("KSampler", cnr_id="comfy-core", ver="0.3.64"),
            ]
        }
    )
    assert wanted.packages == {
        "FaceDetailer": Package(name="comfyui-impact-pack", id="comfyui-impact-pack", version="8.8.1"),
        "Rain": Package(
            name="ComfyUI-Rain", repository="https://github.com/one/ComfyUI-Rain", version="72495e806bc2ab9c"
        ),
    }
    assert wanted.core == {"KSampler": "0.3.64"}


def test_nodes_in_subgraphs_and_group_nodes_count() -> None:
    inner = node(
        "A", cnr_id="a-pack", models=[{"name": "a.safetensors", "url": "https://example.org/a", "directory": "vae"}]
    )
    saved = {
        "nodes": [{"type": "b1b2-a-subgraph"}],
        "definitions": {"subgraphs": [{"nodes": [inner]}]},
        "extra": {"groupNodes": {"mine": {"nodes": [node("B", cnr_id="b-pack")]}}},
        "models": [
            {"name": "old.ckpt", "url": "https://example.org/old.ckpt?download=true", "directory": "checkpoints"}
        ],
    }
    wanted = Wanted.of(saved)
    assert wanted.packages.keys() == {"A", "B"}
    assert wanted.models.named("old.ckpt") == (
        ModelLink(name="old.ckpt", url="https://example.org/old.ckpt", folder="checkpoints"),
    )
    assert wanted.models.named("A.safetensors") == (
        ModelLink(name="a.safetensors", url="https://example.org/a", folder="vae"),
    )


@given(anything | st.fixed_dictionaries({"nodes": anything, "definitions": anything, "models": anything}))
def test_a_saved_workflow_of_any_shape_is_read_as_far_as_it_goes(saved: Any) -> None:
    Wanted.of(saved)


def test_what_is_known_of_a_package_completes_what_a_workflow_says() -> None:
    said = Package(name="comfyui-impact-pack", id="comfyui-impact-pack", version="8")
    assert completed(said) == Package(
        name="ComfyUI-Impact-Pack",
        id="comfyui-impact-pack",
        repository="https://github.com/ltdrdata/ComfyUI-Impact-Pack",
        version="8",
    )
    of_github = Package(name="x", repository="https://github.com/cubiq/comfyui_instantid")
    assert completed(of_github).id == "comfyui_instantid"
    assert completed(Package(name="nobody's")) == Package(name="nobody's")


@pytest.mark.parametrize("folder", ["ComfyUI-Impact-Pack", "comfyui-impact-pack", "comfyui_impact_pack"])
def test_a_package_is_known_by_its_folder(folder: str) -> None:
    assert Package(name="ComfyUI-Impact-Pack", id="comfyui-impact-pack").is_called(folder)
    assert not Package(name="ComfyUI-Impact-Subpack").is_called(folder)


# ---- ComfyUI's own


def test_comfyuis_own_classes_are_known_with_what_people_see() -> None:
    assert core_nodes.is_core("KSampler")
    assert not core_nodes.is_core("FaceDetailer")
    assert core_nodes.is_partner("GeminiNode")
    assert core_nodes.shown_as("Load Checkpoint") == core_nodes.shown_as("LoadCheckpoint") == "CheckpointLoaderSimple"
    assert core_nodes.shown_as("nothing of the kind") is None


# ---- versions


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [
        ("0.3.64", "0.33.0", True),
        ("0.3.64", "0.3.64", False),
        ("0.3", "0.3.0", False),
        ("v0.3.9", "0.3.10-dev", True),
        ("1.0", "0.9.9", False),
        ("unknown", "0.3.64", False),
        ("0.3.64", "72495e806bc2ab9c41581e15ccaa1bcf83c477e8", False),
        ("0.3.64", "1234567", False),
        ("", "1.0", False),
    ],
)
def test_only_versions_are_compared(one: str, other: str, older: bool) -> None:
    assert is_older(one, other) is older


def test_a_version_is_its_numbers() -> None:
    assert numbers("v0.3.64-dirty") == (0, 3, 64)
    assert numbers("nightly") is None


# ---- asking for the Manager's map


def test_the_servers_own_manager_is_asked_first_by_its_newer_address() -> None:
    with talking() as talk:
        comfy, stub = talk(reply(MANAGER))
        known = find_packages(comfy, None)
    assert known is not None
    assert names(known.having("Umbrella")) == ["Rain Nodes"]
    assert [asked.target for asked in stub.asked] == ["/api/v2/customnode/getmappings?mode=local"]


def test_an_older_manager_is_asked_by_its_older_address() -> None:
    with talking() as talk:
        comfy, stub = talk(EMPTY_404, reply(MANAGER))
        assert comfy.node_mappings() == MANAGER
    assert stub.asked[-1].target == "/api/customnode/getmappings?mode=local"


@pytest.mark.parametrize("folder", ["ComfyUI-Manager", "comfyui-manager"])
def test_without_a_manager_on_the_server_the_map_on_this_machine_is_read(tmp_path: Path, folder: str) -> None:
    place = tmp_path / "custom_nodes" / folder
    place.mkdir(parents=True)
    (place / "extension-node-map.json").write_text(json.dumps(MANAGER))
    with talking() as talk:
        comfy, _ = talk(EMPTY_404, EMPTY_404)
        known = find_packages(comfy, str(tmp_path))
    assert known is not None
    assert names(known.having("SnowMaker")) == ["ComfyUI-Snow"]


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"a": 7}', b"[" * 100_000])
def test_a_map_that_is_none_names_nothing(tmp_path: Path, content: bytes | None) -> None:
    place = tmp_path / "custom_nodes" / "ComfyUI-Manager"
    place.mkdir(parents=True)
    if content is not None:
        (place / "extension-node-map.json").write_bytes(content)
    known = find_packages(None, str(tmp_path))
    assert known is None or known.having("A") == ()
    assert find_packages(None, None) is None


@pytest.mark.parametrize(
    "answer", [Reply(status=500, body=b"{}"), reply([]), Reply(status=None), Reply(body=b"<html>")]
)
def test_a_manager_that_fails_is_none(answer: Reply) -> None:
    with talking() as talk:
        comfy, _ = talk(answer, answer)
        assert find_packages(comfy, None) is None


# ---- when it is asked


def answering() -> Link:
    return Link(url="http://127.0.0.1:1", poll_seconds=5, life=1).answered(now=1)


def refusing() -> Link:
    return Link(url="http://127.0.0.1:1", poll_seconds=5, life=1).refused("refused", now=1, speaks_for_restart=True)


def test_nobody_is_asked_while_no_class_is_missing() -> None:
    assert Server(link=answering()).find_packages() is None


def test_a_server_is_asked_once_until_it_says_anew_what_it_has() -> None:
    server = Server(
        link=answering(), wants_packages=True, inventory=Inventory.parse(b'{"comfyui_path": "/opt/ComfyUI"}')
    )
    assert server.find_packages() == FindPackages(url=server.url, answers=True, comfyui_path="/opt/ComfyUI")
    assert server.find_packages() is None
    server.refreshed(None, now=2)
    assert server.find_packages() is None
    server.wants_packages = True
    assert server.find_packages() is not None


def test_while_it_is_down_this_machine_is_asked_and_it_later() -> None:
    server = Server(link=refusing(), wants_packages=True)
    assert server.find_packages() == FindPackages(url=server.url, answers=False, comfyui_path=None)
    assert server.find_packages() is None
    server.link = answering()
    assert server.find_packages() == FindPackages(url=server.url, answers=True, comfyui_path=None)
    server.link = refusing()
    assert server.find_packages() is None
