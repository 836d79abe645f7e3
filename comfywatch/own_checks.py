"""Inputs that a node of ComfyUI's own checks by itself, so that ComfyUI does not: what is known of them from outside.

Schemas do not tell which inputs these are. Found by asking both servers that are recorded here, class by class, for
values out of range and choices that are not offered. What only ComfyUI can know is ``UNKNOWN``, and never held against
a workflow. Nodes of packages are taken for ones without checks of their own, but for inputs to which files are
uploaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from comfywatch.schemas import Generation, InputSpec


class OwnCheck(Enum):
    """What a node asks of an input that it checks by itself."""

    FILE = auto()
    """A file that is there: in ComfyUI's list, in a subfolder, or in the folder that is named (``x.png [output]``)."""
    UNLISTED_FILE = auto()
    """The same, but ComfyUI's list tells of one subfolder only; or nothing at all."""
    LISTED = auto()
    """A file in ComfyUI's list and no other: ComfyUI itself looks."""
    LINK = auto()
    """Another node's output and no value."""
    RATIO = auto()
    """Two numbers as ``16:9``, none of them more than four times the other."""
    UNKNOWN = auto()


_EVERYWHERE: Mapping[tuple[str, str], OwnCheck] = {
    ("FluxProUltraImageNode", "aspect_ratio"): OwnCheck.RATIO,
    ("LoadAudio", "audio"): OwnCheck.FILE,
    ("LoadImage", "image"): OwnCheck.FILE,
    ("LoadImageMask", "image"): OwnCheck.FILE,
    ("LoadImageOutput", "image"): OwnCheck.FILE,
    ("LoadLatent", "latent"): OwnCheck.FILE,
    ("LoadVideo", "file"): OwnCheck.FILE,
    ("TripoConversionNode", "original_model_task_id"): OwnCheck.LINK,
    ("WebcamCapture", "image"): OwnCheck.FILE,
}
_OLDER: Mapping[tuple[str, str], OwnCheck] = {
    ("FluxKontextMultiReferenceLatentMethod", "reference_latents_method"): OwnCheck.UNKNOWN,
    ("KlingCameraControls", "horizontal_movement"): OwnCheck.UNKNOWN,
    ("KlingCameraControls", "pan"): OwnCheck.UNKNOWN,
    ("KlingCameraControls", "roll"): OwnCheck.UNKNOWN,
    ("KlingCameraControls", "tilt"): OwnCheck.UNKNOWN,
    ("KlingCameraControls", "vertical_movement"): OwnCheck.UNKNOWN,
    ("KlingCameraControls", "zoom"): OwnCheck.UNKNOWN,
    ("Load3D", "model_file"): OwnCheck.LISTED,
    ("Load3DAnimation", "model_file"): OwnCheck.LISTED,
    ("LoraSave", "lora_type"): OwnCheck.UNKNOWN,
}
_NEWER: Mapping[tuple[str, str], OwnCheck] = {
    ("CustomCombo", "choice"): OwnCheck.UNKNOWN,
    ("Load3D", "height"): OwnCheck.UNKNOWN,
    ("Load3D", "model_file"): OwnCheck.UNLISTED_FILE,
    ("Load3D", "width"): OwnCheck.UNKNOWN,
    ("Load3DAdvanced", "height"): OwnCheck.UNKNOWN,
    ("Load3DAdvanced", "model_file"): OwnCheck.UNLISTED_FILE,
    ("Load3DAdvanced", "width"): OwnCheck.UNKNOWN,
    ("ModelAttentionBackend", "attention"): OwnCheck.UNKNOWN,
    ("SelectCLIPDevice", "device"): OwnCheck.UNKNOWN,
    ("SelectModelDevice", "device"): OwnCheck.UNKNOWN,
    ("SelectVAEDevice", "device"): OwnCheck.UNKNOWN,
}
_BY_GENERATION: Mapping[Generation, Mapping[tuple[str, str], OwnCheck]] = {
    Generation.OLDER: {**_EVERYWHERE, **_OLDER},
    Generation.NEWER: {**_EVERYWHERE, **_NEWER},
}
_CHECKS_ITS_LINKS = frozenset({"TripoConversionNode"})


def own_check(generation: Generation, class_type: str, spec: InputSpec) -> OwnCheck | None:
    """What the node itself asks of the input; ``None`` if ComfyUI looks at it as at any other."""
    known = _BY_GENERATION[generation].get((class_type, spec.name))
    return OwnCheck.UNKNOWN if known is None and spec.is_upload else known


def takes_any_link(class_type: str, spec: InputSpec) -> bool:
    """Whether ComfyUI leaves the type of a link to the node, which does not care for this one."""
    return class_type in _CHECKS_ITS_LINKS and (class_type, spec.name) not in _EVERYWHERE
