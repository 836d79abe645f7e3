"""What lies there already costs nothing: start, rescans, memory and idling with very many finished workflows."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.speed.drops import Folder, picture
from benchmarks.speed.stage import Observer, Stage, folder
from comfywatch import __version__
from comfywatch.files import stamp_of
from comfywatch.jobs import Job, JobState
from comfywatch.store import FileRecord, Store

IDLE_SECONDS = 65.0
"""Two rescans, and some more."""
OFTEN_SECONDS = 1.0
RESCANS = 20
_LOOKED_AT = ("-name", "outputs", "-prune", "-o", "-print")


def archive(url: str, colors: Iterator[int], *, workflows: int, projects: int) -> dict[str, Any]:
    """Of a daemon that begins with so many finished workflows, and then is left alone."""
    with folder() as where:
        stage = Stage(where / "root", url)
        fill(stage.root, workflows=workflows, projects=projects)
        target = Folder(stage.project("project 7"), colors)
        observer, scratch = Observer(url), target.prepared("new.json")
        target.rename("new.json", scratch)
        start = time.perf_counter()
        with stage.at_work():
            posted = observer.until(lambda number: number > 0, after=start)
            stage.until(lambda: stage.ledger.has_ended("new.json"), every=0.01)
            settled = _until_quiet(stage)
            before, begun = stage.usage(), time.perf_counter()
            time.sleep(IDLE_SECONDS)
            after = stage.usage()
            idle = (after.cpu - before.cpu) / (time.perf_counter() - begun)
        rescan, find = _rescan(stage.root, url, idle), _find(stage.root / "projects")
    return {
        "workflows": workflows,
        "projects": projects,
        "start_to_first_post_s": round(posted - start, 2),
        "start_to_quiet_s": round(settled - start, 1),
        "idle_cpu_percent": round(idle * 100, 2),
        "memory_mib": round(after.memory, 1),
        "threads": after.threads,
        "rescan_ms": round(rescan * 1000, 1),
        "find_ms": round(find * 1000, 1),
        "rescan_ratio_to_find": round(rescan / find, 2),
    }


def fill(root: Path, *, workflows: int, projects: int) -> None:
    """Projects in which all has run, as the database and the folders know it."""
    (root / "state").mkdir(parents=True)
    store, now = Store(root / "state" / "comfywatch.db"), datetime.now(UTC)
    store.save_fact("first scan", now.isoformat())
    store.save_fact("comfywatch version", __version__)
    for number in range(projects):
        shots = root / "projects" / f"project {number}" / "workflows"
        shots.mkdir(parents=True)
        for n in range(workflows // projects):
            _finished(store, shots / f"shot {n:04d}.json", number * 10**6 + n, at=now - timedelta(days=1, seconds=n))
        store.commit()
    store.close()


def _finished(store: Store, file: Path, number: int, *, at: datetime) -> None:
    data = json.dumps(picture(number)).encode()
    file.write_bytes(data)
    digest, project = hashlib.sha256(data).hexdigest(), file.parent.parent.name
    job = store.add_job(Job(id=0, project=project, path=file.name, digest=digest, first_seen=at), data)
    store.save_job(
        Job(
            id=job.id,
            project=project,
            path=file.name,
            digest=digest,
            first_seen=at,
            state=JobState.COMPLETED,
            run=1,
            prompt_id=f"{number:08x}-0000-4000-8000-000000000000",
            outcome={"state": "completed", "seconds": 12.5, "files": [], "problems": [], "texts": []},
            submitted=at,
            started=at,
            finished=at,
        )
    )
    stamp = stamp_of(file.stat())
    store.save_file(FileRecord(project=project, path=file.name, digest=digest, job=job.id, stamp=stamp))


def _rescan(root: Path, url: str, idle: float) -> float:
    """Seconds of CPU that one look through the folders costs: what a daemon needs that looks often, less idling."""
    again = Stage(root, url, rescan_seconds=OFTEN_SECONDS)
    with again.at_work():
        begun = time.time()
        files = [folder.parent / "status.yaml" for folder in (root / "projects").glob("*/workflows")]
        again.until(lambda: all(file.stat().st_mtime > begun for file in files), every=1.0)
        time.sleep(5)
        before, begun = again.usage().cpu, time.perf_counter()
        time.sleep(OFTEN_SECONDS * RESCANS)
        used = again.usage().cpu - before - idle * (time.perf_counter() - begun)
    return max(used, 0.0) / RESCANS


def _find(projects: Path) -> float:
    """Seconds that ``find`` needs to list the same folders, at its best of three."""
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(["find", str(projects), *_LOOKED_AT], check=True, stdout=subprocess.DEVNULL)  # noqa: S603, S607
        taken.append(time.perf_counter() - start)
    return min(taken)


def _until_quiet(stage: Stage) -> float:
    """When the daemon has used no CPU worth speaking of for two seconds."""
    used, since = stage.usage().cpu, time.perf_counter()
    while time.perf_counter() - since < 2.0:
        time.sleep(0.2)
        if (now := stage.usage().cpu) - used > 0.02 * (time.perf_counter() - since) + 0.02:
            used, since = now, time.perf_counter()
    return since


def small(url: str, colors: Iterator[int]) -> dict[str, Any]:
    """Memory and idling with ten projects of ten workflows."""
    with folder() as where:
        stage = Stage(where / "root", url)
        folders = [Folder(stage.project(f"project {number}"), colors) for number in range(10)]
        with stage.at_work():
            for target in folders:
                for n in range(10):
                    target.rename(f"{n}.json", target.prepared(f"{n}.json"))
            stage.until(lambda: stage.ledger.completed() == 100, every=0.05)
            _until_quiet(stage)
            before = stage.usage()
            time.sleep(20)
            after = stage.usage()
    return {
        "memory_mib": round(after.memory, 1),
        "threads": after.threads,
        "idle_cpu_percent": round((after.cpu - before.cpu) / 20 * 100, 2),
    }
