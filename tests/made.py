"""Values that many tests need: a job, its time, a file's stamp."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from comfywatch.jobs import Job
from comfywatch.settling import Stamp
from comfywatch.status import Entry, Place

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PROMPT_ID = "6613aa0e-9d62-4b0e-a2ab-6c2b0d1c9f11"
STAMP = Stamp(size=3, mtime_ns=7)
HOSTILE_NAMES = (
    "../../evil.png",
    "/etc/passwd",
    "..\\win.png",
    "C:\\Windows\\win.ini",
    "\\\\host\\share\\x.png",
    "a/b.png",
    "..",
    ".",
    "",
    "/",
    "...",
    " ",
    "CON.png",
    "con",
    "nul .txt",
    "Com¹.tar.gz",
    "LPT9.",
    "CONOUT$",
    "name.png.",
    "name. . .",
    "  . name",
    ".hidden",
    ".~comfywatch-1.tmp",
    "a:b.png",
    'a<b>|"?*.png',
    "two\nlines\r.png",
    "nul\0byte.png",
    "bell\a\x7f\x85.png",
    "gpj.\u202eexe",
    "\u200fright.png",
    "line\u2028break.png",
    "\ufeffmark.png",
    "half\ud83d.png",
    "ok name ☃.png",
    "e\u0301.png",
    "x" * 251 + ".png",
    "☃" * 85,
    "con" + " " * 250 + "x",
    "a" * 199 + "." * 50 + "b",
    "x." + "y" * 300,
    "result.yaml",
    "workflow.json",
)
"""What a node package, or somebody with bad intentions, may call an output."""


def a_job(**changes: Any) -> Job:
    """A job that waits, and what is different about it."""
    plain: dict[str, Any] = {"id": 1, "project": "film", "path": "a.json", "digest": "d", "first_seen": NOON}
    return Job(**plain | changes)


class Listed:
    """Workflows as they are given."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = {entry.path: entry for entry in entries}

    def places(self) -> Iterator[Place]:
        for path, entry in self._entries.items():
            finished = entry.job.finished.isoformat() if entry.job.finished else ""
            yield Place(path=path, state=entry.job.state, finished=finished)

    def entries(self, paths: Sequence[str]) -> list[Entry]:
        return [self._entries[path] for path in paths]
