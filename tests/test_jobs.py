"""Which state follows which, as the table of DESIGN 3 has it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.jobs import FINAL, TRANSITIONS, Fact, ImpossibleFact, JobState, Post, workflow_name
from tests.made import NOON, a_job

PROMISED = {
    JobState.PENDING: "queued blocked invalid cancelled failed",
    JobState.BLOCKED: "pending cancelled",
    JobState.INVALID: "pending",
    JobState.QUEUED: "running completed failed cancelled pending",
    JobState.RUNNING: "completed failed cancelled pending",
}


def test_the_states_are_called_as_people_and_their_scripts_know_them() -> None:
    known = {"pending", "blocked", "invalid", "queued", "running", "completed", "failed", "cancelled"}
    assert {str(state) for state in JobState} == known


@pytest.mark.parametrize("state", PROMISED)
def test_every_promised_way_is_open(state: JobState) -> None:
    assert set(PROMISED[state].split()) <= set(TRANSITIONS[state].values())


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
@pytest.mark.parametrize("fact", Fact)
def test_a_final_state_has_no_way_out(state: str, fact: Fact) -> None:
    job = a_job(state=JobState(state))
    assert job.is_final
    with pytest.raises(ImpossibleFact, match=f"job 1 is {state}: it cannot be"):
        job.after(fact)


def test_every_state_has_its_line_in_the_table() -> None:
    assert TRANSITIONS.keys() == set(JobState)
    assert set(map(str, FINAL)) == {"completed", "failed", "cancelled"}


def test_only_what_may_have_been_in_comfyui_can_be_completed() -> None:
    to_completed = {state for state, onward in TRANSITIONS.items() if JobState.COMPLETED in onward.values()}
    assert to_completed == {JobState.PENDING, JobState.QUEUED, JobState.RUNNING}


def test_completed_is_said_by_one_fact_only() -> None:
    said = {fact for onward in TRANSITIONS.values() for fact, state in onward.items() if state is JobState.COMPLETED}
    assert said == {Fact.COMPLETED}


@pytest.mark.parametrize("state", set(JobState) - FINAL)
def test_whatever_has_not_ended_can_be_cancelled(state: JobState) -> None:
    assert a_job(state=state).after(Fact.CANCELLED).state is JobState.CANCELLED


def test_nothing_is_queued_or_running_without_being_pending_before() -> None:
    before = {state for state, onward in TRANSITIONS.items() if JobState.QUEUED in onward.values()}
    assert before == {JobState.PENDING}
    assert JobState.RUNNING not in {*TRANSITIONS[JobState.BLOCKED].values(), *TRANSITIONS[JobState.INVALID].values()}


@given(st.lists(st.sampled_from(Fact)))
def test_a_job_that_ended_stays_as_it_is_whatever_happens(facts: list[Fact]) -> None:
    job = a_job()
    for fact in facts:
        try:
            after = job.after(fact)
        except ImpossibleFact:
            continue
        assert not job.is_final
        job = after


def test_a_fact_changes_the_state_and_what_is_named_with_it() -> None:
    job = a_job(run=3)
    after = job.after(Fact.ACCEPTED, number=5.0)
    assert (after.state, after.number, after.run, after.first_seen) == (JobState.QUEUED, 5.0, 3, NOON)
    assert job.state is JobState.PENDING


@pytest.mark.parametrize(
    ("changes", "is_in_flight"),
    [
        ({}, False),
        ({"post": Post.INTENDED}, True),
        ({"post": Post.ACCEPTED, "state": JobState.RUNNING}, True),
        ({"post": Post.ACCEPTED, "outcome": {"state": "completed"}}, False),
        ({"post": Post.ACCEPTED, "state": JobState.COMPLETED}, False),
    ],
)
def test_in_flight_is_what_comfyui_has_or_may_have(changes: dict[str, Any], is_in_flight: bool) -> None:
    assert a_job(**changes).is_in_flight is is_in_flight


@pytest.mark.parametrize(("run", "name"), [(1, "001"), (42, "042"), (999, "999"), (1000, "1000")])
def test_a_run_has_three_digits_and_more_when_needed(run: int, name: str) -> None:
    assert a_job(path="shots/a.json", run=run).folder == f"shots/a/{name}"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.json", "a"),
        ("A.JSON", "A"),
        ("shots/day 1/a.b.json", "shots/day 1/a.b"),
        ("a.json.json", "a.json"),
        ("picture.png", "picture.png"),
    ],
)
def test_a_workflow_is_called_as_its_file_without_json(path: str, name: str) -> None:
    assert workflow_name(path) == name


def test_a_job_is_a_value() -> None:
    assert a_job() == a_job()
    assert a_job() != a_job(first_seen=NOON + timedelta(seconds=1))
    with pytest.raises(AttributeError):
        a_job().state = JobState.COMPLETED  # type: ignore[misc]  # that it cannot be assigned is the test
