"""Input files on their way: each content once, never half a file, and again where the server lost it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from comfywatch.comfy import Comfy
from comfywatch.comfy_errors import Unreachable
from comfywatch.effects import Upload
from comfywatch.inputs import TOO_LARGE, InputFile, find, lacking
from comfywatch.reach import Reach
from comfywatch.sandbox import Sandbox, SandboxSettings
from comfywatch.uploads import StillWritten, Uploader
from tests.world import World, picture

LATER = 2**62
"""A time, in nanoseconds, at which everything has been quiet for long."""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(folder=tmp_path / "comfyui")) as started:
        yield started


@pytest.fixture
def comfy(sandbox: Sandbox) -> Iterator[Comfy]:
    with Comfy(sandbox.url) as opened:
        yield opened


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "projects" / "film" / "inputs"
    folder.mkdir(parents=True)
    return folder


def wanted(path: Path, *, node: str = "1", size: int = 0) -> InputFile:
    return InputFile(
        node=node, class_type="LoadImage", input="image", name=path.name, path=path, may_be_on_server=False, size=size
    )


def uploader(inputs: Path) -> Uploader:
    return Uploader(Reach(projects=inputs.parent.parent), settle_seconds=1)


def sent(sandbox: Sandbox) -> int:
    return sum(path.endswith("/upload/image") for _, path in sandbox.record.requests)


def test_one_content_is_sent_once_however_many_inputs_and_jobs_name_it(
    sandbox: Sandbox, comfy: Comfy, inputs: Path
) -> None:
    (inputs / "face.png").write_bytes(b"a face")
    files = (wanted(inputs / "face.png"), wanted(inputs / "face.png", node="2"))
    sender = uploader(inputs)
    first = sender.perform(Upload(url="", job=1, files=files), comfy, now_ns=LATER)
    again = uploader(inputs).perform(Upload(url="", job=2, files=files), comfy, now_ns=LATER)
    assert first.names == again.names
    assert len(set(first.names.values())) == 1
    assert sent(sandbox) == 1


def test_other_content_under_the_same_name_has_another_place_on_the_server(
    sandbox: Sandbox, comfy: Comfy, inputs: Path
) -> None:
    sender, places = uploader(inputs), set()
    for content in (b"one", b"two"):
        (inputs / "face.png").write_bytes(content)
        event = sender.perform(Upload(url="", job=1, files=(wanted(inputs / "face.png"),)), comfy, now_ns=LATER)
        places |= set(event.names.values())
    assert len(places) == 2
    assert sent(sandbox) == 2


def test_what_the_server_no_longer_has_is_sent_again(sandbox: Sandbox, comfy: Comfy, inputs: Path) -> None:
    (inputs / "face.png").write_bytes(b"a face")
    sender, task = uploader(inputs), Upload(url="", job=1, files=(wanted(inputs / "face.png"),))
    name = sender.perform(task, comfy, now_ns=LATER).names["1", "image"]
    (sandbox.folder / "input" / name).unlink()
    assert sender.perform(task, comfy, now_ns=LATER).names["1", "image"] == name
    assert (sandbox.folder / "input" / name).read_bytes() == b"a face"


def test_the_beginning_of_a_file_that_an_upload_left_there_is_replaced(
    sandbox: Sandbox, comfy: Comfy, inputs: Path
) -> None:
    (inputs / "face.png").write_bytes(b"a face")
    sender, task = uploader(inputs), Upload(url="", job=1, files=(wanted(inputs / "face.png"),))
    name = sender.perform(task, comfy, now_ns=LATER).names["1", "image"]
    (sandbox.folder / "input" / name).write_bytes(b"a f")
    assert sender.perform(task, comfy, now_ns=LATER).names["1", "image"] == name
    assert (sandbox.folder / "input" / name).read_bytes() == b"a face"


def test_a_file_that_may_still_be_written_waits(sandbox: Sandbox, comfy: Comfy, inputs: Path) -> None:
    path = inputs / "face.png"
    path.write_bytes(b"half a fa")
    status = path.stat()
    changed = max(status.st_mtime_ns, status.st_ctime_ns)
    sender, task = uploader(inputs), Upload(url="", job=1, files=(wanted(path),))
    event = sender.perform(task, comfy, now_ns=changed + 500_000_000)
    assert isinstance(event.error, StillWritten)
    assert sent(sandbox) == 0
    assert sender.perform(task, comfy, now_ns=changed + 1_500_000_000).error is None


def test_a_time_in_the_future_keeps_no_file_waiting(sandbox: Sandbox, comfy: Comfy, inputs: Path) -> None:
    path = inputs / "face.png"
    path.write_bytes(b"a face")
    os.utime(path, ns=(2**61, 2**61))
    event = uploader(inputs).perform(Upload(url="", job=1, files=(wanted(path),)), comfy, now_ns=2**60)
    assert event.error is None


def test_a_server_that_is_away_is_told_as_such(sandbox: Sandbox, comfy: Comfy, inputs: Path) -> None:
    (inputs / "face.png").write_bytes(b"a face")
    sandbox.stop()
    event = uploader(inputs).perform(Upload(url="", job=1, files=(wanted(inputs / "face.png"),)), comfy, now_ns=LATER)
    assert isinstance(event.error, Unreachable)


def test_a_file_above_the_servers_limit_is_told_before_it_is_sent(inputs: Path) -> None:
    file = wanted(inputs / "long.mp4", size=300 * 2**20)
    problem = lacking(file, "film", limit=100 * 2**20)
    assert problem is not None
    assert problem.code == TOO_LARGE
    assert "300 MiB" in problem.message
    assert "--max-upload-size" in problem.fix
    assert lacking(file, "film", limit=None) is None
    assert lacking(file, "film", limit=400 * 2**20) is None


@pytest.mark.parametrize(
    ("name", "is_found"),
    [("face.png", True), ("face.png [input]", True), ("face.png [output]", False), ("masks/m.png", True)],
)
def test_what_comfyui_says_behind_a_name_is_no_part_of_it(inputs: Path, name: str, is_found: bool) -> None:
    (inputs / "face.png").write_bytes(b"a face")
    (inputs / "masks").mkdir()
    (inputs / "masks" / "m.png").write_bytes(b"a mask")
    assert (find(inputs.parent, name, Reach(projects=inputs.parent.parent)) is not None) == is_found


# ---- in the daemon


def test_a_picture_that_is_too_large_blocks_and_a_smaller_one_frees(world: World) -> None:
    world.sandbox.stop()
    world.sandbox.settings = replace(world.sandbox.settings, max_upload_bytes=2**20)
    world.sandbox.start()
    world.start()
    inputs = world.projects / "film" / "inputs"
    inputs.mkdir(parents=True)
    (inputs / "face.png").write_bytes(bytes(2 * 2**20))
    prompt = picture()
    prompt["1"] = {"class_type": "LoadImage", "inputs": {"image": "face.png"}}
    world.drop("a.json", prompt)
    entry = world.until_state("a.json", "blocked")
    assert entry["problems"][0]["code"] == TOO_LARGE
    Image.new("RGB", (8, 8), "red").save(inputs / "face.png")
    world.until_state("a.json", "completed")
