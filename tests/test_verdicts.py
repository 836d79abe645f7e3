"""What ComfyUI answered to prompts with one fault each, rule by rule, and what we say to the same."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from comfywatch.problems import errors
from comfywatch.schemas import Schemas
from comfywatch.validation import as_answered, validate, verdict_of

VERDICTS = Path(__file__).parent / "verdicts"
SHARED = Path(__file__).parent.parent.parent / "shared"
VERSIONS = ("0.3.64", "0.33.0")


@cache
def facts(version: str) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads((VERDICTS / f"comfyui-{version}.json").read_text(encoding="utf-8"))
    return plain


@cache
def schemas(version: str) -> Schemas:
    return Schemas.read(facts(version)["object_info"])


CASES = [
    pytest.param(version, case, id=f"{version} {case['name']}")
    for version in VERSIONS
    for case in facts(version)["cases"]
]


@pytest.mark.parametrize(("version", "case"), CASES)
def test_we_say_what_comfyui_said(version: str, case: dict[str, Any]) -> None:
    """``named`` are the inputs that it named, by node; an exception in it names none."""
    found = validate(case["prompt"], schemas=schemas(version), uploaded=())
    assert verdict_of(case["prompt"], found, schemas(version)) == case["verdict"]
    places = {(problem.node, problem.input) for problem in errors(as_answered(found, schemas(version)))}
    assert {(node, name) for node, names in case["named"].items() for name in names} <= places
    assert bool(places) == (case["verdict"] != "ok")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_version_shows_in_what_was_recorded(version: str) -> None:
    by_schemas, told = schemas(version).version_hint, Schemas.read(facts(version)["object_info"])
    assert told.set_version(version)
    assert told.version_hint is by_schemas


@pytest.mark.parametrize("version", VERSIONS)
def test_we_agree_on_all_that_was_recorded_elsewhere(version: str, tmp_path: Path) -> None:
    tool, cases = SHARED / "tools" / "compare_verdicts.py", SHARED / "verdicts" / f"verdicts-{version}.jsonl.xz"
    if not tool.is_file() or not cases.is_file():
        pytest.skip("the recorded verdicts are not beside this folder")
    command = f"{sys.executable} -m comfywatch check --json"
    words = [sys.executable, str(tool), str(cases), "--cmd", command, "--out", str(tmp_path / "out.json")]
    said = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert said.returncode == 0, said.stderr
    figures = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert (figures["verdict"], figures["recall"], figures["false"]) == (100, 100, 0), said.stdout
