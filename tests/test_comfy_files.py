"""Files on their way from and to ComfyUI: whole or not at all, and never whole in memory."""

from __future__ import annotations

import io
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfywatch.comfy_errors import CutOff, Missing, NotComfy, Rejected, Truncated
from comfywatch.comfy_upload import FileForm
from tests.comfy_talk import NO_ANSWER, Talk, one, received, talking
from tests.stub_http import After, Reply, reply


@pytest.fixture
def talk() -> Iterator[Talk]:
    with talking() as opened:
        yield opened


@pytest.mark.parametrize(
    "name", ["a b+c&d=e#f?.png", "ü→😀.png", "100%.png", "..\\x.png", "a;b\"c'.png", "-\r\nX: y", "%2e%2e%2f"]
)
def test_view_asks_for_exactly_that_name(name: str, talk: Talk) -> None:
    comfy, stub = talk(Reply(body=b"data"))
    assert received(comfy, filename=name, subfolder=f"sub/{name}", kind="temp") == b"data"
    assert one(stub).path == "/api/view"
    assert one(stub).query == {"filename": name, "subfolder": f"sub/{name}", "type": "temp"}


def test_a_file_arrives_whole_and_in_pieces(talk: Talk) -> None:
    data = os.urandom(1_000_000)
    comfy, stub = talk(Reply(body=data, headers={"Content-Type": "image/png"}))
    with comfy.view(filename="a.png", subfolder="", kind="output") as download:
        chunks = list(download.chunks())
    assert (download.size, b"".join(chunks)) == (len(data), data)
    assert len(chunks) > 1
    assert one(stub).headers["Accept-Encoding"] == "identity"


def test_an_empty_file_is_a_file(talk: Talk) -> None:
    comfy, _ = talk(Reply())
    with comfy.view(filename="a.txt", subfolder="", kind="output") as download:
        assert (download.size, list(download.chunks())) == (0, [])


def test_a_file_without_an_announced_size(talk: Talk) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n"
    comfy, _ = talk(
        Reply(raw=chunked + b"0\r\n\r\n"),
        Reply(raw=chunked, after=After.CLOSE),
        Reply(raw=b"HTTP/1.0 200 OK\r\n\r\ndata", after=After.CLOSE),
    )
    with comfy.view(filename="a.txt", subfolder="", kind="output") as download:
        assert (download.size, list(download.chunks())) == (None, [b"data"])
    with pytest.raises(CutOff):
        received(comfy)
    assert received(comfy) == b"data"


def test_a_file_that_ends_early_is_truncated(talk: Talk) -> None:
    comfy, _ = talk(Reply(body=b"x" * 10, promised=100, after=After.CLOSE))
    with pytest.raises(Truncated):
        received(comfy)


def test_a_file_that_is_cut_off(talk: Talk) -> None:
    comfy, _ = talk(Reply(body=b"x" * 10, promised=100, after=After.RESET))
    with pytest.raises(CutOff):
        received(comfy)


def test_a_file_that_is_left_half_way_harms_nothing(talk: Talk) -> None:
    comfy, stub = talk(Reply(body=bytes(5_000_000)), reply({}))
    with comfy.view(filename="a.bin", subfolder="", kind="output") as download:
        next(download.chunks())
    assert comfy.features() == {}
    assert stub.asked[1].connection == 2


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_file_that_comfyui_does_not_give_is_missing(status: int, talk: Talk) -> None:
    comfy, _ = talk(Reply(status=status))
    with pytest.raises(Missing, match=r"output file 'a\.png'"):
        received(comfy)


@pytest.mark.parametrize("name", ["a\nb.png", "a\r.png"])
def test_a_file_with_a_line_break_in_its_name_never_comes(name: str, talk: Talk) -> None:
    comfy, _ = talk(Reply(status=None, after=After.CLOSE))
    with pytest.raises(Missing, match="line break"):
        received(comfy, filename=name)
    with pytest.raises(CutOff):
        received(comfy, filename="a.png")


def test_what_goes_wrong_while_a_file_is_used_stays_what_it_is(talk: Talk) -> None:
    comfy, _ = talk(Reply(body=b"data"), Reply(status=400))
    with pytest.raises(NotComfy), comfy.view(filename="a.png", subfolder="", kind="output"):
        comfy.queue()


def test_an_upload_is_known_by_the_name_that_came_back(talk: Talk) -> None:
    comfy, stub = talk(
        reply({"name": "a (1).png", "subfolder": "comfywatch/ab", "type": "input", "asset": {}}),
        reply({"name": "a.png", "subfolder": "", "type": "input"}),
    )
    source = io.BytesIO(b"\x89PNG\r\n--data")
    source.read(3)
    assert comfy.upload_image(source, name="a.png", subfolder="comfywatch/ab") == "comfywatch/ab/a (1).png"
    assert comfy.upload_image(source, name="a.png", subfolder="", overwrite=True) == "a.png"
    first, second = stub.asked
    assert (first.method, first.target) == ("POST", "/api/upload/image")
    assert int(first.headers["Content-Length"]) == first.length
    assert "Transfer-Encoding" not in first.headers
    boundary = first.headers.get_boundary()
    assert first.body.decode("latin-1").split(f"--{boundary}") == [
        "",
        '\r\nContent-Disposition: form-data; name="type"\r\n\r\ninput\r\n',
        '\r\nContent-Disposition: form-data; name="subfolder"\r\n\r\ncomfywatch/ab\r\n',
        '\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n\x89PNG\r\n--data\r\n",
        "--\r\n",
    ]
    assert b'name="overwrite"\r\n\r\ntrue\r\n' in second.body


@pytest.mark.parametrize(
    "name", ['a"b.png', "a;b;c.png", "a\r\nX: y.png", "ü.png", "100%.png", "a\\b.png", "\udcff.png"]
)
def test_a_hostile_name_stays_inside_its_header(name: str) -> None:
    form = FileForm(io.BytesIO(b"data"), name=name, fields={})
    line = b"".join(form).split(b"\r\n")[1].decode("ascii")
    assert line.startswith('Content-Disposition: form-data; name="image"; filename="')
    assert line.count('"') == 4
    assert line.count(";") == 3


def test_an_upload_is_read_while_it_is_sent(talk: Talk, tmp_path: Path) -> None:
    size = 50_000_000
    comfy, stub = talk(reply({"name": "big.mp4", "subfolder": ""}))
    with (tmp_path / "big.mp4").open("w+b") as source:
        source.truncate(size)
        tracemalloc.start()
        try:
            comfy.upload_image(source, name="big.mp4", subfolder="")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert one(stub).length > size
    assert peak < 8_000_000


def test_a_file_that_shrinks_while_it_is_sent_is_truncated(talk: Talk) -> None:
    class Shrinking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 10))[: 10 - self.tell() % 7 if self.tell() < 50 else 0]

    comfy, _ = talk(NO_ANSWER)
    with pytest.raises(Truncated, match="became shorter"):
        comfy.upload_image(Shrinking(bytes(1000)), name="a.png", subfolder="")


def test_a_file_that_cannot_be_read_is_our_own_fault(talk: Talk) -> None:
    class Dying(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionResetError(104, "the network drive is gone")

    comfy, _ = talk(NO_ANSWER)
    with pytest.raises(ConnectionResetError, match="network drive"):
        comfy.upload_image(Dying(bytes(1000)), name="a.png", subfolder="")


def test_a_name_that_comfyui_does_not_take(talk: Talk) -> None:
    comfy, _ = talk(Reply(status=400))
    with pytest.raises(Rejected, match=r"'x\.png'"):
        comfy.upload_image(io.BytesIO(b"x"), name="x.png", subfolder="../..")
