"""What the nodes do. Names and inputs are ComfyUI's; models are loaded by name only, and pictures are made up."""

from __future__ import annotations

import asyncio
import random
import string
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from PIL import Image, ImageOps

from comfywatch.sandbox.files import find_annotated
from comfywatch.sandbox.pictures import draw, preview
from comfywatch.sandbox.run import Run
from comfywatch.sandbox.saving import save_latent, save_pngs, save_webp
from comfywatch.sandbox.values import Conditioning, Images, Latent, Loaded, Mask

Json = dict[str, Any]
T = TypeVar("T")
SMALL = 128 * 128  # pixels that are not worth a thread
TEMP_MARK = "_temp_" + "".join(random.choices(string.ascii_lowercase, k=5))  # noqa: S311 - only to tell starts apart
RESAMPLING = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class OutOfMemoryError(RuntimeError):
    """What torch raises when the graphics card is full."""

    reported_as = "torch.OutOfMemoryError"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a node hands on, and what it has to show (``None``: nothing)."""

    values: tuple[Any, ...] = ()
    ui: Json | None = None


Node = Callable[..., Awaitable[Outcome]]


async def _heavily(images: Images, work: Callable[[], T]) -> T:
    """Do work on pictures where it holds up nobody, if it takes long."""
    pixels = sum(frame.width * frame.height for frame in images.frames)
    return work() if pixels <= SMALL else await asyncio.to_thread(work)


def _each(images: Images, change: Callable[[Image.Image], Image.Image]) -> Callable[[], Images]:
    return lambda: Images(tuple(change(frame) for frame in images.frames))


async def empty_image(_run: Run, *, width: int, height: int, batch_size: int, color: int) -> Outcome:
    colour = (color >> 16 & 255, color >> 8 & 255, color & 255)
    return Outcome((Images((Image.new("RGB", (width, height), colour),) * batch_size),))


async def load_image(run: Run, *, image: str) -> Outcome:
    with Image.open(find_annotated(image, run.installation)) as file:
        whole = file.convert("RGBA")
    alpha = ImageOps.invert(whole.getchannel("A"))
    return Outcome((Images((whole.convert("RGB"),)), Mask(alpha)))


async def load_image_mask(run: Run, *, image: str, channel: str) -> Outcome:
    with Image.open(find_annotated(image, run.installation)) as file:
        whole = file.convert("RGBA")
    one = whole.getchannel({"alpha": "A", "red": "R", "green": "G", "blue": "B"}[channel])
    return Outcome((Mask(ImageOps.invert(one) if channel == "alpha" else one),))


async def save_image(run: Run, *, images: Images, filename_prefix: str) -> Outcome:
    folder, info = run.installation.output, run.pnginfo
    names = await _heavily(images, lambda: save_pngs(images, filename_prefix, folder, info))
    return Outcome((images,), {"images": [{**name, "type": "output"} for name in names]})


async def preview_image(run: Run, *, images: Images) -> Outcome:
    folder, info = run.installation.temp, run.pnginfo
    names = await _heavily(images, lambda: save_pngs(images, "ComfyUI" + TEMP_MARK, folder, info))
    return Outcome((images,), {"images": [{**name, "type": "temp"} for name in names]})


async def save_animated_webp(
    run: Run, *, images: Images, filename_prefix: str, fps: float, lossless: bool, quality: int, method: str
) -> Outcome:
    folder = run.installation.output
    effort = {"fastest": 0, "default": 4, "slowest": 6}[method]
    options = {"duration": int(1000 / fps), "lossless": lossless, "quality": quality, "method": effort}
    name = await _heavily(images, lambda: save_webp(images, filename_prefix, folder, options))
    moves = len(images.frames) != 1
    animated = {"animated": [moves]} if moves or not run.installation.newer else {}
    return Outcome((images,), {"images": [{**name, "type": "output"}], **animated})


async def image_scale(_run: Run, *, image: Images, upscale_method: str, width: int, height: int, crop: str) -> Outcome:
    before = image.frames[0]
    if width == 0 or height == 0:
        width = width or max(1, round(before.width * height / before.height)) if height else width
        height = height or max(1, round(before.height * width / before.width)) if width else height
    size = (width or before.width, height or before.height)
    how = RESAMPLING[upscale_method]
    change = (
        (lambda frame: ImageOps.fit(frame, size, how)) if crop == "center" else (lambda frame: frame.resize(size, how))
    )
    return Outcome((await _heavily(image, _each(image, change)),))


async def image_scale_by(_run: Run, *, image: Images, upscale_method: str, scale_by: float) -> Outcome:
    before, how = image.frames[0], RESAMPLING[upscale_method]
    size = (max(1, round(before.width * scale_by)), max(1, round(before.height * scale_by)))
    return Outcome((await _heavily(image, _each(image, lambda frame: frame.resize(size, how))),))


async def image_invert(_run: Run, *, image: Images) -> Outcome:
    return Outcome((await _heavily(image, _each(image, ImageOps.invert)),))


async def image_batch(_run: Run, *, image1: Images, image2: Images) -> Outcome:
    size = image1.frames[0].size
    return Outcome((Images((*image1.frames, *(ImageOps.fit(frame, size) for frame in image2.frames))),))


async def load_checkpoint(_run: Run, *, ckpt_name: str) -> Outcome:
    return Outcome((Loaded(ckpt_name),) * 3)


async def load_lora(
    _run: Run, *, model: Loaded, clip: Loaded, lora_name: str, strength_model: float, strength_clip: float
) -> Outcome:
    return Outcome(
        (Loaded(f"{model.name}+{lora_name}:{strength_model}"), Loaded(f"{clip.name}+{lora_name}:{strength_clip}"))
    )


async def load_one(_run: Run, **inputs: str) -> Outcome:
    """Any loader of one file."""
    return Outcome((Loaded(next(iter(inputs.values()))),))


async def encode_text(_run: Run, *, text: str, **_: object) -> Outcome:
    return Outcome((Conditioning(text),))


async def empty_latent(_run: Run, *, width: int, height: int, batch_size: int) -> Outcome:
    return Outcome((Latent(width=width, height=height, batch=batch_size),))


async def sample(
    run: Run, *, model: Loaded, seed: int, steps: int, positive: Conditioning, latent_image: Latent, **_: object
) -> Outcome:
    """Takes its time; what it depends on is kept for the decoder."""
    for step in range(steps):
        await run.sleep(run.settings.step_seconds)
        shown = preview(text=positive.text, seed=seed, share=(step + 1) / steps) if run.wants_previews else b""
        run.progress(step + 1, steps, jpeg=shown)
    return Outcome((replace(latent_image, seed=seed, text=positive.text, style=model.name),))


async def decode(_run: Run, *, samples: Latent, **_: object) -> Outcome:
    def work() -> Images:
        seeds = range(samples.seed, samples.seed + samples.batch)
        return Images(tuple(draw(samples.width, samples.height, text=samples.text, seed=seed) for seed in seeds))

    return Outcome((await asyncio.to_thread(work),))


async def store_latent(run: Run, *, samples: Latent, filename_prefix: str) -> Outcome:
    name = save_latent(samples, filename_prefix, run.installation.output, run.pnginfo)
    return Outcome((samples,), {"latents": [{**name, "type": "output"}]})


async def preview_any(_run: Run, *, source: object = None) -> Outcome:
    return Outcome((str(source),), {"text": [str(source)]})


async def sleep(run: Run, *, image: Images, seconds: float) -> Outcome:
    steps = max(1, int(seconds * 10))
    for step in range(steps):
        await run.sleep(seconds / steps)
        run.progress(step + 1, steps)
    return Outcome((image,))


async def fail(_run: Run, *, kind: str, **_: object) -> Outcome:
    if kind == "oom":
        text = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 31.36 GiB"
        raise OutOfMemoryError(text)
    if kind == "unicode":
        raise ValueError("das ging schief: \u2603 \U0001f600")
    raise RuntimeError("test failure at run time")


async def show_text(_run: Run, *, text: str) -> Outcome:
    return Outcome((), {"text": [text]})


async def claim_files(_run: Run, *, names: str) -> Outcome:
    files = [{"filename": name, "subfolder": "", "type": "output"} for name in names.splitlines()]
    return Outcome((), {"images": files})


NODES: dict[str, Node] = {
    "EmptyImage": empty_image,
    "LoadImage": load_image,
    "LoadImageMask": load_image_mask,
    "SaveImage": save_image,
    "PreviewImage": preview_image,
    "SaveAnimatedWEBP": save_animated_webp,
    "ImageScale": image_scale,
    "ImageScaleBy": image_scale_by,
    "ImageInvert": image_invert,
    "ImageBatch": image_batch,
    "CheckpointLoaderSimple": load_checkpoint,
    "LoraLoader": load_lora,
    "VAELoader": load_one,
    "UpscaleModelLoader": load_one,
    "ControlNetLoader": load_one,
    "UNETLoader": load_one,
    "CLIPLoader": load_one,
    "CLIPTextEncode": encode_text,
    "EmptyLatentImage": empty_latent,
    "KSampler": sample,
    "VAEDecode": decode,
    "SaveLatent": store_latent,
    "PreviewAny": preview_any,
    "TestSleep": sleep,
    "TestFail": fail,
    "TestText": show_text,
    "TestManyFiles": claim_files,
}
