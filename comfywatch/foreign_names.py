"""Names that other programs give: to what they are still writing, to what systems keep, and to copies in a conflict.

Judged from the name alone. What is scratch is never looked at; a conflict copy is never run, for nobody asked for it,
but it is told. Where a name may also be a person's own, as with OneDrive's, it is only told.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """How some programs call something; ``pattern`` is looked for in the name, in upper and lower case."""

    who: str
    pattern: str


SCRATCH: tuple[Habit, ...] = (
    Habit(who="hidden files, and all whose scratch begins with a dot", pattern=r"^\."),
    Habit(who="Syncthing, Dropbox, Office, OneDrive", pattern=r"^~"),
    Habit(who="Emacs", pattern=r"^#"),
    Habit(who="editors' backups", pattern=r"~$"),
    Habit(who="Nextcloud, ownCloud", pattern=r"\.~"),
    Habit(who="Firefox, WinSCP, rclone, Nextcloud", pattern=r"\.(file)?part(ial)?$"),
    Habit(who="Chrome, Opera, Safari, aria2", pattern=r"\.(crdownload|opdownload|download|aria2)$"),
    Habit(who="Resilio Sync", pattern=r"\.(!sync|bts|sync(part|temp|old|id|ignore|archive))$"),
    Habit(who="temporary files of any program", pattern=r"\.te?mp(-[^.]*)?$"),
    Habit(who="Vim", pattern=r"^4913$|\.sw[a-p]x?$"),
    Habit(who="Kate", pattern=r"\.kate-swp$"),
    Habit(who="JetBrains", pattern=r"___jb_(tmp|old)___$"),
    Habit(who="macOS", pattern=r"\.sb-[^.]+$|^icon\r$"),
    Habit(who="iCloud Drive", pattern=r"\.icloud$"),
    Habit(who="Unison, FreeFileSync", pattern=r"\.unison(\.tmp)?$|\.ffs_(db|tmp|lock)$"),
    Habit(who="Windows", pattern=r"^(thumbs\.db|desktop\.ini)$"),
    Habit(who="rclone", pattern=r"\.rclonelink$"),
)
"""Files that are not looked at: still being written, or of no concern to people."""

KEPT: tuple[Habit, ...] = (
    Habit(who="hidden folders", pattern=r"^[.~#]"),
    Habit(who="editors' backups", pattern=r"~$"),
    Habit(who="Synology, QNAP", pattern=r"^(@eadir|@recycle|@tmp|@__thumb)$"),
    Habit(who="Windows", pattern=r"^(\$recycle\.bin|system volume information)$"),
    Habit(who="Safari", pattern=r"\.download$"),
)
"""Folders that are not looked into."""

CONFLICT: tuple[Habit, ...] = (
    Habit(who="Syncthing", pattern=r"\.sync-conflict-\d{8}-\d{6}"),
    Habit(who="Nextcloud, ownCloud, Dropbox", pattern=r"\(.*conflicted copy"),
    Habit(who="Dropbox in other languages", pattern=r"\(.*(in konflikt stehende kopie|cop[a-z]+ (en|in) conf?l)"),
    Habit(who="ownCloud, older", pattern=r"_conflict-([^-]*-)?\d{6}"),
    Habit(who="Dropbox, Maestral", pattern=r"\((case|unicode|normalization|selective sync|white ?space) conflict\b"),
    Habit(who="Nextcloud", pattern=r"\(case clash from\b"),
    Habit(who="Seafile", pattern=r"\(sfconflict\b"),
    Habit(who="Proton Drive", pattern=r"\(# (edit|name) conflict\b"),
    Habit(who="rclone bisync", pattern=r"\.\.path[12](\.|$)|\.conflict\d+(\.|$)"),
)
"""Copies that a tool makes when two people changed a file, or two names fall together."""

_COMPUTER = re.compile(
    r"((DESKTOP|LAPTOP|WIN|PC)-\w+|[A-Z][A-Z0-9-]{4,14}|[\w-]*(MacBook|iMac|Mac-mini|Mac-Studio)[\w-]*)(-\d{1,2})?"
)
"""What Windows and macOS call computers: in capitals, of 15 characters at most; or after their model."""


def is_scratch(name: str) -> bool:
    """Whether a file of this name is not to be looked at: hidden, half written, a backup, or a system's own."""
    return _SCRATCH.search(name) is not None


def is_kept(name: str) -> bool:
    """Whether a folder of this name is not to be looked into: hidden, or what a system or a tool keeps for itself."""
    return _KEPT.search(name) is not None


def is_conflict_copy(name: str) -> bool:
    """Whether a file or folder of this name is the copy that a tool made of a conflict."""
    return _CONFLICT.search(name) is not None


def possible_copies(names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Of the names in one folder those that may be OneDrive's copies, ``NAME-COMPUTER``, each with its original."""
    there = {name.casefold(): name for name in names}
    for name in names:
        pure = PurePosixPath(name)
        for hyphen in (at for at, letter in enumerate(pure.stem) if letter == "-"):
            original = there.get(f"{pure.stem[:hyphen]}{pure.suffix}".casefold())
            if original is not None and _COMPUTER.fullmatch(pure.stem[hyphen + 1 :]):
                yield name, original
                break


def _any(habits: tuple[Habit, ...]) -> re.Pattern[str]:
    return re.compile("|".join(habit.pattern for habit in habits), re.IGNORECASE)


_SCRATCH, _KEPT, _CONFLICT = map(_any, (SCRATCH, KEPT, CONFLICT))
