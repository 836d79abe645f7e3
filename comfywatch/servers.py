"""Every ComfyUI that this daemon knows: the configured one, and those that manifests name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from comfywatch import installed, replacements
from comfywatch.inventory import Inventory
from comfywatch.jobs import Job, Post
from comfywatch.ledger import Ledger
from comfywatch.link import Link
from comfywatch.projects import Projects
from comfywatch.schemas import Schemas
from comfywatch.server import Server
from comfywatch.settings import Settings
from comfywatch.tree import look_at
from comfywatch.urls import safe_url

RECENT = 20
"""Completed jobs whose time decides how many are kept in ComfyUI's queue."""


class Servers:
    """By address without credentials; ``addresses`` has the whole ones."""

    def __init__(self, settings: Settings, ledger: Ledger, projects: Projects, *, must_adopt: bool, now: float) -> None:
        self.addresses: dict[str, str] = {}
        self._settings = settings
        self._ledger = ledger
        self._projects = projects
        self._must_adopt = must_adopt
        self._known: dict[str, Server] = {}
        self.main = self.at(settings.comfyui_url, now=now)

    def __iter__(self) -> Iterator[Server]:
        return iter(list(self._known.values()))

    def __getitem__(self, key: str) -> Server:
        return self._known[key]

    def get(self, key: str) -> Server | None:
        """The server that is called so, if it is known."""
        return self._known.get(key)

    def at(self, url: str, *, now: float) -> Server:
        """The server at this address, known from now on."""
        key = safe_url(url)
        if key not in self._known:
            self.addresses[key] = url
            self._known[key] = self._opened(key, now)
        return self._known[key]

    def of(self, job: Job, *, now: float) -> Server:
        """Where a job is, or is to go."""
        if job.post is not Post.NONE and job.server:
            return self._known.get(job.server) or self.at(self.addresses.get(job.server, job.server), now=now)
        return self.at(self._projects[job.project].url, now=now)

    def place(self, key: str) -> installed.Place:
        """Where what is known of this server lies."""
        return installed.Place.of(self._settings, key)

    def reread_inventory(self, server: Server) -> bool:
        """Take in what another tool has written to ``inventory.json``; true if that says something new."""
        place = self.place(server.url)
        stamp = look_at(place.inventory)
        if stamp is None or stamp == server.inventory_stamp:
            return False
        server.inventory_stamp = stamp
        inventory = installed.read_inventory(place.inventory)
        return inventory is not None and server.set_installed(inventory, server.schemas)

    def tell(self, key: str, schemas: Schemas, inventory: Inventory | None, answer: Mapping[str, Any] | None) -> None:
        """Tell ``schemas`` the server's version, and its ``answer`` about replaced classes, which is kept."""
        self._ledger.store.save_fact(replacements_of(key), answer)
        _tell(schemas, inventory, answer)

    def _opened(self, key: str, now: float) -> Server:
        life = self._ledger.store.fact(life_of(key)) or 1
        link = Link(url=key, poll_seconds=self._settings.poll_seconds, life=life, next_ask=now)
        server = Server(link=link, must_adopt=self._must_adopt)
        server.recent = self._ledger.store.recent_seconds(server=key, limit=RECENT)
        place = self.place(key)
        server.inventory_stamp = look_at(place.inventory)
        inventory, schemas = installed.from_disk(place)
        if schemas is not None:
            _tell(schemas, inventory, self._ledger.store.fact(replacements_of(key)))
        if inventory is not None or schemas is not None:
            server.set_installed(inventory, schemas)
        return server


def _tell(schemas: Schemas, inventory: Inventory | None, answer: Any) -> None:
    version = None if inventory is None else inventory.comfyui_version
    schemas.set_version(version or "")
    if answer is not None:
        schemas.replacements = replacements.read(answer)


def replacements_of(key: str) -> str:
    """The name under which the database keeps which classes a server replaces."""
    return f"replacements {key}"


def life_of(key: str) -> str:
    """The name under which the database keeps which life of a server it was."""
    return f"life {key}"
