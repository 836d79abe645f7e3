"""Which folder of models an input names a file of: from the schemas where they tell, else from a table of loaders.

The table holds what ComfyUI's own loaders and the best-known packages do, so that an inventory without schemas is of
use. A class comes before the mere name of an input; several folders are one list to the loader.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from comfywatch.inventory import Inventory, normalised
from comfywatch.schemas import Schemas

Folders = tuple[str, ...]

BY_CLASS: Mapping[tuple[str, str], Folders] = {
    ("ADE_AnimateDiffLoaderGen1", "model_name"): ("animatediff_models",),
    ("ADE_AnimateDiffLoaderWithContext", "model_name"): ("animatediff_models",),
    ("ADE_LoadAnimateDiffModel", "model_name"): ("animatediff_models",),
    ("CLIPLoaderGGUF", "clip_name"): ("clip_gguf", "text_encoders"),
    ("CLIPVisionLoader", "clip_name"): ("clip_vision",),
    ("DualCLIPLoaderGGUF", "clip_name1"): ("clip_gguf", "text_encoders"),
    ("DualCLIPLoaderGGUF", "clip_name2"): ("clip_gguf", "text_encoders"),
    ("FaceRestoreModelLoader", "model_name"): ("facerestore_models",),
    ("FrameInterpolationModelLoader", "model_name"): ("frame_interpolation",),
    ("LTXAVTextEncoderLoader", "text_encoder"): ("text_encoders",),
    ("LatentUpscaleModelLoader", "model_name"): ("latent_upscale_models",),
    ("LoadDA3Model", "model_name"): ("geometry_estimation",),
    ("LoadMediaPipeFaceLandmarker", "model_name"): ("detection",),
    ("LoadMoGeModel", "model_name"): ("geometry_estimation",),
    ("ModelPatchLoader", "name"): ("model_patches",),
    ("OpticalFlowLoader", "model_name"): ("optical_flow",),
    ("QuadrupleCLIPLoaderGGUF", "clip_name1"): ("clip_gguf", "text_encoders"),
    ("QuadrupleCLIPLoaderGGUF", "clip_name2"): ("clip_gguf", "text_encoders"),
    ("QuadrupleCLIPLoaderGGUF", "clip_name3"): ("clip_gguf", "text_encoders"),
    ("QuadrupleCLIPLoaderGGUF", "clip_name4"): ("clip_gguf", "text_encoders"),
    ("SAMLoader", "model_name"): ("sams",),
    ("T2IAdapterLoader", "t2i_adapter_name"): ("controlnet",),
    ("TrainLoraNode", "existing_lora"): ("loras",),
    ("TripleCLIPLoaderGGUF", "clip_name1"): ("clip_gguf", "text_encoders"),
    ("TripleCLIPLoaderGGUF", "clip_name2"): ("clip_gguf", "text_encoders"),
    ("TripleCLIPLoaderGGUF", "clip_name3"): ("clip_gguf", "text_encoders"),
    ("UltralyticsDetectorProvider", "model_name"): ("ultralytics",),
    ("UnetLoaderGGUF", "unet_name"): ("unet_gguf",),
    ("UnetLoaderGGUFAdvanced", "unet_name"): ("unet_gguf",),
    ("UpscaleModelLoader", "model_name"): ("upscale_models",),
}

BY_INPUT: Mapping[str, Folders] = {
    "audio_encoder_name": ("audio_encoders",),
    "bg_removal_name": ("background_removal",),
    "ckpt_name": ("checkpoints",),
    "clip_name": ("text_encoders",),
    "clip_name1": ("text_encoders",),
    "clip_name2": ("text_encoders",),
    "clip_name3": ("text_encoders",),
    "clip_name4": ("text_encoders",),
    "clip_vision_name": ("clip_vision",),
    "control_net_name": ("controlnet",),
    "gligen_name": ("gligen",),
    "hypernetwork_name": ("hypernetworks",),
    "instantid_file": ("instantid",),
    "ipadapter_file": ("ipadapter",),
    "lora_name": ("loras",),
    "photomaker_model_name": ("photomaker",),
    "style_model_name": ("style_models",),
    "unet_name": ("diffusion_models",),
    "vae_name": ("vae",),
}

PLACES: Mapping[str, str] = {"clip_gguf": "text_encoders", "unet_gguf": "diffusion_models"}
"""Where files of a folder go on disk, if it is called otherwise there."""

_SUFFIXES = (".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl", ".gguf", ".onnx")
_OLD_NAMES = frozenset({"clip", "unet"})


def looks_like_model(name: str) -> bool:
    """Whether ``name`` can be a file of weights, and not one of a loader's own words (``taesd``, ``None``)."""
    return name.lower().endswith(_SUFFIXES)


def folder_of(
    class_type: str, input_name: str, value: str, schemas: Schemas | None, inventory: Inventory | None
) -> str | None:
    """The folder that ``value`` lies in or is missed in; ``None`` if the input names no model."""
    inputs = ModelInputs(schemas=schemas, inventory=inventory)
    if not inputs.takes(class_type, input_name, value):
        return None
    folders = inputs.folders(class_type, input_name)
    if not folders or inventory is None:
        return folders[0] if folders else None
    return next((folder for folder in folders if normalised(value) in inventory.spellings(folder)), folders[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInputs:
    """The folders and the choices of inputs, each found once however many nodes have it."""

    schemas: Schemas | None
    inventory: Inventory | None
    _folders: dict[tuple[str, str], Folders] = field(default_factory=dict, init=False, repr=False)
    _choices: dict[tuple[str, str], Mapping[str, str] | None] = field(default_factory=dict, init=False, repr=False)

    def folders(self, class_type: str, input_name: str) -> Folders:
        """Where the input's files lie; empty if it names no model, or ComfyUI does not read it."""
        key = (class_type, input_name)
        if key not in self._folders:
            self._folders[key] = self._find_folders(class_type, input_name)
        return self._folders[key]

    def takes(self, class_type: str, input_name: str, value: str) -> bool:
        """Whether ``value`` is the name of a model here: a loader may offer words of its own, and no file yet."""
        if not self.folders(class_type, input_name):
            return False
        offered = self.choices(class_type, input_name)
        return not offered or looks_like_model(value) or any(map(looks_like_model, offered))

    def choices(self, class_type: str, input_name: str) -> Mapping[str, str] | None:
        """What the schema offers, normalised, to its own spelling; ``None`` if there is no list, or it may grow."""
        key = (class_type, input_name)
        if key not in self._choices:
            spec = None if self.schemas is None else self.schemas.input(class_type, input_name)
            offered = None if spec is None or spec.is_remote or spec.is_upload else spec.choices
            self._choices[key] = (
                None if offered is None else {normalised(name): name for name in offered if isinstance(name, str)}
            )
        return self._choices[key]

    def installed(self, class_type: str, input_name: str) -> Iterable[str]:
        """What could be named instead."""
        choices = self.choices(class_type, input_name)
        if choices:
            return choices.values()
        folders = () if self.inventory is None else self.folders(class_type, input_name)
        lists = (self.inventory.spellings(folder) for folder in folders if self.inventory is not None)
        return (name for names in lists for name in names.values())

    def _find_folders(self, class_type: str, input_name: str) -> Folders:
        table = BY_CLASS.get((class_type, input_name)) or BY_INPUT.get(input_name, ())
        if self.schemas is None or class_type not in self.schemas:
            return table
        offered = self.choices(class_type, input_name)
        if offered is None:
            return ()
        files = frozenset(filter(looks_like_model, offered))
        if not files:
            return table
        return self._matching(files, table) or (table if self._plausible(files, table) else ())

    def _matching(self, files: frozenset[str], table: Folders) -> Folders:
        """The folder whose list holds all that is offered; the table's before a smaller one before a larger one."""
        if self.inventory is None:
            return ()
        lists = {folder: self.inventory.spellings(folder).keys() for folder in self.inventory.models}
        sizes = {folder: len(names) for folder, names in lists.items() if files <= names}
        best = sorted(sizes, key=lambda folder: (folder not in table, sizes[folder], folder in _OLD_NAMES, folder))
        return tuple(best[:1])

    def _plausible(self, files: frozenset[str], table: Folders) -> bool:
        """Whether nothing speaks against the table: a package may keep other files under a loader's input name."""
        lists = [] if self.inventory is None else [self.inventory.spellings(folder).keys() for folder in table]
        return not any(lists) or any(files & names for names in lists)
