"""A look through the folders costs what may have changed, and misses nothing that did."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from comfywatch.settling import Stamp
from comfywatch.survey import FILES_AT_ONCE, FULL_EVERY, Survey
from comfywatch.tree import Forest

LONG_AGO = time.time() - 1000.0


class Looks:
    """A survey of real folders, and what the database knows: what was found is known from then on."""

    def __init__(self, projects: Path) -> None:
        self.projects = projects
        self.survey = Survey(projects)
        self.known: dict[str, dict[str, Stamp | None]] = {}
        self.asked: list[str] = []

    def stamps(self, project: str) -> dict[str, Stamp | None]:
        self.asked.append(project)
        return self.known.get(project, {})

    def look(self, *, in_full: bool = False) -> list[str]:
        """All that is to be looked at; the folders count as old, so that their times can tell."""
        found: list[str] = []
        is_last = False
        self.asked.clear()
        while not is_last:
            forest, is_last = self.survey.part(self.stamps, now_ns=time.time_ns() + 10**13, in_full=in_full)
            for name, tree in forest.projects.items():
                found += [f"{name}/{path}" for path in tree.to_look or ()]
        return sorted(found)

    def learn(self) -> None:
        """Take in what lies there now."""
        for folder in self.projects.iterdir():
            files = (folder / "workflows").rglob("*.json")
            self.known[folder.name] = {
                file.relative_to(folder / "workflows").as_posix(): stamp_of(file) for file in files
            }

    def watch_all(self) -> None:
        found = {folder for folder in self.projects.rglob("*") if folder.is_dir()}
        self.survey.watched = frozenset(folder.relative_to(self.projects).as_posix() for folder in found)


def stamp_of(file: Path) -> Stamp:
    status = file.stat()
    return Stamp(size=status.st_size, mtime_ns=status.st_mtime_ns, ctime_ns=status.st_ctime_ns, inode=status.st_ino)


@pytest.fixture
def looks(tmp_path: Path) -> Looks:
    for name in ("film", "show"):
        (tmp_path / name / "workflows" / "day 1").mkdir(parents=True)
        (tmp_path / name / "workflows" / "day 1" / "a.json").write_text("{}")
    made = Looks(tmp_path)
    made.watch_all()
    made.look()
    made.learn()
    made.look()
    return made


def until_it_is_not_its_turn(looks: Looks) -> None:
    """Look until a look passes over both projects."""
    for _ in range(FULL_EVERY):
        looks.look()
        if not looks.asked:
            return
    raise AssertionError("each look is a full one")


def test_what_was_not_known_is_found(tmp_path: Path) -> None:
    (tmp_path / "film" / "workflows").mkdir(parents=True)
    (tmp_path / "film" / "workflows" / "a.json").write_text("{}")
    assert Looks(tmp_path).look() == ["film/a.json"]


def test_a_project_in_which_nothing_changed_is_passed_over(looks: Looks) -> None:
    until_it_is_not_its_turn(looks)
    assert looks.look() == []


def test_a_new_file_and_one_that_is_gone_are_found_in_a_folder_below(looks: Looks) -> None:
    until_it_is_not_its_turn(looks)
    day = looks.projects / "film" / "workflows" / "day 1"
    (day / "b.json").write_text("{}")
    (day / "a.json").unlink()
    assert looks.look() == ["film/day 1/a.json", "film/day 1/b.json"]


def test_what_is_written_where_it_lies_is_found_if_no_event_tells_of_it(looks: Looks) -> None:
    looks.survey.watched = frozenset()
    (looks.projects / "film" / "workflows" / "day 1" / "a.json").write_text("{ }")
    assert looks.look() == ["film/day 1/a.json"]


def test_it_is_found_in_time_even_if_an_event_should_have_told_of_it(looks: Looks) -> None:
    until_it_is_not_its_turn(looks)
    (looks.projects / "film" / "workflows" / "day 1" / "a.json").write_text("{ }")
    assert any(looks.look() == ["film/day 1/a.json"] for _ in range(FULL_EVERY))


def test_a_look_in_full_passes_over_nothing(looks: Looks) -> None:
    until_it_is_not_its_turn(looks)
    (looks.projects / "film" / "workflows" / "day 1" / "a.json").write_text("{ }")
    assert looks.look(in_full=True) == ["film/day 1/a.json"]


def untouched(looks: Looks) -> set[str]:
    """The projects of which the next look says so."""
    found: set[str] = set()
    is_last = False
    while not is_last:
        forest, is_last = looks.survey.part(looks.stamps, now_ns=time.time_ns() + 10**13)
        found |= forest.untouched
    return found


def test_where_nothing_came_or_went_that_is_told(looks: Looks) -> None:
    until_it_is_not_its_turn(looks)
    until_it_is_not_its_turn(looks)
    assert untouched(looks) == {"film", "show"}
    (looks.projects / "film" / "status.yaml").write_text("schema: 1\n")
    assert untouched(looks) == {"show"}
    assert untouched(looks) == {"film", "show"}
    looks.survey.watched = frozenset()
    assert untouched(looks) == set()


def test_what_we_write_ourselves_makes_no_look_dearer(looks: Looks) -> None:
    until_it_is_not_its_turn(looks)
    for name in ("film", "show"):
        (looks.projects / name / "status.yaml").write_text("schema: 1\n")
    asked = [list(looks.asked) for _ in range(FULL_EVERY) if looks.look() == []]
    assert [] in asked


def test_what_people_put_beside_is_noticed(looks: Looks) -> None:
    until_it_is_not_its_turn(looks)
    (looks.projects / "film" / "lost.json").write_text("{}")
    looks.look()
    assert "film" in looks.asked


def test_what_people_put_beside_is_noticed_also_after_looks_that_found_nothing(looks: Looks) -> None:
    until_it_is_not_its_turn(looks)
    until_it_is_not_its_turn(looks)
    (looks.projects / "film" / "lost.json").write_text("{}")
    looks.look()
    assert "film" in looks.asked


def test_a_folder_that_took_anothers_place_is_looked_through(looks: Looks, tmp_path: Path) -> None:
    until_it_is_not_its_turn(looks)
    folder = looks.projects / "film" / "workflows"
    folder.rename(tmp_path.parent / f"{tmp_path.name}-aside")
    folder.mkdir()
    os.utime(folder, (LONG_AGO, LONG_AGO))
    assert looks.look() == ["film/day 1/a.json"]


def test_many_files_come_in_parts_and_the_newest_first(tmp_path: Path) -> None:
    for age, name in enumerate(("c", "a", "b")):
        folder = tmp_path / name / "workflows"
        folder.mkdir(parents=True)
        for n in range(FILES_AT_ONCE // 2 + 1):
            (folder / f"{n}.json").touch()
        os.utime(folder, (LONG_AGO - age, LONG_AGO - age))
    looks = Looks(tmp_path)
    parts: list[tuple[Forest, bool]] = []
    while not parts or not parts[-1][1]:
        parts.append(looks.survey.part(looks.stamps, now_ns=time.time_ns()))
    assert [list(forest.projects) for forest, _ in parts] == [[], ["c", "a"], ["b"]]
    assert parts[0][0].names == ("c", "a", "b")


def test_a_root_that_is_not_there_is_the_whole_of_it(tmp_path: Path) -> None:
    forest, is_last = Survey(tmp_path / "nowhere").part(lambda _: {}, now_ns=0)
    assert (forest.is_there, is_last) == (False, True)
