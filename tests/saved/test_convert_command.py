"""``comfywatch convert``, as a person or a script uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from comfywatch import cli
from comfywatch.sandbox import Sandbox
from tests.saved.graphs import RECORDINGS, VERSIONS, node, sampler, saved
from tests.world import picture

OLDER, NEWER = (str(RECORDINGS / version / "object_info.json") for version in VERSIONS.values())
PAIR = RECORDINGS / VERSIONS["1.49"] / "bp_text_to_image_z_image_turbo.json"
NOBODY = "http://127.0.0.1:9"
"""An address at which nothing listens."""

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``comfywatch convert WORDS…`` in an empty folder, far from any ComfyUI."""
    for name in [name for name in os.environ if name.startswith("COMFYWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COMFYUI_URL", NOBODY)
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(cli.app, ["convert", *words])


def write(folder: Path, content: Any) -> str:
    file = folder / "saved.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return str(file)


def test_a_saved_workflow_is_printed_as_a_prompt(run: Run, tmp_path: Path) -> None:
    pair = json.loads(PAIR.read_bytes())
    result = run("--object-info", NEWER, write(tmp_path, pair["workflow"]))
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == pair["prompt"]


def test_the_version_tells_the_frontend(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path, saved(node(1, "SaveVideo", "%date%%date:Q%")))
    told = [
        json.loads(run("--object-info", NEWER, *version, file).stdout)["1"]["inputs"]["filename_prefix"]
        for version in ((), ("--comfyui-version", "0.33.0"), ("--comfyui-version", "0.3.64"))
    ]
    assert told == ["%date%Q", "%date%Q", "%date%%date:Q%"]


def test_a_prompt_is_printed_as_it_is_and_needs_no_schemas(run: Run, tmp_path: Path) -> None:
    result = run(write(tmp_path, picture()))
    assert (result.exit_code, json.loads(result.stdout)) == (0, picture())


def test_what_cannot_be_converted_is_said_and_nothing_is_printed(run: Run, tmp_path: Path) -> None:
    workflow = saved(node(1, "NobodyHasThis"), node(2, "workflow>mine"), sampler(3, links={"steps": 7}))
    result = run("--object-info", OLDER, write(tmp_path, workflow))
    assert (result.exit_code, result.stdout) == (1, "")
    for word in ("NobodyHasThis", "(node 1)", "group node", "(node 2)", "KSampler", "(node 3)"):
        assert word in result.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"{", "is not JSON"), (b"[1]", "no workflow"), (b"\xff\xfe{", "is not JSON"), (None, "cannot be read")],
)
def test_what_is_no_workflow_is_told_so(run: Run, tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "x.json"
    if content is not None:
        file.write_bytes(content)
    result = run("--object-info", OLDER, str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr


def test_without_schemas_it_ends_with_3(run: Run, tmp_path: Path) -> None:
    result = run(write(tmp_path, saved(sampler(1))))
    assert result.exit_code == 3
    assert "--object-info" in result.stderr


def test_comfyui_is_asked_for_its_schemas(
    run: Run, tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYUI_URL", sandbox.url)
    result = run(write(tmp_path, saved(sampler(1, steps=7))))
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["1"]["inputs"]["steps"] == 7


@pytest.mark.usefixtures("run")
def test_it_imports_only_what_it_needs(tmp_path: Path) -> None:
    file = write(tmp_path, saved(sampler(1)))
    script = (
        f"import sys; from comfywatch.cli import app; app(['convert', '--object-info', {OLDER!r}, {file!r}], "
        "standalone_mode=False); print([name for name in "
        "('requests', 'rich', 'pydantic', 'yaml', 'loguru', 'aiohttp') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.splitlines()[-1] == "[]"
