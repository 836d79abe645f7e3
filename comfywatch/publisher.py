"""Figures brought to where they are looked at: into ``metrics_file``, and to who asks at ``metrics_port``.

What stands in the way is said once; the next figures are tried all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from loguru import logger

from comfywatch import exposition
from comfywatch.figures import Figures
from comfywatch.files import write_for_now


class Publisher:
    """May be used by any thread, one at a time."""

    def __init__(self, file: Path | None, port: int | None) -> None:
        self._file = file
        self._port = port
        self._latest: Figures | None = None
        self._close: Callable[[], None] | None = None
        self._said: set[str] = set()

    def show(self, figures: Figures) -> None:
        """These are the figures from now on."""
        self._latest = figures
        if self._port is not None and self._close is None:
            self._listen(self._port)
        if self._file is not None:
            self._write(self._file, figures)

    def stop(self) -> None:
        """Say that nobody is at work any more, where that can still be read."""
        if self._close is not None:
            self._close()
        if self._latest is not None and self._file is not None:
            self._write(self._file, replace(self._latest, is_running=False))

    def _listen(self, port: int) -> None:
        try:
            self._close = exposition.serve(port, lambda: self._latest)
        except OSError as error:
            self._say(f"metrics cannot be had at port {port} of this machine ({error.strerror})")
        else:
            logger.info("metrics are at http://{}:{}/metrics", exposition.LOOPBACK, port)

    def _write(self, file: Path, figures: Figures) -> None:
        try:
            write_for_now(file, exposition.text(figures))
        except OSError as error:
            self._say(f"metrics cannot be written to {file} ({error.strerror})")

    def _say(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            logger.warning("{}; it is tried again every time", what)
