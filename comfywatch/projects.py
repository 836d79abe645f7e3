"""The projects: their manifests, whether this daemon serves them, and which ComfyUI they use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from comfywatch.manifest import Manifest, allowed_url, read_manifest
from comfywatch.settings import Settings
from comfywatch.settling import Settling, Stamp
from comfywatch.tree import look_at
from comfywatch.urls import same_server

MANIFESTS = ("manifest.yaml", "manifest.yml")
_NO_MANIFEST = Stamp(size=-1, mtime_ns=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One project.

    ``held`` says why its jobs wait, empty if they do not; ``is_ours`` is false where another machine serves it.
    """

    name: str
    url: str
    manifest: Manifest | None = None
    held: str = ""
    is_ours: bool = True
    notices: tuple[str, ...] = ()
    misplaced: tuple[str, ...] = ()
    is_there: bool = True


class Projects:
    """All projects by name. A manifest counts once it is still for ``settle_seconds``; the last good one holds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[str, Project] = {}
        self._stamps: dict[str, tuple[Stamp | None, ...]] = {}
        self._changing: Settling[str] = Settling(settings.settle_seconds)

    def __iter__(self) -> Iterator[Project]:
        return iter(self._known.values())

    def __getitem__(self, name: str) -> Project:
        """A project; one that was never read counts as one without a manifest."""
        return self._known.get(name) or Project(name=name, url=self._settings.comfyui_url)

    def folder(self, name: str) -> Path:
        """Where it lies."""
        return self._settings.projects / name

    def look(self, name: str, *, now: float) -> None:
        """Read the manifest of a project that was not known, and see whether that of another has changed."""
        stamps = tuple(look_at(self.folder(name) / manifest) for manifest in MANIFESTS)
        if name not in self._stamps:
            self._stamps[name] = stamps
            self.read(name)
        elif self._stamps[name] != stamps:
            newest = max((stamp for stamp in stamps if stamp), key=lambda stamp: stamp.mtime_ns, default=_NO_MANIFEST)
            self._changing.saw(name, newest, now=now, is_new=False)

    def take(self, *, now: float) -> list[str]:
        """Read the manifests that have settled; the names of their projects."""
        settled = [name for name, _ in self._changing.take_settled(now=now)]
        for name in settled:
            self._stamps[name] = tuple(look_at(self.folder(name) / manifest) for manifest in MANIFESTS)
            self.read(name)
        return settled

    def next_due(self) -> float | None:
        """When ``take`` has something to read, on the monotonic clock."""
        return self._changing.next_due()

    def read(self, name: str) -> Project:
        """Read its manifest now."""
        before = self._known.get(name)
        reading = read_manifest(self.folder(name))
        manifest = reading.manifest if reading.readable else (before.manifest if before else None)
        notices = list(reading.notices)
        if not reading.readable:
            notices.append("the last good manifest holds" if manifest else "the project is held until it can be read")
        project = replace(
            self[name],
            manifest=manifest,
            url=self._url(manifest, notices),
            held=_hold_reason(manifest),
            is_ours=manifest is None or not manifest.owner or manifest.owner == self._settings.owner,
            notices=tuple(notices),
        )
        self._known[name] = project
        return project

    def saw(self, name: str, *, is_there: bool, misplaced: tuple[str, ...]) -> bool:
        """What a scan found; true if that is something else than before."""
        before = self._known.get(name)
        self._known[name] = replace(self[name], is_there=is_there, misplaced=misplaced)
        return before != self._known[name]

    def priorities(self) -> dict[str, float]:
        """The priority of each project that has one."""
        return {p.name: p.manifest.priority for p in self if p.manifest is not None and p.manifest.priority}

    def waits_for(self, name: str) -> str:
        """Why the jobs of a project wait, empty if they do not."""
        project = self[name]
        if not project.is_there:
            return "the project folder is not there"
        if not project.is_ours:
            owner = project.manifest.owner if project.manifest else ""
            return f"the project belongs to {owner} (owner in its manifest)"
        return project.held

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
