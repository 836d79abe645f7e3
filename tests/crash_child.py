"""A daemon that kills itself at a numbered effect; ``test_crashes`` runs it again and again.

What is counted is what others can see, or what the next start rests on: each effect that is handed to the performer,
each commit, each file that appears, each request that changes something in ComfyUI. Production code has no hooks for
this: its functions are wrapped here, in a process of its own.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from loguru import logger

from comfywatch import board, decide, server
from comfywatch.comfy import Comfy
from comfywatch.daemon import Daemon
from comfywatch.effects import AskServer, Effect
from comfywatch.performer import Performer
from comfywatch.settings import Settings
from comfywatch.store import Store

ENDED = 42
"""The exit code of a daemon that came to its end: none that a traceback or a signal gives."""
REQUESTS = ("post_prompt", "upload_image", "delete_pending", "cancel_job", "interrupt")
"""The methods of ``Comfy`` after which ComfyUI is not as it was."""


class Fuse:
    """Counts effects and kills the process at number ``blows_at`` (0: never); ``trace`` gets a line for each."""

    def __init__(self, blows_at: int, trace: Path) -> None:
        self._left = blows_at
        self._trace = trace.open("ab", buffering=0)
        self._turn = threading.Lock()

    def pass_by(self, what: str) -> None:
        """One more, on whichever thread."""
        with self._turn:
            self._trace.write(f"{what}\n".encode())
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def run(settings: Settings, blows_at: int, trace: Path) -> None:
    """``comfywatch run --once`` as a process; waits are short, because here nothing is slow."""
    logger.remove()
    logger.add(trace.with_name("daemon.log"), level="DEBUG")
    decide.UNSURE_GAP, decide.VANISHED_GAP = 0.2, 0.05
    board.SHORTEST_PAUSE = 0.05
    server.FIRST_LOOK_PAUSE = 0.01
    _count_effects(Fuse(blows_at, trace))
    Daemon(settings, once=True).run()
    sys.exit(ENDED)


def _count_effects(fuse: Fuse) -> None:
    _count_performed(fuse)
    _count_commits(fuse)
    _count_files(fuse)
    for name in REQUESTS:
        _count_requests(fuse, name)


def _count_performed(fuse: Fuse) -> None:
    perform = Performer.perform

    def counted(performer: Performer, effect: Effect) -> None:
        fuse.pass_by(f"perform {type(effect.ask if isinstance(effect, AskServer) else effect).__name__}")
        perform(performer, effect)

    Performer.perform = counted  # type: ignore[assignment, method-assign]  # the point of this module


def _count_commits(fuse: Fuse) -> None:
    commit = Store.commit

    def counted(store: Store) -> None:
        if not store._connection.in_transaction:
            return
        fuse.pass_by("before commit")
        commit(store)
        fuse.pass_by("after commit")

    Store.commit = counted  # type: ignore[assignment, method-assign]  # the point of this module


def _count_files(fuse: Fuse) -> None:
    """What is renamed into place, by whichever function: ``pathlib`` ends at these two."""
    for name in ("rename", "replace"):
        _count_renames(fuse, name)


def _count_renames(fuse: Fuse, name: str) -> None:
    rename = getattr(os, name)

    def counted(source: Any, target: Any, **folders: Any) -> None:
        fuse.pass_by(f"before the rename to {Path(target).suffix}")
        rename(source, target, **folders)
        fuse.pass_by(f"after the rename to {Path(target).suffix}")

    setattr(os, name, counted)


def _count_requests(fuse: Fuse, name: str) -> None:
    ask = getattr(Comfy, name)

    def counted(comfy: Comfy, *args: Any, **options: Any) -> Any:
        fuse.pass_by(f"before {name}")
        answer = ask(comfy, *args, **options)
        fuse.pass_by(f"after {name}")
        return answer

    setattr(Comfy, name, counted)
