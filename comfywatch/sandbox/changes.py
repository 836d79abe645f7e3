"""Waiting for something to become true, woken from any thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Changes:
    """Belongs to the running event loop; whoever changes what others wait for calls ``tell``."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Let everyone look again; from the loop's own thread."""
        self._event.set()
        self._event = asyncio.Event()

    def tell_from_thread(self) -> None:
        """The same from anywhere; nothing happens once the loop is closed."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.tell)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Come back when ``is_so`` says yes; it is asked after each change."""
        while not is_so():
            await self._event.wait()
