"""A manifest asks; what will not do is told and left out, and nothing that people write in it is an error."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.manifest import (
    MAX_BYTES,
    MAX_NOTICES,
    MAX_PRIORITY,
    Manifest,
    ManifestReading,
    Status,
    allowed_url,
    read_manifest,
)
from comfywatch.plain_yaml import dump

CONFIGURED = "http://gpu-box:8188/comfy"


def reading(folder: Path, text: str | bytes, name: str = "manifest.yaml") -> ManifestReading:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_manifest(folder)


def test_without_a_manifest_a_project_is_active(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) == ManifestReading(manifest=Manifest(), notices=(), readable=True)


def test_an_empty_manifest_asks_for_nothing(tmp_path: Path) -> None:
    assert reading(tmp_path, "# to be filled in\n") == ManifestReading()


@pytest.mark.parametrize("name", ["manifest.yaml", "manifest.yml"])
def test_all_keys_are_read_and_others_left_alone(tmp_path: Path, name: str) -> None:
    text = (
        "title: My film\nstatus: Paused\ncomfyui_url: http://127.0.0.1:8189/\npriority: 7\nowner: gpu-box\n"
        "models: {flux.safetensors: flux1-dev.safetensors}\ncredits: [a, b]\n"
    )
    assert reading(tmp_path, text, name) == ManifestReading(
        manifest=Manifest(
            status=Status.PAUSED,
            comfyui_url="http://127.0.0.1:8189",
            priority=7,
            owner="gpu-box",
            models={"flux.safetensors": "flux1-dev.safetensors"},
        )
    )


def test_two_manifests_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "manifest.yml").write_text("status: archived\n")
    found = reading(tmp_path, "status: paused\n")
    assert found.manifest.status is Status.PAUSED
    assert found.notices == ("manifest.yml is not read, as manifest.yaml is there; remove one of them",)


@pytest.mark.parametrize("status", list(Status))
def test_each_status_has_its_word(tmp_path: Path, status: Status) -> None:
    assert reading(tmp_path, f"status: {status}\n").manifest.status is status


@pytest.mark.parametrize(("text", "priority"), [("-3", -3), ("2.0", 2), ("2.6", 3), (str(MAX_PRIORITY), MAX_PRIORITY)])
def test_a_priority_is_a_whole_number(tmp_path: Path, text: str, priority: int) -> None:
    assert reading(tmp_path, f"priority: {text}\n") == ManifestReading(manifest=Manifest(priority=priority))


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        (
            "status: on hold",
            "status: expected one of active, paused, completed, archived, got 'on hold'; taken as active",
        ),
        (
            "status: [paused]",
            "status: expected one of active, paused, completed, archived, got a list; taken as active",
        ),
        ("priority: high", "priority: expected a number from -1000000 to 1000000, got 'high'; it is left out"),
        ("priority: true", "priority: expected a number from -1000000 to 1000000, got true; it is left out"),
        ("priority: .nan", "priority: expected a number from -1000000 to 1000000, got nan; it is left out"),
        ("priority: 1000001", "priority: expected a number from -1000000 to 1000000, got 1000001; it is left out"),
        ("owner: 7", "owner: expected the name of a machine (in quotes if it is a number), got 7; it is left out"),
        ("comfyui_url: 8188", "comfyui_url: expected an address, got 8188; it is left out"),
        (
            "comfyui_url: me:secret@gpu",
            "comfyui_url: expected an address such as http://127.0.0.1:8188, got '***@gpu'; it is left out",
        ),
        ("models: [a]", "models: expected a map of names, 'wanted: installed', got a list; it is left out"),
        (
            "models: {a: 1}",
            "models: 'a': expected two names (in quotes if they are numbers), got 1; it is left out",
        ),
    ],
)
def test_a_value_that_will_not_do_is_told_and_left_out(tmp_path: Path, text: str, notice: str) -> None:
    assert reading(tmp_path, text) == ManifestReading(notices=(f"manifest.yaml: {notice}",))


def test_the_rest_counts(tmp_path: Path) -> None:
    found = reading(tmp_path, "status: paused\npriority: high\nmodels: {a: b, c: 1, 2: d}\nowner:\n")
    assert found.readable
    assert found.manifest == Manifest(status=Status.PAUSED, models={"a": "b"})
    assert len(found.notices) == 3


def test_notices_are_few(tmp_path: Path) -> None:
    found = reading(tmp_path, dump({"models": {f"m{number}": number for number in range(100)}}))
    assert len(found.notices) == MAX_NOTICES + 1
    assert found.notices[-1] == "and 90 more of the kind"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("status: paused\n\tpriority: 1\n", "line 2: "),
        ("status: paused\nstatus: active\n", "line 2: the key 'status' is there already (line 1)"),
        ("a: &x 1\n", "line 1: anchors"),
        ("- paused\n", "expected lines such as 'status: paused', got a list"),
        (b"\xff\xfe\xff", "UTF-8"),
        (b"#" * (MAX_BYTES + 1), "256 KiB"),
    ],
)
def test_what_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path, text: str | bytes, words: str) -> None:
    found = reading(tmp_path, text)
    assert not found.readable
    assert found.manifest == Manifest()
    assert len(found.notices) == 1
    assert found.notices[0].startswith("manifest.yaml cannot be read: ")
    assert words in found.notices[0]


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "manifest.yaml").mkdir()
    assert not read_manifest(tmp_path).readable


@pytest.mark.skipif(os.name == "nt", reason="links and pipes need rights there")
def test_a_link_or_a_pipe_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.yaml").write_text("status: paused\n")
    (tmp_path / "manifest.yaml").symlink_to("elsewhere.yaml")
    found = read_manifest(tmp_path)
    assert not found.readable
    assert "it is a link or no regular file" in found.notices[0]
    (tmp_path / "manifest.yaml").unlink()
    os.mkfifo(tmp_path / "manifest.yml")
    assert not read_manifest(tmp_path).readable


def test_a_path_that_cannot_be_is_told() -> None:
    found = read_manifest(Path("a\0b"))
    assert not found.readable
    assert found.notices


KEYS = st.sampled_from(["status", "comfyui_url", "priority", "owner", "models", "title", "<<", "="])
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.binary(max_size=4) | st.dates()
NESTED = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3))
LINES = st.lists(st.tuples(KEYS, st.text("&*!|>{}[]-:?.,'\"0x_12aye~\t/@ \n", max_size=12)), max_size=4)


def assert_sound(data: bytes) -> None:
    """Reads ``data`` in a folder of its own: all examples would share a fixture."""
    with tempfile.TemporaryDirectory() as folder:
        found = reading(Path(folder), data)
    assert isinstance(found.manifest.status, Status)
    assert isinstance(found.manifest.priority, int)
    assert all("\n" not in notice and len(notice) < 400 for notice in found.notices)
    assert found.readable or (found.notices and found.manifest == Manifest())


@given(st.binary(max_size=120))
def test_no_bytes_raise(data: bytes) -> None:
    assert_sound(data)


@given(LINES)
def test_no_lines_raise(lines: list[tuple[str, str]]) -> None:
    assert_sound("\n".join(f"{key}: {value}" for key, value in lines).encode())


@given(st.dictionaries(KEYS, NESTED, max_size=5) | NESTED)
def test_no_values_raise(value: Any) -> None:
    assert_sound(dump(value))


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:8188", True),
        ("https://127.8.9.1", True),
        ("http://[::1]:8188", True),
        ("http://LOCALHOST:9000/x", True),
        ("http://gpu-box:8188/comfy", True),
        ("HTTP://Gpu-Box:8188/comfy/", True),
        ("http://gpu-box:8188", False),
        ("http://gpu-box/comfy", False),
        ("https://gpu-box:8188/comfy", False),
        ("http://128.0.0.1", False),
        ("http://0.0.0.0:8188", False),
        ("http://[::ffff:127.0.0.1]", False),
        ("http://127.0.0.1@evil.example", False),
        ("http://127.0.0.1\\@evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost.evil.example", False),
        ("ftp://127.0.0.1", False),
        ("http://", False),
        ("", False),
        ("http://[", False),
    ],
)
def test_a_project_stays_on_this_machine_or_the_configured_one(url: str, allowed: bool) -> None:
    assert allowed_url(url, configured=CONFIGURED, allow_project_urls=False) is allowed
    assert allowed_url(url, configured=CONFIGURED, allow_project_urls=True)


def test_a_password_in_the_config_does_not_make_it_another_server() -> None:
    assert allowed_url("http://gpu-box", configured="http://me:secret@gpu-box:80/", allow_project_urls=False)


@given(st.text(st.characters(), max_size=40), st.booleans())
def test_no_address_raises(text: str, prefixed: bool) -> None:
    allowed_url("http://" + text if prefixed else text, configured=CONFIGURED, allow_project_urls=False)
