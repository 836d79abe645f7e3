"""The manual page has every command, is up to date, and shows as it should."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from comfywatch import __version__, cli

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "comfywatch.1"


def test_the_page_is_up_to_date(tmp_path: Path) -> None:
    """Else: python scripts/build_man_page.py"""
    made = tmp_path / "page"
    subprocess.run([sys.executable, ROOT / "scripts" / "build_man_page.py", "--output", made], check=True, timeout=60)
    assert PAGE.read_text(encoding="utf-8") == made.read_text(encoding="utf-8")


def test_the_page_has_every_command() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f'"comfywatch {__version__}"' in text
    for names in cli.SECTIONS.values():
        for name in names:
            assert f".SS comfywatch {name} " in text, name


def test_the_page_is_shown_without_a_complaint() -> None:
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not there")
    done = subprocess.run(
        [groff, "-man", "-Tutf8", "-ww", "-b", PAGE], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "retry" in done.stdout


def test_the_page_comes_along_with_an_installation() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert shared == {"docs/comfywatch.1": "share/man/man1/comfywatch.1"}
