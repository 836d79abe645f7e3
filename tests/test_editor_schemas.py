"""What an editor marks by the schemas: what comfywatch would refuse, and nothing that it takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch import editor_schemas, plain_yaml
from comfywatch.manifest import read_manifest
from comfywatch.settings import BadSettings, Settings, load

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config.example.yaml"
OF_CONFIG, OF_MANIFEST = editor_schemas.of_config(), editor_schemas.of_manifest()


def marks(text: str, schema: dict[str, Any] = OF_CONFIG) -> list[str]:
    """Where an editor would draw its red line: the keys, each once."""
    found = jsonschema.Draft7Validator(schema).iter_errors(plain_yaml.load(text))
    return sorted({"/".join(map(str, error.absolute_path)) or error.message for error in found})


@pytest.mark.parametrize("schema", [OF_CONFIG, OF_MANIFEST], ids=["config", "manifest"])
def test_the_schemas_are_schemas(schema: dict[str, Any]) -> None:
    jsonschema.Draft7Validator.check_schema(schema)
    assert "$ref" not in json.dumps(schema)
    assert all(entry["description"].endswith(".") for entry in schema["properties"].values())


@pytest.mark.parametrize(("name", "schema"), [("config", OF_CONFIG), ("manifest", OF_MANIFEST)])
def test_the_files_beside_the_example_are_up_to_date(name: str, schema: dict[str, Any]) -> None:
    """Else: comfywatch schema config > config.schema.json, and the same of manifest."""
    assert json.loads((ROOT / f"{name}.schema.json").read_text(encoding="utf-8")) == schema


@pytest.mark.parametrize("path", ["config.example.yaml", "projects/example/manifest.yaml"])
def test_the_first_line_names_a_schema_that_is_there(path: str) -> None:
    first = (ROOT / path).read_text(encoding="utf-8").splitlines()[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert named is not None
    assert ((ROOT / path).parent / named[1]).is_file()


def test_the_examples_are_not_marked() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert marks(text) == []
    assert marks(re.sub(r"(?m)^#(?=\w+:)", "", text)) == []
    assert marks((ROOT / "projects/example/manifest.yaml").read_text(encoding="utf-8"), OF_MANIFEST) == []
    for block in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/projects.md").read_text(encoding="utf-8"), re.DOTALL)[
        :1
    ]:
        assert marks(block, OF_MANIFEST) == []


def test_every_setting_can_be_completed() -> None:
    assert OF_CONFIG["properties"].keys() == Settings.model_fields.keys()
    assert OF_CONFIG["properties"]["watch"]["enum"] == ["auto", "events", "polling", None]
    assert OF_CONFIG["properties"]["poll_seconds"]["default"] == 5


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ("poll_seconds: soon", "poll_seconds"),
        ("poll_seconds: 0", "poll_seconds"),
        ("poll_seconds: true", "poll_seconds"),
        ("settle_seconds: -1", "settle_seconds"),
        ("max_runtime_minutes: 0", "max_runtime_minutes"),
        ("max_in_flight: 0", "max_in_flight"),
        ("max_in_flight: lots", "max_in_flight"),
        ("max_workflow_mb: 1.5", "max_workflow_mb"),
        ("watch: pollin", "watch"),
        ("previews: true", "previews"),
        ("provenance: 'yes'", "provenance"),
        ("models: [a]", "models"),
        ("models: {a: 1}", "models/a"),
        ("deny_nodes: KSampler", "deny_nodes"),
        ("deny_nodes: [A, 1]", "deny_nodes/1"),
        ("allow_links: [1]", "allow_links/0"),
        ("owner: 5", "owner"),
        ("root: [a]", "root"),
        ("metrics_port: 0", "metrics_port"),
        ("notify: mailto://x", "notify"),
        ("notify: [{'on': [failed]}]", "notify/0"),
        ("notify: [{urls_file: u, to: x}]", "notify/0"),
        ("notify: [{urls_file: u, 'on': [faild]}]", "notify/0/on/0"),
        ("comfyui_url: 8188", "comfyui_url"),
        ("comfyui_url: gpu:8188", "comfyui_url"),
        ("comfyui_url: http://gpu?token=secret", "comfyui_url"),
    ],
)
def test_what_is_refused_is_marked_in_its_place(tmp_path: Path, line: str, marked: str) -> None:
    assert marks(line) == [marked]
    (tmp_path / "config.yaml").write_text(line)
    with pytest.raises(BadSettings):
        load(None, env={}, cwd=tmp_path)


def test_a_wrong_key_is_marked() -> None:
    (mark,) = marks("pol_seconds: 2\nwatch: auto\n")
    assert "pol_seconds" in mark


def test_an_empty_file_and_empty_keys_are_not_marked() -> None:
    assert marks("") == []
    assert marks("".join(f"{name}:\n" for name in Settings.model_fields)) == []


WORDS: list[Any] = ["auto", "hold", "off", "unique", "http://gpu", "x", "a\nb"]
OTHERS: list[Any] = [0, 1, 1.5, -1, 10**9, True, False, None, [], ["a"], [1], {}, {"a": "b"}, {"a": 1}]
VALUES = st.sampled_from([*WORDS, *OTHERS])


@given(st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), VALUES, max_size=4))
def test_what_is_taken_is_never_marked_and_what_is_marked_is_refused(values: dict[str, Any]) -> None:
    is_marked = bool(list(jsonschema.Draft7Validator(OF_CONFIG).iter_errors(values)))
    try:
        Settings.model_validate({key: value for key, value in values.items() if value is not None})
    except ValueError:
        return
    assert not is_marked


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ("status: on hold", "status"),
        ("status: [paused]", "status"),
        ("priority: high", "priority"),
        ("priority: true", "priority"),
        ("priority: 1000001", "priority"),
        ("owner: 7", "owner"),
        ("comfyui_url: 8188", "comfyui_url"),
        ("comfyui_url: gpu:8188", "comfyui_url"),
        ("models: [a]", "models"),
        ("models: {a: 1}", "models/a"),
    ],
)
def test_what_a_manifest_cannot_say_is_marked(tmp_path: Path, line: str, marked: str) -> None:
    (tmp_path / "manifest.yaml").write_text(line)
    assert read_manifest(tmp_path).notices
    assert marks(line, OF_MANIFEST) == [marked]


@pytest.mark.parametrize("status", ["active", "Paused", " COMPLETED ", "archived"])
def test_a_status_in_any_case_is_taken_and_not_marked(tmp_path: Path, status: str) -> None:
    line = f"status: '{status}'"
    (tmp_path / "manifest.yaml").write_text(line)
    assert read_manifest(tmp_path).notices == ()
    assert marks(line, OF_MANIFEST) == []


def test_other_keys_of_a_manifest_are_left_alone() -> None:
    assert marks("title: My film\ncharacters: [ada]\nhardware: {gpu: 12 GB}\n", OF_MANIFEST) == []
