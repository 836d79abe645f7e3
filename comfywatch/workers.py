"""A small pool of threads for what moves files: downloads, scans, status files.

Its threads never keep the process alive: what they had not finished is taken up at the next start.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Workers:
    """``count`` threads that perform what is handed in, in order of arrival."""

    def __init__(self, count: int, *, name: str = "worker") -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._run, name=f"{name} {n}", daemon=True) for n in range(count)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def perform(self, work: Callable[[], None]) -> None:
        """Do it as soon as a thread is free; ``work`` must not raise."""
        self._work.put(work)

    def stop(self, *, timeout: float) -> None:
        """Finish what is under way, for ``timeout`` seconds at most."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join(timeout / len(self._threads))

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
