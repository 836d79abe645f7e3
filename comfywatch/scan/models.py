"""The files of models below ``models/`` and wherever else ComfyUI looks for them, by the folder that it calls them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from comfywatch.scan.extra_paths import ExtraFolder

MAX_FILES = 100_000
"""In one folder of models; nobody has so many, and a link to a whole disk has more."""
NO_MODELS = frozenset({"configs", "custom_nodes", "datasets"})

_WEIGHTS = frozenset({".bin", ".ckpt", ".pkl", ".pt", ".pt2", ".pth", ".safetensors", ".sft"})
"""What ComfyUI takes in its own folders, in capitals as well."""
_NO_SUFFIX = frozenset({""})
_NOT_WEIGHTS = frozenset(
    {
        *("", ".aria2", ".crdownload", ".csv", ".download", ".gif", ".gitattributes", ".gitignore", ".html", ".info"),
        *(".jpeg", ".jpg", ".json", ".lock", ".log", ".md", ".md5", ".metadata", ".mp4", ".part", ".png", ".py"),
        *(".sha256", ".tmp", ".txt", ".url", ".webp", ".yaml", ".yml"),
    }
)
"""What is never a model in a folder that a package of nodes looks after, and decides for itself what it takes."""
_OWN_FOLDERS = frozenset(
    {
        *("audio_encoders", "background_removal", "checkpoints", "clip_vision", "controlnet", "detection"),
        *("diffusion_models", "embeddings", "frame_interpolation", "geometry_estimation", "gligen", "hypernetworks"),
        *("latent_upscale_models", "loras", "model_patches", "optical_flow", "photomaker", "style_models"),
        *("text_encoders", "upscale_models", "vae", "vae_approx"),
    }
)
_CALLED: Mapping[str, str] = {"clip": "text_encoders", "unet": "diffusion_models", "t2i_adapter": "controlnet"}
"""Folders on disk, to what ComfyUI calls them."""
_OLD_NAMES: Mapping[str, str] = {"clip": "text_encoders", "unet": "diffusion_models"}
_SAVED = ("checkpoints", "clip", "diffusion_models", "loras", "vae")
"""Below ``output/``: what nodes that save models leave there is found as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModels:
    """``models`` by folder, ``None`` for one that could not be read; and a sentence for all that could not."""

    models: Mapping[str, tuple[str, ...] | None]
    notices: tuple[str, ...]


def models_below(root: Path, extra: Iterable[ExtraFolder], *, most: int = MAX_FILES) -> FoundModels:
    """What lies in ``models/`` and ``output/`` of ComfyUI's folder, and in the folders that are named beside them."""
    notices: list[str] = []
    lists: dict[str, dict[str, None] | None] = {}
    for folder, place in _places(root, extra, notices):
        try:
            names = dict.fromkeys(_names(place, _takes(folder), notices, most=most))
        except OSError as error:
            notices.append(f"{place} cannot be read: {error.strerror or error}")
            lists.setdefault(folder, None)
        else:
            lists[folder] = {**(lists.get(folder) or {}), **names}
    found = {folder: None if names is None else tuple(sorted(names)) for folder, names in sorted(lists.items())}
    return FoundModels(models=found, notices=tuple(notices))


def _places(root: Path, extra: Iterable[ExtraFolder], notices: list[str]) -> Iterator[tuple[str, Path]]:
    """Every folder with models, and what ComfyUI calls it; the same one may be there several times."""
    for found in extra:
        if found.folder in NO_MODELS:
            continue
        if found.path.is_dir():
            yield _OLD_NAMES.get(found.folder, found.folder), found.path
        else:
            notices.append(f"{found.path}, which is named for {found.folder}, is not there")
    saved = [root / "output" / name for name in _SAVED]
    for place in (*_inside(root / "models", notices), *(place for place in saved if place.is_dir())):
        yield _CALLED.get(place.name, place.name), place


def _inside(models: Path, notices: list[str]) -> list[Path]:
    try:
        places = sorted(models.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        notices.append(f"{models} cannot be read: {error.strerror or error}")
        return []
    return [place for place in places if place.name not in NO_MODELS and place.name[0] != "." and place.is_dir()]


def _takes(folder: str) -> frozenset[str] | None:
    """The endings of files that ComfyUI takes there; ``None`` if a package decides."""
    if folder in _OWN_FOLDERS:
        return _WEIGHTS
    return {"classifiers": _NO_SUFFIX, "diffusers": frozenset()}.get(folder)


def _names(top: Path, takes: frozenset[str] | None, notices: list[str], *, most: int) -> Iterator[str]:
    """Files as ComfyUI names them, from ``top``; links are followed, and a link to what it lies in is not."""
    to_do: list[tuple[str, Path, tuple[str, ...]]] = [("", top, (os.path.realpath(top),))]
    count = 0
    while to_do:
        below, place, above = to_do.pop()
        for entry in _entries(place, is_top=not below, notices=notices):
            name = f"{below}{entry.name}"
            if _is_folder(entry):
                real = os.path.realpath(entry.path)
                if entry.name != ".git" and real not in above:
                    to_do.append((f"{name}{os.sep}", Path(entry.path), (*above, real)))
            elif _is_taken(entry.name, takes):
                if not _is_file(entry):
                    notices.append(f"{entry.path} leads nowhere, or is no file")
                    continue
                count += 1
                if count > most:
                    notices.append(f"{top} has more than {most} files; the others are left out")
                    return
                yield name


def _entries(place: Path, *, is_top: bool, notices: list[str]) -> list[os.DirEntry[str]]:
    """What a folder holds; one that cannot be read is said, and the first one raises ``OSError``."""
    try:
        with os.scandir(place) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        if is_top:
            raise
        notices.append(f"{place} cannot be read: {error.strerror or error}")
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _is_taken(name: str, takes: frozenset[str] | None) -> bool:
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  # a name, and not a path
    if takes is not None:
        return suffix in takes
    return suffix not in _NOT_WEIGHTS and not name.startswith(".")
