"""Sync tools: how a folder that one of them shares is known, and what is to be set there for comfywatch.

What is looked for are the marks that a tool leaves in the root of a shared folder, or what it calls the folder.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from comfywatch.files import SCRATCH_PREFIX

SCRATCH = f"{SCRATCH_PREFIX}*.tmp"
"""What we write under for a moment, before the file is renamed to its name."""
STIGNORE = ".stignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """``marks`` are names, with ``*``, in the root of a shared folder; ``folder`` is what such a root is called.

    ``advice`` says what to do about our scratch files, and is empty where the tool leaves them out by itself.
    """

    name: str
    marks: tuple[str, ...] = ()
    folder: str = ""
    advice: str = ""


TOOLS: tuple[Tool, ...] = (
    Tool(name="Syncthing", marks=(".stfolder",), advice=f"put the line (?d){SCRATCH} into {STIGNORE} in its root"),
    Tool(name="Dropbox", marks=(".dropbox", ".dropbox.cache"), folder=r"Dropbox( \(.*\))?"),
    Tool(name="Nextcloud", marks=(".nextcloudsync.log", ".sync_*.db", "._sync_*.db"), folder="Nextcloud[0-9]*"),
    Tool(name="ownCloud", marks=(".owncloudsync.log", ".csync_journal.db"), folder="ownCloud[0-9]*"),
    Tool(name="OneDrive", folder="OneDrive( - .*)?"),
    Tool(name="Resilio Sync", marks=(".sync", ".SyncID"), advice=f"add {SCRATCH} to .sync/IgnoreList"),
    Tool(name="Google Drive", marks=(".tmp.driveupload", ".tmp.drivedownload"), folder="Google Drive|My Drive"),
    Tool(name="iCloud Drive", folder="com~apple~CloudDocs"),
    Tool(name="FreeFileSync", marks=(".sync.ffs_db",), advice=f"add */{SCRATCH} to the filter"),
    Tool(name="MEGA", marks=(".debris",), advice=f"exclude {SCRATCH} in its settings"),
)
MARKS = tuple(mark for tool in TOOLS for mark in tool.marks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A folder that a tool shares. ``misplaced`` are ``.stignore`` files in it that Syncthing does not read.

    ``is_set_up`` says whether our scratch files are left out; ``None`` where the tool does not keep that in the folder.
    """

    tool: Tool
    root: Path
    is_set_up: bool | None
    misplaced: tuple[Path, ...] = ()


def has_mark(root: Path, marks: tuple[str, ...]) -> bool:
    """Whether one of these names lies in a folder."""
    return any(next(root.glob(mark), None) is not None if "*" in mark else (root / mark).exists() for mark in marks)


def sharing(projects: Path) -> Iterator[Shared]:
    """The tools that share the projects, or a folder that they are in, or single ones of them."""
    here = projects.resolve()
    below = sorted(path for path in here.iterdir() if path.is_dir()) if here.is_dir() else []
    for root in (*reversed(below), here, *here.parents):
        for tool in TOOLS:
            if has_mark(root, tool.marks) or (tool.folder and re.fullmatch(tool.folder, root.name)):
                yield Shared(
                    tool=tool,
                    root=root,
                    is_set_up=_is_left_out(root, tool),
                    misplaced=_unread(root, tool),
                )


def _is_left_out(root: Path, tool: Tool) -> bool | None:
    """Whether our scratch files are left out: by itself, or by a list that lies in the folder."""
    if not tool.advice:
        return True
    lists = {"Syncthing": root / STIGNORE, "Resilio Sync": root / ".sync" / "IgnoreList"}
    if tool.name not in lists:
        return None
    try:
        lines = lists[tool.name].read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    patterns = (re.sub(r"^(\(\?\w\))+", "", line.strip()).removeprefix("**/") for line in lines)
    return any(fnmatch.fnmatchcase(f"{SCRATCH_PREFIX}1.tmp", pattern) for pattern in patterns)


def _unread(root: Path, tool: Tool) -> tuple[Path, ...]:
    """Syncthing reads ``.stignore`` in the root of the shared folder alone."""
    if tool.name != "Syncthing":
        return ()
    return tuple(sorted(path for pattern in ("*", "*/*", "*/*/*") for path in root.glob(f"{pattern}/{STIGNORE}")))
