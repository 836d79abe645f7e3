"""Which sync tool shares a folder is known by what it leaves there, and doctor says what is to be set."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfywatch import doctor
from comfywatch.doctor import Level
from comfywatch.files import SCRATCH_PREFIX
from comfywatch.foreign_names import is_scratch
from comfywatch.sync_tools import SCRATCH, TOOLS, sharing
from tests.documents import DOCS, first_words, section


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "home" / "projects"
    (folder / "film" / "workflows").mkdir(parents=True)
    return folder


def put(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


MARKED = [(tool, mark) for tool in TOOLS for mark in tool.marks]


@pytest.mark.parametrize(("tool", "mark"), MARKED, ids=[f"{tool.name} {mark}" for tool, mark in MARKED])
@pytest.mark.parametrize("where", ["", "film", ".."])
def test_a_tool_is_known_by_its_marks(projects: Path, tool: object, mark: str, where: str) -> None:
    root = (projects / where).resolve()
    put(root / mark.replace("*", "12ab"))
    assert [(shared.tool, shared.root) for shared in sharing(projects)] == [(tool, root)]


@pytest.mark.parametrize(
    ("name", "tool"), [("Dropbox", "Dropbox"), ("OneDrive - Studio", "OneDrive"), ("Nextcloud2", "Nextcloud")]
)
def test_a_tool_is_known_by_the_name_of_its_folder(tmp_path: Path, name: str, tool: str) -> None:
    projects = tmp_path / name / "projects"
    projects.mkdir(parents=True)
    assert [shared.tool.name for shared in sharing(projects)] == [tool]


def test_nothing_is_said_where_no_tool_is_at_work(projects: Path) -> None:
    assert not list(sharing(projects))
    assert not list(sharing(projects / "nowhere"))


@pytest.mark.parametrize(
    ("lines", "level"),
    [
        (None, Level.WARNING),
        ("*.bak\n", Level.WARNING),
        (f"// ours\n(?d){SCRATCH}\n", Level.OK),
        (".~*\n", Level.OK),
        (f"(?i)(?d)**/{SCRATCH}\n", Level.OK),
    ],
)
def test_syncthing_is_to_leave_out_what_is_half_written(projects: Path, lines: str | None, level: Level) -> None:
    (projects / ".stfolder").mkdir()
    if lines is not None:
        put(projects / ".stignore", lines)
    (finding,) = doctor.of_sync_tools(sharing(projects))
    assert finding.level is level
    assert finding.mend == ("" if level is Level.OK else f"echo '(?d){SCRATCH}' >> {projects / '.stignore'}")


def test_an_stignore_that_is_not_in_the_root_is_told(projects: Path) -> None:
    (projects / ".stfolder").mkdir()
    put(projects / ".stignore", SCRATCH)
    put(projects / "film" / ".stignore", SCRATCH)
    _, finding = doctor.of_sync_tools(sharing(projects))
    assert finding.sentence == f"Syncthing does not read {projects / 'film' / '.stignore'}, only the one in {projects}"


def test_resilio_has_its_own_list(projects: Path) -> None:
    put(projects / ".sync" / "ID")
    assert [finding.level for finding in doctor.of_sync_tools(sharing(projects))] == [Level.WARNING]
    put(projects / ".sync" / "IgnoreList", f"{SCRATCH}\n")
    assert [finding.level for finding in doctor.of_sync_tools(sharing(projects))] == [Level.OK]


def test_where_it_cannot_be_seen_what_a_tool_leaves_out_it_is_said_and_no_fault(projects: Path) -> None:
    put(projects / ".sync.ffs_db")
    (finding,) = doctor.of_sync_tools(sharing(projects))
    assert finding.level is Level.OK
    assert f"add */{SCRATCH} to the filter" in finding.sentence


def test_our_own_scratch_is_scratch_to_us() -> None:
    assert is_scratch(f"{SCRATCH_PREFIX}0123456789ab.tmp")


def test_each_tool_has_its_line_in_the_docs() -> None:
    told = first_words(section(DOCS / "shared-folders.md", "What to set in other tools"))
    assert {tool.name for tool in TOOLS} - {"Syncthing"} <= set(told)
