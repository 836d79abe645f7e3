"""What is installed: folders, models and node classes, as a ComfyUI finds them on its disk; it outlives restarts.

The schemas are facts of the wire (names, types, ranges, outputs) of the version that is stood in for; ``$folder`` in
a list of options stands for the models of that folder, ``$input`` for the pictures in the input folder.
"""

from __future__ import annotations

import functools
import json
import mimetypes
from importlib import resources
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

FOLDERS = (
    *("checkpoints", "configs", "loras", "vae", "text_encoders", "diffusion_models", "clip_vision", "style_models"),
    *("embeddings", "diffusers", "vae_approx", "controlnet", "gligen", "upscale_models", "latent_upscale_models"),
    *("custom_nodes", "datasets", "hypernetworks", "photomaker", "classifiers", "model_patches", "audio_encoders"),
    *("background_removal", "frame_interpolation", "geometry_estimation", "optical_flow", "detection"),
)
NEWER_FOLDERS = {
    *("latent_upscale_models", "datasets", "background_removal", "frame_interpolation", "geometry_estimation"),
    *("optical_flow", "detection"),
}

MODELS = {
    "checkpoints": [
        "dreamcoast_v8.safetensors",
        "sdxl/harborXL_v2.safetensors",
        "sdxl/paperlanternXL.safetensors",
        "v1-5-pruned-emaonly-fp16.safetensors",
    ],
    "loras": ["film_grain.safetensors", "sdxl/ink_wash.safetensors", "watercolour.safetensors"],
    "vae": ["coast_vae.safetensors", "vae-ft-mse-840000-ema-pruned.safetensors"],
    "text_encoders": ["clip_g.safetensors", "clip_l.safetensors", "t5xxl_fp16.safetensors"],
    "diffusion_models": ["drift/drift1-dev.safetensors", "tide_t2v_1b.safetensors"],
    "clip_vision": ["clip_vision_h.safetensors"],
    "style_models": ["redraw_style.safetensors"],
    "embeddings": ["easynegative.safetensors"],
    "controlnet": ["control_depth.safetensors", "sdxl/control_canny.safetensors"],
    "upscale_models": ["2x-Gull.pth", "4x-Heron.pth"],
    "gligen": ["gligen_textbox.safetensors"],
    "hypernetworks": ["oldphoto.pt"],
    "photomaker": ["photomaker-v1.bin"],
    "custom_nodes": ["comfywatch_testnodes/__init__.py"],
}


@functools.cache
def _templates(version: str) -> dict[str, Schema]:
    text = resources.files(__package__).joinpath(f"object_info-{version}.json").read_text(encoding="utf-8")
    loaded: dict[str, Schema] = json.loads(text)
    return loaded


@functools.cache
def _is_plain(version: str, class_type: str) -> bool:
    return '"$' not in json.dumps(_templates(version)[class_type])


class Installation:
    """``models`` and ``node_classes`` may be changed while the server runs, from any thread."""

    def __init__(self, version: str, folder: Path) -> None:
        self.version = version
        self.newer = version != "0.3.64"
        self.input, self.output, self.temp = (folder / name for name in ("input", "output", "temp"))
        self.models: dict[str, list[str]] = {
            name: list(MODELS.get(name, ())) for name in FOLDERS if self.newer or name not in NEWER_FOLDERS
        }
        self.node_classes: set[str] = set(_templates(version))

    def make_folders(self) -> None:
        """The three folders; what was in ``temp`` is gone, as after each start of ComfyUI."""
        for folder in (self.input, self.output, self.temp):
            folder.mkdir(parents=True, exist_ok=True)
        for left in self.temp.iterdir():
            if left.is_file():
                left.unlink()

    def folder(self, kind: str) -> Path | None:
        """The folder of a file's ``type``."""
        return {"input": self.input, "output": self.output, "temp": self.temp}.get(kind)

    def knows(self, class_type: str) -> bool:
        """Whether a node class is installed."""
        return class_type in self.node_classes and class_type in _templates(self.version)

    def schema(self, class_type: str) -> Schema:
        """A node class as ``/object_info`` tells it, with the models and files of this moment."""
        template = _templates(self.version)[class_type]
        if _is_plain(self.version, class_type):
            return template
        schema: Schema = self._filled_in(template)
        return schema

    def schemas(self) -> dict[str, Schema]:
        """All of ``/object_info``."""
        return {name: self.schema(name) for name in _templates(self.version) if name in self.node_classes}

    def input_names(self, class_type: str) -> set[str]:
        """The inputs that a class knows; others may be in a prompt, and are not looked at."""
        groups = _templates(self.version)[class_type]["input"]
        return {*groups.get("required", ()), *groups.get("optional", ())}

    def outputs(self, class_type: str) -> tuple[Any, ...]:
        """The types of a class's output slots."""
        return tuple(_templates(self.version)[class_type]["output"])

    def is_output(self, class_type: str) -> bool:
        """Whether a class is one that ComfyUI runs a prompt for."""
        return bool(_templates(self.version)[class_type]["output_node"])

    def input_pictures(self) -> list[str]:
        """The pictures that lie directly in the input folder."""
        names = (path.name for path in self.input.iterdir() if path.is_file())
        return sorted(name for name in names if (mimetypes.guess_type(name)[0] or "").startswith("image/"))

    def _filled_in(self, part: Any) -> Any:
        if isinstance(part, dict):
            return {key: self._filled_in(value) for key, value in part.items()}
        if not isinstance(part, list):
            return part
        filled: list[Any] = []
        for item in part:
            if isinstance(item, str) and item.startswith("$"):
                filled += self.input_pictures() if item == "$input" else sorted(self.models.get(item[1:], ()))
            else:
                filled.append(self._filled_in(item))
        return filled
