"""A sandbox in a process of its own: told what to do by lines of JSON, it answers with what it has seen.

An *era* ends whenever it forgets something: by a restart, or by a wiped history or queue. What was begun in one era may
be asked for again in a later one, and never in the same. The record is given away as it is asked for, so that the
process can live as long as one likes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from comfywatch.sandbox import Sandbox, SandboxSettings

T = TypeVar("T")


class Watched(Sandbox):
    """The sandbox, with its eras, and with what a person at its window would do."""

    def __init__(self, settings: SandboxSettings) -> None:
        super().__init__(settings)
        self._era = 0
        self._is_open = True
        self._posts: list[tuple[int, str, int]] = []
        self._begun: list[tuple[int, str]] = []
        self._interrupted: list[str] = []

    def seen(self) -> dict[str, Any]:
        """What is new: POSTs taken (era, prompt, number of the drop), prompts begun (era, prompt), those stopped."""
        self._in_turn(self._note)
        new = {"posts": self._posts, "begun": self._begun, "interrupted": self._interrupted}
        self._posts, self._begun, self._interrupted = [], [], []
        return new

    def die(self) -> None:
        """The process ends, and its memory with it."""
        self.stop()
        self._note()
        self._era += 1
        self._is_open = True

    def close(self) -> None:
        """The network is away."""
        if self._loop is not None and self._is_open:
            self._is_open = False
            self.close_port()

    def open(self) -> None:
        """The network is back."""
        if self._loop is not None and not self._is_open:
            self._is_open = True
            self.open_port()

    def wipe(self, *, history: bool, queue: bool) -> list[int]:
        """Forget what has ended or what waits; the drops that this hits."""

        def work() -> list[int]:
            self._note()
            self._era += 1
            ended = [entry["prompt"][2] for entry in self._history().values()] if history else []
            hit = ended + (self._waiting() if queue else [])
            self.faults.forget(history=history, queue=queue)
            return _numbers(hit)

        return self._in_turn(work)

    def delete(self, *, which: int) -> list[int]:
        """Take one that waits out of the queue; its drop."""

        def work() -> list[int]:
            pending = self._life.queue.pending if self._life is not None else []
            if not pending or self._life is None:
                return []
            item = pending[which % len(pending)]
            self._life.queue.delete(item.prompt_id)
            return _numbers([item.prompt])

        return self._in_turn(work)

    def interrupt(self) -> list[int]:
        """Stop what runs; its drop."""

        def work() -> list[int]:
            if self._life is None:
                return []
            self._life.worker.interrupt()
            return _numbers(item.prompt for item in self._life.queue.running)

        return self._in_turn(work)

    def install(self, *, folder: str, names: list[str]) -> None:
        """Models that are there from now on."""
        self.models[folder] += names

    def _note(self) -> None:
        """What was recorded since the last time belongs to this era."""
        record = self.record
        taken = (post for post in record.posts if post.status == 200)
        self._posts += [(self._era, str(post.prompt_id), number_of(post.prompt)) for post in taken]
        self._begun += [(self._era, prompt_id) for prompt_id in record.executed]
        self._interrupted += record.interrupted
        record.posts.clear()
        record.executed.clear()
        record.interrupted.clear()
        record.requests.clear()

    def _in_turn(self, work: Callable[[], T]) -> T:
        """Do it between two requests, so that nothing falls between what is noted and what is forgotten."""
        if self._loop is None:
            return work()

        async def turn() -> T:
            return work()

        return self._do(turn())

    def _history(self) -> Mapping[str, Any]:
        return self._life.queue.history if self._life is not None else {}

    def _waiting(self) -> list[Any]:
        return [item.prompt for item in self._life.queue.pending] if self._life is not None else []


def number_of(prompt: Mapping[str, Any]) -> int:
    """The number of the drop that a prompt is of: the colour of its first picture."""
    number: int = prompt["1"]["inputs"]["color"]
    return number


def _numbers(prompts: Iterable[Mapping[str, Any]]) -> list[int]:
    return [number_of(prompt) for prompt in prompts]


def main() -> None:
    """Serve until the other end of the pipe is closed; the folder is the only argument."""
    sandbox = Watched(SandboxSettings(folder=Path(sys.argv[1]), step_seconds=0.01))
    names = ("seen", "die", "start", "close", "open", "wipe", "delete", "interrupt", "install")
    commands: dict[str, Callable[..., Any]] = {name: getattr(sandbox, name) for name in names}
    commands["faults"] = lambda **switches: sandbox.faults.apply(switches)
    commands["url"] = lambda: sandbox.url
    with sandbox:
        for line in sys.stdin:
            name, given = json.loads(line)
            sys.stdout.write(json.dumps(commands[name](**given)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
