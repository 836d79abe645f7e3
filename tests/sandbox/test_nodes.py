"""What the nodes make."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from comfywatch.sandbox import Sandbox
from comfywatch.sandbox.pictures import draw
from tests.sandbox.talk import Client, Json, listen, node, png, small

BOTH = pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])


def text_to_image(text: str = "a harbour at night", seed: int = 5, **sampler: object) -> Json:
    """ComfyUI's own default workflow."""
    sampling = {"steps": 3, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1, **sampler}
    links = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
    return {
        "3": node("KSampler", seed=seed, **sampling, **links),
        "4": node("CheckpointLoaderSimple", ckpt_name="v1-5-pruned-emaonly-fp16.safetensors"),
        "5": node("EmptyLatentImage", width=64, height=48, batch_size=2),
        "6": node("CLIPTextEncode", text=text, clip=["4", 1]),
        "7": node("CLIPTextEncode", text="text, watermark", clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", images=["8", 0], filename_prefix="ComfyUI"),
    }


def picture(client: Client, told: Json) -> Image.Image:
    with Image.open(io.BytesIO(client.get("/view", params=told).content)) as file:
        return file.copy()


@BOTH
def test_the_default_workflow_makes_two_pictures_and_tells_its_progress(client: Client, version: str) -> None:
    heard = listen(client.sandbox, lambda: client.submit(text_to_image(), client_id="me"), client_id="me")
    steps = [message["data"]["value"] for message in heard if message["type"] == "progress"]
    assert steps == [1, 2, 3]
    (entry,) = client.get("/history").json().values()
    first, second = (picture(client, told) for told in entry["outputs"]["9"]["images"])
    assert first.size == second.size == (64, 48)
    assert first.tobytes() != second.tobytes()


def test_the_same_text_and_seed_draw_the_same_picture() -> None:
    first, second = draw(32, 32, text="a forest", seed=1), draw(32, 32, text="a forest", seed=1)
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != draw(32, 32, text="a forest", seed=2).tobytes()
    assert first.tobytes() != draw(32, 32, text="a desert", seed=1).tobytes()


@pytest.mark.parametrize("size", [(1, 1), (16, 700), (700, 16)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    assert draw(*size, text="stars", seed=0).size == size


def made_of(client: Client, **nodes: Json) -> Image.Image:
    """The picture that node ``9`` makes from a red one, ``1``."""
    prompt = {
        "1": node("EmptyImage", width=40, height=20, batch_size=1, color=0xFF0000),
        **{name.removeprefix("n"): each for name, each in nodes.items()},
        "out": node("SaveImage", images=["9", 0], filename_prefix="made"),
    }
    return picture(client, client.run(prompt)["outputs"]["out"]["images"][0])


def test_pictures_are_scaled_inverted_and_joined(client: Client) -> None:
    scaled = made_of(
        client, n9=node("ImageScale", image=["1", 0], upscale_method="area", width=0, height=10, crop="disabled")
    )
    assert scaled.size == (20, 10)
    cropped = made_of(
        client, n9=node("ImageScale", image=["1", 0], upscale_method="lanczos", width=8, height=8, crop="center")
    )
    assert cropped.size == (8, 8)
    by = made_of(client, n9=node("ImageScaleBy", image=["1", 0], upscale_method="nearest-exact", scale_by=1.5))
    assert by.size == (60, 30)
    inverted = made_of(client, n9=node("ImageInvert", image=["1", 0]))
    assert inverted.getpixel((0, 0)) == (0, 255, 255)
    both = made_of(client, n9=node("ImageBatch", image1=["1", 0], image2=["1", 0]))
    assert both.getpixel((0, 0)) == (255, 0, 0)


def test_an_uploaded_picture_is_loaded(client: Client) -> None:
    client.upload("in.png", png(0xFF0000FF), subfolder="sub")
    loaded = made_of(client, n9=node("LoadImage", image="sub/in.png"))
    assert loaded.getpixel((0, 0)) == (255, 0, 0)


def test_every_loader_takes_what_its_folder_has(client: Client) -> None:
    models = client.sandbox.models
    prompt = {
        "1": node("UNETLoader", unet_name=models["diffusion_models"][0], weight_dtype="default"),
        "2": node("CLIPLoader", clip_name=models["text_encoders"][0], type="sd3"),
        "3": node("LoraLoader", model=["1", 0], clip=["2", 0], lora_name=models["loras"][0], **strengths()),
        "4": node("VAELoader", vae_name=models["vae"][0]),
        "5": node("ControlNetLoader", control_net_name=models["controlnet"][0]),
        "6": node("UpscaleModelLoader", model_name=models["upscale_models"][0]),
        **{f"p{number}": node("PreviewAny", source=[str(number), 0]) for number in range(1, 7)},
    }
    entry = client.run(prompt)
    assert entry["status"]["completed"]
    assert len(entry["outputs"]) == 6


def strengths() -> dict[str, float]:
    return {"strength_model": 0.5, "strength_clip": 0.5}


def test_a_wrong_name_in_the_newer_kind_of_list_passes_the_older_server_only(client: Client) -> None:
    prompt = {"1": node("UpscaleModelLoader", model_name="nosuch.pth"), "2": node("PreviewAny", source=["1", 0])}
    assert client.post("/prompt", json={"prompt": prompt}).json()["node_errors"] == {}


def test_an_animation_a_latent_and_a_mask(client: Client) -> None:
    client.upload("in.png", png())
    prompt = {
        **small(batch_size=3),
        "3": node("SaveAnimatedWEBP", images=["1", 0], filename_prefix="w", fps=8, lossless=False, **fast()),
        "4": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "5": node("SaveLatent", samples=["4", 0], filename_prefix="latents/l"),
        "6": node("LoadImageMask", image="in.png", channel="alpha"),
        "7": node("PreviewAny", source=["6", 0]),
    }
    entry = client.run(prompt)
    assert entry["outputs"]["3"]["animated"] == [True]
    webp = picture(client, entry["outputs"]["3"]["images"][0])
    assert webp.size == (16, 8)
    (latent,) = entry["outputs"]["5"]["latents"]
    assert latent == {"filename": "l_00001_.latent", "subfolder": "latents", "type": "output"}
    assert entry["outputs"]["7"]["text"][0].startswith("tensor(")


def fast() -> dict[str, object]:
    return {"quality": 50, "method": "fastest"}


def test_a_preview_lies_in_the_temp_folder(client: Client) -> None:
    prompt = {"1": small()["1"], "2": node("PreviewImage", images=["1", 0])}
    (told,) = client.run(prompt)["outputs"]["2"]["images"]
    assert told["type"] == "temp"
    assert (client.sandbox.installation.temp / told["filename"]).exists()
    assert list(client.sandbox.installation.output.iterdir()) == []


def test_what_was_finished_before_a_failure_is_told(client: Client) -> None:
    prompt = {**small(), "3": node("TestFail", image=["1", 0], kind="error")}
    prompt["4"] = node("SaveImage", images=["3", 0], filename_prefix="never")
    entry = client.run(prompt)
    assert entry["status"]["status_str"] == "error"
    assert list(entry["outputs"]) == ["2"]
    assert entry["status"]["messages"][-1][1]["executed"] == ["1", "2"]


def test_a_file_that_vanished_after_the_check_fails_the_prompt(client: Client) -> None:
    client.upload("in.png", png())
    client.sandbox.faults.pause = True
    prompt = {"1": node("LoadImage", image="in.png"), "2": node("SaveImage", images=["1", 0], filename_prefix="x")}
    prompt_id = client.submit(prompt)
    (client.sandbox.installation.input / "in.png").unlink()
    client.sandbox.faults.release()
    assert client.history(prompt_id)["status"]["messages"][-1][1]["exception_type"] == "FileNotFoundError"


def test_what_no_output_needs_is_not_looked_at(client: Client) -> None:
    stray = node("KSampler", model=["nowhere", 0])
    entry = client.run({**small(), "9": stray})
    assert entry["status"]["completed"]


def test_it_needs_nothing_else_of_comfywatch() -> None:
    package = Path(Sandbox.__module__.replace(".", "/")).parent
    sources = (Path(__file__).parents[2] / package).glob("*.py")
    lines = [line for source in sources for line in source.read_text(encoding="utf-8").splitlines()]
    imports = [line for line in lines if line.startswith(("from comfywatch", "import comfywatch"))]
    assert imports
    assert all(line.startswith("from comfywatch.sandbox") for line in imports)
