"""The daemon stays on one of the processors that it may use."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from comfywatch.one_cpu import stay_on_one_cpu

T = TypeVar("T")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processors are chosen by Linux's own calls")


def in_a_thread(function: Callable[..., T], *values: Path) -> T:
    """What a thread does to itself is gone with it."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *values).result()


def stay(*values: Path) -> tuple[int | None, set[int], set[int]]:
    """What was chosen, and where this thread and one that it begins may run then."""
    chosen = stay_on_one_cpu(*values)
    found: list[set[int]] = []
    begun = threading.Thread(target=lambda: found.append(os.sched_getaffinity(0)))
    begun.start()
    begun.join()
    return chosen, os.sched_getaffinity(0), found[0]


def test_a_thread_and_those_that_it_begins_stay_where_it_is() -> None:
    allowed = os.sched_getaffinity(0)
    chosen, here, begun = in_a_thread(stay)
    assert chosen in allowed
    assert here == begun == {chosen}
    assert os.sched_getaffinity(0) == allowed


@pytest.mark.parametrize("text", ["", "1 (a) b) R 1", "1 (a) R" + " 999999" * 50])
def test_where_it_is_not_said_or_may_not_be_one_of_the_allowed_is_taken(tmp_path: Path, text: str) -> None:
    (tmp_path / "stat").write_text(text)
    chosen, here, _ = in_a_thread(stay, tmp_path / "stat")
    assert chosen in os.sched_getaffinity(0)
    assert here == {chosen}


def test_without_one_lock_every_processor_is_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert in_a_thread(stay_on_one_cpu) is None


def test_the_daemon_with_all_its_threads_stays_on_one_processor(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("comfyui_url: http://127.0.0.1:9\n")
    command = [sys.executable, "-m", "comfywatch", "run", "--config", str(tmp_path / "config.yaml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as daemon:
        assert daemon.stderr is not None
        assert any("watching" in line for line in daemon.stderr)
        told = [task.read_text() for task in Path(f"/proc/{daemon.pid}/task").glob("*/status")]
        daemon.kill()
    places = {line for text in told for line in text.splitlines() if line.startswith("Cpus_allowed_list")}
    assert len(told) > 1
    assert len(places) == 1
    assert places.pop().partition(":")[2].strip().isdecimal()


def test_where_it_is_forbidden_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    assert in_a_thread(stay_on_one_cpu) is None
