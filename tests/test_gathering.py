"""When word is sent and what it says: few messages for many jobs, nothing untold, nobody called."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.bulletin import MAX_NAMES, Bulletin, End, bulletin
from comfywatch.choices import NotifyOn
from comfywatch.gathering import BURST, COLLECT_SECONDS, MAX_KEPT, REFILL_SECONDS, Gathering, News
from comfywatch.jobs import JobState

EVERYTHING = tuple(NotifyOn)


def gathering(on: Iterable[NotifyOn] = EVERYTHING, projects: Iterable[str] = ()) -> Gathering:
    return Gathering(on=tuple(on), projects=tuple(projects), host="gpu-box")


def end(number: int, state: JobState = JobState.COMPLETED, *, project: str = "film", **more: str) -> End:
    run = {"run": 1, "lies_in": f"outputs/{number}/001"} if state is JobState.COMPLETED else {}
    return End(id=number, project=project, path=f"{number}.json", state=state, **run, **more)  # type: ignore[arg-type]


def ended(*ends: End, busy: Iterable[str] | None = ("film",)) -> News:
    return News(ends=ends, busy=None if busy is None else frozenset(busy))


def sent(gathered: Gathering, *, until: float, now: float = 0.0) -> list[tuple[float, Bulletin]]:
    """All messages up to a time, if nothing more happens."""
    found = []
    while (due := max(now, gathered.due(now=now))) <= until:
        now = due
        message = gathered.take_out(now=now)
        assert message is not None
        found.append((now, message))
    return found


def test_one_job_makes_one_message_after_a_moment() -> None:
    one = gathering()
    one.take_in(ended(end(7)), now=100.0)
    ((at, message),) = sent(one, now=100.0, until=10_000.0)
    assert at == 100.0 + COLLECT_SECONDS
    assert message.title == "film/7: completed"
    assert message.text == "completed: film/7\n\ncomfywatch on gpu-box"
    assert not message.is_bad
    assert [picture.id for picture in message.pictures] == [7]


def test_three_hundred_jobs_make_one_message() -> None:
    one = gathering()
    for number in range(300):
        one.take_in(ended(end(number)), now=number / 100)
    one.take_in(ended(busy=()), now=3.0)
    ((_, message),) = sent(one, now=3.0, until=10_000.0)
    assert message.title == "film: 300 completed"
    assert "and 290 more" in message.text
    assert "Nothing is left to do: 300 completed." in message.text


def test_three_hundred_jobs_of_a_minute_make_few_messages_and_none_is_left_out() -> None:
    one, told, messages = gathering(), 0, 0
    for number in range(300):
        one.take_in(ended(end(number), busy=["film"] if number < 299 else []), now=number * 60.0)
        for _, message in sent(one, now=number * 60.0, until=number * 60.0 + 59):
            messages += 1
            told += counted(message)
    assert told == 300
    assert messages <= BURST + 1 + 300 * 60 / REFILL_SECONDS


def counted(message: Bulletin) -> int:
    """How many completed jobs the title has."""
    words = message.title.split(": ")[1].split()
    return int(words[0]) if words[0].isdecimal() else 1


def test_that_nothing_is_left_is_told_soon_after_a_burst() -> None:
    one = gathering()
    for number in range(BURST):
        one.take_in(ended(end(number)), now=number * 20.0)
        assert len(sent(one, now=number * 20.0, until=number * 20.0 + 19)) == 1
    one.take_in(ended(end(90), end(91), busy=()), now=100.0)
    ((at, message),) = sent(one, now=100.0, until=200.0)
    assert at == 100.0 + COLLECT_SECONDS
    assert f"Nothing is left to do: {BURST + 2} completed." in message.text


def test_a_trickle_of_jobs_makes_no_trickle_of_messages() -> None:
    """Each time nothing is left to do; the messages are few all the same."""
    one, messages = gathering(), 0
    for number in range(300):
        one.take_in(ended(end(number), busy=()), now=number * 15.0)
        messages += len(sent(one, now=number * 15.0, until=number * 15.0 + 14.9))
    assert messages <= BURST + 2 + 300 * 15 / REFILL_SECONDS


def test_what_is_not_asked_for_is_not_told() -> None:
    one = gathering(on=[NotifyOn.FAILED])
    one.take_in(ended(end(1), busy=()), now=0.0)
    assert one.due(now=0.0) == math.inf
    assert one.take_out(now=0.0) is None
    one.take_in(ended(end(2, JobState.FAILED, why="no memory left", mend="take less")), now=0.0)
    ((_, message),) = sent(one, until=100.0)
    assert message.is_bad
    assert message.text.startswith("failed: film/2: no memory left -> take less\n")


def test_other_projects_are_not_told_of() -> None:
    one = gathering(projects=["film"])
    one.take_in(ended(end(1, project="other"), busy=()), now=0.0)
    assert one.due(now=0.0) == math.inf
    one.take_in(ended(end(2), busy=["other"]), now=0.0)
    ((_, message),) = sent(one, until=100.0)
    assert "other" not in message.text
    assert "Nothing is left to do: 1 completed." in message.text


def test_an_invalid_workflow_is_told_as_a_blocked_one_is() -> None:
    one = gathering(on=[NotifyOn.BLOCKED])
    one.take_in(ended(end(1, JobState.INVALID, why="This is not JSON.")), now=0.0)
    assert sent(one, until=100.0)[0][1].title == "film/1: invalid"


def test_what_is_free_again_before_it_was_told_is_not_told() -> None:
    one = gathering()
    one.take_in(ended(end(1, JobState.BLOCKED)), now=0.0)
    one.take_in(News(freed=frozenset({1})), now=5.0)
    assert one.due(now=5.0) == math.inf


def test_that_something_came_up_again_takes_back_that_nothing_was_left() -> None:
    one = gathering(on=[NotifyOn.DRAINED])
    one.take_in(ended(end(1), busy=()), now=0.0)
    assert one.due(now=0.0) == COLLECT_SECONDS
    one.take_in(ended(busy=["film"]), now=1.0)
    assert one.due(now=1.0) == math.inf
    one.take_in(ended(end(2), busy=()), now=2.0)
    ((_, message),) = sent(one, now=2.0, until=100.0)
    assert message.title == "Nothing is left to do: 2 completed"


def test_nothing_is_remembered_without_end() -> None:
    one = gathering()
    one.take_in(ended(*(end(number, JobState.FAILED) for number in range(MAX_KEPT + 5))), now=0.0)
    ((_, message),) = sent(one, until=100.0)
    assert "and 5 more" in message.text
    assert len(message.text) < 5000


EVENTS = st.lists(st.tuples(st.integers(0, 20), st.sampled_from(list(JobState)[1:7]), st.integers(0, 400)), max_size=60)


@given(EVENTS)
def test_every_failure_is_told_once_and_messages_keep_their_pace(events: list[tuple[int, JobState, int]]) -> None:
    one, now, told, times = gathering(), 0.0, 0, []
    states = {JobState.COMPLETED, JobState.FAILED}
    happened = [(number, state if state in states else JobState.FAILED, pause) for number, state, pause in events]
    for number, (project, state, pause) in enumerate(happened):
        one.take_in(ended(end(number, state, project=str(project))), now=now)
        for at, message in sent(one, now=now, until=now + pause):
            times.append(at)
            told += len(told_in(message))
        now += pause
    told += sum(len(told_in(message)) for _, message in sent(one, now=now, until=now + 1e6))
    assert told <= len(events)
    for start in times:
        within = [at for at in times if start <= at <= start + REFILL_SECONDS]
        assert len(within) <= BURST + 2


def told_in(message: Bulletin) -> list[str]:
    return [line for line in message.text.splitlines() if line.startswith(("failed: ", "completed: "))]


# --- the words


def test_what_is_wrong_comes_first_and_names_are_few() -> None:
    ends = [end(number) for number in range(30)] + [
        end(40, JobState.BLOCKED, why="a"),
        end(41, JobState.FAILED, why="b"),
    ]
    message = bulletin(ends, drained=None, host="gpu-box")
    assert message.title == "film: 30 completed, 1 blocked, 1 failed"
    assert message.text.splitlines()[:2] == ["failed: film/41: b", "blocked: film/40: a"]
    assert message.text.splitlines()[2].endswith(f" and {30 - MAX_NAMES} more")
    assert [picture.id for picture in message.pictures][:2] == [29, 28]


@pytest.mark.parametrize("name", ["@everyone", "a\nb", "<script>", "x" * 2000, "\x1b[31m", "\u202eabc"])
def test_a_hostile_name_stays_on_one_short_line_and_calls_nobody(name: str) -> None:
    hostile = End(id=1, project="film", path=f"{name}.json", state=JobState.FAILED, why=name, mend=name)
    message = bulletin([hostile], drained=None, host="gpu-box")
    assert len(message.text.splitlines()) == 3
    assert len(message.title) <= 120
    assert "@everyone" not in message.title + message.text
    assert "\x1b" not in message.title + message.text


def test_names_are_in_the_order_of_their_ends() -> None:
    message = bulletin([end(number) for number in (3, 1, 2)], drained=None, host="h")
    assert message.text.startswith("completed: film/3, film/1, film/2\n")
