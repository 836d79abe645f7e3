"""Names and places of files by ComfyUI's rules: saving, uploading, finding for ``/view``."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from comfywatch.sandbox.installation import Installation


class OutsideFolder(Exception):
    """A prefix that leads out of the output folder; ComfyUI fails the node with this text."""

    reported_as = "Exception"


class NotServed(Exception):
    """A request for a file that is answered with ``status`` and no body."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class SavePlace:
    """Where the files of one save go; the first one takes ``counter``."""

    folder: Path
    subfolder: str
    stem: str
    counter: int

    def name(self, index: int, suffix: str) -> str:
        """The name of the ``index``-th file of a batch."""
        return f"{self.stem.replace('%batch_num%', str(index))}_{self.counter + index:05}_{suffix}"


def save_place(prefix: str, root: Path, *, width: int = 0, height: int = 0) -> SavePlace:
    """The folder of ``prefix`` (made if needed) and the first free number in it."""
    plain = os.path.normpath(_with_variables(prefix, width, height))
    subfolder, stem = os.path.split(plain)
    folder = Path(os.path.abspath(root / subfolder))  # noqa: PTH100 - resolve() would follow links, ComfyUI does not
    if not folder.is_relative_to(root):
        raise OutsideFolder(
            "**** ERROR: Saving image outside the output folder is not allowed."
            f"\n full_output_folder: {folder}\n         output_dir: {root}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return SavePlace(folder=folder, subfolder=subfolder, stem=stem, counter=_highest_number(folder, stem) + 1)


def find_annotated(name: Any, installation: Installation) -> Path:
    """The file that a node's input names: in the input folder, or as ``name [output]`` says.

    What is no string is not looked at beforehand: the real server stumbles over it too.
    """
    kind, plain = _annotation(name)
    return (installation.folder(kind) or installation.input) / plain


def find_for_view(installation: Installation, *, filename: str, subfolder: str | None, kind: str) -> Path:
    """The file that ``/view`` answers with; raises ``NotServed``."""
    annotated, filename = _annotation(filename)
    root = installation.folder(annotated or kind)
    if not filename or filename.startswith("/") or ".." in filename or root is None:
        raise NotServed(HTTPStatus.BAD_REQUEST)
    folder = Path(os.path.abspath(root / (subfolder or "")))  # noqa: PTH100 - as in save_place
    if not folder.is_relative_to(root):
        raise NotServed(HTTPStatus.FORBIDDEN)
    path = folder / os.path.basename(filename)  # noqa: PTH119 - Path(".").name is "", basename is "."
    if not path.is_file():
        raise NotServed(HTTPStatus.NOT_FOUND)
    return path


def place_upload(
    root: Path, *, subfolder: str, filename: str, content: bytes, overwrite: bool
) -> tuple[Path, str, bool]:
    """Where an upload goes, how it is called then, and whether it is there already.

    Raises ``NotServed`` for a way out of the folder.
    """
    folder = root / os.path.normpath(subfolder)
    path = Path(os.path.abspath(folder / filename))  # noqa: PTH100 - as in save_place
    if not path.is_relative_to(root):
        raise NotServed(HTTPStatus.BAD_REQUEST)
    folder.mkdir(parents=True, exist_ok=True)
    stem, suffix = os.path.splitext(filename)  # noqa: PTH122 - the name may hold folders, which stay
    number, name = 0, filename
    while not overwrite and path.exists():
        if _digest(path.read_bytes()) == _digest(content):
            return path, name, True
        number += 1
        name = f"{stem} ({number}){suffix}"
        path = folder / name
    return path, name, False


def _annotation(name: str) -> tuple[str, str]:
    """The folder that ``name [folder]`` says, and the name without it; an empty folder if it says none."""
    for kind in ("output", "input", "temp"):
        if name.endswith(f"[{kind}]"):
            return kind, name[: -len(kind) - 2].rstrip()
    return "", name


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _highest_number(folder: Path, stem: str) -> int:
    """The highest N of the files ``stem_N_….…`` in a folder; others with this prefix count as 0."""
    start = os.path.normcase(stem + "_")
    highest = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if os.path.normcase(entry.name[: len(start)]) == start:
                digits = entry.name[len(start) :].partition(".")[0].partition("_")[0]
                highest = max(highest, int(digits) if digits.isdecimal() else 0)
    return highest


def _with_variables(prefix: str, width: int, height: int) -> str:
    if "%" not in prefix:
        return prefix
    values = {"%width%": str(width), "%height%": str(height)}
    for name, form in (
        ("year", "%Y"),
        ("month", "%m"),
        ("day", "%d"),
        ("hour", "%H"),
        ("minute", "%M"),
        ("second", "%S"),
    ):
        values[f"%{name}%"] = time.strftime(form)
    for name, value in values.items():
        prefix = prefix.replace(name, value)
    return prefix
