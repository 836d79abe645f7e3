"""Make ``comfywatch/data/models.json``, where models can be had, from ComfyUI's published workflow templates.

The rule it keeps: the same packages give the same bytes. It reads wheels that were downloaded before; nothing is
fetched here, and never by comfywatch:

    pip download --no-deps comfyui-workflow-templates-json
    python scripts/build_model_catalogue.py comfyui_workflow_templates_json-*.whl
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "comfywatch" / "data" / "models.json"
LICENCES = frozenset({"MIT", "Apache-2.0", "BSD-3-Clause"})
"""Of packages whose data may be shipped with comfywatch."""

_URL = re.compile(r"https://[^\s\"'<>\\]{4,300}")
_FOLDER = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)*")

Place = tuple[str, str]
"""Name and folder of a model."""


class NotACatalogueSource(ValueError):
    """A wheel that says nothing of models, or that may not be passed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A published package; ``date`` is that of its newest file."""

    package: str
    version: str
    licence: str
    date: str


def main(arguments: list[str]) -> None:
    """Write the catalogue of the wheels in ``arguments``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", metavar="WHEEL", nargs="+", type=Path)
    parser.add_argument("--output", metavar="FILE", type=Path, default=TARGET)
    given = parser.parse_args(arguments)
    try:
        text = catalogue(given.wheels)
    except (OSError, NotACatalogueSource, zipfile.BadZipFile) as error:
        sys.exit(f"The catalogue was not made: {error}")
    given.output.write_bytes(text.encode("utf-8"))


def catalogue(wheels: Iterable[Path]) -> str:
    """The catalogue as it lies in the file. Raises ``NotACatalogueSource``, ``OSError`` or ``BadZipFile``."""
    sources: list[Source] = []
    links: defaultdict[Place, Counter[str]] = defaultdict(Counter)
    for wheel in sorted(wheels, key=lambda path: path.name):
        with zipfile.ZipFile(wheel) as archive:
            sources.append(_source(archive, wheel.name))
            for place, url in _models(archive):
                links[place][url] += 1
    if not links:
        raise NotACatalogueSource("these packages name no models")
    return _text(sources, links)


def _source(archive: zipfile.ZipFile, wheel: str) -> Source:
    metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    told = BytesHeaderParser().parsebytes(archive.read(metadata))
    licence = told.get("License-Expression") or told.get("License") or ""
    if licence not in LICENCES:
        raise NotACatalogueSource(f"{wheel} has the licence '{licence}', and may be none of ours to pass on")
    year, month, day = max(info.date_time for info in archive.infolist())[:3]
    return Source(package=told["Name"], version=told["Version"], licence=licence, date=f"{year:04}-{month:02}-{day:02}")


def _models(archive: zipfile.ZipFile) -> Iterator[tuple[Place, str]]:
    for name in sorted(archive.namelist()):
        if name.endswith(".json"):
            try:
                yield from _named_in(json.loads(archive.read(name)))
            except ValueError as error:
                raise NotACatalogueSource(f"{name} is not JSON: {error}") from error


def _named_in(part: Any) -> Iterator[tuple[Place, str]]:
    """Every model in ``properties.models`` of every node, however deep in subgraphs."""
    todo = [part]
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo += part
        elif isinstance(part, dict):
            todo += part.values()
            properties = part.get("properties")
            models = properties.get("models") if isinstance(properties, dict) else None
            for model in models if isinstance(models, list) else []:
                yield from _usable(model)


def _usable(model: Any) -> Iterator[tuple[Place, str]]:
    if not isinstance(model, dict):
        return
    name, folder, url = (model.get(key) for key in ("name", "directory", "url"))
    if not isinstance(name, str) or not isinstance(folder, str) or not isinstance(url, str):
        return
    url = url.removesuffix("?download=true")
    if name and _FOLDER.fullmatch(folder) and _URL.fullmatch(url):
        yield (name, folder), url


def _text(sources: list[Source], links: dict[Place, Counter[str]]) -> str:
    """JSON with a model a line, so that a newer version shows as a readable difference."""
    head = {
        "about": "Where models can be had, by file name and folder; the most used link comes first.",
        "made_by": "scripts/build_model_catalogue.py",
        "sources": [
            {"package": one.package, "version": one.version, "licence": one.licence, "date": one.date}
            for one in sources
        ],
    }
    rows = [
        json.dumps({"name": name, "folder": folder, "urls": sorted(urls, key=lambda url: (-urls[url], url))})
        for (name, folder), urls in sorted(links.items(), key=lambda item: (item[0][0].casefold(), item[0]))
    ]
    opened = json.dumps(head, indent=1).removesuffix("\n}")
    return f'{opened},\n "models": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n"


if __name__ == "__main__":
    main(sys.argv[1:])
