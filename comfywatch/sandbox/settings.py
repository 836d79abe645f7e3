"""What a sandbox is told at its start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

VERSIONS = ("0.3.64", "0.33.0")


class UnknownVersion(ValueError):
    """A ComfyUI version of which there are no recordings, so the sandbox cannot stand in for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """Port 0 takes a free one; ``folder`` holds ``input/``, ``output/`` and ``temp/`` (``None``: a temporary one).

    A small job costs ``job_seconds`` altogether, a sampling step ``step_seconds``. ``preview_method`` is as ComfyUI's
    ``--preview-method``: with ``auto``, samplers show what they make.
    """

    version: str = "0.3.64"
    step_seconds: float = 0.05
    job_seconds: float = 0.004
    preview_method: str = "none"
    host: str = "127.0.0.1"
    port: int = 0
    max_upload_bytes: int = 100 * 1024 * 1024
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.version not in VERSIONS:
            raise UnknownVersion(f"no such version: {self.version} (there is {' and '.join(VERSIONS)})")
