"""The flood, small; and that its judge would see what is not explained."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.flood import BROKEN, Flood


@pytest.mark.skipif(sys.platform == "win32", reason="a process is not killed by a signal there")
def test_whatever_is_dropped_comes_to_an_end_that_is_explained(tmp_path: Path) -> None:
    said: list[str] = []
    assert Flood(tmp_path, count=3 * len(BROKEN), say=said.append).run() == []
    assert said[-1].startswith(f"{3 * len(BROKEN)} dropped")


def test_what_has_not_ended_is_a_finding(tmp_path: Path) -> None:
    flood = Flood(tmp_path, count=3, say=lambda _: None)
    try:
        flood.drop()
        assert len(flood.judge(0)) == 4  # and no status.yaml counts them
    finally:
        flood.end()
