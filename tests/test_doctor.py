"""What the doctor makes of what was found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from comfywatch import doctor
from comfywatch.doctor import Finding, Level
from comfywatch.inventory import Inventory
from comfywatch.jobs import JobState
from comfywatch.settling import Stamp
from comfywatch.tree import Forest, ProjectTree

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FOLDER = Path("/srv/comfywatch")


def test_what_is_well_wants_nothing() -> None:
    findings = [
        doctor.ok("config", "read"),
        doctor.of_folder("state", FOLDER, is_there=False, is_writable=True),
        doctor.of_state_disk(FOLDER, "ext4", None),
        doctor.of_comfyui("http://127.0.0.1:8188", version="0.3.64", seconds=0.004),
        doctor.of_headers(""),
        doctor.of_inventory(Inventory(last_updated=NOW - timedelta(hours=2)), now=NOW, is_running=True),
        doctor.of_inventory(None, now=NOW, is_running=False),
        *doctor.of_jobs({JobState.PENDING: 3}),
        doctor.of_inotify(524288, 128, folders=40),
        doctor.of_space("disk", FOLDER, 80 * 2**30),
        doctor.of_daemon(is_running=True),
        *doctor.of_extras([]),
        doctor.of_addresses(FOLDER, wrong="", notice=""),
        doctor.of_test("line 1 (JSON)", is_taken=True),
        doctor.of_metrics_file(FOLDER / "x.prom", is_writable=True),
    ]
    assert doctor.is_well(findings)
    assert not any(finding.mend for finding in findings)
    assert doctor.next_step(findings) == "all is well; drop a workflow into projects/NAME/workflows/"


def test_whatever_is_not_well_says_what_to_do() -> None:
    findings = [
        doctor.of_folder("state", FOLDER, is_there=True, is_writable=False),
        doctor.of_state_disk(FOLDER, "nfs4", None),
        doctor.of_state_disk(FOLDER, "ext4", Path("/srv")),
        doctor.of_no_comfyui("nothing listens at http://127.0.0.1:8188; is ComfyUI running?"),
        doctor.of_headers("every user of this machine can read /etc/x; to mend it: chmod 600 /etc/x"),
        doctor.of_inventory(None, now=NOW, is_running=True),
        *doctor.of_jobs({JobState.BLOCKED: 2, JobState.INVALID: 1}),
        doctor.of_inotify(100, 128, folders=99),
        doctor.of_space("disk", FOLDER, 0),
        doctor.of_daemon(is_running=False),
        *doctor.of_extras(["notify needs one more package: pip install 'comfywatch[notify]'"]),
        doctor.of_addresses(FOLDER, wrong="line 3 is no address", notice=""),
        doctor.of_addresses(FOLDER, wrong="", notice="every user of this machine can read it"),
        doctor.of_test("line 1 (JSON)", is_taken=False),
        doctor.of_metrics_file(FOLDER / "x.prom", is_writable=False),
        doctor.of_metrics_file(FOLDER / "x.txt", is_writable=True),
    ]
    assert all(finding.mend and finding.level is not Level.OK for finding in findings)
    assert not doctor.is_well(findings)


def test_the_next_step_is_the_first_problem_before_any_warning() -> None:
    findings = [
        doctor.warning("daemon", "comfywatch is not running", "comfywatch run"),
        doctor.problem("ComfyUI", "nothing listens", "start ComfyUI"),
        doctor.problem("disk", "full", "make room"),
    ]
    assert doctor.next_step(findings) == "start ComfyUI"
    assert doctor.next_step(findings[:1]) == "comfywatch run"


def test_a_newcomer_is_led_from_step_to_step() -> None:
    """Nothing that comfywatch does by itself at its start is among the steps."""
    no_comfyui = doctor.of_no_comfyui("nothing listens")
    no_inventory = doctor.of_inventory(None, now=NOW, is_running=False)
    off = doctor.of_daemon(is_running=False)
    assert doctor.next_step([no_comfyui, no_inventory, *doctor.of_projects(FOLDER, forest()), off]).startswith("start")
    assert doctor.next_step([no_inventory, *doctor.of_projects(FOLDER, forest()), off]) == "comfywatch new my-film"
    assert doctor.next_step([no_inventory, *doctor.of_projects(FOLDER, forest(film=())), off]) == "comfywatch run"


def test_a_slow_comfyui_is_a_warning() -> None:
    finding = doctor.of_comfyui("http://gpu:8188", version="", seconds=3.2)
    assert finding.level is Level.WARNING
    assert finding.sentence == "http://gpu:8188 answers in 3200 ms; ComfyUI of an unknown version"


def test_the_mend_of_open_headers_is_the_command() -> None:
    finding = doctor.of_headers("every user of this machine can read /etc/x; to mend it: chmod 600 /etc/x")
    assert (finding.level, finding.mend) == (Level.WARNING, "chmod 600 /etc/x")


@pytest.mark.parametrize(
    ("age", "level", "words"),
    [
        (timedelta(seconds=5), Level.OK, "a moment ago"),
        (timedelta(seconds=-5), Level.OK, "a moment ago"),
        (timedelta(minutes=1), Level.OK, "1 minute ago"),
        (timedelta(hours=3), Level.OK, "3 hours ago"),
        (timedelta(hours=30), Level.WARNING, "30 hours ago"),
        (timedelta(days=5), Level.WARNING, "5 days ago"),
    ],
)
def test_old_knowledge_is_a_warning(age: timedelta, level: Level, words: str) -> None:
    finding = doctor.of_inventory(Inventory(last_updated=NOW - age), now=NOW, is_running=True)
    assert (finding.level, finding.sentence.endswith(f"as of {words}")) == (level, True)


@pytest.mark.parametrize(
    ("watches", "folders", "level"),
    [
        (524288, 10, Level.OK),
        (8192, 10, Level.OK),
        (8191, 10, Level.WARNING),
        (10000, 6000, Level.WARNING),
        (10000, 10000, Level.PROBLEM),
        (100, 200, Level.PROBLEM),
    ],
)
def test_too_few_watches_are_noticed(watches: int, folders: int, level: Level) -> None:
    assert doctor.of_inotify(watches, 128, folders=folders).level is level


@pytest.mark.parametrize(
    ("free", "level", "words"),
    [
        (10 * 2**30, Level.OK, "10.0 GiB free at /srv/comfywatch"),
        (2**30, Level.WARNING, "1.0 GiB free at /srv/comfywatch"),
        (2**20, Level.PROBLEM, "1 MiB free at /srv/comfywatch"),
    ],
)
def test_a_full_disk_is_a_problem(free: int, level: Level, words: str) -> None:
    finding = doctor.of_space("disk", FOLDER, free)
    assert finding.level is level
    assert finding.sentence.replace("\\", "/") == words


def forest(**notices: tuple[str, ...]) -> Forest:
    """Projects with one workflow each, and what lies in the wrong place in them."""
    stamp = Stamp(size=1, mtime_ns=1)
    trees = {
        name: ProjectTree(name=name, is_there=True, files={"a.json": stamp}, notices=said)
        for name, said in notices.items()
    }
    return Forest(is_there=bool(trees), projects=trees)


def test_projects_are_counted() -> None:
    (finding,) = doctor.of_projects(FOLDER, forest(film=(), other=()))
    assert finding == Finding(subject="projects", level=Level.OK, sentence="2 projects, 2 workflows")


def test_without_a_project_the_next_step_is_to_make_one() -> None:
    findings = list(doctor.of_projects(FOLDER, forest()))
    assert doctor.next_step(findings) == "comfywatch new my-film"


def test_what_lies_in_the_wrong_place_is_told_with_its_way_home() -> None:
    misplaced = "shot.json is not read; move it to workflows/"
    _, finding = doctor.of_projects(FOLDER, forest(film=(misplaced,)))
    assert finding.sentence == "film/shot.json is not read"
    assert finding.mend == "move film/shot.json to workflows/"


def test_a_notice_without_a_mend_is_still_told() -> None:
    _, finding = doctor.of_projects(FOLDER, forest(film=("workflows/x is not a file and is not read",)))
    assert finding.sentence == "film/workflows/x is not a file and is not read"
    assert finding.mend


def test_a_flood_of_notices_is_cut_short() -> None:
    notices = tuple(f"{number}.json is not read; move it to workflows/" for number in range(20))
    findings = list(doctor.of_projects(FOLDER, forest(film=notices)))
    assert len(findings) == 1 + doctor.NOTICES_SHOWN + 1
    assert findings[-1].sentence == "and 15 more of the kind"
