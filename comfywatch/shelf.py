"""``references/models.md`` as it lies on disk: read when it is first asked for, and again when it has changed."""

from __future__ import annotations

from pathlib import Path

from loguru import logger

from comfywatch import files
from comfywatch.references import MAX_BYTES, References
from comfywatch.settling import Stamp
from comfywatch.tree import look_at


class Shelf:
    """What cannot be read counts as empty, and is said once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: Stamp | None = None
        self._references: References | None = None

    def references(self) -> References:
        """What is in it now."""
        if self._references is None or self.has_changed():
            self._stamp = look_at(self._path)
            self._references = self._read()
        return self._references

    def has_changed(self) -> bool:
        """Whether it is another file than the one that was read; false if nobody has asked for it yet."""
        return self._references is not None and look_at(self._path) != self._stamp

    def _read(self) -> References:
        if self._stamp is None:
            return References()
        try:
            return References.read(files.read_regular(self._path, max_bytes=MAX_BYTES)[0])
        except OSError as error:
            logger.warning("{} cannot be read, so its links are not named: {}", self._path.name, error)
            return References()
