"""Many workflows at once, beside what a client needs that does nothing else."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.speed.drops import Folder
from benchmarks.speed.floor import floor
from benchmarks.speed.stage import Stage, folder

FLOORS = 3
RUNS = {100: 5}
"""How often so few are dropped: in half a second, whatever else happens on the machine counts for much."""


def throughput(url: str, colors: Iterator[int], *, jobs: int) -> dict[str, Any]:
    """Seconds until all are completed, over the floor's, which is measured before and after; medians."""
    floors = [floor(url, jobs, first=_skipped(colors, jobs)) for _ in range(1 if jobs > 1000 else FLOORS)]
    rows = []
    for _ in range(RUNS.get(jobs, 1)):
        rows.append(_dropped_at_once(url, colors, jobs))
        floors.append(floor(url, jobs, first=_skipped(colors, jobs)))
    seconds, used, writes = map(statistics.median, zip(*rows, strict=True))
    least = statistics.median(floors)
    return {
        "jobs": jobs,
        "seconds": round(seconds, 3),
        "floor_seconds": round(least, 3),
        "ratio_to_floor": round(seconds / least, 2),
        "ms_a_job": round(seconds / jobs * 1000, 2),
        "cpu_ms_a_job": round(used / jobs * 1000, 2),
        "status_writes_a_job": round(writes / jobs, 3),
    }


def _dropped_at_once(url: str, colors: Iterator[int], jobs: int) -> tuple[float, float, int]:
    """Seconds, the daemon's seconds of CPU, and how often ``status.yaml`` was exchanged."""
    with folder() as where:
        stage = Stage(where / "root", url)
        target = Folder(stage.project("film"), colors)
        with stage.at_work():
            first = target.prepared("warm-up.json")
            target.rename("warm-up.json", first)
            stage.until(lambda: stage.ledger.has_ended("warm-up.json"))
            scratches = {f"{n:05d}.json": target.prepared(f"{n:05d}.json") for n in range(jobs)}
            before, status = stage.usage().cpu, stage.project("film") / "status.yaml"
            seen = {status.stat().st_mtime_ns}
            start = time.perf_counter()
            for name, scratch in scratches.items():
                target.rename(name, scratch)

            def are_completed() -> bool:
                seen.add(status.stat().st_mtime_ns)
                return stage.ledger.completed() > jobs

            done = stage.until(are_completed, every=0.005 if jobs <= 1000 else 0.05)
            return done - start, stage.usage().cpu - before, len(seen) - 1


def _skipped(colors: Iterator[int], count: int) -> int:
    """The first of ``count`` colours that are used up now."""
    first, *_ = itertools.islice(colors, count)
    return first
