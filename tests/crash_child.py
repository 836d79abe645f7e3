"""A daemon that kills itself at a numbered effect; ``test_crashes`` runs it again and again.

What is counted is what others can see, or what the next start rests on: each effect that is handed to the performer,
each commit, each file that appears, each request that changes something in ComfyUI. Production code has no hooks for
this: its functions are wrapped here, in a process of its own.
"""

from __future__ import annotations

import json
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


class Journal:
    """Notes what a power cut would leave: which files and folders were fsynced, and which names are new in a folder."""

    def __init__(self, path: Path) -> None:
        self._lines = path.open("ab", buffering=0)

    def synced(self, descriptor: int) -> None:
        """What this descriptor is open for is durable now; of a folder, the names in it are."""
        self._note("synced", _open_path(descriptor))

    def named(self, target: Any, folder: int | None, *, source: Any = "", source_folder: int | None = None) -> None:
        """A folder was made, or ``source`` renamed."""
        self._note("named", _path(target, folder), _path(source, source_folder) if source else "")

    def _note(self, *words: str) -> None:
        self._lines.write(json.dumps(words).encode() + b"\n")


def run(settings: Settings, blows_at: int, trace: Path) -> None:
    """``comfywatch run --once`` as a process; waits are short, because here nothing is slow."""
    logger.remove()
    logger.add(trace.with_name("daemon.log"), level="DEBUG")
    decide.UNSURE_GAP, decide.VANISHED_GAP = 0.2, 0.05
    board.SHORTEST_PAUSE = 0.05
    server.FIRST_LOOK_PAUSE = 0.01
    _count_effects(Fuse(blows_at, trace), Journal(trace.with_name("journal")))
    Daemon(settings, once=True).run()
    sys.exit(ENDED)


def _count_effects(fuse: Fuse, journal: Journal) -> None:
    _count_performed(fuse)
    _count_commits(fuse)
    for name in ("rename", "replace"):  # whatever function names a file, it ends at one of these
        _count_renames(fuse, journal, name)
    _note_folders(journal)
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


def _count_renames(fuse: Fuse, journal: Journal, name: str) -> None:
    rename = getattr(os, name)

    def counted(source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        fuse.pass_by(f"before the rename to {Path(target).suffix}")
        journal.named(target, dst_dir_fd, source=source, source_folder=src_dir_fd)
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        fuse.pass_by(f"after the rename to {Path(target).suffix}")

    setattr(os, name, counted)


def _note_folders(journal: Journal) -> None:
    fsync, mkdir = os.fsync, os.mkdir

    def synced(fd: Any) -> None:
        fsync(fd)
        journal.synced(fd if isinstance(fd, int) else fd.fileno())

    def made(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        mkdir(path, mode, dir_fd=dir_fd)
        journal.named(path, dir_fd)

    os.fsync, os.mkdir = synced, made


def _path(path: Any, folder: int | None) -> str:
    return os.path.join(_open_path(folder) if folder is not None else "", path)  # noqa: PTH118  # where it lies


def _open_path(descriptor: int) -> str:
    """What a descriptor is open for; ``/proc`` is Linux's."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115  # the name, whatever it is
    except OSError:
        return ""


def _count_requests(fuse: Fuse, name: str) -> None:
    ask = getattr(Comfy, name)

    def counted(comfy: Comfy, *args: Any, **options: Any) -> Any:
        fuse.pass_by(f"before {name}")
        answer = ask(comfy, *args, **options)
        fuse.pass_by(f"after {name}")
        return answer

    setattr(Comfy, name, counted)
