"""Pictures that carry a workflow: it is found wherever ComfyUI writes it, and nothing that lies in a file raises."""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from comfywatch.pictures import NoWorkflow, carried, is_picture
from comfywatch.workflow import read_workflow
from tests.world import World, picture

LIMIT = 2**20
SAVED: dict[str, Any] = {"nodes": [], "links": [], "version": 0.4}


def png(**texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    made = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(made, "PNG", pnginfo=info)
    return made.getvalue()


def webp(**texts: str) -> bytes:
    """As ComfyUI does: the prompt in the tag of the model, the others in the tags before it."""
    image = Image.new("RGB", (8, 8), "red")
    exif = image.getexif()
    for tag, (name, text) in zip((0x0110, 0x010F, 0x010E), texts.items(), strict=False):
        exif[tag] = f"{name}:{text}"
    made = io.BytesIO()
    image.save(made, "WEBP", exif=exif)
    return made.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def with_chunk(kind: bytes, data: bytes) -> bytes:
    """A picture with another chunk behind its header."""
    plain = png()
    return plain[:33] + chunk(kind, data) + plain[33:]


def found(data: bytes, *, limit: int = LIMIT) -> bytes:
    return carried(io.BytesIO(data), max_bytes=limit)


@pytest.mark.parametrize("make", [png, webp])
def test_what_ran_is_taken_with_the_workflow_that_was_saved(make: Any) -> None:
    dropped = read_workflow(found(make(prompt=json.dumps(picture(3)), workflow=json.dumps(SAVED))))
    assert dropped.prompt == picture(3)
    assert dropped.saved == SAVED


@pytest.mark.parametrize("make", [png, webp])
def test_a_saved_workflow_stands_in_where_nothing_ran(make: Any) -> None:
    assert json.loads(found(make(workflow=json.dumps(SAVED)))) == SAVED
    assert json.loads(found(make(prompt="null", workflow=json.dumps(SAVED)))) == SAVED


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"tEXt", b"prompt\0" + json.dumps(picture(4)).encode()),
        (b"zTXt", b"prompt\0\0" + zlib.compress(json.dumps(picture(4)).encode())),
        (b"iTXt", b"prompt\0\0\0\0\0" + json.dumps(picture(4), ensure_ascii=False).encode()),
        (b"iTXt", b"prompt\0\1\0de\0Auftrag\0" + zlib.compress(json.dumps(picture(4)).encode())),
    ],
)
def test_every_kind_of_text_in_a_png_is_read(kind: bytes, data: bytes) -> None:
    assert read_workflow(found(with_chunk(kind, data))).prompt == picture(4)


def test_what_comfyui_notes_in_a_prompt_that_ran_is_no_part_of_it() -> None:
    ran: dict[str, Any] = picture(5)
    ran["1"]["is_changed"] = [float("nan")]
    dropped = read_workflow(found(png(prompt=json.dumps(ran))))
    assert dropped.digest == read_workflow(json.dumps(picture(5)).encode()).digest


@pytest.mark.parametrize(
    "data",
    [
        png(),
        png(parameters="masterpiece, 8k"),
        png(prompt="not JSON"),
        png(prompt="[1, 2]"),
        webp(),
        b"",
        b"\x89PNG\r\n\x1a\n",
        png(prompt=json.dumps(picture()))[:60],
        b"RIFF\0\0\0\0WEBP",
        b"RIFF\0\0\0\0WEBPEXIF\x04\0\0\0II",
        json.dumps(picture()).encode(),
    ],
)
def test_a_picture_without_one_is_told_as_such(data: bytes) -> None:
    with pytest.raises(NoWorkflow):
        found(data)


def test_a_text_that_unpacks_to_more_than_is_read_is_left_alone() -> None:
    bomb = zlib.compress(b'{"1": "' + bytes(10 * LIMIT) + b'"}')
    with pytest.raises(NoWorkflow):
        found(with_chunk(b"zTXt", b"prompt\0\0" + bomb))


def test_the_pixels_are_not_read() -> None:
    class Counted(io.BytesIO):
        read_bytes = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.read_bytes += len(data)
            return data

    big = with_chunk(b"IDAT", bytes(5 * LIMIT)) + chunk(b"tEXt", b"prompt\0" + json.dumps(picture()).encode())
    source = Counted(big)
    assert read_workflow(carried(source, max_bytes=LIMIT)).prompt == picture()
    assert source.read_bytes < 10_000


@given(st.binary(max_size=300), st.sampled_from(["png", "webp", "text"]))
def test_nothing_that_lies_in_a_picture_raises_anything_else(data: bytes, kind: str) -> None:
    starts = {"png": b"\x89PNG\r\n\x1a\n", "webp": b"RIFF\0\0\0\0WEBPEXIF\xff\0\0\0Exif\0\0II*\0", "text": b""}
    whole = with_chunk(b"iTXt", data) if kind == "text" else starts[kind] + data
    try:
        found(whole)
    except NoWorkflow as error:
        assert str(error)


def test_pictures_are_told_by_their_ending() -> None:
    assert all(map(is_picture, ("a.png", "A.PNG", "a.webp")))
    assert not any(map(is_picture, ("a.jpg", "png", "a.png.json")))


# ---- in the daemon


def test_an_output_dropped_into_another_project_makes_the_same_picture_and_its_prefix_does_not_nest(
    world: World,
) -> None:
    world.start()
    world.drop("a.json", picture(0x336699))
    world.until_state("a.json", "completed")
    made = world.projects / "film" / "outputs" / "a" / "001" / world.outputs("a.json")[0]
    target = world.workflows("show") / "found.png"
    target.write_bytes(made.read_bytes())
    entry = world.until_state("found.png", "completed", project="show")
    assert entry["outputs"] == "outputs/found.png/001"
    again = world.projects / "show" / "outputs" / "found.png" / "001" / world.outputs("found.png", project="show")[0]
    with Image.open(made) as first, Image.open(again) as second:
        assert first.tobytes() == second.tobytes()
    prefix = world.sandbox.posts[1].prompt["2"]["inputs"]["filename_prefix"]
    assert prefix.count("comfywatch/") == 1
    assert prefix.startswith("comfywatch/show/found.png/001-")


def test_a_picture_without_a_workflow_gets_a_notice_and_is_no_job(world: World) -> None:
    world.start()
    path = world.workflows() / "face.png"
    path.write_bytes(png())
    world.drop("a.json", picture())
    world.until(lambda: world.status().get("notices"))
    assert world.status()["notices"] == [
        "workflows/face.png is a picture without a workflow (it carries none); what workflows load belongs into inputs/"
    ]
    path.write_bytes(png(prompt=json.dumps(picture(9))))
    world.until_state("face.png", "completed")
    world.until(lambda: not world.status()["notices"])
    assert set(world.status()["workflows"]) == {"a.json", "face.png"}


def test_a_picture_that_was_shared_brings_its_inputs_along_by_name(world: World, tmp_path: Path) -> None:
    world.start()
    inputs = world.projects / "film" / "inputs"
    inputs.mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(inputs / "face.png")
    loading = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "comfywatch/0123456789ab/face.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    (world.workflows() / "shared.png").write_bytes(png(prompt=json.dumps(loading)))
    world.until_state("shared.png", "completed")
