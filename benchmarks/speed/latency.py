"""One workflow at a time: from its drop to its POST, and from its end in ComfyUI to ``completed``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.speed.drops import Folder
from benchmarks.speed.stage import Observer, Stage, folder


def latency(url: str, colors: Iterator[int], *, drops: int) -> dict[str, Any]:
    """Milliseconds; ComfyUI says how many prompts it has whenever that changes, which is when a POST has arrived."""
    with folder() as where:
        stage = Stage(where / "root", url)
        target = Folder(stage.project("film"), colors)
        with stage.at_work():
            observer = Observer(url)
            _drop(stage, observer, target, "warm-up.json", target.rename)
            ways = {"rename": target.rename, "copy": target.copy}
            taken = {way: _rows(stage, observer, target, way, drop, drops) for way, drop in ways.items()}
    ends = [end for rows in taken.values() for _, end in rows]
    posts = {f"drop_to_post_{way}_ms": _spread([post for post, _ in rows]) for way, rows in taken.items()}
    return {**posts, "success_to_completed_ms": _spread(ends)}


def _rows(
    stage: Stage, observer: Observer, target: Folder, way: str, drop: Callable[[str, Path], None], count: int
) -> list[tuple[float, float]]:
    return [_drop(stage, observer, target, f"{way}-{n}.json", drop) for n in range(count)]


def _drop(
    stage: Stage, observer: Observer, target: Folder, name: str, drop: Callable[[str, Path], None]
) -> tuple[float, float]:
    """Seconds to the POST, and seconds from the end in ComfyUI to what is durable; then a pause, as between people."""
    scratch = target.prepared(name)
    time.sleep(0.05)
    observer.forget()
    start = time.perf_counter()
    drop(name, scratch)
    posted = observer.until(lambda number: number > 0, after=start)
    ended = observer.until(lambda number: number == 0, after=posted)
    done = stage.until(lambda: stage.ledger.has_ended(name))
    return posted - start, max(0.0, done - ended)


def _spread(seconds: list[float]) -> dict[str, float]:
    ranked = sorted(seconds)
    return {
        "median": round(statistics.median(ranked) * 1000, 1),
        "p99": round(ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))] * 1000, 1),
    }
