"""What a setting may choose from, where the choices have names."""

from __future__ import annotations

from enum import StrEnum


class Watch(StrEnum):
    """How changes are noticed; ``auto`` asks the file system for events and falls back to polling."""

    AUTO = "auto"
    EVENTS = "events"
    POLLING = "polling"


class Take(StrEnum):
    """What to do with work that nobody clearly asked for."""

    HOLD = "hold"
    RUN = "run"


class Previews(StrEnum):
    """What becomes of the pictures that ComfyUI's preview nodes make."""

    OFF = "off"
    KEEP = "keep"
    LIVE = "live"


class OutputNames(StrEnum):
    """How output files are called: told apart by workflow and run, or as ComfyUI named them."""

    UNIQUE = "unique"
    KEEP = "keep"


class NotifyOn(StrEnum):
    """Of what word is sent; ``drained`` is when nothing is left to do."""

    COMPLETED = "completed"
    FAILED = "failed"
    BLOCKED = "blocked"
    DRAINED = "drained"


class LogLevel(StrEnum):
    """The least important messages that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
