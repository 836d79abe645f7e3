"""The inventory: what others write is read, what they need is kept, and nothing is denied that is not known."""

from __future__ import annotations

import codecs
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfywatch.inventory import ClassesFrom, Inventory, Known, Mode, NotAnInventory, merge

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
STATS = Path(__file__).parent / "recordings" / "comfyui-0.33.0" / "system_stats.json"


def inventory(**plain: Any) -> Inventory:
    return Inventory.parse(json.dumps(plain).encode())


def online(**models: list[str] | None) -> Inventory:
    return Inventory.online({}, ["KSampler"], models, AT)


def device(name: str, vram: int = 0) -> dict[str, Any]:
    return {"devices": [{"name": name, "vram_total": vram, "vram_free": vram // 2}]}


# ---- reading what others wrote


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_every_encoding_that_tools_write_is_read(encoding: str) -> None:
    text = json.dumps({"models": {"loras": ["ünï.safetensors"]}}, ensure_ascii=False)
    assert Inventory.parse(text.encode(encoding)).models == {"loras": ("ünï.safetensors",)}


def test_a_lone_text_is_a_list_of_one_and_null_is_not_known() -> None:
    found = inventory(models={"loras": "a.safetensors", "vae": None, "odd": 5}, custom_nodes="Impact-Pack")
    assert found.models == {"loras": ("a.safetensors",), "vae": None, "odd": None}
    assert found.custom_nodes == ("Impact-Pack",)
    assert found.node_classes is None


def test_missing_keys_are_not_known() -> None:
    found = Inventory.parse(b"{}")
    assert (found.mode, found.last_updated, found.comfyui_version, found.custom_nodes) == (None, None, None, None)
    assert found.models == {}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2025-10-20T12:34:56.1234567Z", datetime(2025, 10, 20, 12, 34, 56, 123456, tzinfo=UTC)),
        ("2025-10-20T14:34:56.1234567+02:00", datetime(2025, 10, 20, 12, 34, 56, 123456, tzinfo=UTC)),
        ("2025-10-20 12:34:56", datetime(2025, 10, 20, 12, 34, 56, tzinfo=UTC)),
        ("0001-01-01T00:00:00+05:00", None),
        ("yesterday", None),
        (17, None),
    ],
)
def test_dates_are_read_as_tools_write_them(written: Any, meant: datetime | None) -> None:
    assert inventory(last_updated=written).last_updated == meant


def test_an_unknown_version_is_none() -> None:
    assert inventory(comfyui_version="unknown").comfyui_version is None
    assert inventory(comfyui_version="0.3.64").comfyui_version == "0.3.64"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"5", b"\xff\xfe\xfd", b"[" * 100_000])
def test_what_is_no_object_is_no_inventory(data: bytes) -> None:
    with pytest.raises(NotAnInventory):
        Inventory.parse(data)


def test_what_is_not_understood_is_kept_in_the_file() -> None:
    plain = {"mode": "offline", "comfyui_version": "unknown", "last_updated": "soon", "theirs": {"a": [1]}}
    written = json.loads(inventory(**plain).dump())
    assert {key: written[key] for key in plain} == plain


def test_the_file_has_all_keys_in_order_and_two_blanks_of_indent() -> None:
    data = inventory(theirs=1, models={"loras": ["ü.pt"]}).dump()
    assert data.startswith(b'{\n  "last_updated": null,\n  "mode": null,')
    assert "ü.pt".encode() in data
    assert list(json.loads(data))[-3:] == ["custom_nodes", "node_classes", "theirs"]


def test_a_name_with_half_a_surrogate_is_written_and_read_back() -> None:
    found = Inventory.parse(rb'{"models": {"loras": ["\ud800.pt"]}}')
    assert Inventory.parse(found.dump()).models == {"loras": ("\ud800.pt",)}


# ---- what a model is known to be


def test_an_online_list_denies_what_it_does_not_name() -> None:
    found = online(loras=["a.safetensors"])
    assert found.known("loras", "a.safetensors") is Known.YES
    assert found.known("loras", "A.safetensors") is Known.NO


@pytest.mark.parametrize("mode", ["offline", "Offline", None, "odd"])
def test_any_other_list_confirms_and_denies_nothing(mode: str | None) -> None:
    found = inventory(mode=mode, models={"loras": ["a.safetensors"]})
    assert found.known("loras", "a.safetensors") is Known.YES
    assert found.known("loras", "b.safetensors") is Known.UNKNOWN


def test_a_folder_that_is_absent_or_null_denies_nothing() -> None:
    found = online(vae=None)
    assert found.known("vae", "a.safetensors") is Known.UNKNOWN
    assert found.known("loras", "a.safetensors") is Known.UNKNOWN


def test_old_folder_names_stand_for_new_ones_and_the_other_way_round() -> None:
    old = inventory(models={"clip": ["c.pt"], "unet": ["u.pt"]})
    assert old.known("text_encoders", "c.pt") is Known.YES
    assert old.known("diffusion_models", "u.pt") is Known.YES
    new = inventory(models={"text_encoders": ["c.pt"], "diffusion_models": ["u.pt"]})
    assert new.known("clip", "c.pt") is Known.YES
    assert new.known("unet", "u.pt") is Known.YES


@pytest.mark.parametrize(
    ("listed", "folder", "name"),
    [
        ("facerestore", "facerestore_models", "m.pth"),
        ("facerestore_models", "facerestore", "m.pth"),
        ("animatediff_motion", "animatediff_models", "m.pth"),
        ("detection", "ultralytics", "bbox/m.pth"),
        ("detection", "ultralytics_bbox", "m.pth"),
        ("ultralytics/bbox", "ultralytics", "bbox\\m.pth"),
        ("ultralytics_segm", "ultralytics", "segm/m.pth"),
    ],
)
def test_folders_under_other_tools_own_names_confirm_too(listed: str, folder: str, name: str) -> None:
    theirs = inventory(mode="offline", models={listed: ["m.pth"]})
    assert theirs.known(folder, name) is Known.YES
    assert theirs.known(folder, "other.pth") is Known.UNKNOWN
    beside_the_servers = merge(theirs, online(**{folder: []}))
    assert beside_the_servers.known(folder, name) is Known.NO


def test_a_servers_own_detection_is_no_ultralytics() -> None:
    assert online(detection=["m.pth"]).known("ultralytics", "bbox/m.pth") is Known.UNKNOWN


def test_classes_that_were_read_from_sources_are_marked_until_the_server_names_them() -> None:
    read = inventory(mode="offline", node_classes=["A"], node_classes_from="sources")
    assert read.classes_from is ClassesFrom.SOURCES
    assert json.loads(read.dump())["node_classes_from"] == "sources"
    assert merge(read, online()).classes_from is None
    odd = inventory(node_classes_from={"somehow": 1})
    assert json.loads(odd.dump())["node_classes_from"] == {"somehow": 1}


def test_a_gpu_that_another_tool_wrote_as_torch_calls_it_has_its_name() -> None:
    found = inventory(system={"gpu": "cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync", "ram": 64})
    assert found.system == {"gpu": "NVIDIA GeForce RTX 4090", "ram": 64}


def test_a_name_matches_with_either_separator_and_keeps_the_servers() -> None:
    windows = online(loras=["style\\a.safetensors"])
    assert windows.known("loras", "style/a.safetensors") is Known.YES
    assert windows.spelling("loras", "style/a.safetensors") == "style\\a.safetensors"
    assert windows.spelling("loras", "style\\a.safetensors") == "style\\a.safetensors"
    assert windows.spelling("loras", "Style/a.safetensors") is None


# ---- what the server answers


def test_an_online_inventory_says_what_the_server_said() -> None:
    stats = json.loads(STATS.read_text(encoding="utf-8"))["response"]["body"]
    found = Inventory.online(stats, {"B": {}, "A": {}}, {"vae": ["ae.safetensors"]}, AT, packages={"pack"})
    assert json.loads(found.dump()) == {
        "last_updated": "2026-11-23T12:00:00Z",
        "mode": "online",
        "comfyui_version": "0.33.0",
        "comfyui_path": None,
        "system": {"gpu": "cpu", "vram_total_gb": 23.5, "vram_free_gb": 20.3},
        "models": {"vae": ["ae.safetensors"]},
        "custom_nodes": ["pack"],
        "node_classes": ["A", "B"],
    }


@pytest.mark.parametrize(
    ("name", "known_as"),
    [
        ("cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync", "NVIDIA GeForce RTX 4090"),
        ("cuda:1 NVIDIA A100-SXM4-80GB : native", "NVIDIA A100-SXM4-80GB"),
        ("cuda:0 AMD Radeon RX 7900 XTX : native", "AMD Radeon RX 7900 XTX"),
        ("cuda:0 AMD Radeon RX 6800 [ZLUDA] : native", "AMD Radeon RX 6800"),
        ("CUDA 0: NVIDIA GeForce RTX 3060", "NVIDIA GeForce RTX 3060"),
        ("xpu:0 Intel(R) Arc(TM) A770", "Intel(R) Arc(TM) A770"),
        ("npu:0 Ascend910B", "Ascend910B"),
        ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090"),
        ("privateuseone:0", "DirectML GPU"),
        ("cuda:0", "CUDA GPU"),
        ("xpu:0", "Intel GPU"),
        ("mps", "Apple GPU"),
        ("cpu", "cpu"),
    ],
)
def test_a_gpu_has_the_name_that_people_know(name: str, known_as: str) -> None:
    system = Inventory.online(device(name, 24 * 1024**3), [], {}, AT).system
    assert system == {"gpu": known_as, "vram_total_gb": 24.0, "vram_free_gb": 12.0}


def test_folders_without_models_are_left_out_and_old_names_are_mirrored() -> None:
    models: dict[str, list[str] | None] = {"text_encoders": ["c.pt"], "diffusion_models": None}
    found = online(**models, custom_nodes=["x/__init__.py"], configs=[], datasets=[])
    assert found.models == {
        "text_encoders": ("c.pt",),
        "clip": ("c.pt",),
        "diffusion_models": None,
        "unet": None,
    }


@pytest.mark.parametrize("stats", [{}, {"system": None, "devices": None}, {"system": [], "devices": [5]}])
def test_odd_statistics_leave_the_system_unknown(stats: dict[str, Any]) -> None:
    assert Inventory.online(stats, [], {}, AT).system == {}


# ---- merging


def test_merging_keeps_what_the_server_cannot_know() -> None:
    old = inventory(comfyui_path="/x", custom_nodes=["Theirs"], theirs=1, system={"gpu": "old", "note": "n"})
    new = Inventory.online(device("cpu"), ["KSampler"], {"vae": []}, AT, packages=["Ours"])
    both = merge(old, new)
    assert (both.comfyui_path, both.extra, both.mode) == ("/x", {"theirs": 1}, Mode.ONLINE)
    assert both.custom_nodes == ("Theirs", "Ours")
    assert both.system["gpu"] == "cpu"
    assert both.system["note"] == "n"
    assert merge(None, new) is new


def test_a_list_that_the_server_answered_replaces_the_old_one() -> None:
    both = merge(inventory(mode="offline", models={"loras": ["a.pt"]}), online(loras=["b.pt"]))
    assert both.models == {"loras": ("b.pt",)}
    assert both.known("loras", "a.pt") is Known.NO


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_list_that_the_server_did_not_answer_is_kept_and_denies_nothing(mode: str) -> None:
    old = inventory(mode=mode, models={"animatediff_motion": ["mm.ckpt"], "loras": ["a.pt"]})
    both = Inventory.parse(merge(old, online(loras=None, vae=[])).dump())
    for folder, name in (("animatediff_motion", "mm.ckpt"), ("loras", "a.pt")):
        assert both.known(folder, name) is Known.YES
        assert both.known(folder, "other.pt") is Known.UNKNOWN
    assert both.known("vae", "other.pt") is Known.NO


def test_one_folder_can_be_asked_again() -> None:
    both = merge(inventory(models={"clip": ["old.pt"], "text_encoders": ["old.pt"]}), online(text_encoders=None))
    assert both.known("clip", "new.pt") is Known.UNKNOWN
    again = both.with_folder("text_encoders", ["new.pt"])
    assert again.known("clip", "new.pt") is Known.YES
    assert again.known("text_encoders", "old.pt") is Known.NO


# ---- time and change


@pytest.mark.parametrize(("age", "fresh"), [(0, True), (3599, True), (3600, False), (-1, False)])
def test_an_hour_is_fresh_and_the_future_is_not(age: int, fresh: bool) -> None:
    assert online().is_fresh(AT + timedelta(seconds=age)) is fresh
    assert not Inventory().is_fresh(AT)


def test_the_fingerprint_changes_with_what_is_installed_only() -> None:
    one = Inventory.online(device("cpu", 8), ["A"], {"loras": ["a", "b"]}, AT)
    same = Inventory.online(device("cpu", 4), ["A"], {"loras": ["b", "a"]}, AT + timedelta(hours=1))
    assert one.fingerprint == same.fingerprint
    assert one.fingerprint != one.with_folder("loras", ["a"]).fingerprint
    assert one.fingerprint != Inventory.online({}, ["B"], {"loras": ["a", "b"]}, AT).fingerprint


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
keys = st.sampled_from(
    (
        *("last_updated", "mode", "comfyui_version", "comfyui_path", "system", "models", "custom_nodes"),
        *("node_classes", "unconfirmed_folders", "theirs"),
    )
)


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(keys, any_json))
def test_whatever_is_in_the_file_is_read_and_written_back(plain: dict[str, Any]) -> None:
    once = Inventory.parse(json.dumps(plain).encode())
    assert Inventory.parse(once.dump()) == once
    assert merge(once, online(loras=["a"])).known("loras", "b") is Known.NO
    assert once.fingerprint


def test_a_byte_order_mark_is_not_written() -> None:
    assert not inventory().dump().startswith(codecs.BOM_UTF8)
