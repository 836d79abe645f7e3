"""The soak, for a few seconds; and that its judge would see a broken promise."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.soak.book import Book, Drop, Kind, Verdict
from benchmarks.soak.soak import Soak


@pytest.mark.skipif(sys.platform == "win32", reason="a process is not killed by a signal there")
def test_a_few_seconds_of_everything_break_no_promise(tmp_path: Path) -> None:
    report = Soak(tmp_path / "soak", seed=5, say=print).run(6)
    assert report.is_good, "\n".join(report.lines())
    assert report.tally[Verdict.COMPLETED] > 5
    assert sum(report.troubles.values()) > 5


def _drop() -> Drop:
    return Drop(number=1, kind=Kind.PICTURE, digest="d", places=[("film", "a.json")])


def _begun(*eras: int) -> Drop:
    """A drop whose prompts were posted and begun in these eras."""
    drop = _drop()
    for number, era in enumerate(eras):
        drop.posts[f"p{number}"] = era
        drop.begun.append((era, f"p{number}"))
    return drop


def test_what_ran_twice_in_one_era_is_a_duplicate_and_what_a_restart_lost_is_none() -> None:
    assert _begun(0).repeated() == 0
    assert _begun(0, 1).repeated() == 0
    assert _begun(0, 0).repeated() == 1
    assert _begun(0, 1, 1).repeated() == 1


def test_a_prompt_that_was_asked_for_in_the_old_era_and_begun_again_in_the_new_one_is_a_duplicate() -> None:
    drop = _begun(0)
    drop.begun.append((1, "p0"))
    assert drop.repeated() == 1


def test_a_run_that_a_person_asked_for_is_no_duplicate() -> None:
    drop = _begun(0, 0)
    drop.excuses = 1
    assert drop.repeated() == 0


def test_a_prompt_that_runs_after_its_drop_was_over_is_a_duplicate(tmp_path: Path) -> None:
    book = Book(tmp_path, tmp_path)
    book.put(_drop())
    book.note({"posts": [(0, "p0", 1)], "begun": [(0, "p0")], "interrupted": []})
    book.drops[1].verdict = Verdict.COMPLETED
    book.close(book.drops[1])
    book.note({"posts": [(0, "p1", 1)], "begun": [(0, "p1")], "interrupted": []})
    assert book.tally == {Verdict.COMPLETED: 1, Verdict.DUPLICATED: 2}


def test_a_file_that_lies_there_and_was_never_taken_is_lost(tmp_path: Path) -> None:
    book = Book(tmp_path, tmp_path)
    book.put(_drop())
    book.judge(book.drops[1], [], is_last_word=True)
    assert book.findings == ["lost: drop 1 (film/a.json) was never taken"]
