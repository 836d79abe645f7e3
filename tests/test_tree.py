"""What lies in the project folders: everything that was dropped is found, or there is a notice that says why not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from comfywatch.tree import ProjectTree, is_workflow_name, look_at, read_forest, read_project

posix = pytest.mark.skipif(sys.platform == "win32", reason="names and kinds of files that Windows does not have")
no_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A project with nothing in it."""
    folder = tmp_path / "projects" / "film"
    (folder / "workflows").mkdir(parents=True)
    return folder


def put(folder: Path, path: str) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"{}")


# ---- what is taken


def test_json_is_found_at_any_depth_and_in_any_case(film: Path) -> None:
    for path in ("a.json", "B.JSON", "shots/day 1/c.Json", "é ☃.json", "two\nlines.json"):
        put(film / "workflows", path)
    tree = read_project(film)
    assert set(tree.files) == {"a.json", "B.JSON", "shots/day 1/c.Json", "é ☃.json", "two\nlines.json"}


def test_a_stamp_is_that_of_the_file(film: Path) -> None:
    put(film / "workflows", "a.json")
    assert read_project(film).files["a.json"] == look_at(film / "workflows" / "a.json")


@pytest.mark.parametrize(
    "name",
    [".a.json", "~a.json", "a.json~", "#a.json#", ".~comfywatch-1.tmp", "._a.json", "a.txt", "a.json.part", "a.retry"],
)
def test_scratch_hidden_and_other_files_are_not_taken_and_nothing_is_said_of_them(film: Path, name: str) -> None:
    put(film / "workflows", name)
    tree = read_project(film)
    assert (tree.files, tree.notices) == ({}, ())


@pytest.mark.parametrize("name", [".git", "~old", "@eaDir", "#recycle", "$RECYCLE.BIN", ".stversions"])
def test_folders_that_systems_keep_for_themselves_are_not_looked_into(film: Path, name: str) -> None:
    put(film / "workflows", f"{name}/a.json")
    put(film.parent, f"{name}/workflows/a.json")
    assert read_project(film).files == {}
    assert set(read_forest(film.parent).projects) == {"film"}


def test_names_are_judged_without_the_disk() -> None:
    assert is_workflow_name("A.JSON")
    assert not is_workflow_name(".json")
    assert not is_workflow_name("a.json.txt")


@posix
@pytest.mark.parametrize("path", ["a:b.json", "con.json", "day 1. /a.json", "what?/a.json", "two\nlines.json"])
def test_a_name_that_windows_does_not_take_is_taken_and_told(film: Path, path: str) -> None:
    put(film, f"workflows/{path}")
    tree = read_project(film)
    name = path.removesuffix("/a.json")
    assert set(tree.files) == {path}
    assert tree.notices == (f"workflows/{name} has a name that Windows does not take, nor its outputs; rename it",)


# ---- what is in the wrong place


def test_a_workflow_beside_the_projects_gets_a_notice(film: Path) -> None:
    put(film.parent, "x.json")
    assert read_forest(film.parent).notices == ("x.json is not read; move it to projects/NAME/workflows/",)


def test_a_workflow_beside_workflows_gets_a_notice(film: Path) -> None:
    put(film, "x.json")
    assert read_project(film).notices == ("x.json is not read; move it to workflows/",)


@pytest.mark.parametrize(("name", "meant"), [("x.json.txt", "x.json"), ("X.JSON.TXT", "X.json")])
def test_a_wrong_ending_gets_a_notice_with_the_right_name(film: Path, name: str, meant: str) -> None:
    put(film, f"workflows/shots/{name}")
    assert read_project(film).notices == (f"workflows/shots/{name} is not read; rename it to {meant}",)


def test_what_we_write_and_what_people_keep_gets_no_notice(film: Path) -> None:
    for path in ("status.yaml", "index.html", "outputs/a/001/workflow.json", "manifest.yaml", "inputs/lamp.png"):
        put(film, path)
    tree = read_project(film)
    assert (tree.files, tree.notices) == ({}, ())


# ---- what is not a file


@posix
def test_links_are_not_followed_and_are_told(film: Path, tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/x.json")
    (film / "workflows" / "link.json").symlink_to(tmp_path / "elsewhere" / "x.json")
    (film / "workflows" / "folder").symlink_to(tmp_path / "elsewhere")
    tree = read_project(film)
    assert tree.files == {}
    assert "workflows/link.json is a link and is not followed; put the file itself there" in tree.notices


@posix
def test_a_linked_project_or_workflows_folder_is_not_followed(film: Path, tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/workflows/x.json")
    (film.parent / "linked").symlink_to(tmp_path / "elsewhere")
    (film / "workflows").rmdir()
    (film / "workflows").symlink_to(tmp_path / "elsewhere" / "workflows")
    forest = read_forest(film.parent)
    assert set(forest.projects) == {"film"}
    assert not forest.projects["film"].is_there
    assert forest.projects["film"].notices == ("workflows is a link and is not followed; make it a folder",)


@posix
def test_a_pipe_or_a_folder_called_json_is_told_and_stops_nothing(film: Path) -> None:
    os.mkfifo(film / "workflows" / "pipe.json")
    put(film / "workflows", "folder.json/inside.json")
    put(film / "workflows", "good.json")
    tree = read_project(film)
    assert set(tree.files) == {"good.json"}
    assert tree.notices == (
        "workflows/folder.json is not a file and is not read",
        "workflows/pipe.json is not a file and is not read",
    )
    assert look_at(film / "workflows" / "pipe.json") is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere such names cannot be made")
def test_a_name_that_is_no_utf_8_is_told(film: Path) -> None:
    for folder in (film, film / "workflows"):
        (folder / os.fsdecode(b"caf\xe9.json")).write_bytes(b"{}")
    (film.parent / os.fsdecode(b"caf\xe9")).mkdir()
    tree = read_forest(film.parent).projects["film"]
    assert tree.files == {}
    assert [notice.encode() for notice in tree.notices]
    assert len(tree.notices) == 2
    assert set(read_forest(film.parent).projects) == {"film"}


# ---- what is not there


def test_a_vanished_root_says_nothing(tmp_path: Path) -> None:
    assert not read_forest(tmp_path / "projects").is_there


def test_an_empty_root_says_nothing(tmp_path: Path) -> None:
    """An unmounted drive leaves an empty folder."""
    (tmp_path / "projects").mkdir()
    assert not read_forest(tmp_path / "projects").is_there


def test_without_its_workflows_folder_nothing_is_known_of_a_project(film: Path) -> None:
    (film / "workflows").rmdir()
    tree = read_project(film)
    assert not tree.is_there
    assert not tree.knows("a.json")
    assert not read_project(film / "nowhere").is_there


def test_an_empty_workflows_folder_is_there(film: Path) -> None:
    tree = read_project(film)
    assert tree.is_there
    assert tree.knows("a.json")


def test_of_a_folder_that_cannot_be_read_nothing_counts_as_removed() -> None:
    tree = ProjectTree(name="film", is_there=True, unread=("shots",))
    assert not tree.knows("shots/a.json")
    assert tree.knows("shots-2/a.json")
    assert tree.knows("a.json")


@posix
@no_root
def test_a_folder_that_cannot_be_read_is_told(film: Path) -> None:
    put(film, "workflows/shots/a.json")
    (film / "workflows" / "shots").chmod(0)
    tree = read_project(film)
    (film / "workflows" / "shots").chmod(0o755)
    assert not tree.knows("shots/a.json")
    assert tree.notices == ("workflows/shots cannot be read: Permission denied",)
