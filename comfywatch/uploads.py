"""Input files on their way to ComfyUI: each content once, under a name made of it, and never half of a file.

Runs on worker threads. A file that may still be written is left alone until nothing has changed for a moment; one that
changed while it was sent is sent again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path

from comfywatch.comfy import Comfy
from comfywatch.comfy_errors import ComfyError
from comfywatch.effects import Upload, Uploaded
from comfywatch.files import stamp_of
from comfywatch.inputs import InputFile, path_on_server
from comfywatch.reach import Reach
from comfywatch.settling import Stamp

MOST_KNOWN = 10_000
"""Files whose content is remembered, so that it is not read again for each job."""


class StillWritten(OSError):
    """Something writes a file that is to be sent."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is still being written")


class Uploader:
    """``settle_seconds`` without a change make a file one that can be sent."""

    def __init__(self, reach: Reach, *, settle_seconds: float) -> None:
        self._reach = reach
        self._settle_ns = int(settle_seconds * 1e9)
        self._known: dict[Path, tuple[Stamp, str]] = {}

    def perform(self, effect: Upload, comfy: Comfy, *, now_ns: int) -> Uploaded:
        """Every file of a job; never raises what belongs to the network or the disk. ``now_ns``: as file times are."""
        try:
            names = self._all(effect, comfy, now_ns)
        except (ComfyError, OSError) as error:
            return Uploaded(job=effect.job, names={}, error=error)
        return Uploaded(job=effect.job, names=names)

    def _all(self, effect: Upload, comfy: Comfy, now_ns: int) -> Mapping[tuple[str, str], str]:
        """The names on the server, by node and input; a file that several inputs name is sent once."""
        sent: dict[Path, str] = {}
        names: dict[tuple[str, str], str] = {}
        for file in effect.files:
            if file.path is None:
                continue
            if file.path not in sent:
                sent[file.path] = self._send(file, file.path, comfy, now_ns)
            names[file.node, file.input] = sent[file.path]
        return names

    def _send(self, file: InputFile, path: Path, comfy: Comfy, now_ns: int) -> str:
        with self._reach.opened(path) as source:
            stamp = _stamp(source)
            if 0 <= now_ns - max(stamp.mtime_ns, stamp.ctime_ns) < self._settle_ns:
                raise StillWritten(file.name)
            subfolder, name = path_on_server(self._digest(path, source, stamp), path.name)
            there = comfy.input_size(filename=name, subfolder=subfolder)
            if there == stamp.size:
                return f"{subfolder}/{name}"
            source.seek(0)
            # What has this name and another size is the beginning of this very file, from an upload that broke off.
            found = comfy.upload_image(source, name=name, subfolder=subfolder, overwrite=there is not None)
            if _stamp(source) != stamp:
                del self._known[path]
                raise StillWritten(file.name)
            return found

    def _digest(self, path: Path, source: BufferedReader, stamp: Stamp) -> str:
        known = self._known.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        digest = hashlib.file_digest(source, "sha256").hexdigest()
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[path] = stamp, digest
        return digest


def _stamp(source: BufferedReader) -> Stamp:
    return stamp_of(os.fstat(source.fileno()))
