"""The scan of a ComfyUI folder: the models, folders and version that its files tell of, and what cannot be read."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from comfywatch.inventory import Inventory, Known, Mode, merge
from comfywatch.scan.extra_paths import NotRead, extra_folders
from comfywatch.scan.installation import NoComfyUI, Scanned, over, scan
from comfywatch.scan.models import models_below

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
posix_names = pytest.mark.skipif(os.sep != "/", reason="names are spelled with the system's separator")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A ComfyUI without models."""
    root = tmp_path / "ComfyUI"
    for folder in ("models", "custom_nodes", "output"):
        (root / folder).mkdir(parents=True)
    (root / "main.py").touch()
    (root / "nodes.py").write_text("class A: pass\nNODE_CLASS_MAPPINGS = {'KSampler': A}\n", encoding="utf-8")
    (root / "comfyui_version.py").write_text('# generated\n__version__ = "0.3.64"\n', encoding="utf-8")
    return root


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def scanned(root: Path) -> Scanned:
    return scan(root, at=AT)


# ---- which files are models


@posix_names
def test_the_endings_that_comfyui_takes_are_taken(root: Path) -> None:
    taken = ["a.BIN", "a.ckpt", "a.pkl", "a.pt", "a.pt2", "a.pth", "a.safetensors", "a.sft", "deep/er/b.Safetensors"]
    others = ["a.gguf", "a.onnx", "a.txt", "a.safetensors.part", "noext", ".git/c.pt", "put_models_here"]
    put(root, *(f"models/checkpoints/{name}" for name in (*taken, *others, ".hidden.pt")))
    assert scanned(root).inventory.models["checkpoints"] == tuple(sorted([*taken, ".hidden.pt"]))


@posix_names
def test_a_folder_that_a_package_looks_after_has_what_may_be_a_model(root: Path) -> None:
    put(root, *(f"models/ipadapter/{name}" for name in ("a.bin", "b.onnx", "c.gguf", "sub/d.engine", "README.md", "x")))
    assert scanned(root).inventory.models["ipadapter"] == ("a.bin", "b.onnx", "c.gguf", "sub/d.engine")


def test_older_folders_count_for_what_they_are_called_now(root: Path) -> None:
    put(root, "models/clip/c.pt", "models/text_encoders/t.pt", "models/unet/u.pt", "models/t2i_adapter/t2i.pth")
    put(root, "models/configs/v1.yaml", "models/classifiers/nsfw", "output/loras/mine.safetensors", "output/clip/o.pt")
    models = scanned(root).inventory.models
    assert models["text_encoders"] == models["clip"] == ("c.pt", "o.pt", "t.pt")
    assert models["diffusion_models"] == models["unet"] == ("u.pt",)
    assert models["controlnet"] == ("t2i.pth",)
    assert models["loras"] == ("mine.safetensors",)
    assert models["classifiers"] == ("nsfw",)
    assert "configs" not in models


@links
def test_links_are_followed_and_circles_are_not(root: Path) -> None:
    put(root, "models/loras/a.pt")
    folder = root / "models" / "loras"
    elsewhere = root.parent / "disk"
    put(elsewhere, "b.pt", "c/d.pt")
    (folder / "more").symlink_to(elsewhere)
    (folder / "circle").symlink_to(folder)
    (elsewhere / "back").symlink_to(folder)
    (folder / "nowhere.pt").symlink_to("gone.pt")
    (folder / "same.pt").symlink_to("a.pt")
    found = scanned(root)
    assert found.inventory.models["loras"] == ("a.pt", "more/b.pt", "more/c/d.pt", "same.pt")
    assert found.notices == (f"{folder / 'nowhere.pt'} leads nowhere, or is no file",)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_not_known_and_stops_nothing(root: Path) -> None:
    put(root, "models/loras/a.pt", "models/vae/shut/b.pt", "models/vae/c.pt")
    (root / "models" / "loras").chmod(0)
    (root / "models" / "vae" / "shut").chmod(0)
    try:
        found = scanned(root)
    finally:
        (root / "models" / "loras").chmod(0o755)
        (root / "models" / "vae" / "shut").chmod(0o755)
    assert found.inventory.models["loras"] is None
    assert found.inventory.models["vae"] == ("c.pt",)
    assert len(found.notices) == 2


# ---- extra_model_paths.yaml


EXTRA = """
comfyui:
    base_path: {base}
    is_default: true
    checkpoints: models/checkpoints/
    clip: |
        a/clip
        b/clip
    unet: rel/unet
    ultra_thing: things
    custom_nodes: nodes
other:
    loras: beside/loras
    facerestore_models: $NOT_EXPANDED/fr
    gone: not/there
empty:
"""


@posix_names
def test_folders_elsewhere_are_taken_as_comfyui_takes_them(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WHICH", "disk")
    put(
        tmp_path / "disk", "models/checkpoints/a.pt", "a/clip/a.pt", "b/clip/b.pt", "rel/unet/u.pt", "things/x.anything"
    )
    put(root, "beside/loras/l.pt", "$NOT_EXPANDED/fr/f.pth", "models/checkpoints/own.pt")
    put(tmp_path / "disk", "nodes/pack/__init__.py")
    (tmp_path / "disk/nodes/pack/__init__.py").write_text("NODE_CLASS_MAPPINGS = {'Far': object}", encoding="utf-8")
    (root / "extra_model_paths.yaml").write_text(EXTRA.format(base="~/$WHICH"), encoding="utf-8")
    found = scanned(root)
    models = found.inventory.models
    assert models["checkpoints"] == ("a.pt", "own.pt")
    assert models["text_encoders"] == ("a.pt", "b.pt")
    assert models["diffusion_models"] == ("u.pt",)
    assert models["loras"] == ("l.pt",)
    assert models["facerestore_models"] == ("f.pth",)
    assert models["ultra_thing"] == ("x.anything",)
    assert found.inventory.node_classes == frozenset({"KSampler", "Far"})
    assert found.inventory.custom_nodes == ("pack",)
    assert found.notices == (f"{root / 'not/there'}, which is named for gone, is not there",)


def test_a_relative_base_counts_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "extra_model_paths.yaml"
    file.write_text("a:\n  base_path: ../x\n  is_default: false\n  loras: l\n", encoding="utf-8")
    [folder] = extra_folders(file)
    assert (folder.folder, folder.path, folder.first) == ("loras", tmp_path.parent / "x" / "l", False)


@pytest.mark.parametrize("text", ["- a\n", "a: [", "just words", "\x00"])
def test_a_file_that_cannot_be_read_is_said_and_the_rest_is_scanned(text: str, root: Path) -> None:
    (root / "extra_model_paths.yaml").write_text(text, encoding="utf-8")
    put(root, "models/loras/a.pt")
    found = scanned(root)
    assert found.inventory.models["loras"] == ("a.pt",)
    assert len(found.notices) == 1
    assert "extra_model_paths.yaml" in found.notices[0]
    with pytest.raises(NotRead):
        extra_folders(root / "extra_model_paths.yaml")


def test_sections_that_are_none_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "extra_model_paths.yaml"
    file.write_text("a:\nb: 5\nc:\n  loras: [x]\n  vae: 7\n  5: x\n", encoding="utf-8")
    assert extra_folders(file) == ()
    file.write_text("# all of it is a comment\n", encoding="utf-8")
    assert extra_folders(file) == ()


# ---- the installation


def test_a_scan_says_where_when_and_how_it_looked(root: Path) -> None:
    found = scanned(root).inventory
    assert (found.last_updated, found.mode, found.comfyui_version) == (AT, Mode.OFFLINE, "0.3.64")
    assert found.comfyui_path == str(root)
    assert json.loads(found.dump())["node_classes_from"] == "sources"
    assert Inventory.parse(found.dump()) == found


def test_the_version_is_found_in_the_project_too(root: Path) -> None:
    (root / "comfyui_version.py").unlink()
    assert scanned(root).inventory.comfyui_version is None
    (root / "pyproject.toml").write_text('[project]\nname = "ComfyUI"\nversion = "0.2.3"\n', encoding="utf-8")
    assert scanned(root).inventory.comfyui_version == "0.2.3"
    (root / "pyproject.toml").write_text("[project", encoding="utf-8")
    assert scanned(root).inventory.comfyui_version is None


def test_a_folder_that_has_comfyui_in_it_will_do(root: Path) -> None:
    assert scanned(root.parent).inventory.comfyui_path == str(root)
    portable = root.parent.parent / f"{root.parent.name}_portable"
    portable.mkdir()
    root.rename(portable / "ComfyUI")
    assert scanned(portable).inventory.comfyui_path == str(portable / "ComfyUI")


def test_what_is_no_comfyui_is_said(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoComfyUI, match="There is no ComfyUI"):
        scanned(tmp_path / "empty")
    with pytest.raises(NoComfyUI, match="is not there"):
        scanned(tmp_path / "gone")
    put(tmp_path, "Second/main.py", "Second/nodes.py")
    with pytest.raises(NoComfyUI, match="more than one"):
        scanned(tmp_path)


def test_a_folder_beside_the_sources_is_scanned_without_them(tmp_path: Path) -> None:
    put(tmp_path, "models/loras/a.pt", "custom_nodes/x.py")
    found = scanned(tmp_path)
    assert found.inventory.models["loras"] == ("a.pt",)
    assert (found.inventory.node_classes, found.inventory.custom_nodes, found.notices) == (None, ("x",), ())


# ---- what becomes of it


def test_a_scan_confirms_and_denies_nothing(root: Path) -> None:
    put(root, "models/loras/a.pt")
    found = scanned(root).inventory
    assert found.known("loras", "a.pt") is Known.YES
    assert found.known("loras", "b.pt") is Known.UNKNOWN
    assert found.known("vae", "a.pt") is Known.UNKNOWN


def test_a_scan_keeps_what_it_cannot_know(root: Path) -> None:
    put(root, "models/loras/new.pt")
    old = Inventory.parse(
        json.dumps(
            {
                "mode": "online",
                "system": {"gpu": "RTX"},
                "models": {"loras": ["gone.pt"], "theirs": ["t.pt"]},
                "custom_nodes": ["gone"],
                "node_classes": ["Gone"],
                "of_another_tool": 1,
            }
        ).encode()
    )
    both = over(old, scanned(root).inventory)
    assert both.models == {"loras": ("new.pt",), "theirs": ("t.pt",)}
    assert (both.system, both.extra, both.mode) == ({"gpu": "RTX"}, {"of_another_tool": 1}, Mode.OFFLINE)
    assert (both.custom_nodes, both.node_classes) == ((), frozenset({"KSampler"}))
    assert over(None, both) is both


def test_what_the_server_says_later_is_stronger(root: Path) -> None:
    put(root, "models/loras/a.pt", "models/ipadapter/i.pt")
    server = Inventory.online({}, ["KSampler", "Late"], {"loras": ["b.pt"]}, AT)
    both = merge(scanned(root).inventory, server)
    assert both.known("loras", "a.pt") is Known.NO
    assert both.known("ipadapter", "i.pt") is Known.YES
    assert both.known("ipadapter", "j.pt") is Known.UNKNOWN
    assert (both.comfyui_path, both.node_classes) == (str(root), frozenset({"KSampler", "Late"}))
    assert "node_classes_from" not in json.loads(both.dump())


def test_more_files_than_anybody_has_are_cut_off(root: Path) -> None:
    put(root, *(f"models/loras/{number}.pt" for number in range(5)))
    found = models_below(root, (), most=3)
    assert len(found.models["loras"] or ()) == 3
    assert "more than 3 files" in found.notices[0]
