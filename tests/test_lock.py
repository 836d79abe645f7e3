"""One daemon per state: the lock is the operating system's, so that a kill lets it go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from comfywatch.lock import Held, Lock, is_held

HOLDING = """
import sys
from pathlib import Path
from comfywatch.lock import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_one_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    with pytest.raises(Held, match=f"held by process {os.getpid()}") as caught:
        Lock(tmp_path / "lock")
    assert caught.value.pid == os.getpid()
    lock.release()


def test_once_released_it_can_be_had_again(tmp_path: Path) -> None:
    Lock(tmp_path / "lock").release()
    Lock(tmp_path / "lock").release()


def test_a_file_that_a_dead_daemon_left_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("1\n")
    assert not is_held(tmp_path / "lock")
    lock = Lock(tmp_path / "lock")
    assert (tmp_path / "lock").read_text().split() == [str(os.getpid())]
    lock.release()


def test_to_ask_takes_nothing(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()
    lock = Lock(tmp_path / "lock")
    assert is_held(tmp_path / "lock")
    lock.release()
    assert not is_held(tmp_path / "lock")
    Lock(tmp_path / "lock").release()


def test_a_lock_without_a_readable_number_is_held_all_the_same(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    (tmp_path / "lock").write_text("no number\n")
    with pytest.raises(Held, match="held by another process"):
        Lock(tmp_path / "lock")
    lock.release()


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDING, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().split() == [b"held"]
        with pytest.raises(Held) as caught:
            Lock(tmp_path / "lock")
        assert caught.value.pid == process.pid
        process.kill()
    assert not is_held(tmp_path / "lock")
