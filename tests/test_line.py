"""Where jobs wait: nobody is passed over, nobody is taken twice, and no project stands back."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from comfywatch.jobs import Job
from comfywatch.line import Round

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def _job(number: int, project: str) -> Job:
    return Job(id=number, project=project, path=f"{number}.json", digest="d", first_seen=NOON)


def test_projects_take_turns_however_the_jobs_came() -> None:
    waiting = Round()
    for number in range(6):
        waiting.add(_job(number, "first" if number < 4 else "second"))
    assert waiting.take(2) + waiting.take(9) == [0, 4, 1, 5, 2, 3]


def test_a_job_whose_file_moved_waits_with_its_new_project() -> None:
    waiting = Round()
    for job in (_job(1, "old"), _job(2, "old"), _job(1, "new")):
        waiting.add(job)
    assert waiting.take(9) == [2, 1]
    assert not waiting


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from("abc"), st.booleans())))
def test_each_that_was_added_and_not_taken_out_comes_once(steps: list[tuple[int, str, bool]]) -> None:
    waiting, expected = Round(), set()
    for number, project, comes in steps:
        if comes:
            waiting.add(_job(number, project))
            expected.add(number)
        else:
            waiting.discard(number)
            expected.discard(number)
    assert len(waiting) == len(expected)
    assert sorted(waiting.take(99)) == sorted(expected)
