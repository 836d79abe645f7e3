"""A daemon that may be killed at any point: one engine for each life, over a database that keeps what was committed.

The engine, the asks and the collecting are the real ones; time, the network and the process are played. Nothing happens
by itself: each method lets the daemon take a few steps, and at each point between two steps it may die.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast

from comfywatch.asker import perform
from comfywatch.asks import Answer, Post
from comfywatch.collect import Collected, collect
from comfywatch.comfy import Comfy
from comfywatch.effects import (
    AskServer,
    Collect,
    Effect,
    Event,
    Scan,
    Scanned,
    StatusWritten,
    Touched,
    WatchAdded,
    WatchProjects,
    Woken,
    WriteFile,
    WriteStatus,
)
from comfywatch.engine import Engine
from comfywatch.jobs import Job
from comfywatch.settings import Settings
from comfywatch.store import Store
from comfywatch.tree import read_forest
from tests.fake_comfy import FakeComfy

SHORTEST_WAIT = 0.005
"""Seconds that pass, as in the daemon, when it is due again at once and nothing happens."""
MOST_ROUNDS = 2000
"""In one stretch of time: a daemon that needs more goes round in circles."""


class Killed(BaseException):
    """The process is gone at this point; nothing in it may catch that."""


@dataclass(slots=True)
class Clock:
    """Both clocks of the daemon; they go on only when told."""

    now: float = 1000.0
    at: datetime = datetime(2040, 1, 1, tzinfo=UTC)

    def read(self) -> tuple[float, datetime]:
        return self.now, self.at

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.at += timedelta(seconds=seconds)


class KeptStore(Store):
    """A database in memory that can be taken up again as it was at its last commit, its ``image``."""

    def __init__(self, image: bytes, *, on_change: Callable[[Job | None, Job], None]) -> None:
        super().__init__(":memory:")
        if image:
            self._connection.deserialize(image)
        self._on_change = on_change
        self._requests_seen = 0

    @property
    def has_changed(self) -> bool:
        """Whether there is anything to commit."""
        return self._connection.in_transaction

    def image(self) -> bytes:
        return self._connection.serialize()

    def die(self) -> None:
        """What was not committed is gone."""
        self.roll_back()
        self._connection.close()

    def save_job(self, job: Job) -> None:
        self._on_change(self.job(job.id), job)
        super().save_job(job)

    def all_jobs(self) -> dict[int, Job]:
        return {job.id: job for job in self._jobs("true ORDER BY id", ())}

    def data_version(self) -> int:
        """Nobody else can open it: what others would have asked for is added by ``ask``."""
        return self._requests_seen

    def ask(self, command: str, target: str, at: datetime) -> int:
        """What ``comfywatch retry`` and ``cancel`` do from their own process."""
        self._requests_seen += 1
        number = self.add_request(command=command, target=target, options={}, at=at)
        self.commit()
        return number


@dataclass(slots=True)
class Lane:
    """What one thread was asked to ask, in this order; and its answers that were not taken in yet, each with when."""

    asks: deque[AskServer] = field(default_factory=deque)
    answers: deque[tuple[Answer, float]] = field(default_factory=deque)


class Lives:
    """``witness`` is told of everything that counts; ``started_ns`` gives the clock of file times."""

    def __init__(self, settings: Settings, comfy: FakeComfy, clock: Clock, witness: Witness) -> None:
        self.settings = settings
        self.comfy = comfy
        self.clock = clock
        self.witness = witness
        self.image = b""
        self.engine: Engine | None = None
        self.lanes = (Lane(), Lane())
        """The thread that posts, and the one that asks for everything else."""
        self.pool: list[Effect] = []
        self.events: list[Event] = []
        self._watched: frozenset[str] = frozenset()
        self._points_to_live: int | None = None

    # --- life and death

    def start(self, *, started_ns: int) -> None:
        """A new process; what it does before its first commit is lost if it dies then."""
        store = KeptStore(self.image, on_change=self.witness.changes)
        self.engine = Engine(self.settings, store, now=self.clock.now, started_ns=started_ns)

    def die(self) -> None:
        """``kill -9``."""
        if self.engine is not None:
            cast("KeptStore", self.engine.store).die()
        self.engine = None
        self._points_to_live = None
        self._watched = frozenset()
        for lane in self.lanes:
            lane.asks.clear()
            lane.answers.clear()
        self.pool.clear()
        self.events.clear()
        self.witness.died()

    def die_after(self, points: int) -> None:
        """``kill -9``, that many points later."""
        self._points_to_live = points

    def post_on_the_way(self) -> Post | None:
        """The POST that a kill now would overtake."""
        waiting = self.lanes[0].asks
        return cast("Post", waiting[0].ask) if waiting else None

    def _may_die(self) -> None:
        if self._points_to_live is None:
            return
        self._points_to_live -= 1
        if self._points_to_live < 0:
            raise Killed

    @contextmanager
    def _mortal(self) -> Iterator[None]:
        try:
            yield
        except Killed:
            self.die()

    # --- one step

    def turn(self) -> bool:
        """Decide, commit, and hand over what is to be done; whether there was anything."""
        effects: list[Effect] = []
        with self._mortal():
            engine = self._living()
            self._may_die()
            effects = engine.plan(now=self.clock.now, at=self.clock.at)
            self._may_die()
            self._commit(cast("KeptStore", engine.store))
            for effect in effects:
                self._hand_over(effect)
            self._may_die()
        return bool(effects)

    def _hand_over(self, effect: Effect) -> None:
        if isinstance(effect, AskServer):
            self.lanes[0 if isinstance(effect.ask, Post) else 1].asks.append(effect)
        else:
            self.pool.append(effect)

    def _commit(self, store: KeptStore) -> None:
        has_changed = store.has_changed
        store.commit()
        if has_changed:
            self.image = store.image()
            self.witness.committed(store)
        self.witness.caught_up()

    def ask_next(self, index: int = 0) -> bool:
        """One of the two threads takes its next ask, and waits for the answer."""
        lanes = [lane for lane in self.lanes if lane.asks]
        if not lanes:
            return False
        lane = lanes[index % len(lanes)]
        with self._mortal():
            effect = lane.asks.popleft()
            self._may_die()
            if isinstance(effect.ask, Post):
                self.witness.posts(effect.ask, now=self.clock.now)
            answer = perform(effect.ask, cast("Comfy", self.comfy), url=effect.url)
            self._may_die()
            lane.answers.append((replace(answer, took=0.0), self.clock.now))
        return True

    def work_next(self, index: int = 0) -> bool:
        """A thread of the pool takes any of what lies there."""
        if not self.pool:
            return False
        with self._mortal():
            effect = self.pool.pop(index % len(self.pool))
            self._may_die()
            event = self._performed(effect)
            self._may_die()
            if event is not None:
                self.events.append(event)
        return True

    def hear_next(self, index: int = 0) -> bool:
        """The daemon takes in the next answer of either thread, or any other event."""
        lanes = [lane for lane in self.lanes if lane.answers]
        if not lanes and not self.events:
            return False
        with self._mortal():
            choice = index % (len(self.events) + len(lanes))
            if choice < len(self.events):
                self._hear(self.events.pop(choice))
            else:
                answer, performed = lanes[choice - len(self.events)].answers.popleft()
                self.witness.hears(answer, performed=performed, now=self.clock.now, engine=self._living())
                self._hear(answer)
            self._may_die()
        return True

    def _hear(self, event: Event) -> None:
        self._may_die()
        self._living().handle(event, now=self.clock.now, at=self.clock.at)

    def touch(self, *events: Touched) -> None:
        """The watcher saw something."""
        if self.engine is not None:
            self.events.extend(events)

    def request(self, command: str, target: str) -> int:
        """A command in another process; what the daemon had open is committed first, as the database's lock has it."""
        if self.engine is not None:
            self.turn()
        if self.engine is not None:
            store = cast("KeptStore", self.engine.store)
            number = store.ask(command, target, self.clock.at)
            self.image = store.image()
            self.events.append(Woken())
            return number
        store = KeptStore(self.image, on_change=self.witness.changes)
        number = store.ask(command, target, self.clock.at)
        self.image = store.image()
        store.die()
        return number

    def _performed(self, effect: Effect) -> Event | None:
        """What the performer does with it, and what comes of that."""
        match effect:
            case Scan():
                return Scanned(forest=read_forest(self.settings.projects), took=0.0)
            case Collect():
                collected: Collected = collect(effect.task, cast("Comfy", self.comfy))
                self.witness.collected(effect.task, collected)
                return collected
            case WriteStatus():
                return StatusWritten(project=effect.project)
            case WriteFile(path=path, data=data):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            case WatchProjects(names=names) if not names <= self._watched:
                self._watched = names
                return WatchAdded()
        return None

    def _living(self) -> Engine:
        if self.engine is None:
            raise Killed
        return self.engine

    # --- a stretch of time

    def run(
        self,
        seconds: float,
        *,
        meanwhile: Callable[[], bool] = lambda: False,
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        """Let it work undisturbed, ``until`` something holds or the time is up.

        ``meanwhile`` says what else happens whenever the daemon waits, and whether anything did.
        """
        end = self.clock.now + seconds
        for _ in range(MOST_ROUNDS):
            is_busy = self._round(until) or meanwhile()
            if self.engine is None or until() or (self.clock.now >= end and not is_busy):
                return
            if not is_busy:
                due = self.engine.next_due(now=self.clock.now) - self.clock.now
                self.clock.advance(min(max(due, SHORTEST_WAIT), max(end - self.clock.now, SHORTEST_WAIT)))
                self.comfy.arrive_late()
        raise AssertionError(f"the daemon goes round in circles: {MOST_ROUNDS} rounds in {seconds} s")

    def _round(self, until: Callable[[], bool]) -> bool:
        is_busy = self.engine is not None and self.turn()
        for step in (self.ask_next, self.work_next, self.hear_next):
            while self.engine is not None and not until() and step():
                is_busy = True
        return is_busy


class Witness:
    """Who watches the lives; these do nothing."""

    def changes(self, before: Job | None, job: Job) -> None:
        """A job is about to be saved."""

    def committed(self, store: KeptStore) -> None:
        """What was changed is durable."""

    def caught_up(self) -> None:
        """What the daemon was told until now it has had the chance to save."""

    def posts(self, ask: Post, *, now: float) -> None:
        """A POST is about to leave."""

    def hears(self, answer: Answer, *, performed: float, now: float, engine: Engine) -> None:
        """An answer is about to be taken in."""

    def collected(self, task: object, result: Collected) -> None:
        """A collection was tried."""

    def died(self) -> None:
        """The process is gone."""
