"""When ComfyUI is looked at: at once where something seems to have happened, and never so often that it suffers."""

from __future__ import annotations

from comfywatch.asks import Look
from comfywatch.link import Link
from comfywatch.server import HINTED_COST_FACTOR, Server


def a_server() -> Server:
    """One that was looked at just now, at the time 100, which took 0.01 s."""
    server = Server(link=Link(url="http://127.0.0.1:8188", poll_seconds=5))
    server.looked(took=0.01, now=100.0)
    return server


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
