"""Events from a real file system: whatever way a file comes, its path is told; which event it was does not matter."""

from __future__ import annotations

import os
import queue
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from comfywatch.watcher import CannotWatch, Watcher

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these are inotify's ways")
PATIENCE = 5.0


class Seen:
    """A watcher at work, and the paths that it told."""

    def __init__(self, projects: Path, is_ours: Callable[[str], bool] = lambda _: False) -> None:
        self.projects = projects
        self.paths: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self.watcher = Watcher(self.paths.put, is_ours=is_ours)
        self.watcher.start()

    def watch(self, *names: str) -> bool:
        return self.watcher.watch(self.projects, names)

    def until(self, path: Path) -> list[Path]:
        """Wait until ``path`` is told; all that were told up to then."""
        told: list[Path] = []
        deadline = time.monotonic() + PATIENCE
        while path not in told:
            assert time.monotonic() < deadline, f"{path} was not told, only {told}"
            try:
                told.append(self.paths.get(timeout=0.05))
            except queue.Empty:
                continue
        return told


@pytest.fixture
def workflows(tmp_path: Path) -> Path:
    folder = tmp_path / "projects" / "film" / "workflows"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def seen(workflows: Path) -> Iterator[Seen]:
    made = Seen(workflows.parent.parent)
    made.watch("film")
    yield made
    made.watcher.stop()


# ---- ways to put a file there


def test_a_plain_write_is_told(seen: Seen, workflows: Path) -> None:
    (workflows / "a.json").write_text("{}")
    seen.until(workflows / "a.json")


def test_a_rename_is_told_by_its_final_name(seen: Seen, workflows: Path) -> None:
    (workflows / ".a.json.part").write_text("{}")
    (workflows / ".a.json.part").rename(workflows / "a.json")
    seen.until(workflows / "a.json")


def test_a_move_from_elsewhere_is_told(seen: Seen, workflows: Path, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "a.json").rename(workflows / "a.json")
    seen.until(workflows / "a.json")


def test_a_hard_link_is_told(seen: Seen, workflows: Path, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    (workflows / "a.json").hardlink_to(tmp_path / "a.json")
    seen.until(workflows / "a.json")


def test_a_rewrite_in_place_and_a_removal_are_told(seen: Seen, workflows: Path) -> None:
    (workflows / "a.json").write_text("{}")
    seen.until(workflows / "a.json")
    with (workflows / "a.json").open("r+") as handle:
        handle.write("[]")
    seen.until(workflows / "a.json")
    (workflows / "a.json").unlink()
    seen.until(workflows / "a.json")


def test_what_becomes_readable_is_told(seen: Seen, workflows: Path) -> None:
    (workflows / "a.json").write_text("{}")
    seen.until(workflows / "a.json")
    (workflows / "a.json").chmod(0o600)
    seen.until(workflows / "a.json")


def test_a_file_deep_below_is_told_also_in_folders_that_came_later(seen: Seen, workflows: Path) -> None:
    deep = workflows / "day 1" / "shots"
    deep.mkdir(parents=True)
    seen.until(workflows / "day 1")
    (deep / "a.json").write_text("{}")
    (workflows / "b.json").write_text("{}")
    seen.until(workflows / "b.json")


def test_a_folder_that_is_moved_in_is_told(seen: Seen, workflows: Path, tmp_path: Path) -> None:
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "a.json").write_text("{}")
    (tmp_path / "shots").rename(workflows / "shots")
    seen.until(workflows / "shots")


def test_a_name_that_is_no_utf_8_is_told_and_ends_nothing(seen: Seen, workflows: Path) -> None:
    (workflows / os.fsdecode(b"caf\xe9.json")).write_text("{}")
    (workflows / "b.json").write_text("{}")
    seen.until(workflows / "b.json")


# ---- projects


def test_a_new_project_is_told_so_that_somebody_looks(seen: Seen) -> None:
    (seen.projects / "show" / "workflows").mkdir(parents=True)
    (seen.projects / "show" / "workflows" / "a.json").write_text("{}")
    seen.until(seen.projects / "show")


def test_a_new_project_is_watched_from_then_on(seen: Seen) -> None:
    (seen.projects / "show" / "workflows").mkdir(parents=True)
    assert seen.watch("film", "show")
    assert not seen.watch("film", "show")
    (seen.projects / "show" / "workflows" / "a.json").write_text("{}")
    seen.until(seen.projects / "show" / "workflows" / "a.json")


def test_a_workflows_folder_that_comes_later_is_told_and_then_watched(seen: Seen) -> None:
    (seen.projects / "show").mkdir()
    assert seen.watch("film", "show")
    workflows = seen.projects / "show" / "workflows"
    workflows.mkdir()
    seen.until(workflows)
    assert seen.watch("film", "show")
    (workflows / "a.json").write_text("{}")
    seen.until(workflows / "a.json")


def test_a_manifest_and_an_input_are_told(seen: Seen, workflows: Path) -> None:
    (workflows.parent / "manifest.yaml").write_text("status: paused\n")
    seen.until(workflows.parent / "manifest.yaml")
    (workflows.parent / "inputs").mkdir()
    assert seen.watch("film")
    (workflows.parent / "inputs" / "lamp.png").write_bytes(b"")
    seen.until(workflows.parent / "inputs" / "lamp.png")


def test_what_is_no_longer_wanted_is_no_longer_told(seen: Seen, workflows: Path) -> None:
    seen.watch()
    (workflows / "a.json").write_text("{}")
    (seen.projects / "show").mkdir()
    assert workflows / "a.json" not in seen.until(seen.projects / "show")


def test_a_project_that_is_gone_is_no_stumbling_block(seen: Seen) -> None:
    assert seen.watch("film", "nowhere")
    shutil.rmtree(seen.projects / "film")
    seen.until(seen.projects / "film")
    seen.watch()


@pytest.mark.parametrize("way", ["removed", "moved away"])
@pytest.mark.parametrize("which", ["the project", "its workflows"])
def test_a_folder_that_comes_back_under_its_name_is_watched_again(
    seen: Seen, workflows: Path, tmp_path: Path, way: str, which: str
) -> None:
    """Between two scans nobody sees that it is another folder, and its watch went with the first."""
    folder = workflows.parent if which == "the project" else workflows
    if way == "removed":
        shutil.rmtree(folder)
    else:
        folder.rename(tmp_path / "aside")
    workflows.mkdir(parents=True)
    until_added(seen, "film")
    (workflows / "a.json").write_text("{}")
    seen.until(workflows / "a.json")


def until_added(seen: Seen, *names: str) -> None:
    """As the daemon does: watch again after each look, which an event brings about."""
    deadline = time.monotonic() + PATIENCE
    while not seen.watch(*names):
        assert time.monotonic() < deadline
        seen.paths.get(timeout=PATIENCE)


# ---- restraint


def test_what_we_write_ourselves_is_not_told(workflows: Path) -> None:
    seen = Seen(workflows.parent.parent, is_ours=lambda path: path.endswith("status.yaml"))
    seen.watch("film")
    (workflows.parent / "status.yaml").write_text("schema: 1\n")
    (workflows / "a.json").write_text("{}")
    assert workflows.parent / "status.yaml" not in seen.until(workflows / "a.json")
    seen.watcher.stop()


def test_outputs_are_not_watched(seen: Seen, workflows: Path) -> None:
    run = workflows.parent / "outputs" / "a" / "001"
    run.mkdir(parents=True)
    (run / "a.png").write_bytes(b"")
    (workflows / "a.json").write_text("{}")
    assert not any("001" in path.parts for path in seen.until(workflows / "a.json"))


def test_reading_is_no_event(seen: Seen, workflows: Path) -> None:
    """Else each look of ours would bring about the next."""
    (workflows / "a.json").write_text("{}")
    (workflows / "b.json").write_text("{}")
    seen.until(workflows / "b.json")
    while not seen.paths.empty():
        seen.paths.get()
    (workflows / "a.json").read_bytes()
    list(workflows.iterdir())
    (workflows / "c.json").write_text("{}")
    assert workflows / "a.json" not in seen.until(workflows / "c.json")


def test_a_root_that_is_no_folder_cannot_be_watched_or_is_passed_over(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "nowhere")
    seen.watch("film")
    seen.watcher.stop()


def test_it_ends_although_it_never_began() -> None:
    Watcher(lambda _: None, is_ours=lambda _: False).stop()
    assert issubclass(CannotWatch, OSError)
