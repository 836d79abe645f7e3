"""What is due for a job: nothing is posted twice, lost work is told from cancelled work, and projects take turns."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch import decide
from comfywatch.decide import (
    LARGEST_WINDOW,
    Absence,
    Step,
    Witness,
    after_absence,
    counts_as_loss,
    next_step,
    next_to_post,
    was_there_before,
    window,
)
from comfywatch.jobs import Fact, Job, JobState, Post, Wish
from tests.made import NOON, a_job

UNSURE = decide.UNSURE_GAP
OUTCOME = {"state": "completed"}
jobs = st.builds(
    a_job,
    state=st.sampled_from(JobState),
    post=st.sampled_from(Post),
    wish=st.none() | st.sampled_from(Wish),
    held=st.sampled_from(["", "was here before comfywatch"]),
    outcome=st.sampled_from([None, OUTCOME]),
)
absences = st.none() | st.builds(
    lambda first, gap: Absence(first=first, last=first + gap), st.floats(0, 1e6), st.floats(0, 20)
)


def step(absence: Absence | None = None, *, may_start: bool = True, **changes: Any) -> Step:
    return next_step(a_job(**changes), absence=absence, may_start=may_start)


def missed(seconds: float) -> Absence:
    return Absence(first=100.0, last=100.0 + seconds)


# ---- posting


def test_what_waits_for_nothing_is_posted() -> None:
    assert step() is Step.POST


@pytest.mark.parametrize(
    "changes", [{"held": "was here before comfywatch"}, {"state": JobState.BLOCKED}, {"state": JobState.INVALID}]
)
def test_what_is_held_blocked_or_invalid_waits(changes: dict[str, Any]) -> None:
    assert step(**changes) is Step.WAIT


def test_while_something_else_stands_against_it_it_waits() -> None:
    assert step(may_start=False) is Step.WAIT


def test_after_an_unknown_outcome_comfyui_is_asked_and_nothing_is_posted() -> None:
    assert step(post=Post.INTENDED) is Step.LOOK
    assert step(missed(0), post=Post.INTENDED) is Step.LOOK
    assert step(missed(UNSURE - 0.1), post=Post.INTENDED) is Step.LOOK


def test_asked_twice_five_seconds_apart_it_is_posted_again() -> None:
    assert UNSURE >= 5
    assert step(missed(UNSURE), post=Post.INTENDED) is Step.POST_AGAIN


@pytest.mark.parametrize("wish", Wish)
def test_a_cancel_that_waited_for_the_answer_ends_a_job_that_did_not_arrive(wish: Wish) -> None:
    assert step(post=Post.INTENDED, wish=wish) is Step.LOOK
    assert step(missed(UNSURE), post=Post.INTENDED, wish=wish) is Step.END_CANCELLED


@given(jobs, absences, st.booleans())
def test_it_is_posted_only_if_comfyui_cannot_have_it(job: Job, absence: Absence | None, may_start: bool) -> None:
    due = next_step(job, absence=absence, may_start=may_start)
    if due is Step.POST:
        assert job.post is Post.NONE
        assert job.state is JobState.PENDING
        assert may_start
        assert not job.held
    if due is Step.POST_AGAIN:
        assert job.post is Post.INTENDED
        assert absence is not None
        assert absence.last - absence.first >= UNSURE
    if due in {Step.POST, Step.POST_AGAIN}:
        assert job.wish is None
        assert job.outcome is None


@given(jobs, absences, st.booleans())
def test_what_ended_waits_and_what_has_an_outcome_is_collected_first(
    job: Job, absence: Absence | None, may_start: bool
) -> None:
    due = next_step(job, absence=absence, may_start=may_start)
    if job.is_final:
        assert due is Step.WAIT
    else:
        assert (due is Step.COLLECT) == (job.outcome is not None)


# ---- taking out


@pytest.mark.parametrize(
    ("wish", "state", "due"),
    [
        (Wish.CANCEL, JobState.QUEUED, Step.TAKE_OUT),
        (Wish.CANCEL, JobState.RUNNING, Step.TAKE_OUT),
        (Wish.TAKE_BACK, JobState.QUEUED, Step.TAKE_OUT),
        (Wish.REMOVE, JobState.QUEUED, Step.TAKE_OUT),
        (Wish.REMOVE, JobState.RUNNING, Step.LOOK),
    ],
)
def test_cancel_alone_interrupts_and_a_removal_leaves_what_runs(wish: Wish, state: JobState, due: Step) -> None:
    assert step(post=Post.ACCEPTED, wish=wish, state=state) is due


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.BLOCKED, JobState.INVALID])
def test_what_comfyui_never_had_is_cancelled_at_once(state: JobState) -> None:
    assert step(wish=Wish.CANCEL, state=state) is Step.END_CANCELLED


# ---- missed


def test_what_comfyui_had_accepted_is_never_posted_again_under_its_id() -> None:
    """What became of it is decided elsewhere, by ``after_absence``; a new attempt gets a new id."""
    for wish in (None, *Wish):
        assert step(missed(9), post=Post.ACCEPTED, state=JobState.QUEUED, wish=wish) is Step.LOOK


def test_three_errors_two_losses_and_one_run_anew_are_the_limits() -> None:
    assert (decide.MAX_REFUSALS, decide.MAX_LOSSES, decide.MAX_RERUNS) == (3, 2, 1)


def test_one_look_proves_nothing() -> None:
    assert not missed(0).proves(a_job(post=Post.INTENDED))
    assert not missed(0).proves(a_job(post=Post.ACCEPTED, state=JobState.QUEUED))


def test_what_vanished_beside_a_witness_was_cancelled() -> None:
    job = a_job(post=Post.ACCEPTED, state=JobState.QUEUED, life=4)
    assert after_absence(job, life=4, witness=Witness.PRESENT) is Fact.CANCELLED


@pytest.mark.parametrize(
    ("life", "witness"), [(5, Witness.PRESENT), (4, Witness.FORGOTTEN), (4, Witness.NONE), (5, Witness.NONE)]
)
def test_what_vanished_with_a_restart_or_without_a_witness_was_lost(life: int, witness: Witness) -> None:
    job = a_job(post=Post.ACCEPTED, state=JobState.QUEUED, life=4)
    assert after_absence(job, life=life, witness=witness) is Fact.LOST


@pytest.mark.parametrize("witness", Witness)
def test_what_was_to_go_and_is_gone_is_cancelled(witness: Witness) -> None:
    job = a_job(post=Post.ACCEPTED, state=JobState.QUEUED, life=4, wish=Wish.CANCEL)
    assert after_absence(job, life=9, witness=witness) is Fact.CANCELLED


def in_flight(number: float, state: JobState = JobState.QUEUED, **changes: Any) -> Job:
    plain = {"id": int(number), "number": number, "post": Post.ACCEPTED, "state": state, "server": "s", "life": 1}
    return a_job(**{**plain, **changes})


def test_a_loss_counts_for_what_ran() -> None:
    running = in_flight(9, JobState.RUNNING)
    assert counts_as_loss(running, in_flight=[running, in_flight(1)])


def test_a_loss_counts_for_the_foremost_queued_if_nothing_ran() -> None:
    queued = [in_flight(3), in_flight(2), in_flight(4)]
    assert [counts_as_loss(job, in_flight=queued) for job in queued] == [False, True, False]


def test_a_loss_does_not_count_for_what_waited_behind_a_running_job() -> None:
    waiting = in_flight(2)
    assert not counts_as_loss(waiting, in_flight=[waiting, in_flight(1, JobState.RUNNING)])


def test_what_another_comfyui_runs_is_no_excuse() -> None:
    queued = in_flight(2)
    assert counts_as_loss(queued, in_flight=[queued, in_flight(1, JobState.RUNNING, server="other")])


def test_a_loss_of_no_known_life_does_not_count() -> None:
    """It may have been taken out at our own word, before a crash."""
    running = in_flight(9, JobState.RUNNING, life=0)
    assert not counts_as_loss(running, in_flight=[running])


def test_only_what_was_accepted_earlier_is_a_witness() -> None:
    assert was_there_before(in_flight(1), in_flight(2))
    assert not was_there_before(in_flight(2), in_flight(1))
    assert not was_there_before(in_flight(1), a_job())


# ---- how many


@pytest.mark.parametrize(
    ("seconds", "prompts"),
    [([], 2), ([0.1] * 9, 10), ([0.5], 2), ([5.0], 2), ([59.9], 2), ([60.0], 1), ([600.0], 1), ([0.0], 64)],
)
def test_about_a_second_of_work_lies_in_the_queue(seconds: list[float], prompts: int) -> None:
    assert window(seconds, setting=None) == prompts


def test_the_setting_holds_whatever_jobs_take() -> None:
    assert window([600.0], setting=7) == 7


@given(st.lists(st.floats(0, 1e6)))
def test_the_window_is_never_empty_and_never_huge(seconds: list[float]) -> None:
    assert 1 <= window(seconds, setting=None) <= LARGEST_WINDOW


# ---- whose turn


def ready(**projects: int) -> list[Job]:
    """So many jobs of each project, the oldest first."""
    return [
        a_job(id=100 * place + n, project=name, path=f"{n}.json", first_seen=NOON + timedelta(seconds=n))
        for place, (name, count) in enumerate(projects.items(), 1)
        for n in range(count)
    ]


def chosen(jobs: list[Job], room: int, **turns: int) -> list[str]:
    return [job.project for job in next_to_post(jobs, room=room, priorities={}, turns=turns)]


def test_projects_take_turns() -> None:
    assert chosen(ready(film=5, show=2), 6) == ["film", "show", "film", "show", "film", "film"]


def test_whose_turn_is_longest_ago_comes_first() -> None:
    assert chosen(ready(film=5, show=2), 2, film=8, show=3) == ["show", "film"]
    assert chosen(ready(film=5, show=2), 2, film=8) == ["show", "film"]


def test_priority_goes_before_turns() -> None:
    order = next_to_post(ready(film=1, show=2), room=3, priorities={"show": 5.0}, turns={"show": 99})
    assert [job.project for job in order] == ["show", "show", "film"]


def test_a_negative_priority_comes_last() -> None:
    order = next_to_post(ready(film=2, show=1), room=3, priorities={"film": -1.0}, turns={})
    assert [job.project for job in order] == ["show", "film", "film"]


def test_within_a_project_the_first_seen_comes_first_and_then_the_natural_name() -> None:
    later = NOON + timedelta(seconds=1)
    waiting = [
        a_job(id=1, path="shot-10.json"),
        a_job(id=2, path="shot-9.json"),
        a_job(id=3, path="Shot-1.json"),
        a_job(id=4, path="a.json", first_seen=later),
    ]
    order = next_to_post(waiting, room=9, priorities={}, turns={})
    assert [job.path for job in order] == ["Shot-1.json", "shot-9.json", "shot-10.json", "a.json"]


def test_one_that_may_have_taken_comfyui_down_goes_behind_those_that_waited_then() -> None:
    waiting = [
        a_job(id=1, path="suspect.json", losses=1, suspected=NOON + timedelta(minutes=1)),
        a_job(id=2, path="waited.json"),
        a_job(id=3, path="came-later.json", first_seen=NOON + timedelta(minutes=2)),
    ]
    order = next_to_post(waiting, room=9, priorities={}, turns={})
    assert [job.path for job in order] == ["waited.json", "suspect.json", "came-later.json"]


counts = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 8))


@given(counts, st.integers(0, 40), st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 99)))
def test_turns_are_fair(projects: dict[str, int], room: int, turns: dict[str, int]) -> None:
    waiting = ready(**projects)
    order = next_to_post(waiting, room=room, priorities={}, turns=turns)
    assert len(order) == min(room, len(waiting))
    assert len({job.id for job in order}) == len(order)
    assert is_fair(order, projects)


@given(counts, st.data())
def test_turns_are_fair_also_when_few_are_taken_at_a_time(projects: dict[str, int], data: st.DataObject) -> None:
    waiting = ready(**projects)
    turns: dict[str, int] = {}
    order: list[Job] = []
    while waiting:
        for job in next_to_post(waiting, room=data.draw(st.integers(1, 5)), priorities={}, turns=turns):
            turns[job.project] = max(turns.values(), default=0) + 1
            waiting.remove(job)
            order.append(job)
    assert all(is_fair(order[:count], projects) for count in range(len(order) + 1))
    assert len({job.id for job in order}) == sum(projects.values())


def is_fair(order: list[Job], projects: dict[str, int]) -> bool:
    """Whoever still waits has had as many turns as anybody else, but for the round that is under way."""
    got = Counter(job.project for job in order)
    return all(got[name] >= max(got.values(), default=0) - 1 for name, count in projects.items() if got[name] < count)
