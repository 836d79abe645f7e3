"""Other machines on the same projects folder, and which of them is at work on a project that has no ``owner``.

What tells is the project's own ``status.yaml``: until the time that it promises, whoever wrote it last is there, and
the project is left alone. What that machine has finished is not run again once the project is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from comfywatch import plain_yaml
from comfywatch.inside import open_folder
from comfywatch.settling import Stamp
from comfywatch.tree import look_at

STATUS = "status.yaml"
HEAD_BYTES = 4096
"""Of ``status.yaml``, in which all that is wanted stands."""
LONGEST_PROMISE = timedelta(hours=25)
"""A sign of life comes once a day at least (``progress_seconds``); who promises more has another clock than ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Who wrote a ``status.yaml``; ``until`` is when it will have written again, ``None`` if it was stopped."""

    host: str
    until: datetime | None

    def is_alive(self, at: datetime) -> bool:
        """Whether that machine still is at work."""
        return self.until is not None and at < self.until <= at + LONGEST_PROMISE


class Neighbours:
    """``inherited`` are the projects in which another machine was at work at any time since our start.

    ``to_catch_up`` are those of them of which it was not looked yet what that machine has finished. ``names`` are those
    that this daemon has or had.
    """

    def __init__(self, names: frozenset[str], *, name: str) -> None:
        self.inherited: set[str] = set()
        self.to_catch_up: set[str] = set()
        self._names = names | {name}
        self._name = name
        self._signs: dict[str, tuple[Stamp | None, Sign | None]] = {}
        self._ours: set[str] = set()

    def at_work(self, project: Path, *, at: datetime) -> str:
        """The machine that is at work on a project instead of us, empty if there is none."""
        sign = self._sign(project)
        if sign is None or sign.host in self._names:
            self._ours.add(project.name)
            return ""
        self.were_at_work(project.name)
        if not sign.is_alive(at) or self._comes_first(project.name, sign):
            self._ours.add(project.name)
            return ""
        self._ours.discard(project.name)
        return sign.host

    def were_at_work(self, name: str) -> None:
        """Another machine may have finished something there."""
        self.inherited.add(name)
        self.to_catch_up.add(name)

    def _comes_first(self, project: str, sign: Sign) -> bool:
        """Of two that began at the same moment and see each other, the first by name stays."""
        return project in self._ours and self._name < sign.host

    def _sign(self, project: Path) -> Sign | None:
        stamp = look_at(project / STATUS)
        known = self._signs.get(project.name)
        if known is None or known[0] != stamp:
            known = self._signs[project.name] = (stamp, read_sign(project) if stamp else None)
        return known[1]


def read_sign(project: Path) -> Sign | None:
    """Who wrote the ``status.yaml`` of a project, ``None`` if that cannot be read."""
    try:
        with open_folder(project) as folder, folder.opened(STATUS) as handle:
            head = handle.read(HEAD_BYTES).partition(b"\ncomfyui:")[0]
        document = plain_yaml.load(head)
    except (OSError, plain_yaml.NotYaml):
        return None
    daemon = document.get("daemon") if isinstance(document, Mapping) else None
    if not isinstance(daemon, Mapping) or not isinstance(daemon.get("host"), str):
        return None
    return Sign(host=daemon["host"], until=_moment(daemon) if daemon.get("state") == "running" else None)


def _moment(daemon: Mapping[str, object]) -> datetime | None:
    promised = daemon.get("next_update_by")
    if not isinstance(promised, datetime):
        return None
    return promised if promised.tzinfo else promised.replace(tzinfo=UTC)
