"""``python -m benchmarks.flood [COUNT]``: thousands of workflows, a third of them broken, worked off by one daemon.

What it shows: each of them comes to an end that is explained, nothing crashes, and neither memory nor descriptors nor
threads grow with how many there were. Exit code 1 if one of these does not hold.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from benchmarks.soak.processes import ComfyProcess, DaemonProcess, Usage
from comfywatch import plain_yaml
from comfywatch.jobs import JobState
from comfywatch.store import Store

PROJECTS = 10
PATIENCE = 900.0
"""Seconds without any progress after which it is over."""
LOOK_EVERY = 1.0
MOST_GROWTH = 1.25
"""Of the memory in the second half: what is kept of each job is in the database."""
EXPLAINED = frozenset({JobState.INVALID, JobState.BLOCKED, JobState.FAILED, JobState.CANCELLED})
AT_AN_END = EXPLAINED | {JobState.COMPLETED}


def picture(color: int) -> dict[str, Any]:
    """A prompt that makes one small picture."""
    image = {"width": 8, "height": 8, "batch_size": 1, "color": color % 2**24}
    return {
        "1": {"class_type": "EmptyImage", "inputs": image},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": f"flood {color}"}},
    }


def changed(color: int, node: str, name: str, value: Any) -> bytes:
    """The same with another value for an input."""
    prompt = picture(color)
    prompt[node]["inputs"][name] = value
    return json.dumps(prompt).encode()


def of_class(color: int, name: str) -> bytes:
    """The same with another class in place of the first."""
    prompt = picture(color)
    prompt["1"]["class_type"] = name
    return json.dumps(prompt).encode()


def text(color: int, old: str, new: str) -> bytes:
    """The same with some of its text replaced."""
    return json.dumps(picture(color)).replace(old, new).encode("utf-8", "surrogatepass")


BROKEN: Mapping[str, Callable[[int], bytes]] = {
    "cut off": lambda n: json.dumps(picture(n)).encode()[: 20 + n % 100],
    "empty": lambda _: b"",
    "zeros": lambda _: bytes(4096),
    "not JSON": lambda n: f"<!doctype html><title>{n}</title>".encode(),
    "latin-1": lambda n: text(n, "flood", "\xfc").decode().encode("latin-1"),
    "nested lists": lambda n: b"[" * (100_000 + n),
    "nested maps": lambda n: b'{"a":' * (100_000 + n),
    "nested value": lambda n: text(n, f'"color": {n % 2**24}', '"color": ' + "[" * 150 + "]" * 150),
    "NaN": lambda n: text(n, f'"color": {n % 2**24}', '"color": NaN'),
    "infinite": lambda n: text(n, f'"color": {n % 2**24}', '"color": 1e999'),
    "huge number": lambda n: changed(n, "1", "color", 10**100 + n),
    "huge text": lambda n: changed(n, "1", "color", "x" * 200_000),
    "half a pair": lambda n: text(n, "EmptyImage", f"\\ud83d{n}"),
    "unknown class": lambda n: of_class(n, f"Nobody{n}"),
    "unknown classes": lambda n: json.dumps({k: {"class_type": f"Nobody{n}.{k}"} for k in range(100)}).encode(),
    "many nodes": lambda n: json.dumps({k: {"class_type": f"X{n}"} for k in range(10_001)}).encode(),
    "dangling link": lambda n: changed(n, "2", "images", [f"no {n}", 0]),
    "cycle": lambda n: json.dumps(
        {
            "1": {"class_type": "ImageInvert", "inputs": {"image": ["3", 0]}},
            "3": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": f"cycle {n}"}},
        }
    ).encode(),
    "no outputs": lambda n: json.dumps({"1": picture(n)["1"]}).encode(),
    "no workflow": lambda n: json.dumps([n]).encode(),
    "missing model": lambda n: json.dumps(
        {**picture(n), "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": f"none{n}.safetensors"}}}
        | {"5": {"class_type": "PreviewAny", "inputs": {"source": ["4", 0]}}}
    ).encode(),
    "missing input": lambda n: json.dumps(
        {**picture(n), "1": {"class_type": "LoadImage", "inputs": {"image": f"none-{n}.png"}}}
    ).encode(),
    "prefix out": lambda n: changed(n, "2", "filename_prefix", f"../../../{n}"),
    "BOM": lambda n: b"\xef\xbb\xbf" + json.dumps(picture(n)).encode(),
    "UTF-16": lambda n: json.dumps(picture(n)).encode("utf-16"),
}
"""Each by what is wrong with it; the last few only look so."""


class Flood:
    """One run in ``folder``; ``say`` gets a line now and then."""

    def __init__(self, folder: Path, *, count: int, say: Callable[[str], None]) -> None:
        self._count = count
        self._say = say
        self._comfyui = ComfyProcess(folder / "comfyui")
        self._daemon = DaemonProcess(folder / "root", self._comfyui.url, settle_seconds=0.5, existing="run")
        self._projects = folder / "root" / "projects"
        self._database = folder / "root" / "state" / "comfywatch.db"
        self._dropped: dict[tuple[str, str], str] = {}

    def run(self) -> list[str]:
        """What did not hold, in sentences."""
        try:
            self.drop()
            self._daemon.start()
            first, last, seconds = self._watch()
            self._daemon.stop()
            return [*self._daemon.faults, *self._grown(first, last), *self.judge(seconds)]
        finally:
            self.end()

    def end(self) -> None:
        """Stop both processes."""
        self._daemon.kill()
        self._comfyui.end()

    def drop(self) -> None:
        """All files, before the daemon starts."""
        broken = list(BROKEN.items())
        for number in range(self._count):
            kind, make = broken[number // 3 % len(broken)] if number % 3 == 0 else ("good", _good)
            project, path = f"film-{number % PROJECTS}", f"shot-{number:05d}.json"
            file = self._projects / project / "workflows" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(make(number))
            self._dropped[project, path] = kind

    def _watch(self) -> tuple[Usage | None, Usage | None, float]:
        """Until nothing moves any more: usage when half of them had ended, usage at the end, seconds."""
        start = moved = time.monotonic()
        first = last = None
        before = 0
        while (now := time.monotonic()) - moved < PATIENCE and self._daemon.is_running:
            ended = sum(1 for states in self._states().values() for state in states if state in AT_AN_END)
            last = Usage.of(self._daemon.pid) if self._daemon.pid and sys.platform == "linux" else None
            if ended >= self._count / 2 and first is None:
                first = last
            if ended != before:
                before, moved = ended, now
                self._say(f"{ended} of {self._count} at their end; {last}")
            if ended >= self._count:
                break
            time.sleep(LOOK_EVERY)
        return first, last, time.monotonic() - start

    def _states(self) -> dict[tuple[str, str], list[JobState]]:
        found: dict[tuple[str, str], list[JobState]] = {}
        for key, job in self._jobs():
            found.setdefault(key, []).append(job[0])
        return found

    def _jobs(self) -> Iterator[tuple[tuple[str, str], tuple[JobState, bool]]]:
        """Every job: where it is from, its state, and whether that is explained."""
        if not self._database.exists():
            return
        store = Store(self._database)
        try:
            for record in store.files():
                job = store.job(record.job)
                if job is not None:
                    yield (record.project, record.path), (job.state, any(p.message for p in job.problems))
        finally:
            store.close()

    def _grown(self, first: Usage | None, last: Usage | None) -> Iterator[str]:
        if first is None or last is None:
            return
        self._say(f"half way: {first}; at the end: {last}")
        if last.memory > first.memory * MOST_GROWTH:
            yield f"the memory grew from {first.memory:.0f} to {last.memory:.0f} MiB"
        if last.descriptors > first.descriptors + PROJECTS or last.threads > first.threads:
            yield f"what it holds grew: {first}, then {last}"

    def judge(self, seconds: float) -> list[str]:
        """What has not come to an end as it should, or is not explained."""
        return list(self._unexplained(seconds))

    def _unexplained(self, seconds: float) -> Iterator[str]:
        jobs = dict(self._jobs())
        tally: Counter[str] = Counter()
        for key, kind in self._dropped.items():
            state, is_explained = jobs.get(key, (None, False))
            tally[str(state)] += 1
            if state not in AT_AN_END or (state in EXPLAINED and not is_explained):
                yield f"{'/'.join(key)} ({kind}) is {state}, explained: {is_explained}"
            elif kind == "good" and state is not JobState.COMPLETED:
                yield f"{'/'.join(key)} is good, and {state}"
        shown = Counter[str]()
        for status in self._projects.glob("*/status.yaml"):
            shown.update(plain_yaml.load(status.read_bytes())["counts"])
        self._say(f"{self._count} dropped, worked off in {seconds:.0f} s: {dict(tally)}")
        if {state: n for state, n in shown.items() if n} != dict(tally):
            yield f"status.yaml counts {dict(shown)}"


def _good(number: int) -> bytes:
    return json.dumps(picture(number)).encode()


@click.command()
@click.argument("count", type=click.IntRange(min=1), default=10_000)
def main(count: int) -> None:
    """Drop COUNT workflows, a third of them broken, and see what comes of them."""
    folder = Path(tempfile.mkdtemp(prefix="comfywatch-flood-"))
    findings = Flood(folder, count=count, say=click.echo).run()
    for finding in findings[:20]:
        click.echo(finding)
    click.echo(f"findings: {len(findings)}")
    if findings:
        click.echo(f"The folders are kept: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
