"""How a question travels: through proxies and TLS, with cookies and in the encodings of others."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from comfywatch.comfy import Comfy
from comfywatch.comfy_address import address, environment_proxy
from comfywatch.comfy_errors import CutOff, NotComfy, Unreachable
from tests.comfy_talk import ACCEPTED, RESET, SECRET, Talk, one, received, talking
from tests.stub_http import Reply, StubHttp, reply

Setting = Callable[..., None]


@pytest.fixture
def talk() -> Iterator[Talk]:
    with talking() as opened:
        yield opened


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Setting:
    """Sets the proxies that are named, and no others."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def set_to(**proxies: str) -> None:
        for name, value in proxies.items():
            monkeypatch.setenv(name, value)

    return set_to


# ---- through a proxy


def test_a_proxy_is_told_the_whole_address_and_its_own_password(talk: Talk, environment: Setting) -> None:
    _, proxy = talk(reply({}), ACCEPTED)
    environment(http_proxy=proxy.url.replace("//", "//me:p%C3%A4ss@"))
    with Comfy("http://user:own@gpu-box.test/behind%20it") as comfy:
        comfy.recent_history(2)
        comfy.post_prompt({})
    assert proxy.asked[0].target == "http://gpu-box.test/behind%20it/api/history?max_items=2"
    assert proxy.asked[0].headers["Host"] == "gpu-box.test"
    assert proxy.asked[0].headers["Authorization"] == "Basic dXNlcjpvd24="
    assert {asked.headers["Proxy-Authorization"] for asked in proxy.asked} == {"Basic bWU6cMOkc3M="}
    assert proxy.connections == 1


def test_with_https_the_proxy_opens_a_tunnel_and_learns_no_more(talk: Talk, environment: Setting) -> None:
    _, proxy = talk(Reply(status=407))
    environment(https_proxy=proxy.url.replace("//", f"//me:{SECRET}@"))
    with Comfy("https://user:own@gpu-box.test") as comfy, pytest.raises(Unreachable, match="proxy") as unreachable:
        comfy.queue()
    assert (one(proxy).method, one(proxy).target) == ("CONNECT", "gpu-box.test:443")
    assert one(proxy).headers["Proxy-Authorization"].startswith("Basic ")
    assert "Authorization" not in one(proxy).headers
    assert SECRET not in str(unreachable.value)


def test_a_post_that_a_proxy_cuts_off_may_have_arrived(talk: Talk, environment: Setting) -> None:
    _, proxy = talk(RESET)
    environment(http_proxy=proxy.url)
    with Comfy("http://gpu-box.test") as comfy, pytest.raises(CutOff):
        comfy.post_prompt({})
    assert len(proxy.asked) == 1


@pytest.mark.parametrize(
    "named", [f"http://me:{SECRET}@", f"http://[{SECRET}", f"gopher://me:{SECRET}@x", "http://a..b"]
)
def test_a_proxy_that_cannot_be_one_is_said_without_its_password(named: str, environment: Setting) -> None:
    environment(http_proxy=named)
    with (
        Comfy("http://gpu-box.test") as comfy,
        pytest.raises(Unreachable, match="check comfyui_url, HTTP_PROXY") as said,
    ):
        comfy.queue()
    assert SECRET not in f"{said.value} {said.value.__cause__}"


@pytest.mark.parametrize(
    "spared", ["*", "gpu.test", ".test", "x, GPU.test:8188", "10.0.0.0/8", "10.1.2.3", "fd00::/8,10.1.0.0/16"]
)
def test_no_proxy_spares_names_and_networks(spared: str, environment: Setting) -> None:
    environment(all_proxy="proxy.test:3128", no_proxy=spared)
    url = "http://10.1.2.3:8188" if spared.startswith(("10.", "fd")) else "http://gpu.test:8188"
    assert environment_proxy(address(url)) is None
    other = environment_proxy(address("http://192.168.1.1:8188"))
    assert other is None if spared == "*" else other and other.geturl() == "http://proxy.test:3128"


def test_a_name_in_another_alphabet_is_asked_for_as_the_network_knows_it(talk: Talk, environment: Setting) -> None:
    _, proxy = talk(reply({}))
    environment(http_proxy=proxy.url)
    with Comfy("http://Büro.test:8188/ü") as comfy:
        comfy.features()
    assert one(proxy).target == "http://xn--bro-hoa.test:8188/%C3%BC/api/features"
    assert one(proxy).headers["Host"] == "xn--bro-hoa.test:8188"


# ---- with certificates


def test_the_ca_file_says_whom_to_trust(certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with StubHttp(reply({}), tls=context) as stub:
        with Comfy(stub.url, ca_file=certificate[0]) as comfy:
            assert comfy.features() == comfy.features() == {}
        assert stub.connections == 1
        with Comfy(stub.url) as comfy, pytest.raises(NotComfy, match="not trusted"):
            comfy.features()


# ---- with cookies


def setting(*cookies: str) -> Reply:
    lines = "".join(f"Set-Cookie: {cookie}\r\n" for cookie in cookies)
    return Reply(raw=f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{lines}\r\n{{}}".encode())


def cookies_of(stub: StubHttp) -> list[str | None]:
    return [asked.headers["Cookie"] for asked in stub.asked]


def test_a_cookie_is_sent_again_so_that_a_load_balancer_knows_us(talk: Talk) -> None:
    comfy, stub = talk(setting("node=7; Path=/; HttpOnly", "b=2; Path=/"), reply({}), ACCEPTED)
    comfy.features()
    comfy.features()
    comfy.post_prompt({})
    assert cookies_of(stub) == [None, "node=7; b=2", "node=7; b=2"]


def test_a_cookie_goes_only_where_it_is_for_and_as_long_as_it_is_to_last(talk: Talk) -> None:
    past = "Expires=Thu, 01 Jan 2015 00:00:00 GMT"
    comfy, stub = talk(
        setting(f"old=1; {past}", "other=1; Domain=example.com", "deep=1; Path=/api/view", "a=1; Max-Age=99", "b=1"),
        setting("a=; Max-Age=0"),
        reply({}),
    )
    for _ in range(3):
        comfy.features()
    assert cookies_of(stub) == [None, "a=1; b=1", "b=1"]


def test_a_cookie_of_our_own_is_sent_in_the_place_of_others(talk: Talk) -> None:
    comfy, stub = talk(setting("node=7"), headers={"cookie": "mine=1"})
    comfy.features()
    comfy.features()
    assert cookies_of(stub) == ["mine=1", "mine=1"]


# ---- what is said, and in which encoding


def test_a_header_of_our_own_replaces_what_would_be_said_however_it_is_written(talk: Talk) -> None:
    comfy, stub = talk(reply({}), headers={"user-agent": "mine", "ACCEPT-encoding": "identity"})
    comfy.features()
    assert one(stub).headers.get_all("User-Agent") == ["mine"]
    assert one(stub).headers.get_all("Accept-Encoding") == ["identity"]


def test_a_packed_answer_is_unpacked_and_a_broken_one_is_not_comfyuis(talk: Talk) -> None:
    packed = {"Content-Encoding": "gzip"}
    comfy, stub = talk(
        Reply(body=gzip.compress(b'{"a": 1}'), headers=packed),
        Reply(body=gzip.compress(b"a file"), headers=packed),
        Reply(body=b"no gzip", headers=packed),
    )
    assert comfy.features() == {"a": 1}
    assert received(comfy) == b"a file"
    for ask in (comfy.features, lambda: received(comfy)):
        with pytest.raises(NotComfy):
            ask()
    assert [asked.headers["Accept-Encoding"] for asked in stub.asked[:2]] == ["gzip, deflate", "identity"]


def test_files_and_sizes_leave_the_connection_as_it_was(talk: Talk) -> None:
    comfy, stub = talk(Reply(headers={"Content-Length": "7"}), Reply(body=b"a file"), Reply(status=404), ACCEPTED)
    assert comfy.input_size(filename="a.png", subfolder="") == 7
    assert received(comfy) == b"a file"
    assert comfy.input_size(filename="b.png", subfolder="") is None
    comfy.post_prompt({})
    assert [asked.method for asked in stub.asked] == ["HEAD", "GET", "HEAD", "POST"]
    assert stub.connections == 1
