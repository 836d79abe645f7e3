"""When ComfyUI is looked at: at once where something seems to have happened, and never so often that it suffers."""

from __future__ import annotations

import math

from comfywatch.asks import Answer, Look, Probe
from comfywatch.link import Link
from comfywatch.server import HINTED_COST_FACTOR, Server


def a_server() -> Server:
    """One that was looked at just now, at the time 100, which took 0.01 s."""
    server = Server(link=Link(url="http://127.0.0.1:8188", poll_seconds=5))
    server.looked(took=0.01, now=100.0)
    return server


def idle(server: Server, *, now: float) -> list[type]:
    """What is asked of it at this time while nothing is to be done, and is answered at once."""
    server.next_refresh = server.next_peek = math.inf
    asks = server.routine(now=now, peek=lambda: None)
    for ask in asks:
        server.take(Answer(url=server.url, ask=ask, result={}, took=0.0), now=now)
    return [type(ask) for ask in asks]


def test_an_idle_comfyui_is_asked_every_poll_seconds() -> None:
    server = a_server()
    server.link = server.link.answered(now=100.0)
    assert [idle(server, now=100.0 + second) for second in range(12)].count([Probe]) == 2
    assert server.next_due() == 115.0


def test_one_whose_websocket_answers_is_asked_on_that_and_by_http_once_a_minute() -> None:
    server = a_server()
    server.link = server.link.answered(now=100.0)
    server.heard(is_open=True, now=100.0)
    assert [idle(server, now=100.0 + second) for second in range(120)].count([Probe]) == 1


def test_when_its_websocket_closes_it_is_asked_at_once() -> None:
    server = a_server()
    server.link = server.link.answered(now=100.0)
    server.heard(is_open=True, now=100.0)
    assert idle(server, now=101.0) == []
    server.heard(is_open=False, now=101.0)
    assert server.next_due() <= 101.0
    assert idle(server, now=101.0) == [Probe]


def test_a_hint_is_a_reason_to_look_at_once() -> None:
    server = a_server()
    server.hinted(now=101.0)
    assert server.next_look == 101.0


def test_a_hint_during_a_look_brings_about_another() -> None:
    server = a_server()
    server.asking.add(Look)
    server.hinted(now=101.0)
    server.asking.discard(Look)
    server.looked(took=0.01, now=101.005)
    assert server.next_look == 101.005 + HINTED_COST_FACTOR * 0.01
    server.looked(took=0.01, now=102.0)
    assert server.next_look > 102.0 + HINTED_COST_FACTOR * 0.01


def test_a_flood_of_hints_leaves_comfyui_room_to_work() -> None:
    server = a_server()
    server.hinted(now=100.001)
    assert server.next_look == 100.0 + HINTED_COST_FACTOR * 0.01
