"""The soak: people and troubles in turn, looks at what came of it, and a healthy end."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.soak.book import BROKEN_PROMISES, Book, Verdict
from benchmarks.soak.people import LATE_MODEL, PROJECTS, People
from benchmarks.soak.processes import ComfyProcess, DaemonProcess
from benchmarks.soak.troubles import TROUBLES, Scene
from comfywatch import plain_yaml
from comfywatch.engine import FIRST_SCAN
from comfywatch.store import Store

STEPS_A_SECOND = 8.0
TROUBLES_A_STEP = 0.15
TICK = 0.02
LOOK_EVERY = 0.5
SAY_EVERY = 10.0
MOST_OPEN = 150
"""Drops that wait for their end; above that nothing new is dropped."""
START_SECONDS = 20.0
DRAIN_SECONDS = 120.0
"""How long a healthy daemon and ComfyUI have for what is left at the end."""
SETTINGS = {
    "settle_seconds": 0.2,
    "delete_grace_seconds": 1,
    "poll_seconds": 1,
    "rescan_seconds": 5,
    "api_timeout_seconds": 2,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What it came to. ``faults``: how the daemon failed by itself; ``findings``: each broken promise."""

    dropped: int
    tally: Counter[Verdict]
    troubles: Counter[str]
    findings: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether every promise was kept."""
        return not self.findings and not self.faults

    def lines(self) -> Iterator[str]:
        """For a person."""
        yield from self.faults
        yield from self.findings[:20]
        yield "troubles: " + ", ".join(f"{count} {name}" for name, count in self.troubles.most_common())
        ended = ", ".join(f"{verdict} {self.tally[verdict]}" for verdict in Verdict if verdict not in BROKEN_PROMISES)
        broken = ", ".join(f"{verdict} {self.tally[verdict]}" for verdict in BROKEN_PROMISES)
        yield f"dropped {self.dropped}: {ended}; {broken}"


class Soak:
    """One run; ``say`` gets a line now and then. All choices come from ``seed``; only their timing does not."""

    def __init__(self, folder: Path, *, seed: int, say: Callable[[str], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._seed = seed
        self._say = say
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._counts: Counter[str] = Counter()
        self._next_look = self._next_say = 0.0
        self._database = folder / "root" / "state" / "comfywatch.db"
        comfyui = ComfyProcess(folder / "comfyui")
        daemon = DaemonProcess(folder / "root", comfyui.url, **SETTINGS)
        book = Book(daemon.root / "projects", comfyui.output)
        people = People(daemon.root / "projects", book, self.later)
        self._scene = Scene(comfyui=comfyui, daemon=daemon, book=book, people=people, later=self.later)

    def run(self, seconds: float) -> Report:
        """Everything, for so long and until what is left is done."""
        scene = self._scene
        try:
            self._begin()
            self._live(seconds)
            self._recover()
            self._drain()
            self._conclude()
        finally:
            scene.daemon.kill()
            scene.comfyui.end()
        return Report(
            dropped=scene.people.dropped,
            tally=scene.book.tally,
            troubles=self._counts,
            findings=tuple(scene.book.findings),
            faults=tuple(scene.daemon.faults),
        )

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do it in so many seconds."""
        heapq.heappush(self._agenda, (time.monotonic() + seconds, next(self._serial), work))

    # --- the five acts

    def _begin(self) -> None:
        """The first start is over before the first drop: what lay there before would be an archive."""
        self._scene.daemon.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._has_begun() and time.monotonic() < deadline:
            threading.Event().wait(TICK)

    def _live(self, seconds: float) -> None:
        now = due = time.monotonic()
        end = now + seconds
        for step in itertools.count():
            rng = random.Random(f"{self._seed}/{step}")  # noqa: S311  # nothing is to be kept secret
            due += rng.expovariate(STEPS_A_SECOND)
            while (now := time.monotonic()) < min(due, end):
                self._tick(now)
            if now >= end:
                return
            self._step(rng)

    def _recover(self) -> None:
        """All that is broken is mended."""
        scene = self._scene
        while self._agenda:
            heapq.heappop(self._agenda)[2]()
        scene.comfyui.do("start")
        scene.comfyui.do("open")
        scene.comfyui.do("faults", clear=True)
        scene.comfyui.do("install", folder="checkpoints", names=[LATE_MODEL])
        scene.daemon.stop()
        scene.daemon.start()

    def _drain(self) -> None:
        """Until what lies there is at its end."""
        self._wait(lambda: not any(drop.is_wanted for drop in self._scene.book.open_drops()), DRAIN_SECONDS)

    def _conclude(self) -> None:
        """The last word on everything."""
        scene, book = self._scene, self._scene.book
        scene.daemon.stop()
        self._look(is_last_word=True)
        for project in PROJECTS:
            counts = self._counts_of(project)
            if any(counts.get(state) for state in ("pending", "blocked", "queued", "running")):
                book.blame(Verdict.LOST, f"the status.yaml of {project} says {counts}")
        for drop in list(book.drops.values()):
            book.close(drop)

    # --- how

    def _has_begun(self) -> bool:
        if not self._database.exists():
            return False
        store = Store(self._database)
        try:
            return store.fact(FIRST_SCAN) is not None
        finally:
            store.close()

    def _step(self, rng: random.Random) -> None:
        """One thing that people do, or one that goes wrong."""
        if rng.random() < TROUBLES_A_STEP:
            name = rng.choices(list(TROUBLES), [weight for weight, _ in TROUBLES.values()])[0]
            self._counts[name] += 1
            TROUBLES[name][1](self._scene, rng)
            self._scene.note_unfetched()
            return
        people = self._scene.people
        actions: dict[Callable[[random.Random], None], int] = {
            people.drop: 50,
            people.drop_many: 3,
            people.drop_half: 8,
            people.overwrite: 12,
            people.touch: 4,
            people.move: 8,
            people.remove: 6,
            people.bring_back: 6,
        }
        action = rng.choices(list(actions), list(actions.values()))[0]
        if action not in {people.drop, people.drop_many} or len(self._scene.book.open_drops()) < MOST_OPEN:
            action(rng)

    def _tick(self, now: float) -> None:
        """What is due; then a moment of nothing."""
        while self._agenda and self._agenda[0][0] <= now:
            heapq.heappop(self._agenda)[2]()
        self._scene.note_unfetched()
        if self._next_look <= now:
            self._look()
            self._scene.people.tidy()
            self._next_look = time.monotonic() + LOOK_EVERY
        if self._next_say <= now:
            self._next_say = now + SAY_EVERY
            self._progress()
        threading.Event().wait(TICK)

    def _look(self, *, is_last_word: bool = False) -> None:
        """First the database and then ComfyUI's record, so that no end is known before its beginning."""
        scene, book = self._scene, self._scene.book
        if not is_last_word and not scene.daemon.is_running:
            scene.book.note(scene.comfyui.do("seen"))
            return
        store = Store(self._database)
        jobs = {drop.number: book.jobs_of(store, drop) for drop in book.open_drops()}
        store.close()
        book.note(scene.comfyui.do("seen"))
        for drop in book.open_drops():
            if not any(project in scene.people.away for project, _ in drop.places):
                book.judge(drop, jobs.get(drop.number, []), is_last_word=is_last_word)

    def _wait(self, holds: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not holds() and (now := time.monotonic()) < deadline:
            self._tick(now)

    def _progress(self) -> None:
        dropped, book = self._scene.people.dropped, self._scene.book
        waiting = len(book.open_drops())
        self._say(f"{dropped} dropped, {waiting} of them under way, {len(book.findings)} broken promises")

    def _counts_of(self, project: str) -> dict[str, int]:
        """What its ``status.yaml`` says."""
        path = self._scene.daemon.root / "projects" / project / "status.yaml"
        status = plain_yaml.load(path.read_bytes()) if path.exists() else None
        return status["counts"] if isinstance(status, dict) else {}
