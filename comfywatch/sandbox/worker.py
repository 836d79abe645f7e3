"""The one worker: takes prompts from the queue, runs them, and writes down how each ended."""

from __future__ import annotations

import asyncio
import time

from comfywatch.sandbox.caching import Cache
from comfywatch.sandbox.changes import Changes
from comfywatch.sandbox.events import Events
from comfywatch.sandbox.execution import Execution
from comfywatch.sandbox.faults import Faults
from comfywatch.sandbox.installation import Installation
from comfywatch.sandbox.queue import Item, PromptQueue
from comfywatch.sandbox.record import Record
from comfywatch.sandbox.run import Run
from comfywatch.sandbox.settings import SandboxSettings


class Worker:
    """Runs one prompt at a time; ``interrupt`` stops the one that runs."""

    def __init__(
        self,
        installation: Installation,
        settings: SandboxSettings,
        *,
        queue: PromptQueue,
        events: Events,
        changes: Changes,
        faults: Faults,
        record: Record,
    ) -> None:
        self._installation = installation
        self._settings = settings
        self._queue = queue
        self._events = events
        self._changes = changes
        self._faults = faults
        self._record = record
        self._cache = Cache(keeps=installation.newer)
        self._free_memory = False
        self._run: Run | None = None

    async def work_forever(self) -> None:
        """Take the next prompt when there is one, and run it."""
        while True:
            await self._changes.until(lambda: bool(self._queue.pending) and self._faults.may_begin)
            if self._free_memory:
                self._free_memory = False
                self._cache.clear()
            if self._faults.take_step():
                await self._work(self._queue.take())

    def interrupt(self) -> None:
        """Stop what runs; with nothing running, nothing happens."""
        if self._run is not None:
            self._run.stopped.set()
            self._changes.tell()

    def free_memory(self) -> None:
        """Forget the cached results before the next prompt."""
        self._free_memory = True

    @property
    def executing(self) -> tuple[str | None, str]:
        """The client that is being served and the node that runs; empty when there is none."""
        run = self._run
        return (run.item.extra_data.get("client_id"), run.node_id) if run else (None, "")

    async def _work(self, item: Item) -> None:
        until = time.perf_counter() + self._settings.job_seconds - self._faults.history_late
        run = self._run = Run(item, self._installation, self._settings, self._events)
        self._record.executed.append(item.prompt_id)
        ending = await Execution(run, self._cache, self._before_node).work(until=until)
        self._run = None
        if ending.messages[-1][0] == "execution_interrupted":
            self._record.interrupted.append(item.prompt_id)
        await self._changes.until(lambda: not self._faults.dead_worker)
        await asyncio.sleep(self._faults.history_late)
        self._queue.done(item, ending)
        run.say_goodbye()

    async def _before_node(self, run: Run) -> None:
        await self._changes.until(lambda: not self._faults.dead_worker)
        await self._changes.until(lambda: not self._faults.hold or run.stopped.is_set())
        run.check()
