"""One life of the server process: what it holds in memory, and what a restart loses."""

from __future__ import annotations

from comfywatch.sandbox.changes import Changes
from comfywatch.sandbox.events import Events
from comfywatch.sandbox.faults import Faults
from comfywatch.sandbox.installation import Installation
from comfywatch.sandbox.queue import PromptQueue
from comfywatch.sandbox.record import Record
from comfywatch.sandbox.settings import SandboxSettings
from comfywatch.sandbox.worker import Worker


class Life:
    """Made inside a running event loop; ``installation``, ``faults`` and ``record`` are older than it."""

    def __init__(
        self, settings: SandboxSettings, installation: Installation, *, faults: Faults, record: Record
    ) -> None:
        self.settings = settings
        self.installation = installation
        self.faults = faults
        self.record = record
        self.changes = Changes()
        self.events = Events(faults)
        self.queue = PromptQueue(installation, self._queue_changed)
        self.worker = Worker(
            installation,
            settings,
            queue=self.queue,
            events=self.events,
            changes=self.changes,
            faults=faults,
            record=record,
        )

    def forget(self, history: bool, queue: bool) -> None:
        """Wipe what is finished, what waits, or both."""
        if history:
            self.queue.history.clear()
        if queue:
            self.queue.clear()

    def _queue_changed(self) -> None:
        self.events.send("status", {"status": {"exec_info": {"queue_remaining": self.queue.remaining}}})
        self.changes.tell()
