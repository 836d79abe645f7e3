"""Which projects the system tells of, and which are only looked through every so often; said once, and kept for doctor.

With ``watch: auto``, projects on file systems that do not tell of every change are left to the rescans, and so is what
the system gives no more watches for; the others go on being watched.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from loguru import logger

from comfywatch.bell import BELL
from comfywatch.choices import Watch
from comfywatch.effects import Event, Touched, Unheard, WatchAdded, WatchProjects, Woken
from comfywatch.mounts import MOUNTS, mounted, unheard
from comfywatch.settings import Settings
from comfywatch.watcher import CannotWatch, Watcher

_LIMITS = {
    errno.ENOSPC: "the system gives no more watches (fs.inotify.max_user_watches)",
    errno.EMFILE: "the system gives no more inotify instances (fs.inotify.max_user_instances)",
}
OF_ALL = ""
"""Stands for every project where a reason holds for all of them."""


class Watching:
    """Answers with ``Touched`` for what may have changed, and ``Unheard`` when other projects than before are not told
    of.

    ``told`` are the folders, by their paths below ``projects/``, in which each change is told, whoever makes it. Where
    ``hears_bell``, a command that rings is answered with ``Woken``.
    """

    def __init__(
        self,
        settings: Settings,
        answer: Callable[[Event], None],
        *,
        is_ours: Callable[[str], bool],
        mounts: Path = MOUNTS,
    ) -> None:
        self._settings = settings
        self._answer = answer
        self._mounts = mounts
        self._said: set[str] = set()
        self._unheard: dict[str, str] | None = None
        self.told: frozenset[str] = frozenset()
        self._bell = settings.state / BELL
        self._watcher = Watcher(self._touched, is_ours=is_ours, overflowed=self._missed_events)
        self._is_on = settings.watch is not Watch.POLLING and self._starts()
        self.hears_bell = self._is_on and self._watcher.watch_also(self._bell)
        if not self._is_on and self._unheard is None:
            self._tell({})

    def stop(self) -> None:
        """End the watcher's thread."""
        self._watcher.stop()

    def perform(self, effect: WatchProjects) -> None:
        """Watch exactly these projects, as far as that is of use."""
        if not self._is_on:
            return
        silent = unheard(self._settings.projects, effect.names, mounted(self._mounts))
        deaf = silent if self._settings.watch is Watch.AUTO else {}
        names = effect.names - deaf.keys()
        folders = {folder for folder in effect.folders if folder.partition("/")[0] in names}
        added = self._watcher.watch(self._settings.projects, names, folders)
        refused = {self._project(folder): _why(error) for folder, error in self._watcher.refused.items()}
        self._tell({**{name: f"on {kind} not every change is told" for name, kind in deaf.items()}, **refused})
        below = (folder.relative_to(self._settings.projects).as_posix() for folder in self._watcher.watched)
        self.told = frozenset(path for path in below if path.partition("/")[0] not in silent)
        if added:
            self._answer(WatchAdded())

    def _touched(self, path: Path) -> None:
        self._answer(Woken() if self._bell in {path, path.parent} else Touched(path=path))

    def _starts(self) -> bool:
        try:
            self._watcher.start()
        except CannotWatch as error:
            self._tell({OF_ALL: _why(error)})
            return False
        return True

    def _project(self, folder: Path) -> str:
        parts = folder.relative_to(self._settings.projects).parts
        return parts[0] if parts else OF_ALL

    def _tell(self, found: dict[str, str]) -> None:
        """Each reason is logged once, with the projects that it holds for then."""
        if found == self._unheard:
            return
        self._unheard = found
        self._answer(Unheard(projects=found))
        every = self._settings.rescan_seconds
        for why in sorted(set(found.values()) - self._said):
            which = sorted(name for name, reason in found.items() if reason == why)
            logger.warning("{}: {}", _which(which), f"{why}; looked through every {every:g} s instead")
        self._said |= set(found.values())

    def _missed_events(self) -> None:
        """More happened at once than the system tells of; a look at the root brings about a scan of everything."""
        if "overflow" not in self._said:
            self._said.add("overflow")
            logger.warning("more changed at once than the system tells of; all folders are looked through when it does")
        self._answer(Touched(path=self._settings.projects))


def _which(names: list[str]) -> str:
    if OF_ALL in names:
        return "all projects"
    return f"project {names[0]}" if len(names) == 1 else f"{len(names)} projects, such as {names[0]}"


def _why(error: OSError) -> str:
    return _LIMITS.get(error.errno or 0, f"folders cannot be watched ({error.strerror})")
