"""The pictures of finished runs, for a message that they go along with.

They are read as everything in a project is: no link is followed, and what is too large is left where it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

from comfywatch.bulletin import End
from comfywatch.inside import Folder, open_folder
from comfywatch.names import natural

MAX_PICTURES = 3
"""Of one message."""
MAX_BYTES = 8 * 2**20
"""Of one picture; most services take no more."""
_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A file that may go along with a message."""

    name: str
    mime_type: str
    data: bytes = field(repr=False)


def pictures_of(ends: Iterable[End], projects: Path) -> list[Picture]:
    """The first picture of each run, of as many as a message takes."""
    return list(islice((picture for end in ends for picture in _first_of(end, projects)), MAX_PICTURES))


def _first_of(end: End, projects: Path) -> Iterator[Picture]:
    with suppress(OSError, ValueError), open_folder(projects / end.project, *PurePosixPath(end.lies_in).parts) as run:
        with run.entries() as entries:
            names = sorted((entry.name for entry in entries if _type_of(entry.name)), key=natural)
        if names:
            yield _read(run, names[0])


def _read(run: Folder, name: str) -> Picture:
    data, _ = run.read(name, max_bytes=MAX_BYTES)
    return Picture(name=name, mime_type=_type_of(name), data=data)


def _type_of(name: str) -> str:
    return _TYPES.get(name.rpartition(".")[2].lower(), "")
