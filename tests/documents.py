"""The documents as tests read them: their blocks, tables and commands; and a shell that does what they say."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from comfywatch import plain_yaml
from tests.world import text_to_image

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = (README, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")))
PATIENCE = 15.0

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command of a ``console`` block, with what is shown below it."""

    command: str
    shown: str


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    found = _FENCE.finditer(page.read_text(encoding="utf-8"))
    return [block["text"] for block in found if block["language"] == language]


def steps(page: Path) -> list[Step]:
    """All commands of the ``console`` blocks of a page, in order."""
    parts = [part for text in blocks(page, "console") for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]
    return [Step(command=part.partition("\n")[0], shown=part.partition("\n")[2]) for part in parts]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def section(page: Path, title: str) -> str:
    """The prose below a heading, up to the next of its level or above."""
    text = prose(page)
    heading = re.search(rf"^(?P<level>#+) {re.escape(title)}$", text, re.MULTILINE)
    assert heading is not None, f"{page.name} has no heading '{title}'"
    rest = text[heading.end() :]
    end = re.search(rf"^#{{1,{len(heading['level'])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of the tables in ``text``, without headings."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        is_heading = number + 1 < len(lines) and lines[number + 1].startswith("|--")
        if line.startswith("|") and not line.startswith("|--") and not is_heading:
            yield [cell.strip() for cell in line.strip("|").split("|")]


def words(cell: str) -> list[str]:
    """What stands in back quotes in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def first_words(text: str) -> list[str]:
    """What stands in back quotes in the first cells of the tables in ``text``."""
    return [word for cells in rows(text) for word in words(cells[0])]


def code(page: Path) -> Iterator[str]:
    """Each command of the blocks for a shell, and each piece of code in the prose."""
    yield from (step.command for step in steps(page))
    yield from (line.partition("  #")[0].rstrip() for text in blocks(page, "sh") for line in text.splitlines())
    yield from re.findall(r"`([^`\n]+)`", prose(page))


def matches(shown: str, said: str) -> bool:
    """Whether a program said what is shown: ``...`` stands for any lines, a number for any number."""
    parts = ["(?:.*\n)*?" if line == "..." else re.escape(_plain(line)) + "\n" for line in shown.splitlines()]
    return re.fullmatch("".join(parts), _plain(said)) is not None


def _plain(text: str) -> str:
    return _NUMBER.sub("0", text)


class Shell:
    """A newcomer's shell: a home with a workflow in ``Downloads``, and a ComfyUI at ``url``."""

    def __init__(self, home: Path, url: str) -> None:
        (home / "Downloads").mkdir(parents=True)
        (home / "Downloads" / "shot-01.json").write_text(json.dumps(text_to_image()), encoding="utf-8")
        self._here = home
        self._note = home / ".here"
        programs = Path(sys.executable).parent
        self._env = {
            "HOME": str(home),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "COMFYUI_URL": url,
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
        }
        self._daemon: subprocess.Popen[bytes] | None = None

    def do(self, command: str) -> str:
        """Do one command as it stands, and return what it said; ``comfywatch run`` goes on until ``close``."""
        if command == "comfywatch run":
            return self._start(command)
        if command == "comfywatch status" and self._daemon is not None:
            self._until(self._is_all_completed)
        # The demo itself is what matters here; make would set up a .venv first.
        command = "comfywatch demo" if command == "make demo" else command
        done = subprocess.run(
            ["bash", "-c", f"{command}\ncode=$?\npwd > '{self._note}'\nexit $code"],
            cwd=self._here,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
        self._here = Path(self._note.read_text(encoding="utf-8").strip())
        return done.stdout

    def close(self) -> None:
        """End what goes on."""
        if self._daemon is not None:
            self._daemon.send_signal(signal.SIGTERM)
            self._daemon.wait(PATIENCE)

    def _start(self, command: str) -> str:
        log = self._here / "log"
        with log.open("wb") as stream:
            self._daemon = subprocess.Popen(
                command.split(), cwd=self._here, env=self._env, stdout=stream, stderr=stream
            )
        self._until(lambda: b" watching " in log.read_bytes())
        return ""

    def _workflows(self) -> list[Path]:
        return list(self._here.glob("projects/*/workflows/*.json"))

    def _is_all_completed(self) -> bool:
        pages = [plain_yaml.load(page.read_bytes()) for page in self._here.glob("projects/*/status.yaml")]
        done = [state for page in pages for state in page["workflows"].values() if state["state"] == "completed"]
        return len(done) == len(self._workflows())

    def _until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"it did not happen in {PATIENCE} s"
            time.sleep(0.01)
