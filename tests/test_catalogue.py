"""The data files that come with comfywatch: their shape, where they are from, and that they can be made again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from comfywatch import model_links, shipped
from comfywatch.urls import shown_link

ROOT = Path(__file__).parent.parent
DATA = ROOT / "comfywatch" / "data"
SCRIPTS = ROOT / "scripts"
URL = "https://example.org/files/"


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def wheel(path: Path, *workflows: Any, licence: str = "MIT") -> Path:
    """A package of templates, as small as can be."""
    metadata = f"Metadata-Version: 2.4\nName: some-templates\nVersion: 1.2\nLicense-Expression: {licence}\n"
    with zipfile.ZipFile(path, "w") as archive:
        for number, workflow in enumerate(workflows):
            archive.writestr(zipfile.ZipInfo(f"templates/{number}.json", (2026, 1, 2, 3, 4, 6)), json.dumps(workflow))
        archive.writestr(zipfile.ZipInfo("some_templates-1.2.dist-info/METADATA", (2026, 1, 1, 0, 0, 0)), metadata)
    return path


def node(**model: Any) -> dict[str, Any]:
    return {"properties": {"models": [model]}}


def model(name: str = "a.safetensors", url: str = f"{URL}a.safetensors", directory: str = "vae") -> dict[str, Any]:
    return node(name=name, url=url, directory=directory)


# ---- what is shipped


def test_the_catalogue_says_where_it_is_from_and_how_it_is_made() -> None:
    told = shipped.load("models.json")
    assert (SCRIPTS / Path(told["made_by"]).name).is_file()
    for source in told["sources"]:
        assert source.keys() == {"package", "version", "licence", "date"}
        assert source["licence"] == "MIT"
        assert date.fromisoformat(source["date"]) > date(2026, 1, 1)


def test_the_catalogue_is_in_order_and_names_each_model_once() -> None:
    rows = shipped.load("models.json")["models"]
    places = [(row["name"].casefold(), row["name"], row["folder"]) for row in rows]
    assert places == sorted(set(places))
    assert len(rows) > 300


def test_every_link_of_the_catalogue_can_be_shown() -> None:
    for row in shipped.load("models.json")["models"]:
        assert row.keys() == {"name", "folder", "urls"}
        assert row["urls"]
        for url in row["urls"]:
            assert url.startswith("https://")
            assert shown_link(url) == url
        assert model_links.catalogue().of(row["name"], row["folder"])


def test_every_data_file_is_plain_json_with_a_word_on_what_it_is() -> None:
    files = sorted(DATA.glob("*.json"))
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert text.endswith("}\n")
        assert json.loads(text)["about"]


# ---- how it is made


def test_the_same_packages_give_the_same_bytes(tmp_path: Path) -> None:
    deep = {"definitions": {"subgraphs": [{"nodes": [model("b.safetensors", f"{URL}b.safetensors?download=true")]}]}}
    one = wheel(tmp_path / "one.whl", {"nodes": [model()]}, deep, [model(url=f"{URL}other/a.safetensors")], [model()])
    made = [tmp_path / f"{number}.json" for number in range(2)]
    for target in made:
        assert run("build_model_catalogue.py", one, "--output", target).returncode == 0
    assert made[0].read_bytes() == made[1].read_bytes()
    told = json.loads(made[0].read_bytes())
    assert told["sources"] == [
        {"package": "some-templates", "version": "1.2", "licence": "MIT", "date": "2026-01-02"},
    ]
    assert told["models"] == [
        {"name": "a.safetensors", "folder": "vae", "urls": [f"{URL}a.safetensors", f"{URL}other/a.safetensors"]},
        {"name": "b.safetensors", "folder": "vae", "urls": [f"{URL}b.safetensors"]},
    ]


@pytest.mark.parametrize(
    "bad",
    [
        model(url="http://example.org/a"),
        model(url="https://example.org/a b"),
        model(directory="../etc"),
        model(directory="/etc"),
        model(name=""),
        node(name=1, url=2, directory=3),
        {"properties": {"models": {"a": 1}}},
        {"properties": []},
    ],
)
def test_what_is_no_safe_entry_is_left_out(tmp_path: Path, bad: Any) -> None:
    target = tmp_path / "models.json"
    made = run("build_model_catalogue.py", wheel(tmp_path / "x.whl", [bad, model()]), "--output", target)
    assert made.returncode == 0, made.stderr
    assert [row["name"] for row in json.loads(target.read_bytes())["models"]] == ["a.safetensors"]


def test_a_package_that_may_not_be_passed_on_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "models.json"
    source = wheel(tmp_path / "x.whl", [model()], licence="GPL-3.0-only")
    made = run("build_model_catalogue.py", source, "--output", target)
    assert made.returncode == 1
    assert "GPL-3.0-only" in made.stderr
    assert not target.exists()


@pytest.mark.parametrize("content", [None, b"not a zip"])
def test_a_wheel_that_cannot_be_read_is_said(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.whl"
    if content is not None:
        path.write_bytes(content)
    made = run("build_model_catalogue.py", path, "--output", tmp_path / "models.json")
    assert made.returncode == 1
    assert made.stderr.startswith("The catalogue was not made: ")


def test_the_shipped_catalogue_can_be_made_again(tmp_path: Path) -> None:
    """With TEMPLATES_WHEEL, the published package of the version that the catalogue names."""
    source = os.environ.get("TEMPLATES_WHEEL")
    if not source:
        pytest.skip("TEMPLATES_WHEEL does not name the package that the catalogue was made from")
    target = tmp_path / "models.json"
    assert run("build_model_catalogue.py", source, "--output", target).returncode == 0
    assert target.read_bytes() == (DATA / "models.json").read_bytes()


def test_the_table_of_comfyuis_classes_is_made_from_its_own_answer(tmp_path: Path) -> None:
    classes = {
        "KSampler": {"python_module": "nodes", "display_name": "K Sampler"},
        "Canny": {"python_module": "comfy_extras.nodes_canny", "display_name": None},
        "Asks": {"python_module": "comfy_api_nodes.nodes_x", "display_name": "Asks Somebody"},
        "Theirs": {"python_module": "custom_nodes.pack"},
    }
    source, target = tmp_path / "object_info.json", tmp_path / "core.json"
    source.write_text(json.dumps(classes))
    assert run("build_core_nodes.py", source, "--version", "9.9", "--output", target).returncode == 0
    told = json.loads(target.read_bytes())
    assert told["version"] == "9.9"
    assert told["nodes"] == {"Canny": "Canny", "KSampler": "K Sampler"}
    assert told["partner_nodes"] == {"Asks": "Asks Somebody"}
