"""What travels between nodes; ``str()`` of one is what ComfyUI shows of it in error reports and previews as text."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True, slots=True)
class Images:
    """A batch of pictures of one size."""

    frames: tuple[Image.Image, ...]

    def __str__(self) -> str:
        first = self.frames[0]
        pixel = first.convert("RGB").getpixel((0, 0))
        shown = ", ".join(f"{channel / 255:.4f}" for channel in pixel) if isinstance(pixel, tuple) else f"{pixel}"
        return f"tensor([[[[{shown}],\n          ...,\n          [{shown}]]]])"


@dataclass(frozen=True, slots=True)
class Mask:
    """One channel."""

    channel: Image.Image

    def __str__(self) -> str:
        return "tensor([[[0., 0., 0.,  ..., 0., 0., 0.]]])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latent:
    """A picture that is not drawn yet: what it will depend on."""

    width: int
    height: int
    batch: int
    seed: int = 0
    text: str = ""
    style: str = ""

    def __str__(self) -> str:
        return "{'samples': tensor([[[[0., 0., 0.,  ..., 0., 0., 0.]]]])}"


@dataclass(frozen=True, slots=True)
class Conditioning:
    """A text for the sampler."""

    text: str

    def __str__(self) -> str:
        return "[[tensor([[[0., 0., 0.,  ..., 0., 0., 0.]]]), {'pooled_output': None}]]"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model of any kind; ``name`` tells of the file and of what was put on top of it."""

    name: str

    def __str__(self) -> str:
        return "<comfy.model_patcher.ModelPatcher object>"
