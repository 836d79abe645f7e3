"""When a file that was seen may be taken (DESIGN 3, "When a file is taken").

A path not seen before is due at once: JSON says itself where it ends. A change to a known path is due after
``settle_seconds`` without a further change, because a rewrite in place can parse half way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What tells two versions of a file apart without reading it; times in nanoseconds."""

    size: int
    mtime_ns: int
    ctime_ns: int = 0
    inode: int = 0


@dataclass(slots=True)
class _Waiting:
    stamp: Stamp
    due: float


def is_same_file(one: Stamp, other: Stamp) -> bool:
    """Whether it is one file that was renamed: a copy has another inode, and as a rule another time."""
    return (one.inode, one.mtime_ns, one.size) == (other.inode, other.mtime_ns, other.size) and one.inode != 0


class Settling(Generic[Key]):
    """Files that change, each with the time from which it may be read."""

    def __init__(self, settle_seconds: float) -> None:
        self._settle_seconds = settle_seconds
        self._waiting: dict[Key, _Waiting] = {}

    def saw(self, key: Key, stamp: Stamp, *, now: float, is_new: bool) -> None:
        """A file was looked at; a stamp that did not change since does not put it off."""
        waiting = self._waiting.get(key)
        if waiting is None:
            due = now if is_new else now + self._settle_seconds
            self._waiting[key] = _Waiting(stamp, due)
        elif waiting.stamp != stamp:
            self._waiting[key] = _Waiting(stamp, now + self._settle_seconds)

    def put_off(self, key: Key, stamp: Stamp, *, now: float) -> None:
        """It was read and did not parse: look again once it has been quiet for ``settle_seconds``."""
        self._waiting[key] = _Waiting(stamp, now + self._settle_seconds)

    def forget(self, key: Key) -> None:
        """It is gone."""
        self._waiting.pop(key, None)

    def take_settled(self, *, now: float) -> list[tuple[Key, Stamp]]:
        """Those that are due, each with its last stamp; they are forgotten here."""
        due = [(key, waiting.stamp) for key, waiting in self._waiting.items() if waiting.due <= now]
        for key, _ in due:
            del self._waiting[key]
        return due

    def next_due(self) -> float | None:
        """When the next one is due, on the clock that ``saw`` was given."""
        return min((waiting.due for waiting in self._waiting.values()), default=None)

    def __contains__(self, key: object) -> bool:
        return key in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)
