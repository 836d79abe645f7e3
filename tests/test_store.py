"""The database: what was committed is there after any crash, and a newer one is refused."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfywatch import store as store_module
from comfywatch.jobs import FINAL, Job, JobState, Post, Wish
from comfywatch.migrations import MIGRATIONS
from comfywatch.problems import Problem, Severity
from comfywatch.progress import Pace
from comfywatch.settling import Stamp
from comfywatch.store import Damaged, FileRecord, NewerSchema, Store
from tests.made import NOON, PROMPT_ID, STAMP, a_job


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store(":memory:")
    yield opened
    opened.close()


def recorded(store: Store, job: Job, **changes: Any) -> FileRecord:
    plain = {"project": job.project, "path": job.path, "digest": job.digest, "job": job.id, "stamp": STAMP}
    record = FileRecord(**{**plain, **changes})
    store.save_file(record)
    return record


# ---- jobs

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
moments = st.none() | st.integers(0, 10**9).map(lambda second: NOON + timedelta(microseconds=second))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
)
problems = st.builds(
    Problem,
    code=st.text(min_size=1, max_size=9),
    message=st.text(min_size=1),
    fix=st.text(),
    node=st.text(),
    severity=st.sampled_from(Severity),
    traceback=st.lists(st.text()).map(tuple),
)
jobs = st.builds(
    a_job,
    project=texts,
    path=texts,
    state=st.sampled_from(JobState),
    held=texts,
    run=st.none() | st.integers(1, 10**9),
    prompt_id=st.sampled_from(["", PROMPT_ID]),
    post=st.sampled_from(Post),
    number=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    life=st.integers(0, 99),
    losses=st.integers(0, 9),
    wish=st.none() | st.sampled_from(Wish),
    outcome=st.none() | st.dictionaries(st.text(), json_values, min_size=1),
    problems=st.lists(problems, max_size=3).map(tuple),
    hint=texts,
    submitted=moments,
    started=moments,
    finished=moments,
)


@settings(deadline=None)
@given(jobs)
def test_a_job_comes_back_as_it_was(job: Job) -> None:
    with closing(Store(":memory:")) as opened:
        added = opened.add_job(job, b"{}")
        assert opened.job(added.id) == added
        opened.save_job(added)
        assert opened.job(added.id) == added
        assert list(opened.unfinished()) == ([] if job.state in FINAL else [added])


def test_jobs_get_ids_of_their_own(store: Store) -> None:
    added = [store.add_job(a_job(id=7), b"") for _ in range(3)]
    assert len({job.id for job in added}) == 3
    assert store.job(999) is None


def test_the_bytes_are_kept_until_the_end_and_no_longer(store: Store) -> None:
    job = store.add_job(a_job(), b"dropped")
    store.save_submitted(job.id, b"body")
    store.save_job(a_job(id=job.id, state=JobState.RUNNING))
    assert (store.dropped(job.id), store.submitted(job.id)) == (b"dropped", b"body")
    store.save_job(a_job(id=job.id, state=JobState.COMPLETED))
    assert (store.dropped(job.id), store.submitted(job.id)) == (None, None)


def test_nothing_was_submitted_before_it_was(store: Store) -> None:
    assert store.submitted(store.add_job(a_job(), b"dropped").id) is None


def test_runs_are_counted_by_workflow(store: Store) -> None:
    for path, run in [("a.json", 1), ("a.json", 3), ("a.json", None), ("b.json", 9)]:
        store.add_job(a_job(path=path, run=run), b"")
    assert store.highest_run("film", "a.json") == 3
    assert store.highest_run("film", "c.json") == 0
    assert store.highest_run("show", "a.json") == 0
    assert [job.run for job in store.jobs_of("film", "a.json")] == [None, 3, 1]


def test_the_witness_is_the_newest_of_this_life_that_history_should_know(store: Store) -> None:
    others: list[dict[str, Any]] = [{}, {}, {"life": 1}, {"server": "t"}, {"outcome": None}]
    ended: dict[str, Any] = {"state": JobState.COMPLETED, "server": "s", "life": 2, "outcome": {"seconds": 1}}
    for minutes, changes in enumerate(others, 1):
        done = {**ended, **changes, "finished": NOON + timedelta(minutes=minutes), "prompt_id": str(minutes)}
        store.add_job(a_job(**done), b"")
    witness = store.latest_finished(server="s", life=2)
    assert witness is not None
    assert witness.prompt_id == "2"
    assert store.latest_finished(server="s", life=3) is None


def test_recent_times_are_those_of_completed_jobs_newest_first(store: Store) -> None:
    for minutes, (state, outcome) in enumerate(
        [
            ("completed", {"seconds": 1.5}),
            ("failed", {"seconds": 9.0}),
            ("completed", {"seconds": None}),
            ("completed", None),
            ("completed", {"seconds": 2.5}),
        ]
    ):
        finished = NOON + timedelta(minutes=minutes)
        store.add_job(a_job(state=JobState(state), outcome=outcome, server="s", finished=finished), b"")
    assert store.recent_seconds(server="s", limit=20) == [2.5, 1.5]
    assert store.recent_seconds(server="s", limit=1) == [2.5]
    assert store.recent_seconds(server="t", limit=20) == []


# ---- files


def test_a_path_is_known_with_its_stamp_and_its_latest_job(store: Store) -> None:
    stamp = Stamp(size=2**40, mtime_ns=2**62, ctime_ns=-1, inode=2**63 - 1)
    record = recorded(store, store.add_job(a_job(), b""), stamp=stamp, gone=True, note="unchanged since run 3")
    assert list(store.files()) == [record]
    assert store.files_with("d") == [record]
    assert store.files_with("e") == []
    assert store.projects() == ["film"]


def test_what_was_there_last_is_counted_by_project_and_together(store: Store) -> None:
    for path, gone in (("a.json", False), ("b.json", False), ("c.json", True)):
        recorded(store, store.add_job(a_job(path=path), b""), gone=gone)
    recorded(store, store.add_job(a_job(project="show"), b""))
    assert [store.lying(project) for project in ("film", "show", "other", None)] == [2, 1, 0, 3]


def test_the_listing_has_each_path_with_its_latest_job_newest_first(store: Store) -> None:
    old, new = store.add_job(a_job(), b""), store.add_job(a_job(), b"")
    other = store.add_job(a_job(path="b.json"), b"")
    elsewhere = store.add_job(a_job(project="show"), b"")
    for job in (old, new, other, elsewhere):
        recorded(store, job)
    assert [(record.path, job) for record, job in store.listing("film")] == [("b.json", other), ("a.json", new)]


def test_a_moved_workflow_takes_its_whole_history_along(store: Store) -> None:
    jobs = [store.add_job(a_job(run=run), b"") for run in (1, 2)]
    record = recorded(store, jobs[-1], gone=True)
    moved = store.move_file(record, project="show", path="x/b.json", stamp=STAMP)
    assert list(store.files()) == [moved]
    assert (moved.project, moved.path, moved.gone) == ("show", "x/b.json", False)
    assert store.jobs_of("film", "a.json") == []
    assert store.highest_run("show", "x/b.json") == 2


# ---- requests and facts


def test_a_request_waits_until_it_is_answered(store: Store) -> None:
    first = store.add_request(command="retry", target="film/a", options={"state": "failed"}, at=NOON)
    second = store.add_request(command="free", target="", options={}, at=NOON)
    assert [(request.id, request.command) for request in store.open_requests()] == [(first, "retry"), (second, "free")]
    assert store.open_requests()[0].options == {"state": "failed"}
    store.answer_request(first, "1 run again.")
    assert [request.id for request in store.open_requests()] == [second]
    assert (store.answer_to(first), store.answer_to(second), store.answer_to(99)) == ("1 run again.", None, None)


def test_facts_are_kept_as_json(store: Store) -> None:
    assert store.fact("life") is None
    store.save_fact("life", 1)
    store.save_fact("life", {"a": [2]})
    assert store.fact("life") == {"a": [2]}


# ---- crashes, and other processes


def test_what_was_committed_is_there_after_a_crash_and_the_rest_is_not(tmp_path: Path) -> None:
    """A copy of the files is what a kill at that moment leaves."""
    with closing(Store(tmp_path / "db")) as opened:
        kept = opened.add_job(a_job(), b"one")
        opened.commit()
        opened.add_job(a_job(), b"two")
        (tmp_path / "crash").mkdir()
        for file in tmp_path.glob("db*"):
            (tmp_path / "crash" / file.name).write_bytes(file.read_bytes())
    with closing(Store(tmp_path / "crash" / "db")) as after:
        assert list(after.unfinished()) == [kept]
        assert after.dropped(kept.id) == b"one"


def test_what_was_not_committed_can_be_taken_back(store: Store) -> None:
    store.commit()
    store.add_job(a_job(), b"")
    store.roll_back()
    assert list(store.unfinished()) == []
    store.roll_back()


def test_closing_commits(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "db")) as opened:
        opened.save_fact("a", 1)
    with closing(Store(tmp_path / "db")) as again:
        assert again.fact("a") == 1


def test_others_read_what_was_committed_and_add_requests(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "db")) as daemon, closing(Store(tmp_path / "db")) as command:
        daemon.add_job(a_job(), b"")
        assert list(command.unfinished()) == []
        daemon.commit()
        assert len(list(command.unfinished())) == 1
        before = daemon.data_version()
        daemon.save_fact("mine", 1)
        daemon.commit()
        assert daemon.data_version() == before
        command.add_request(command="free", target="", options={}, at=NOON)
        command.commit()
        assert daemon.data_version() != before
        assert len(daemon.open_requests()) == 1


def test_what_is_said_durable_is_on_the_disk(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "db")), closing(sqlite3.connect(tmp_path / "db")) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# ---- schemas


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "db")) as other:
        other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(NewerSchema, match="use a newer comfywatch"):
        Store(tmp_path / "db")


def test_an_older_database_is_brought_forward_with_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Store(tmp_path / "db")) as opened:
        job = opened.add_job(a_job(), b"x")
    monkeypatch.setattr(store_module, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE extra (a INTEGER)"))
    for _ in range(2):
        with closing(Store(tmp_path / "db")) as opened:
            assert list(opened.unfinished()) == [job]
    with closing(sqlite3.connect(tmp_path / "db")) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
        other.execute("SELECT * FROM extra")


def test_a_database_without_its_tables_is_damaged(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "db")) as other:
        other.execute("CREATE TABLE jobs (id INTEGER)")
        other.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    with pytest.raises(Damaged, match="no table contents"):
        Store(tmp_path / "db")


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Store(tmp_path / "db")) as opened:
        job = opened.add_job(a_job(), b"x")
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "MIGRATIONS", (*MIGRATIONS, "DROP TABLE files; DROP TABLE nonsense"))
        with pytest.raises(sqlite3.OperationalError):
            Store(tmp_path / "db")
    with closing(Store(tmp_path / "db")) as opened:
        assert list(opened.unfinished()) == [job]
        assert list(opened.files()) == []


@pytest.mark.parametrize(
    "content", [b"this is no database at all, and long enough to be one" * 99, b"SQLite format 3\0" * 99]
)
def test_a_damaged_database_is_told_as_such_and_not_touched(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "db").write_bytes(content)
    with pytest.raises(Damaged):
        Store(tmp_path / "db")
    assert (tmp_path / "db").read_bytes() == content


def test_the_outcome_is_there_before_the_first_download(tmp_path: Path) -> None:
    outcome = {"state": "completed", "files": [{"filename": "half\ud83d.png"}]}
    with closing(Store(tmp_path / "db")) as opened:
        job = opened.add_job(a_job(state=JobState.RUNNING, outcome=outcome), b"")
    with closing(Store(tmp_path / "db")) as again:
        kept = again.job(job.id)
        assert kept is not None
        assert json.dumps(kept.outcome) == json.dumps(outcome)


# ---- how the nodes went


def test_what_each_node_took_is_kept_and_moves_with_the_workflow(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    paces = {"3": Pace(class_type="KSampler", seconds=8.5, tail=0.25)}
    store.save_paces("film", "a.json", paces)
    assert store.paces("film", "a.json") == paces
    assert store.paces("film", "b.json") == {}
    job = store.add_job(a_job(), b"{}")
    record = FileRecord(project="film", path="a.json", digest="d", job=job.id, stamp=STAMP)
    store.save_file(record)
    store.move_file(record, project="movie", path="b.json", stamp=STAMP)
    assert store.paces("movie", "b.json") == paces
    assert store.paces("film", "a.json") == {}
    store.close()
