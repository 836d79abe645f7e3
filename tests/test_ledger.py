"""The jobs in memory and in the database are the same jobs, at every moment and after every restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfywatch.jobs import Fact, ImpossibleFact, Job, JobState, Post, Wish
from comfywatch.ledger import PROMPTS_KEPT, Ledger
from comfywatch.store import Store
from comfywatch.workflow import NotJson, read_workflow
from tests.made import PROMPT_ID, STAMP, a_job
from tests.world import picture

DATA = json.dumps(picture()).encode()


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with closing(Store(":memory:")) as store:
        yield Ledger(store)


def added(ledger: Ledger, data: bytes = DATA, **changes: Any) -> Job:
    return ledger.add(a_job(**changes), data, STAMP)


def test_a_new_job_is_the_latest_of_its_path(ledger: Ledger) -> None:
    added(ledger)
    job = added(ledger)
    record = ledger.file("film", "a.json")
    assert record is not None
    assert ledger.latest(record) == job
    assert ledger.jobs[job.id] == job
    assert ledger.file("film", "b.json") is None
    assert ledger.file("show", "a.json") is None


def test_a_job_that_ended_leaves_the_memory_and_not_the_database(ledger: Ledger) -> None:
    job = added(ledger)
    ended = ledger.change(job.after(Fact.CANCELLED))
    assert (ledger.jobs, ledger.active, list(ledger.unexamined)) == ({}, {}, [])
    assert ledger.unfinished_of("film", "a.json") == []
    record = ledger.file("film", "a.json")
    assert record is not None
    assert ledger.latest(record) == ended


def test_every_change_marks_its_project(ledger: Ledger) -> None:
    ledger.changed.clear()
    job = added(ledger)
    assert ledger.changed == {"film"}
    ledger.changed.clear()
    ledger.change(replace(job, held="x"))
    assert ledger.changed == {"film"}


def test_a_prompt_is_parsed_once_and_read_again_when_it_was_forgotten(ledger: Ledger) -> None:
    dropped = read_workflow(DATA)
    job = ledger.add(a_job(), DATA, STAMP, dropped)
    assert ledger.prompt(job) is dropped
    for _ in range(PROMPTS_KEPT):
        ledger.prompt(added(ledger))
    assert ledger.prompt(job) is not dropped
    assert ledger.prompt(job) == dropped


def test_bytes_that_are_no_workflow_say_so_as_when_they_were_read_first(ledger: Ledger) -> None:
    job = added(ledger, b"{", state=JobState.INVALID)
    with pytest.raises(NotJson):
        ledger.prompt(job)
    assert not ledger.can_be_read(job)
    assert ledger.can_be_read(added(ledger))


def test_what_is_due_or_under_way_is_active_and_what_waits_is_examined_in_order(ledger: Ledger) -> None:
    waiting = [added(ledger), added(ledger)]
    posted = ledger.change(replace(added(ledger), post=Post.INTENDED, server="s", prompt_id=PROMPT_ID))
    wished = ledger.change(replace(added(ledger), wish=Wish.CANCEL))
    assert set(ledger.active) == {posted.id, wished.id}
    assert [job_id for job_id in ledger.unexamined if job_id not in ledger.active] == [job.id for job in waiting]
    assert list(ledger.in_flight("s")) == [posted]
    assert list(ledger.in_flight("t")) == []
    assert ledger.with_prompt(PROMPT_ID, "s") == posted
    assert ledger.with_prompt(PROMPT_ID, "t") is None
    assert ledger.with_prompt("another", "s") is None


def test_a_moved_workflow_takes_its_unfinished_jobs_along(ledger: Ledger) -> None:
    jobs = [added(ledger), added(ledger)]
    other = added(ledger, path="other.json")
    record = ledger.file("film", "a.json")
    assert record is not None
    ledger.changed.clear()
    ledger.move_file(record, project="show", path="x/b.json", stamp=STAMP)
    assert [job.id for job in ledger.unfinished_of("show", "x/b.json")] == [job.id for job in jobs]
    assert {(job.project, job.path) for job in ledger.jobs.values()} == {("show", "x/b.json"), ("film", "other.json")}
    assert ledger.jobs[other.id] == other
    assert ledger.file("film", "a.json") is None
    assert ledger.changed == {"film", "show"}
    assert ledger.prompt(ledger.jobs[jobs[0].id]).prompt == picture()


def test_after_a_restart_everything_unfinished_is_there_again(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "db")) as store:
        before = Ledger(store)
        posted = before.change(replace(added(before), post=Post.INTENDED, server="s", prompt_id=PROMPT_ID))
        blocked = before.change(added(before, path="b.json").after(Fact.BLOCKED))
        waiting = added(before, path="c.json")
        before.change(added(before, path="d.json").after(Fact.CANCELLED))
        store.commit()
        with closing(Store(tmp_path / "db")) as again:
            after = Ledger(again)
            assert (after.projects, after.files_of("film")) == (before.projects, before.files_of("film"))
    assert after.jobs == {job.id: job for job in (posted, blocked, waiting)}
    assert set(after.active) == {posted.id}
    assert set(after.unexamined) == {waiting.id}
    assert after.changed == {"film"}


STOPPED = {JobState.BLOCKED, JobState.INVALID}
facts = st.tuples(st.integers(0, 3), st.sampled_from(Fact), st.sampled_from([None, *Wish]), st.sampled_from(Post))


@settings(deadline=None)
@given(st.lists(facts, max_size=30))
def test_memory_and_database_never_differ(happened: list[tuple[int, Fact, Wish | None, Post]]) -> None:
    with closing(Store(":memory:")) as store:
        ledger = Ledger(store)
        paths = ("a.json", "a.json", "b.json", "c.json")
        jobs = [added(ledger, path=path, server="s", prompt_id=f"id {n}") for n, path in enumerate(paths)]
        for which, fact, wish, post in happened:
            try:
                jobs[which] = ledger.change(jobs[which].after(fact, wish=wish, post=post))
            except ImpossibleFact:
                continue
            unfinished = {job.id: job for job in jobs if not job.is_final}
            assert ledger.jobs == unfinished
            assert {job.id: job for job in store.unfinished()} == unfinished
            assert ledger.active.items() <= unfinished.items()
            assert all(job.id in ledger.active for job in unfinished.values() if job.post is not Post.NONE or job.wish)
            assert set(ledger.unexamined) <= unfinished.keys()
            assert ledger.stopped == {job.id: job for job in unfinished.values() if job.state in STOPPED}
            in_flight = {job.id: job for job in unfinished.values() if job.is_in_flight}
            assert {job.id: ledger.with_prompt(job.prompt_id, "s") for job in in_flight.values()} == in_flight
            for path in ("a.json", "b.json", "c.json"):
                expected = [job for job in unfinished.values() if job.path == path]
                assert ledger.unfinished_of("film", path) == expected
        again = Ledger(store)
        assert (again.jobs, again.active, again.projects) == (ledger.jobs, ledger.active, ledger.projects)
        assert all(again.file("film", path) == ledger.file("film", path) for path in ("a.json", "b.json", "c.json"))
