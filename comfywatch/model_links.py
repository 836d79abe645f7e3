"""Where a model can be had: links as values, and which of them go with the model that is missed.

A file is known by its name, without folders and whatever its case; the folder that its node reads decides between two
of one name, and where it has to go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote, urlsplit

from comfywatch import shipped
from comfywatch.model_folders import looks_like_model
from comfywatch.urls import shown_link

_SAME_KIND: Mapping[str, str] = {
    "checkpoints": "weights",
    "clip": "text_encoders",
    "clip_gguf": "text_encoders",
    "diffusion_models": "weights",
    "unet": "weights",
    "unet_gguf": "weights",
}
"""Folders for one kind of model: which of them a file has to go to is decided by the loader, not by its maker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLink:
    """``name`` is what the file is to be called here, ``original`` its name there, if that is another one."""

    name: str
    url: str
    folder: str = ""
    original: str = ""

    @property
    def is_file(self) -> bool:
        """Whether the link leads to the file, and not to a page about it."""
        return looks_like_model(file_in(self.url))


class Links:
    """Links by the names of their files; the same however often it is asked."""

    def __init__(self, links: Iterable[ModelLink] = ()) -> None:
        self._by_name: dict[str, dict[ModelLink, None]] = {}
        for link in links:
            for name in {base_name(link.name).casefold(), base_name(link.original).casefold()} - {""}:
                self._by_name.setdefault(name, {})[link] = None

    def named(self, name: str) -> tuple[ModelLink, ...]:
        """All for a file of this name."""
        return tuple(self._by_name.get(base_name(name).casefold(), ()))

    def of(self, name: str, folder: str) -> tuple[ModelLink, ...]:
        """Those for the file ``name`` that ``folder`` lacks; the same folder comes first."""
        found = [link for link in self.named(name) if fits(link.folder, folder)]
        return tuple(sorted(found, key=lambda link: link.folder != folder)) if folder else tuple(found)


def base_name(name: str) -> str:
    """The name of a file without its folders."""
    return name.replace("\\", "/").rpartition("/")[2]


def below(name: str) -> str:
    """The folders before the name of a file, with a slash after each; empty if one of them leads out."""
    steps = name.replace("\\", "/").split("/")[:-1]
    return "" if {"", ".", ".."} & set(steps) else "".join(f"{step}/" for step in steps)


def file_in(url: str) -> str:
    """The name of the file that a link leads to, or of a page."""
    return base_name(unquote(urlsplit(url).path))


def fits(folder: str, other: str) -> bool:
    """Whether two folders take models of one kind; one that is not known fits all."""
    return not folder or not other or _kind(folder) == _kind(other)


@cache
def catalogue() -> Links:
    """The models of ComfyUI's own templates, which come with comfywatch."""
    rows = shipped.load("models.json")["models"]
    found = ((row, shown_link(url)) for row in rows for url in row["urls"])
    return Links(ModelLink(name=row["name"], url=url, folder=row["folder"]) for row, url in found if url)


def _kind(folder: str) -> str:
    first = folder.partition("/")[0]
    return _SAME_KIND.get(first, first)
