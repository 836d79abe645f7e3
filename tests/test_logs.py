"""Log lines as a terminal, a file and the journal get them."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from comfywatch import logs

PROMPT_ID = "6613e2a1-0d6e-4c7e-9f0a-3a1b2c3d4e5f"


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    yield
    logger.remove()


@pytest.fixture
def plain() -> io.StringIO:
    stream = io.StringIO()
    logs.configure("debug", stream)
    return stream


def test_a_file_gets_the_whole_time_and_no_colours(plain: io.StringIO) -> None:
    logger.info("queued")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d info    queued\n", plain.getvalue())


def test_a_terminal_gets_the_time_of_day_and_colours() -> None:
    stream = Terminal()
    logs.configure("info", stream)
    logger.warning("ComfyUI is busy; asking again in {} s", 5)
    line = stream.getvalue()
    assert "\x1b[" in line
    plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
    assert re.fullmatch(r"\d\d:\d\d:\d\d warning ComfyUI is busy; asking again in 5 s\n", plain)


def test_whoever_wants_no_colours_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    logs.configure("info", stream)
    logger.info("queued")
    assert "\x1b" not in stream.getvalue()


def test_a_line_says_whose_it_is(plain: io.StringIO) -> None:
    logger.bind(project="my-film", job="scenes/a.json", prompt_id=PROMPT_ID).info("queued")
    logger.bind(project="my-film").info("paused")
    logger.bind(prompt_id=PROMPT_ID).info("gone")
    queued, paused, gone = plain.getvalue().splitlines()
    assert queued.endswith(f" info    my-film/scenes/a.json ({PROMPT_ID}): queued")
    assert paused.endswith(" info    my-film: paused")
    assert gone.endswith(f" info    ({PROMPT_ID}): gone")


def test_a_terminal_shows_the_beginning_of_a_prompt_id() -> None:
    stream = Terminal()
    logs.configure("info", stream)
    logger.bind(project="my-film", job="a.json", prompt_id=PROMPT_ID).info("queued")
    assert "my-film/a.json (6613e2a1): " in stream.getvalue()


@pytest.mark.parametrize("name", ["two\nlines", "esc\x1b[2J", "bell\x07", "line\u2028separator", "\u202egnp.exe"])
def test_one_record_is_one_printable_line(plain: io.StringIO, name: str) -> None:
    logger.bind(project="p", job=name).info("taken: {}", name)
    line = plain.getvalue()
    assert len(line.splitlines()) == 1
    assert line.removesuffix("\n").isprintable()


def test_a_name_that_is_not_utf_8_can_be_logged(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        logs.configure("info", stream)
        logger.info("taken: {}", "caf\udce9.json")
        logger.remove()
    assert "taken: caf\\udce9.json" in (tmp_path / "log").read_text(encoding="utf-8")


def test_braces_and_markup_in_names_are_only_text(plain: io.StringIO) -> None:
    logger.bind(project="{x}", job="<red>.json").info("taken: {}", "{y} </red>")
    assert plain.getvalue().endswith("{x}/<red>.json: taken: {y} </red>\n")


def test_what_is_less_important_than_asked_for_is_left_out() -> None:
    stream = io.StringIO()
    logs.configure("warning", stream)
    logger.info("queued")
    logger.warning("busy")
    assert "queued" not in stream.getvalue()
    assert "busy" in stream.getvalue()


def test_a_traceback_is_indented_and_shows_no_values(plain: io.StringIO) -> None:
    secret = "hunter" + "2"
    try:
        int(secret[:0])
    except ValueError:
        logger.opt(exception=True).debug("it broke")
    first, *rest = plain.getvalue().splitlines()
    assert first.endswith("debug   it broke")
    assert rest[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") for line in rest)
    assert "hunter2" not in plain.getvalue()


def test_configuring_once_leaves_what_is_there(plain: io.StringIO) -> None:
    logs.configure_once("error")
    logger.debug("still here")
    assert "still here" in plain.getvalue()


def _to_the_journal(tmp_path: Path, *, named: bool) -> str:
    """What a process writes whose standard error is (or is not) the stream that systemd names."""
    script = (
        "from loguru import logger; from comfywatch import logs; logs.configure('debug');"
        "logger.bind(project='p', job='a.json').warning('busy'); logger.debug('x');"
        "logger.error('y\\nz'); logger.info('w')"
    )
    with (tmp_path / "err").open("wb") as err:
        status = os.fstat(err.fileno())
        stream = f"{status.st_dev}:{status.st_ino}" if named else "1:2"
        env = {**os.environ, "JOURNAL_STREAM": stream}
        subprocess.run([sys.executable, "-c", script], env=env, stderr=err, check=True, timeout=30)
    return (tmp_path / "err").read_text(encoding="utf-8")


def test_the_journal_gets_priorities_and_no_time(tmp_path: Path) -> None:
    assert _to_the_journal(tmp_path, named=True).splitlines() == ["<4>p/a.json: busy", "<7>x", "<3>y\\nz", "<6>w"]


def test_a_program_started_from_a_service_does_not_take_a_file_for_the_journal(tmp_path: Path) -> None:
    assert "<4>" not in _to_the_journal(tmp_path, named=False)
