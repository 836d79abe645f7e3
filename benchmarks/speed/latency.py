"""One workflow at a time: from its drop to its POST, and from its end in ComfyUI to ``completed``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.speed.deaf import without_websocket
from benchmarks.speed.drops import Folder
from benchmarks.speed.stage import Observer, Stage, folder


def latency(url: str, colors: Iterator[int], *, drops: int) -> dict[str, Any]:
    """Milliseconds; ComfyUI says how many prompts it has whenever that changes, which is when a POST has arrived."""
    taken = _taken(url, url, colors, drops=drops)
    with without_websocket(url) as way:
        deaf = _taken(way, url, colors, drops=max(1, drops // 5))
    posts = {f"drop_to_post_{way}_ms": _spread([post for post, _ in rows]) for way, rows in taken.items()}
    ends = {"success_to_completed_ms": taken, "the_same_without_websocket_ms": deaf}
    return {**posts, **{name: _spread([end for rows in of.values() for _, end in rows]) for name, of in ends.items()}}


def _taken(way: str, url: str, colors: Iterator[int], *, drops: int) -> dict[str, list[tuple[float, float]]]:
    """By the way of dropping; the daemon goes by ``way`` to the ComfyUI at ``url``."""
    with folder() as where:
        stage = Stage(where / "root", way)
        target = Folder(stage.project("film"), colors)
        with stage.at_work():
            observer = Observer(url)
            _drop(stage, observer, target, "warm-up.json", target.rename)
            return {
                name: [_drop(stage, observer, target, f"{name}-{n}.json", drop) for n in range(drops)]
                for name, drop in (("rename", target.rename), ("copy", target.copy))
            }


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
