"""Folders of models have more than one name: older ones of ComfyUI's own, and what other tools call them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Lists = Mapping[str, tuple[str, ...] | None]
"""The models in each folder, ``None`` where that is not known."""

_OTHER_NAME = {
    "clip": "text_encoders",
    "text_encoders": "clip",
    "unet": "diffusion_models",
    "diffusion_models": "unet",
}
_OLD_NAMES = ("clip", "unet")
_OTHERS_CALL_IT: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "animatediff_models": (("animatediff_motion", "", ""),),
    "animatediff_motion": (("animatediff_models", "", ""),),
    "facerestore": (("facerestore_models", "", ""),),
    "facerestore_models": (("facerestore", "", ""),),
    "ultralytics": (
        ("ultralytics/bbox", "", "bbox/"),
        ("ultralytics/segm", "", "segm/"),
        ("ultralytics_bbox", "", "bbox/"),
        ("ultralytics_segm", "", "segm/"),
        ("detection", "", "bbox/"),
        ("detection", "", ""),
    ),
    "ultralytics_bbox": (("ultralytics", "bbox/", ""), ("ultralytics/bbox", "", ""), ("detection", "", "")),
    "ultralytics_segm": (("ultralytics", "segm/", ""), ("ultralytics/segm", "", "")),
}
"""Lists of other tools that tell of a folder as well: under which name, what they have before the names in it, and what
the folder has there."""


def both_names(folder: str) -> tuple[str, ...]:
    """Of a folder that ComfyUI called otherwise before, both names, the other one first."""
    other = _OTHER_NAME.get(folder)
    return (folder,) if other is None else (other, folder)


def mirrored(lists: Lists) -> Lists:
    """With the lists under the older names of their folders too."""
    old = {name: lists[_OTHER_NAME[name]] for name in _OLD_NAMES if _OTHER_NAME[name] in lists}
    return {**lists, **old}


def elsewhere(folder: str, name: str) -> Iterator[tuple[str, str]]:
    """Other folders in which other tools may list a model of ``folder``, and what they call it there."""
    for other, theirs, ours in _OTHERS_CALL_IT.get(folder, ()):
        if name.startswith(ours):
            yield other, f"{theirs}{name.removeprefix(ours)}"
