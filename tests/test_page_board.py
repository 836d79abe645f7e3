"""When a page is due: the larger the rarer, one at a time, and not before there is something true to say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from comfywatch.effects import PageWritten
from comfywatch.engine import Engine
from comfywatch.gallery import Shown
from comfywatch.jobs import JobState
from comfywatch.page_board import AGAIN_SECONDS, COST_FACTOR, LONGEST_PAUSE, SHORTEST_PAUSE, PageBoard
from comfywatch.page_writing import Written
from comfywatch.settings import Settings
from comfywatch.store import Store
from tests.made import NOON, a_job
from tests.world import logged


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "comfywatch.db")
    yield opened
    opened.close()


@pytest.fixture
def pages(tmp_path: Path, store: Store) -> PageBoard:
    return Engine(Settings(root=tmp_path), store, now=0.0, started_ns=0).pages


def due_after(pages: PageBoard, result: Written) -> float:
    """When the page may be written again after this."""
    pages.written(PageWritten(project="film", result=result), now=100.0)
    pages.changed.add("film")
    return pages.next_due() - 100.0


@pytest.mark.parametrize(
    ("size", "took", "pause"),
    [
        (1000, 0.001, SHORTEST_PAUSE),
        (2_000_000, 0.1, 20.0),
        (1000, 0.5, COST_FACTOR * 0.5),
        (1000, 60.0, LONGEST_PAUSE),
    ],
)
def test_what_is_large_or_costly_is_written_rarely(pages: PageBoard, size: int, took: float, pause: float) -> None:
    assert due_after(pages, Written(size=size, took=took)) == pause


def test_what_cannot_be_written_is_tried_again_and_told_once(pages: PageBoard) -> None:
    with logged() as lines:
        assert due_after(pages, Written(error=OSError("no room"))) == AGAIN_SECONDS
        assert due_after(pages, Written(error=OSError("no room"))) == AGAIN_SECONDS
    assert lines == ["index.html is not written: no room"]


def test_nothing_is_due_while_nothing_has_changed(pages: PageBoard) -> None:
    pages.written(PageWritten(project="film", result=Written(size=1)), now=100.0)
    assert pages.next_due() == float("inf")


def test_what_was_found_in_the_folders_is_kept_and_shown_next(pages: PageBoard, store: Store) -> None:
    job = store.add_job(a_job(state=JobState.COMPLETED, run=1, finished=NOON), b"{}")
    assert store.unshown("film", limit=9) == [job]
    pages.written(PageWritten(project="film", result=Written(found={job.id: Shown(outputs=("a.png",))})), now=1.0)
    assert "film" in pages.changed
    assert store.unshown("film", limit=9) == []
    (run,) = store.runs("film", limit=9)
    assert (run.folder, run.shown.outputs) == ("outputs/a/001", ("a.png",))


def test_the_runs_are_the_finished_ones_of_the_project_the_newest_first(store: Store) -> None:
    for number in (1, 2, 3):
        finished = NOON.replace(minute=number)
        job = store.add_job(a_job(state=JobState.COMPLETED, run=number, finished=finished), b"{}")
        store.save_shown(job.id, Shown(seeds=(2**63,)))
    store.add_job(a_job(state=JobState.RUNNING, run=4), b"{}")
    store.add_job(a_job(project="other", state=JobState.COMPLETED, run=1, finished=NOON), b"{}")
    assert [run.run for run in store.runs("film", limit=2)] == [3, 2]
    assert store.runs("film", limit=1)[0].shown.seeds == (2**63,)
    assert store.run_count("film") == 3
