"""Writing output files: with the prompt inside, and in place, as ComfyUI does (a reader can meet half a file)."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from PIL import PngImagePlugin

from comfywatch.sandbox.files import SavePlace, save_place
from comfywatch.sandbox.values import Images, Latent

Json = dict[str, Any]


def save_pngs(images: Images, prefix: str, root: Path, info: Json) -> list[Json]:
    """One file a picture; what they are called."""
    width, height = images.frames[0].size
    place = save_place(prefix, root, width=width, height=height)
    text = PngImagePlugin.PngInfo()
    for key, value in info.items():
        text.add_text(key, json.dumps(value))
    names = []
    for index, frame in enumerate(images.frames):
        name = place.name(index, ".png")
        frame.save(place.folder / name, pnginfo=text, compress_level=1)
        names.append(_told(place, name))
    return names


def save_webp(images: Images, prefix: str, root: Path, options: Json) -> Json:
    """One file for all pictures."""
    place = save_place(prefix, root)
    name = place.name(0, ".webp")
    first, *others = images.frames
    first.save(place.folder / name, save_all=True, append_images=others, **options)
    return _told(place, name)


def save_latent(latent: Latent, prefix: str, root: Path, info: Json) -> Json:
    """A safetensors file of the right size, full of zeros."""
    place = save_place(prefix, root)
    name = place.name(0, ".latent")
    shape = [latent.batch, 4, latent.height // 8, latent.width // 8]
    size = shape[0] * shape[1] * shape[2] * shape[3] * 4
    tensors = {
        "__metadata__": {key: json.dumps(value) for key, value in info.items()},
        "latent_tensor": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]},
    }
    header = json.dumps(tensors).encode()
    (place.folder / name).write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))
    return _told(place, name)


def _told(place: SavePlace, name: str) -> Json:
    return {"filename": name, "subfolder": place.subfolder}
