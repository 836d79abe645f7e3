"""When jobs will likely be done: told from the past, and not told where nothing is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from comfywatch.forecast import FORESEEN, finish_times, in_order
from comfywatch.jobs import Job, JobState
from tests.made import NOON
from tests.world import World, picture, with_node

TEN = timedelta(seconds=10)


def job(id_: int, /, **changes: object) -> Job:
    made = Job(id=id_, project="film", path=f"{id_}.json", digest="", first_seen=NOON)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_each_is_done_after_those_before_it() -> None:
    times = finish_times([job(1), job(2)], lambda _: [9.0, 10.0, 90.0], otherwise=(), at=NOON)
    assert times == {1: NOON + TEN, 2: NOON + 2 * TEN}


def test_what_a_job_has_run_already_counts_and_one_that_takes_longer_is_due_now() -> None:
    half = job(1, state=JobState.RUNNING, started=NOON - TEN / 2)
    over = job(1, state=JobState.RUNNING, started=NOON - 3 * TEN)
    for running, end in ((half, NOON + TEN / 2), (over, NOON)):
        times = finish_times([running, job(2)], lambda _: [10.0], otherwise=(), at=NOON)
        assert times == {1: end, 2: end + TEN}


def test_a_workflow_that_never_ran_takes_as_long_as_what_ran_last() -> None:
    assert finish_times([job(1)], lambda _: [], otherwise=[10.0], at=NOON) == {1: NOON + TEN}


def test_behind_a_job_of_which_nothing_is_known_nothing_is_said() -> None:
    known = {1: [10.0], 3: [10.0]}
    times = finish_times([job(1), job(2), job(3)], lambda job: known.get(job.id, []), otherwise=(), at=NOON)
    assert times == {1: NOON + TEN}


def test_what_runs_comes_first_then_what_was_posted_first() -> None:
    running = job(3, state=JobState.RUNNING, number=9.0)
    assert [one.id for one in in_order([job(1, number=5.0), job(2, number=4.0), running])] == [3, 2, 1]


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=2 * FORESEEN))
def test_times_never_go_back_and_never_go_on_for_ever(seconds: list[float]) -> None:
    queue = [job(number) for number in range(len(seconds))]
    times = list(finish_times(queue, lambda job: [seconds[job.id]], otherwise=(), at=NOON).values())
    assert times == sorted(times)
    assert len(times) == min(len(seconds), FORESEEN)


def test_the_status_says_when_a_job_will_likely_be_done(world: World) -> None:
    world.start()
    world.drop("a.json", picture(1))
    world.until_state("a.json", "completed")
    assert "expected" not in world.entry("a.json")
    world.sandbox.faults.pause = True
    world.drop("b.json", with_node("TestSleep", 2, seconds=0.01))
    world.until(lambda: "expected" in world.entry("b.json"))
    entry = world.entry("b.json")
    assert entry["expected"] >= entry["submitted"]
