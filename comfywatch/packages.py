"""Which package has a class of node: what ComfyUI-Manager knows of it, and what we know ourselves of the best-known.

Both come from outside, as do the names in them: they are shortened, and no pattern is tried that could take for ever.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from comfywatch import shipped
from comfywatch.urls import shown_link

MAX_PACKAGES = 20_000
"""Of one map; the Manager's has some thousands."""
_LONGEST_NAME = 100
_LONGEST_PATTERN = 200
_REPEATS = re.compile(r"[*+?{]")
"""What makes a pattern slow; in the Manager's few it stands for nothing that a class is told by."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """``id`` is its name in the Comfy Registry, ``version`` the one that a workflow was saved with."""

    name: str
    id: str = ""
    repository: str = ""
    version: str = ""

    @classmethod
    def of(cls, *, name: str = "", id: str = "", repository: str = "", version: str = "") -> Package | None:  # noqa: A002 - the registry's word
        """From what a stranger says of it; ``None`` if that names nothing."""
        id = id if _ID.fullmatch(id) else ""  # noqa: A001
        repository = shown_link(repository.removesuffix(".git"))
        name = _line(name) or repository.rstrip("/").rpartition("/")[2] or id
        return cls(name=name, id=id, repository=repository, version=_line(version)) if name else None

    def is_called(self, folder: str) -> bool:
        """Whether it lies in ``folder`` of ``custom_nodes/``, as the Manager, or a person, calls that."""
        in_repository = self.repository.rpartition("/")[2]
        return _letters(folder) in {_letters(name) for name in (self.name, self.id, in_repository) if name}


class PackageMap:
    """Classes to packages. ``*`` at one end of a class stands for anything."""

    def __init__(
        self, classes: Iterable[tuple[str, Package]], patterns: Iterable[tuple[re.Pattern[str], Package]] = ()
    ) -> None:
        self._exact: defaultdict[str, list[Package]] = defaultdict(list)
        self._open: list[tuple[str, Package]] = []
        self._patterns = tuple(patterns)
        for class_type, package in classes:
            if "*" in class_type and class_type != "*":
                self._open.append((class_type, package))
            else:
                self._exact[class_type].append(package)

    def having(self, class_type: str) -> tuple[Package, ...]:
        """Every package that has the class; those that name it before those that only sound like it."""
        exact = self._exact.get(class_type)
        if exact:
            return tuple(dict.fromkeys(exact))
        fitting = [(len(form), package) for form, package in self._open if _is_like(class_type, form)]
        longest = max((length for length, _ in fitting), default=0)
        found = [package for length, package in fitting if length == longest]
        found += (package for pattern, package in self._patterns if pattern.search(class_type[:_LONGEST_NAME]))
        return tuple(dict.fromkeys(found))

    @classmethod
    def of_manager(cls, mappings: Any) -> PackageMap:
        """ComfyUI-Manager's answer, or its file: ``{url or id: [[class, …], {"title_aux": …}]}``.

        What is of another shape is left out.
        """
        classes: list[tuple[str, Package]] = []
        patterns: list[tuple[re.Pattern[str], Package]] = []
        entries = mappings.items() if isinstance(mappings, Mapping) else ()
        for _, (key, entry) in zip(range(MAX_PACKAGES), entries, strict=False):
            named, about = _entry(entry)
            is_url = "://" in str(key)
            package = Package.of(
                name=_text(about.get("title_aux")), id="" if is_url else str(key), repository=str(key) if is_url else ""
            )
            if package is not None:
                classes += ((class_type, package) for class_type in named)
                patterns += ((pattern, package) for pattern in _pattern(about.get("nodename_pattern")))
        return cls(classes, patterns)


@cache
def well_known() -> PackageMap:
    """Our own small map."""
    return PackageMap((class_type, package) for classes, package in _shipped() for class_type in classes)


def completed(package: Package) -> Package:
    """With what we know of a package of this id or repository; a version stays."""
    known = (one for _, one in _shipped() if _is_same(one, package))
    found = next(known, None)
    if found is None:
        return package
    return Package(name=found.name, id=package.id or found.id, repository=found.repository, version=package.version)


@cache
def _shipped() -> tuple[tuple[tuple[str, ...], Package], ...]:
    rows = shipped.load("packages.json")["packages"]
    return tuple(
        (tuple(row["classes"]), Package(name=row["name"], id=row.get("id", ""), repository=row["repository"]))
        for row in rows
    )


def _is_same(one: Package, other: Package) -> bool:
    if one.id and other.id:
        return one.id.casefold() == other.id.casefold()
    return bool(other.repository) and one.repository.casefold() == other.repository.casefold()


def _is_like(class_type: str, form: str) -> bool:
    before, _, after = form.partition("*")
    return class_type.startswith(before) and class_type.endswith(after) and len(class_type) > len(form) - 2


def _entry(entry: Any) -> tuple[list[str], Mapping[str, Any]]:
    parts = entry if isinstance(entry, list) else []
    named = parts[0] if parts and isinstance(parts[0], list) else []
    about = parts[1] if len(parts) > 1 and isinstance(parts[1], Mapping) else {}
    return [name for name in named if isinstance(name, str)], about


def _pattern(given: Any) -> Iterator[re.Pattern[str]]:
    if isinstance(given, str) and 0 < len(given) <= _LONGEST_PATTERN and not _REPEATS.search(given):
        try:
            yield re.compile(given)
        except re.error:
            return


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


def _line(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 2 * _LONGEST_NAME])
    return " ".join(shown.split())[:_LONGEST_NAME]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
