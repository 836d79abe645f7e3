"""What is known of a ComfyUI: slow is not dead, and a restart is a new life."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.link import FIRST_PAUSE, Link, ServerState


def link(poll_seconds: float = 5.0) -> Link:
    return Link(url="http://127.0.0.1:8188", poll_seconds=poll_seconds)


def up() -> Link:
    return link().answered(now=10.0)


def test_nothing_is_posted_to_a_comfyui_that_never_answered() -> None:
    assert link().state is ServerState.DOWN
    assert not link().takes_jobs


def test_one_that_answers_takes_jobs() -> None:
    assert up().takes_jobs
    assert up().message == ""


def test_a_refused_connection_means_down() -> None:
    down = up().refused("nothing listens there", now=11.0)
    assert (down.state, down.takes_jobs, down.message) == (ServerState.DOWN, False, "nothing listens there")


def test_slow_is_not_dead() -> None:
    busy = up().timed_out("no answer in 30 s", now=11.0)
    assert busy.state is ServerState.BUSY
    assert not busy.takes_jobs
    assert busy.answered(now=12.0).life == up().life


def test_something_else_that_answers_is_held_with_its_sentence() -> None:
    odd = up().strange("a log-in page answered", now=11.0)
    assert not odd.takes_jobs
    assert odd.message == "a log-in page answered"
    assert odd.answered(now=12.0).life == up().life


@pytest.mark.parametrize("poll_seconds", [0.1, 1.0, 5.0, 60.0])
def test_it_is_asked_again_ever_more_slowly_and_never_slower_than_poll_seconds(poll_seconds: float) -> None:
    known = link(poll_seconds)
    pauses = []
    for _ in range(40):
        known = known.refused("down", now=0.0)
        pauses.append(known.next_ask)
    assert pauses[:4] == [min(FIRST_PAUSE * times, poll_seconds) for times in (1, 2, 4, 8)]
    assert pauses == sorted(pauses)
    assert max(pauses) == poll_seconds


def test_an_answer_ends_the_backoff() -> None:
    known = up().refused("down", now=11.0).refused("down", now=12.0).answered(now=13.0)
    assert known.refused("down", now=20.0).next_ask == 20.0 + FIRST_PAUSE


def test_after_a_refused_connection_a_new_life_begins() -> None:
    again = up().accepted(7).refused("down", now=11.0).answered(now=12.0)
    assert again.life == up().life + 1
    assert again.accepted(1).life == again.life


def test_a_refusal_counts_once_however_often_it_is_repeated() -> None:
    down = up()
    for second in range(5):
        down = down.refused("down", now=11.0 + second)
    assert down.timed_out("slow", now=20.0).answered(now=21.0).life == up().life + 1


def test_a_host_name_that_is_not_found_says_nothing_of_a_restart() -> None:
    again = up().refused("no such host", now=11.0, speaks_for_restart=False).answered(now=12.0)
    assert again.life == up().life


def test_a_smaller_number_speaks_for_a_restart() -> None:
    assert up().accepted(7).accepted(8).life == up().life
    assert up().accepted(7).accepted(0).life == up().life + 1
    assert up().accepted(7).accepted(0).accepted(1).life == up().life + 1


def test_a_history_that_forgot_speaks_for_a_restart() -> None:
    forgotten = up().accepted(7).forgot()
    assert forgotten.life == up().life + 1
    assert forgotten.accepted(0).life == forgotten.life


def test_it_is_still_asked_from_time_to_time_while_it_is_up() -> None:
    assert up().next_ask == 10.0 + 5.0


happenings = st.sampled_from(["answered", "refused", "no host", "timed out", "strange", "forgot", "accepted 1"])


@given(st.lists(happenings), st.floats(0.01, 100))
def test_lives_only_grow_and_the_next_question_is_never_far(happened: list[str], poll_seconds: float) -> None:
    known, now = link(poll_seconds), 0.0
    for what in happened:
        now += 1.0
        before = known
        match what:
            case "answered":
                known = known.answered(now=now)
            case "refused":
                known = known.refused("down", now=now)
            case "no host":
                known = known.refused("no such host", now=now, speaks_for_restart=False)
            case "timed out":
                known = known.timed_out("slow", now=now)
            case "strange":
                known = known.strange("a page", now=now)
            case "forgot":
                known = known.forgot()
            case _:
                known = known.accepted(1.0)
        assert known.life in {before.life, before.life + 1}
        assert known.next_ask <= now + poll_seconds
        assert known.takes_jobs == (known.state is ServerState.UP)
        assert (known.message == "") == known.takes_jobs
