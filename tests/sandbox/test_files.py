"""Files: how outputs are called, what is inside, uploads, and ``/view``."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image

from comfywatch.sandbox import Sandbox, SandboxSettings
from tests.sandbox.talk import Client, Json, node, png, small

BOTH = pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])


def outputs(entry: Json, of: str = "2") -> list[Json]:
    images: list[Json] = entry["outputs"][of]["images"]
    return images


def test_numbers_go_on_from_the_highest_in_the_folder(client: Client) -> None:
    folder = client.sandbox.installation.output / "sub"
    folder.mkdir()
    (folder / "shot_00041_.png").touch()
    (folder / "shot_final.png").touch()
    (folder / "shots_00099_.png").touch()
    first = outputs(client.run(small(prefix="sub/shot", batch_size=2)))
    assert [image["filename"] for image in first] == ["shot_00042_.png", "shot_00043_.png"]
    assert {image["subfolder"] for image in first} == {"sub"}


def test_a_prefix_can_tell_the_size(client: Client) -> None:
    (image,) = outputs(client.run(small(prefix="%width%x%height%_%batch_num%")))
    assert image["filename"] == "16x8_0_00001_.png"


def test_a_prefix_that_leads_out_of_the_folder_fails_the_prompt(client: Client) -> None:
    name, message = client.run(small(prefix="../out"))["status"]["messages"][-1]
    assert name == "execution_error"
    assert message["exception_type"] == "Exception"
    assert "outside the output folder" in message["exception_message"]


def test_a_picture_carries_its_prompt_and_what_the_client_sent_along(client: Client) -> None:
    extra = {"extra_pnginfo": {"workflow": {"id": "w"}, "comfywatch": {"run": 3}}}
    (image,) = outputs(client.run(small(), extra_data=extra))
    with Image.open(io.BytesIO(client.get("/view", params=image).content)) as picture:
        assert picture.size == (16, 8)
        assert isinstance(picture.info, dict)
        told = {key: json.loads(value) for key, value in picture.info.items()}
    assert told == {"prompt": small(), "workflow": {"id": "w"}, "comfywatch": {"run": 3}}


def test_an_identical_prompt_is_given_the_old_files(client: Client) -> None:
    first, second = client.run(small()), client.run(small())
    assert outputs(first) == outputs(second)
    assert second["status"]["messages"][1][1]["nodes"] == ["1", "2"]
    assert len(list(client.sandbox.installation.output.iterdir())) == 1


@BOTH
def test_only_the_newer_server_remembers_more_than_one_prompt(client: Client, version: str) -> None:
    first = client.run(small(1))
    client.run(small(2))
    assert (outputs(client.run(small(1))) == outputs(first)) is (version == "0.33.0")


def test_what_changed_is_made_anew_and_the_rest_is_not(client: Client) -> None:
    client.run(small(prefix="a"))
    entry = client.run(small(prefix="b"))
    assert entry["status"]["messages"][1][1]["nodes"] == ["1"]
    assert outputs(entry)[0]["filename"] == "b_00001_.png"


def test_freed_memory_is_a_forgotten_cache(client: Client) -> None:
    first = client.run(small())
    client.post("/free", json={"free_memory": True})
    assert outputs(client.run(small())) != outputs(first)


def test_a_changed_input_file_is_read_again(client: Client) -> None:
    prompt = {"1": node("LoadImage", image="in.png"), "2": node("SaveImage", images=["1", 0], filename_prefix="x")}
    client.upload("in.png", png(0xFF0000FF), overwrite="true")
    first = client.run(prompt)
    client.upload("in.png", png(0xFF00FF00), overwrite="true")
    assert outputs(client.run(prompt)) != outputs(first)


def test_an_upload_takes_no_other_contents_name(client: Client) -> None:
    def name(content: bytes, **fields: str) -> Json:
        told: Json = client.upload("ref.png", content, **fields).json()
        return told

    assert name(png(1), subfolder="p") == {"name": "ref.png", "subfolder": "p", "type": "input"}
    assert name(png(1), subfolder="p")["name"] == "ref.png"
    assert name(png(2), subfolder="p")["name"] == "ref (1).png"
    assert name(png(3), subfolder="p")["name"] == "ref (2).png"
    assert name(png(2), subfolder="p")["name"] == "ref (1).png"
    assert name(png(9), subfolder="p", overwrite="true")["name"] == "ref.png"
    assert (client.sandbox.installation.input / "p" / "ref.png").read_bytes() == png(9)


@pytest.mark.parametrize(
    ("name", "fields", "status"),
    [
        ("a.png", {"subfolder": "../.."}, 400),
        ("../a.png", {}, 400),
        ("/etc/a.png", {}, 500),
        ("a.png", {"type": "elsewhere"}, 500),
        ("a.png", {"type": "output"}, 200),
    ],
)
def test_an_upload_stays_in_its_folder(client: Client, name: str, fields: dict[str, str], status: int) -> None:
    assert client.upload(name, png(), **fields).status_code == status


def test_an_upload_without_a_file_is_refused(client: Client) -> None:
    assert client.post("/upload/image", fields={"subfolder": "x"}, encode_multipart=False).status_code == 400


def test_a_mask_becomes_the_transparency_of_its_picture(client: Client) -> None:
    client.upload("a.png", png(0xFF0000FF))
    original = json.dumps({"filename": "a.png", "subfolder": "", "type": "input"})
    mask = ("m.png", png(0x10000000))
    answer = client.post("/upload/mask", fields={"image": mask, "original_ref": original, "subfolder": "m"})
    assert answer.json() == {"name": "m.png", "subfolder": "m", "type": "input"}
    with Image.open(client.sandbox.installation.input / "m" / "m.png") as masked:
        assert masked.getpixel((0, 0)) == (255, 0, 0, 16)


def test_what_is_too_large_is_refused_with_413() -> None:
    with Sandbox(SandboxSettings(max_upload_bytes=2000)) as sandbox, Client(sandbox) as client:
        assert client.get("/features").json()["max_upload_size"] == 2000
        assert client.upload("a.bin", bytes(3000)).status_code == 413
        assert client.post("/prompt", json={"prompt": small(prefix="x" * 3000)}).status_code == 413


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 404),
        ({"filename": ""}, 400),
        ({"filename": "../a.png"}, 400),
        ({"filename": "/a.png"}, 400),
        ({"filename": "a.png", "type": "elsewhere"}, 400),
        ({"filename": "a.png", "subfolder": "../.."}, 403),
        ({"filename": "nosuch.png"}, 404),
        ({"filename": "a.png", "type": "input"}, 200),
        ({"filename": "a.png [input]"}, 200),
    ],
)
def test_view_answers_only_for_files_in_its_folders(client: Client, query: dict[str, str], status: int) -> None:
    client.upload("a.png", png())
    assert client.get("/view", params=query).status_code == status


def test_a_file_can_be_had_in_parts(client: Client) -> None:
    client.upload("a.png", png())
    query = {"filename": "a.png", "type": "input"}
    whole = client.get("/view", params=query)
    assert (whole.content, whole.headers["Content-Length"]) == (png(), str(len(png())))
    assert client.request("HEAD", "/view", params=query).headers["Content-Length"] == str(len(png()))
    part = client.get("/view", params=query, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, png()[2:6])


@pytest.mark.parametrize(
    ("query", "form"),
    [
        ({"preview": "webp;50"}, "WEBP"),
        ({"preview": "jpeg"}, "JPEG"),
        ({"channel": "rgb"}, "PNG"),
        ({"channel": "a"}, "PNG"),
    ],
)
def test_a_preview_is_another_encoding(client: Client, query: dict[str, str], form: str) -> None:
    client.upload("a.png", png())
    answer = client.get("/view", params={"filename": "a.png", "type": "input", **query})
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.format == form


@BOTH
def test_pages_and_scripts_are_not_served_as_such(client: Client, version: str) -> None:
    for name in ("a.html", "a.svg"):
        client.upload(name, b"<b>", type="output")
    page, drawing = (client.get("/view", params={"filename": name}) for name in ("a.html", "a.svg"))
    assert page.headers["Content-Type"] == "application/octet-stream"
    assert drawing.headers["Content-Type"] == ("image/svg+xml" if version == "0.3.64" else "application/octet-stream")
    assert page.headers["Content-Disposition"].startswith("attachment") is (version == "0.33.0")
