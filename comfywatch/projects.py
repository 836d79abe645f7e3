"""The projects: their manifests, whether this daemon serves them, and which ComfyUI they use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from loguru import logger

from comfywatch.manifest import Manifest, allowed_url, read_manifest
from comfywatch.neighbours import Neighbours
from comfywatch.settings import Settings
from comfywatch.settling import Settling, Stamp
from comfywatch.tree import WORKFLOWS, ProjectTree, look_at
from comfywatch.urls import same_server

MANIFESTS = ("manifest.yaml", "manifest.yml")
_NO_MANIFEST = Stamp(size=-1, mtime_ns=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One project.

    ``held`` says why its jobs wait, empty if they do not; ``is_owned`` is false where its manifest names another
    machine, and ``at_work`` is another machine that it is left to, empty if there is none. ``device`` is the disk on
    which it was seen last, 0 before that.
    """

    name: str
    url: str
    manifest: Manifest | None = None
    held: str = ""
    is_owned: bool = True
    at_work: str = ""
    notices: tuple[str, ...] = ()
    misplaced: tuple[str, ...] = ()
    is_there: bool = True
    device: int = 0

    @property
    def is_ours(self) -> bool:
        """Whether this daemon serves it."""
        return self.is_owned and not self.at_work


class Projects:
    """All projects by name. A manifest counts once it is still for ``settle_seconds``; the last good one holds.

    ``names`` are those that this machine has or had, as ``owner``.
    """

    def __init__(self, settings: Settings, *, names: frozenset[str] = frozenset()) -> None:
        self.neighbours = Neighbours(names, name=settings.owner)
        self._settings = settings
        self._known: dict[str, Project] = {}
        self._stamps: dict[str, tuple[Stamp | None, ...]] = {}
        self._changing: Settling[str] = Settling(settings.settle_seconds)
        self._refused: set[str] = set()

    def __iter__(self) -> Iterator[Project]:
        return iter(self._known.values())

    def __getitem__(self, name: str) -> Project:
        """A project; one that was never read counts as one without a manifest."""
        return self._known.get(name) or Project(name=name, url=self._settings.comfyui_url)

    def knows(self, name: str) -> bool:
        """Whether it was looked at."""
        return name in self._known

    def is_settled(self, name: str) -> bool:
        """Whether a look at it tells nothing new as long as nothing in its folder changes."""
        known = self._known.get(name)
        return known is not None and known.is_there and known.is_ours and name not in self._refused

    def folder(self, name: str) -> Path:
        """Where it lies."""
        return self._settings.projects / name

    def look(self, name: str, *, now: float, at: datetime) -> None:
        """See who is at work on a project, and whether its manifest has changed; that of a new one is read at once."""
        self._look_at_manifest(name, now=now)
        self._look_round(name, at=at)

    def _look_at_manifest(self, name: str, *, now: float) -> None:
        stamps = self._stamps_of(name)
        if name not in self._stamps:
            self._stamps[name] = stamps
            self.read(name)
        elif self._stamps[name] != stamps:
            newest = max((stamp for stamp in stamps if stamp), key=lambda stamp: stamp.mtime_ns, default=_NO_MANIFEST)
            self._changing.saw(name, newest, now=now, is_new=False)

    def _stamps_of(self, name: str) -> tuple[Stamp | None, ...]:
        folder = self.folder(name)
        return tuple(look_at(folder / manifest, whatever=True) for manifest in MANIFESTS)

    def _look_round(self, name: str, *, at: datetime) -> None:
        """A manifest's ``owner`` decides; without one, who is at work there stays."""
        before = self._known[name]
        at_work = self.neighbours.at_work(self.folder(name), at=at)
        if before.manifest is not None and before.manifest.owner:
            at_work = ""
        if not before.is_owned:
            self.neighbours.were_at_work(name)
        if at_work == before.at_work:
            return
        self._known[name] = replace(before, at_work=at_work)
        bound = logger.bind(project=name)
        if at_work:
            bound.warning("left to {}, which is at work on it as its status.yaml says; 'owner' decides", at_work)
        else:
            bound.info("{} is no longer at work on it; taking it over", before.at_work)

    def take(self, *, now: float) -> list[str]:
        """Read the manifests that have settled; the names of their projects."""
        settled = [name for name, _ in self._changing.take_settled(now=now)]
        for name in settled:
            self._stamps[name] = self._stamps_of(name)
            self.read(name)
        return settled

    def next_due(self) -> float | None:
        """When ``take`` has something to read, on the monotonic clock."""
        return self._changing.next_due()

    def read(self, name: str) -> Project:
        """Read its manifest now."""
        before = self._known.get(name)
        reading = read_manifest(self.folder(name))
        self._refused.discard(name)
        if reading.is_refused:
            self._refused.add(name)
        manifest = reading.manifest if reading.readable else (before.manifest if before else None)
        notices = list(reading.notices)
        if not reading.readable:
            notices.append("the last good manifest holds" if manifest else "the project is held until it can be read")
        project = replace(
            self[name],
            manifest=manifest,
            url=self._url(manifest, notices),
            held=_hold_reason(manifest),
            is_owned=manifest is None or not manifest.owner or manifest.owner == self._settings.owner,
            notices=tuple(notices),
        )
        self._known[name] = project
        return project

    def saw(self, name: str, tree: ProjectTree | None) -> bool:
        """What a scan found, ``None`` if nothing; true if that is something else than before.

        The manifest of a project that is back is read at once, as a new one's is: its jobs do not wait for it to be
        still. One that the system did not let us read is tried again.
        """
        before = self._known.get(name)
        found = tree or ProjectTree(name=name, is_there=False)
        is_back = before is not None and not before.is_there
        if found.is_there and (is_back or name in self._refused):
            self.read(name)
        self._known[name] = replace(
            self[name], is_there=found.is_there, misplaced=found.notices, device=found.device or self[name].device
        )
        return before != self._known[name]

    def is_in_place(self, name: str) -> bool:
        """Whether its folder is there now, and not the empty place of one that was unmounted since the last scan."""
        known = self[name]
        try:
            device = (self.folder(name) / WORKFLOWS).stat().st_dev
        except OSError:
            return False
        return known.is_there and known.device in {0, device}

    def priorities(self) -> dict[str, float]:
        """The priority of each project that has one."""
        return {p.name: p.manifest.priority for p in self if p.manifest is not None and p.manifest.priority}

    def waits_for(self, name: str) -> str:
        """Why the jobs of a project wait, empty if they do not."""
        project = self[name]
        if not project.is_there:
            return "the project folder is not there"
        if not project.is_owned:
            owner = project.manifest.owner if project.manifest else ""
            return f"the project belongs to {owner} (owner in its manifest)"
        if project.at_work:
            return f"{project.at_work} is at work on the project (its status.yaml says so)"
        if name in self.neighbours.to_catch_up:
            return "another machine was at work on the project: first it is seen what that has finished"
        return project.held

    def notices_of_others(self) -> tuple[str, ...]:
        """What is to be said elsewhere of projects in which we write nothing."""
        count = sum(bool(project.at_work) for project in self)
        if not count:
            return ()
        projects = "1 project is" if count == 1 else f"{count} projects are"
        return (f"{projects} left to another machine that is at work there; 'owner' in a manifest decides",)

    def _url(self, manifest: Manifest | None, notices: list[str]) -> str:
        configured = self._settings.comfyui_url
        if manifest is None or not manifest.comfyui_url:
            return configured
        wanted = manifest.comfyui_url
        if same_server(wanted, configured):
            return configured
        if allowed_url(wanted, configured=configured, allow_project_urls=self._settings.allow_project_urls):
            return wanted
        notices.append(
            "comfyui_url in the manifest names another machine and is not used; "
            "allow_project_urls in config.yaml allows it"
        )
        return configured


def _hold_reason(manifest: Manifest | None) -> str:
    if manifest is None:
        return "its manifest cannot be read"
    return "" if manifest.status == "active" else f"the project is {manifest.status} (status in its manifest)"
