"""The websocket as it travels: whose headers go where, and what a broken or hostile other side can do."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from comfywatch.comfy_socket import MAX_MESSAGE_BYTES, Closed, ComfySocket, Silent
from tests.stub_http import Reply, StubHttp
from tests.stub_socket import CLOSE, PING, PONG, TEXT, StubSocket, frame

SOON = 0.05
END = frame("end")


def opened(url: str, *, headers: Mapping[str, str] | None = None, ca_file: Path | None = None) -> ComfySocket:
    return ComfySocket(url, client_id="comfywatch-1/2", timeout=5, headers=headers or {}, ca_file=ca_file)


def heard(socket: ComfySocket) -> list[Any]:
    """Every message until ``END``."""
    messages = [socket.receive(timeout=5)]
    while messages[-1] != "end":
        messages.append(socket.receive(timeout=5))
    return [message for message in messages[:-1] if message is not None]


# ---- how it is opened


def test_no_origin_is_sent_for_a_browser_is_what_comfyui_refuses() -> None:
    with StubSocket() as stub, opened(stub.url):
        assert "origin" not in stub.heads[0].lower()


def test_it_is_opened_below_the_address_and_says_who_listens() -> None:
    with StubSocket() as stub, opened(f"{stub.url}/behind/a/proxy"):
        assert stub.heads[0].splitlines()[0] == "GET /behind/a/proxy/api/ws?clientId=comfywatch-1%2F2 HTTP/1.1"


def test_the_configured_headers_and_the_password_are_sent() -> None:
    with StubSocket() as stub:
        url = stub.url.replace("http://", "http://me:secret@")
        with opened(url, headers={"X-Token": "abc"}):
            assert "X-Token: abc" in stub.heads[0]
            assert "Authorization: Basic bWU6c2VjcmV0" in stub.heads[0]


def test_a_redirect_is_not_followed_so_that_the_headers_go_nowhere_else() -> None:
    with StubHttp(Reply()) as elsewhere:
        answer = f"HTTP/1.1 302 Found\r\nLocation: {elsewhere.url}\r\n\r\n".encode()
        with StubSocket(answer=answer) as stub, pytest.raises(Closed):
            opened(stub.url, headers={"X-Token": "abc"})
        assert not elsewhere.asked


@pytest.mark.parametrize("status", [403, 404, 502])
def test_a_refusal_says_its_number_and_nothing_that_it_holds(status: int) -> None:
    answer = f"HTTP/1.1 {status} No\r\nX-Secret: abc\r\nContent-Length: 6\r\n\r\nsecret".encode()
    with StubSocket(answer=answer) as stub, pytest.raises(Closed, match=f"answered with {status}$"):
        opened(stub.url)


def test_who_does_not_speak_http_is_closed_too() -> None:
    with StubSocket(answer=b"220 mail.example ESMTP\r\n\r\n") as stub, pytest.raises(Closed):
        opened(stub.url)


def test_nobody_there_is_closed_too() -> None:
    with StubSocket() as stub:
        url = stub.url
    with pytest.raises(Closed):
        opened(url)


def test_the_environments_proxy_is_not_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with StubSocket(frame("hello") + END) as stub, opened(stub.url) as socket:
        assert heard(socket) == ["hello"]


def test_to_another_machine_the_environments_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with StubSocket(frame("hello") + END, is_proxy=True) as stub:
        monkeypatch.setenv("http_proxy", stub.url)
        with opened("http://comfy.invalid:8188") as socket:
            assert heard(socket) == ["hello"]
        assert stub.heads[0].splitlines()[0].startswith("CONNECT comfy.invalid:8188")
        assert "Host: comfy.invalid:8188" in stub.heads[1]


def test_with_https_it_is_wss_and_the_ca_file_says_whom_to_trust(certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with StubSocket(frame("hello") + END, tls=context) as stub:
        with opened(stub.url, ca_file=certificate[0]) as socket:
            assert heard(socket) == ["hello"]
        with pytest.raises(Closed):
            opened(stub.url)


# ---- what comes in


def test_messages_come_whole_and_in_order_also_in_pieces() -> None:
    pieces = frame("he", last=False) + frame("y", PING) + frame(b"llo", 0)
    with StubSocket(pieces + frame(b"\0\1") + frame("you") + END) as stub, opened(stub.url) as socket:
        assert heard(socket) == ["hello", b"\0\1", "you"]
        assert stub.told.get(timeout=5) == (PONG, b"y")


def test_a_message_that_is_too_long_is_passed_over_and_the_next_is_heard() -> None:
    long = frame(b"x" * (MAX_MESSAGE_BYTES + 1))
    with StubSocket(long + frame("next") + END) as stub, opened(stub.url) as socket:
        assert heard(socket) == ["next"]


def test_a_message_that_is_too_long_in_pieces_is_passed_over() -> None:
    half = b"x" * (MAX_MESSAGE_BYTES // 2 + 1)
    talk = frame(half, last=False) + frame(half, 0, last=False) + frame(b"rest", 0) + frame("next")
    with StubSocket(talk + END) as stub, opened(stub.url) as socket:
        assert heard(socket) == ["next"]


def test_a_promise_of_more_than_there_is_in_the_world_takes_no_memory() -> None:
    with StubSocket(frame(b"x" * 1000, length=2**62)) as stub, opened(stub.url) as socket:
        for _ in range(3):
            with pytest.raises(Silent):
                socket.receive(timeout=SOON)


def test_text_that_is_no_text_is_no_reason_to_stop() -> None:
    with StubSocket(frame(b"\xff\xfe", TEXT) + frame("next") + END) as stub, opened(stub.url) as socket:
        assert heard(socket)[1:] == ["next"]


@pytest.mark.parametrize("noise", [b"\xff" * 64, frame(b"", CLOSE), frame(b"x" * 200, PING), b"HTTP/1.1 400\r\n\r\n"])
def test_what_is_no_websocket_any_more_is_closed(noise: bytes) -> None:
    with StubSocket(noise, drops=True) as stub, opened(stub.url) as socket, pytest.raises(Closed):
        while True:
            socket.receive(timeout=5)


def test_silence_is_told_from_an_end_and_a_ping_is_answered() -> None:
    with StubSocket() as stub, opened(stub.url) as socket:
        with pytest.raises(Silent):
            socket.receive(timeout=SOON)
        socket.ping()
        assert stub.told.get(timeout=5) == (PING, b"")
        assert socket.receive(timeout=5) is None


def test_what_waits_can_be_broken_off_from_another_thread() -> None:
    with StubSocket() as stub, opened(stub.url) as socket:
        socket.break_off()
        with pytest.raises(Closed):
            socket.receive(timeout=5)
