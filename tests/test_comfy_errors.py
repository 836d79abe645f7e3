"""What the client concludes from a ComfyUI that is down, slow, cut off, or none at all."""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from comfywatch.comfy import Comfy
from comfywatch.comfy_errors import (
    Broken,
    Busy,
    CutOff,
    Missing,
    NotComfy,
    TooLarge,
    Unreachable,
    Unsupported,
)
from tests.comfy_talk import (
    ACCEPTED,
    EMPTY_404,
    ID,
    NO_ANSWER,
    QUESTIONS,
    RESET,
    Talk,
    each,
    each_order,
    each_question,
    talking,
)
from tests.stub_http import After, Reply, StubHttp, page, reply


@pytest.fixture
def talk() -> Iterator[Talk]:
    with talking() as opened:
        yield opened


@each
def test_a_refused_connection_is_down(ask: Callable[[Comfy], object]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with Comfy(url) as comfy, pytest.raises(Unreachable, match="is ComfyUI running") as unreachable:
            ask(comfy)
    assert unreachable.value.refused


def test_a_name_that_is_not_found_says_nothing_of_comfyui() -> None:
    too_long_to_be_asked_for = ".".join(["a" * 60] * 5)
    with Comfy(f"http://{too_long_to_be_asked_for}") as comfy, pytest.raises(Unreachable, match="not known") as error:
        comfy.queue()
    assert not error.value.refused


@each
def test_slow_is_not_dead(ask: Callable[[Comfy], object], talk: Talk) -> None:
    comfy, _ = talk(NO_ANSWER, timeout=0.05)
    with pytest.raises(Busy):
        ask(comfy)


@each_question
def test_an_answer_that_stops_half_way_is_slow_too(ask: Callable[[Comfy], object], talk: Talk) -> None:
    comfy, _ = talk(Reply(body=b'{"', promised=100, after=After.HANG), timeout=0.05)
    with pytest.raises(Busy):
        ask(comfy)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse when the backlog is full")
def test_a_full_backlog_is_slow_and_not_down() -> None:
    with socket.socket() as deaf, ExitStack() as waiting:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(3):
            other = waiting.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(deaf.getsockname())
        with Comfy(f"http://127.0.0.1:{deaf.getsockname()[1]}", timeout=0.05) as comfy, pytest.raises(Busy):
            comfy.queue()


def test_a_server_that_takes_nothing_in_is_slow(talk: Talk) -> None:
    comfy, _ = talk(Reply(status=None, after=After.HANG, is_early=True), timeout=0.05)
    with pytest.raises(Busy):
        comfy.post_prompt(bytes(20_000_000))
    with pytest.raises(Busy):
        comfy.upload_image(io.BytesIO(bytes(20_000_000)), name="a.png", subfolder="")


@each_order
@pytest.mark.parametrize("end", [After.CLOSE, After.RESET])
def test_a_post_that_is_cut_off_is_not_sent_again(ask: Callable[[Comfy], object], end: After, talk: Talk) -> None:
    comfy, stub = talk(Reply(status=None, after=end))
    with pytest.raises(CutOff):
        ask(comfy)
    assert len(stub.asked) == 1


def test_a_post_that_is_cut_off_while_it_is_sent(talk: Talk) -> None:
    comfy, stub = talk(Reply(status=None, after=After.RESET, is_early=True))
    with pytest.raises(CutOff):
        comfy.post_prompt(bytes(20_000_000))
    assert len(stub.asked) == 1


@each_order
def test_an_answer_to_a_post_that_ends_early_is_cut_off(ask: Callable[[Comfy], object], talk: Talk) -> None:
    comfy, stub = talk(Reply(body=b'{"', promised=100, after=After.CLOSE))
    with pytest.raises(CutOff):
        ask(comfy)
    assert len(stub.asked) == 1


@each_question
def test_a_question_on_a_connection_that_just_died_is_asked_again(ask: Callable[[Comfy], object], talk: Talk) -> None:
    comfy, stub = talk(reply({"system": {}}), RESET, EMPTY_404)
    comfy.system_stats()
    with suppress(NotComfy, Unsupported, Missing):
        ask(comfy)
    assert [asked.connection for asked in stub.asked] == [1, 1, 2]


def test_a_question_that_is_cut_off_twice_is_cut_off(talk: Talk) -> None:
    comfy, stub = talk(RESET)
    with pytest.raises(CutOff):
        comfy.queue()
    assert len(stub.asked) == 2


def test_posts_in_a_row_share_a_connection(talk: Talk) -> None:
    now = 0.0
    comfy, stub = talk(ACCEPTED, clock=lambda: now)
    for _ in range(3):
        comfy.post_prompt({})
        now += 0.9
    assert stub.connections == 1


def test_a_post_takes_no_connection_that_was_idle(talk: Talk) -> None:
    now = 0.0
    comfy, stub = talk(ACCEPTED, RESET, ACCEPTED, clock=lambda: now)
    comfy.post_prompt({})
    now += 1.1
    with pytest.raises(CutOff):
        comfy.post_prompt({})
    comfy.post_prompt({})
    assert [asked.connection for asked in stub.asked] == [1, 2, 3]


def test_a_connection_that_the_server_has_closed_is_noticed(talk: Talk) -> None:
    comfy, stub = talk(Reply(body=ACCEPTED.body, after=After.CLOSE))
    comfy.post_prompt({})
    stub.closed.wait(10)
    comfy.post_prompt({})
    assert [asked.connection for asked in stub.asked] == [1, 2]


# Answers that are not yes


@each_question
@pytest.mark.parametrize("status", [502, 503, 530])
def test_a_proxy_without_comfyui_behind_it_is_down(ask: Callable[[Comfy], object], status: int, talk: Talk) -> None:
    comfy, _ = talk(page(f"{status} Bad Gateway", status))
    with pytest.raises(Unreachable, match=str(status)) as unreachable:
        ask(comfy)
    assert unreachable.value.refused == (status == 502)


@each_order
def test_a_proxy_that_lost_comfyui_leaves_a_post_open(ask: Callable[[Comfy], object], talk: Talk) -> None:
    comfy, stub = talk(page("502 Bad Gateway", 502), page("503 Service Unavailable", 503))
    for _ in range(2):
        with pytest.raises(CutOff):
            ask(comfy)
    assert len(stub.asked) == 2


@each
@pytest.mark.parametrize("status", [429, 504, 524])
def test_later_is_busy(ask: Callable[[Comfy], object], status: int, talk: Talk) -> None:
    comfy, _ = talk(page("Gateway Time-out", status))
    with pytest.raises(Busy, match=str(status)):
        ask(comfy)


@each
def test_a_500_is_comfyuis_own(ask: Callable[[Comfy], object], talk: Talk) -> None:
    comfy, _ = talk(Reply(status=500, body=b"500 Internal Server Error\n\nServer got itself in trouble" + b"!" * 999))
    with pytest.raises(Broken, match="got itself in trouble") as broken:
        ask(comfy)
    assert broken.value.status == 500
    assert len(broken.value.text) == 200


@each
@pytest.mark.parametrize("status", [200, 404])
def test_a_page_is_not_comfyuis(ask: Callable[[Comfy], object], status: int, talk: Talk) -> None:
    comfy, _ = talk(page("Sign in &amp; \n wait", status))
    with pytest.raises(NotComfy, match=r"web page called 'Sign in & wait'.*check comfyui_url and headers_file"):
        ask(comfy)


@each
@pytest.mark.parametrize("status", [401, 403])
def test_a_closed_door_is_not_down(ask: Callable[[Comfy], object], status: int, talk: Talk) -> None:
    comfy, _ = talk(page("Forbidden", status))
    with pytest.raises(NotComfy, match="headers_file"):
        ask(comfy)


@pytest.mark.parametrize(
    ("body", "questions"),
    [
        (b"", set(QUESTIONS) - {"view"}),
        (b"\xff\xfe\x00", set(QUESTIONS) - {"view"}),
        (b"[" * 100_000, set(QUESTIONS) - {"view"}),
        (b"null", set(QUESTIONS) - {"view"}),
        (b"[]", {"system_stats", "features", "object_info", "queue", "queue_remaining", "history", "job"}),
        (b"{}", {"system_stats", "model_folders", "models_in", "queue", "queue_remaining"}),
        (b"[1]", {"model_folders", "models_in"}),
        (b'{"a": 1}', {"recent_history", "history"}),
        (b'{"queue_running": [[1]], "queue_pending": []}', {"queue"}),
        (b'{"queue_running": [["1", "a", {}, {}]], "queue_pending": []}', {"queue"}),
        (b'{"exec_info": {"queue_remaining": "many"}}', {"queue_remaining"}),
    ],
)
def test_json_of_another_shape_is_not_comfyuis(body: bytes, questions: set[str], talk: Talk) -> None:
    comfy, _ = talk(Reply(body=body))
    for name in sorted(questions):
        with pytest.raises(NotComfy, match="not as ComfyUI"):
            QUESTIONS[name](comfy)


@pytest.mark.parametrize("answer", [{}, [], {"prompt_id": 1, "number": 1}, {"prompt_id": ID, "number": None}])
def test_a_yes_of_another_shape_is_not_comfyuis(answer: object, talk: Talk) -> None:
    comfy, _ = talk(reply(answer))
    with pytest.raises(NotComfy):
        comfy.post_prompt({})


@pytest.mark.parametrize(
    "raw", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 what?\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x16"]
)
def test_another_protocol_is_not_comfyuis(raw: bytes, talk: Talk) -> None:
    comfy, _ = talk(Reply(raw=raw, after=After.CLOSE))
    with pytest.raises(NotComfy, match="HTTP server"):
        comfy.queue()


def test_https_where_there_is_none_is_not_comfyuis() -> None:
    plain = Reply(raw=b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with (
        StubHttp(plain, greets=True) as stub,
        Comfy(stub.url.replace("http:", "https:")) as comfy,
        pytest.raises(NotComfy, match="http:// or https://"),
    ):
        comfy.queue()


@pytest.mark.parametrize("after", [After.KEEP, After.CLOSE])
@pytest.mark.parametrize(("allowed", "limit"), [(1_000, 1_000), (100_000_000, None), ("much", None)])
def test_too_large_is_said_although_we_were_still_sending(
    after: After, allowed: object, limit: int | None, talk: Talk
) -> None:
    early = Reply(status=413, body=b"413: Request Entity Too Large", after=after, is_early=True)
    comfy, stub = talk(early, reply({"max_upload_size": allowed}), early, reply({"max_upload_size": allowed}))
    with pytest.raises(TooLarge) as large:
        comfy.post_prompt(bytes(20_000_000))
    assert large.value.limit == limit
    with pytest.raises(TooLarge) as large:
        comfy.upload_image(io.BytesIO(bytes(20_000_000)), name="a.png", subfolder="")
    assert large.value.limit == limit
    assert [asked.path for asked in stub.asked[::2]] == ["/api/prompt", "/api/upload/image"]


def test_too_large_without_a_known_limit(talk: Talk) -> None:
    comfy, _ = talk(Reply(status=413), EMPTY_404, Reply(status=413))
    with pytest.raises(TooLarge, match="a proxy before it") as large:
        comfy.post_prompt({})
    assert large.value.limit is None
    with pytest.raises(NotComfy):
        comfy.features()
