"""The thread that listens: it comes back by itself, and says no more than it heard."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from comfywatch.comfy_socket import Closed, ComfySocket
from comfywatch.effects import Heard
from comfywatch.heard import AtNode, Began, InHistory, Preview, Standing, Step, What
from comfywatch.listener import Listener
from comfywatch.sandbox.events import NOISE
from tests.stub_socket import PING, StubSocket, frame, message

PATIENCE = 10.0
NEVER = 3600.0
JPEG = b"\0\0\0\1\0\0\0\1\xff\xd8\xff"


def to(url: str) -> Callable[[str, str], ComfySocket]:
    return lambda _, client_id: ComfySocket(url, client_id=client_id, timeout=5, headers={}, ca_file=None)


class Ear:
    """What was said, in order."""

    def __init__(self) -> None:
        self.said: queue.Queue[Heard] = queue.Queue()

    def until(self, kind: type[Any]) -> list[What]:
        """Everything that was heard, up to the first of this kind."""
        heard: list[What] = []
        while not any(isinstance(what, kind) for what in heard):
            heard += [told.what for told in self.said.get(timeout=PATIENCE).told]
        return heard

    def opened(self, is_open: bool = True) -> None:
        """Wait until it says that it was opened, or closed."""
        while self.said.get(timeout=PATIENCE).is_open is not is_open:
            pass


@contextmanager
def listening(
    open_socket: Callable[[str, str], ComfySocket],
    *,
    previews: bool = False,
    patience: float = NEVER,
    dead_after: float = NEVER,
) -> Iterator[tuple[Listener, Ear]]:
    ear = Ear()
    listener = Listener(
        "comfy", "me", open_socket, ear.said.put, previews=previews, patience=patience, dead_after=dead_after
    )
    listener.start()
    try:
        yield listener, ear
    finally:
        listener.stop()
        listener.join(PATIENCE)
        assert not listener.is_alive()


def run_of(prompt_id: str, *steps: int) -> bytes:
    talk = message("execution_start", prompt_id=prompt_id) + message("executing", node="1", prompt_id=prompt_id)
    for step in steps:
        talk += message("progress", value=step, max=99, prompt_id=prompt_id, node="1")
    return talk + message("executing", node=None, prompt_id=prompt_id)


def test_it_says_what_it_heard_in_order() -> None:
    with StubSocket(run_of("p", 1)) as stub, listening(to(stub.url)) as (_, ear):
        assert ear.until(InHistory) == [
            Began(prompt_id="p"),
            AtNode(prompt_id="p", node="1"),
            Step(prompt_id="p", node="1", value=1, maximum=99),
            InHistory(prompt_id="p"),
        ]


def test_of_many_steps_at_once_only_the_newest_is_said() -> None:
    states = b"".join(
        message("progress_state", prompt_id="p", nodes={"1": {"value": n, "max": 99, "state": "running"}})
        + message("progress", value=n, max=99, prompt_id="p", node="1")
        for n in range(50)
    )
    with StubSocket(states + run_of("p")) as stub, listening(to(stub.url)) as (_, ear):
        heard = ear.until(InHistory)
        assert len([what for what in heard if isinstance(what, Step | Standing)]) < 20
        assert Step(prompt_id="p", node="1", value=49, maximum=99) in heard


def test_what_is_said_does_not_wait_for_more() -> None:
    with StubSocket(message("execution_start", prompt_id="p")) as stub, listening(to(stub.url)) as (_, ear):
        assert ear.until(Began) == [Began(prompt_id="p")]


def test_when_it_is_dropped_it_comes_back() -> None:
    with StubSocket(run_of("a"), run_of("b"), drops=True) as stub, listening(to(stub.url)) as (_, ear):
        assert Began(prompt_id="a") in ear.until(InHistory)
        ear.opened(False)
        assert Began(prompt_id="b") in ear.until(InHistory)


def test_a_refusal_is_tried_again_and_at_once_when_comfyui_is_back() -> None:
    tries: queue.Queue[str] = queue.Queue()

    def refused(_: str, client_id: str) -> ComfySocket:
        tries.put(client_id)
        raise Closed("nobody listens")

    with listening(refused) as (listener, _):
        for _ in range(3):
            assert tries.get(timeout=PATIENCE) == "me"
            listener.wake()


def test_one_that_has_gone_deaf_is_opened_anew() -> None:
    with StubSocket(b"", run_of("b")) as stub, listening(to(stub.url), patience=0.05) as (listener, ear):
        ear.opened()
        listener.wake(anew=True)
        assert Began(prompt_id="b") in ear.until(InHistory)


def test_silence_for_hours_is_no_end_while_the_other_side_answers() -> None:
    with StubSocket() as stub, listening(to(stub.url), patience=0.01) as (_, ear):
        ear.opened()
        for _ in range(5):
            assert stub.told.get(timeout=PATIENCE) == (PING, b"")
        assert len(stub.heads) == 1


def test_silence_without_an_answer_is_an_end() -> None:
    with StubSocket(pongs=False) as stub, listening(to(stub.url), patience=0.01, dead_after=0.03) as (listener, ear):
        ear.opened()
        ear.opened(False)
        listener.wake()
        ear.opened()
        assert len(stub.heads) >= 2


def test_silence_is_told_at_the_first_time_without_an_answer_and_so_is_the_next_word() -> None:
    with StubSocket(pongs=False) as stub, listening(to(stub.url), patience=0.05) as (_, ear):
        ear.opened()
        ear.opened(False)
        stub.say(run_of("a"))
        ear.opened()
        assert Began(prompt_id="a") in ear.until(InHistory)
        assert len(stub.heads) == 1


@pytest.mark.parametrize("noise", [b"\xff" * 99, b"GET / HTTP/1.1\r\n\r\n", frame(b"", 3)])
def test_garbage_on_the_wire_leads_to_a_new_socket(noise: bytes) -> None:
    with StubSocket(noise, run_of("b"), drops=True) as stub, listening(to(stub.url)) as (_, ear):
        assert Began(prompt_id="b") in ear.until(InHistory)


def test_nonsense_between_the_messages_is_not_said() -> None:
    talk = b"".join(map(frame, NOISE)) + run_of("p")
    with StubSocket(talk) as stub, listening(to(stub.url)) as (_, ear):
        heard = ear.until(InHistory)
        assert [what for what in heard if what.prompt_id == "p"] == [
            Began(prompt_id="p"),
            AtNode(prompt_id="p", node="1"),
            InHistory(prompt_id="p"),
        ]


def test_previews_are_asked_for_first_and_said_rarely() -> None:
    with (
        StubSocket(frame(JPEG) * 20 + run_of("p")) as stub,
        listening(to(stub.url), previews=True) as (_, ear),
    ):
        assert b"supports_preview_metadata" in stub.told.get(timeout=PATIENCE)[1]
        assert len([what for what in ear.until(InHistory) if isinstance(what, Preview)]) < 5


def test_nobody_who_wants_no_previews_is_bothered_with_them() -> None:
    with StubSocket(frame(JPEG) + run_of("p")) as stub, listening(to(stub.url)) as (_, ear):
        assert not [what for what in ear.until(InHistory) if isinstance(what, Preview)]
        assert stub.told.empty()


def test_an_address_that_cannot_be_used_ends_nothing() -> None:
    with listening(to("http://me:x@[::1")) as (listener, _):
        listener.wake()
        assert listener.is_alive()
