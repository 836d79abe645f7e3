"""Jobs that take long: a word after a while, an interruption only where the settings ask for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from comfywatch.jobs import Job, JobState
from comfywatch.overtime import Limits, is_over, seconds_running, warning_due_after
from tests.world import World, with_node

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
JOB = Job(
    id=1, project="film", path="a.json", digest="d", first_seen=START, state=JobState.RUNNING, started=START, run=1
)


def test_without_a_limit_a_job_may_run_for_ever() -> None:
    assert not is_over(JOB, Limits(warn_after=600, longest=None), at=START + timedelta(days=9))


def test_above_the_limit_it_is_over_and_a_clock_set_back_ends_nothing() -> None:
    limits = Limits(warn_after=600, longest=60)
    assert is_over(JOB, limits, at=START + timedelta(seconds=61))
    assert not is_over(JOB, limits, at=START - timedelta(days=1))
    assert seconds_running(JOB, at=START - timedelta(days=1)) == 0


def test_a_word_is_due_after_the_setting_or_twice_the_usual_time() -> None:
    limits = Limits(warn_after=600, longest=None)
    assert warning_due_after(limits, usual=[]) == 600
    assert warning_due_after(limits, usual=[60, 70, 80]) == 600
    assert warning_due_after(limits, usual=[1000, 1200, 1400]) == 2400


def test_a_job_that_runs_too_long_is_interrupted_and_says_which_setting_did_it(world: World) -> None:
    world.settings = world.settings.model_copy(update={"max_runtime_minutes": 0.5 / 60})
    world.start()
    world.drop("a.json", with_node("TestSleep", seconds=60))
    entry = world.until_state("a.json", "cancelled")
    assert "max_runtime_minutes" in entry["hint"]
    assert len(world.sandbox.interrupted) == 1
