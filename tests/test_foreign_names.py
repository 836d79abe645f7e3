"""Every name that sync tools, browsers, editors and systems are known to give, and what becomes of a file called so."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfywatch.foreign_names import is_conflict_copy, is_kept, is_scratch, possible_copies
from comfywatch.intake import Intake
from comfywatch.tree import is_workflow_name, read_forest, read_project

SCRATCH = {
    "Syncthing": [".syncthing.shot.json.tmp", "~syncthing~shot.json.tmp", ".stignore", "~syncthing~shot.json"],
    "Nextcloud, ownCloud": [
        ".shot.json.~5f3a",
        "._sync_1a2b.db",
        "._sync_1a2b.db-wal",
        ".sync_1a2b.db",
        ".~shot.json",
        ".csync_journal.db",
        ".owncloudsync.log",
        ".owncloudsync.log.1",
        "shot.~json",
        "shot.json.~1~",
        ".directory",
    ],
    "Dropbox": ["~$shot.json", ".~shot.json", "~shot.json.tmp", ".dropbox", ".dropbox.attr", "desktop.ini", "Icon\r"],
    "OneDrive": ["~shot.json", ".~shot.json", "shot.json.tmp", "shot.json.swp", "shot.json.partial"],
    "rsync": [".shot.json.EHViLb", ".shot.png.a0Z_9x"],
    "rclone": ["shot.json.a1b2c3d4.partial", "shot.json.1f0e9d8c.partial", "shot.json.rclonelink"],
    "Resilio": [
        "shot.json.!sync",
        "shot.json.bts",
        "shot.json.SyncPart",
        "shot.json.SyncTemp",
        "shot.json.SyncOld",
        ".SyncID",
        ".SyncIgnore",
        ".SyncArchive",
    ],
    "Unison, FreeFileSync": [".unison.shot.json.0123.unison.tmp", "shot.json.unison", ".sync.ffs_db", "shot.ffs_tmp"],
    "Synkron, GnuCash": [".synkron.syncdb", "shot.gnucash.tmp-a1B2c3"],
    "GNOME": [".goutputstream-XK21P2", ".shot.json.part"],
    "iCloud Drive": [".shot.json.icloud", "shot.json.icloud"],
    "browsers": [
        "shot.json.part",
        "shot.json.crdownload",
        "shot.json.download",
        "shot.json.aria2",
        "shot.json.opdownload",
        "Unconfirmed 12345.crdownload",
        "shot.json.filepart",
    ],
    "editors": [
        "4913",
        ".shot.json.swp",
        ".shot.json.swx",
        "shot.json.swo",
        "shot.json___jb_tmp___",
        "shot.json~",
        "shot.json___jb_old___",
        ".#shot.json",
        "#shot.json#",
        ".shot.json.kate-swp",
        "shot.json.kate-swp",
    ],
    "offices": [".~lock.shot.json#", "~$shot.json"],
    "systems": ["._shot.json", ".DS_Store", "Thumbs.db", ".fuse_hidden0001", ".nfs000000000012", "shot.json.sb-1a-Xy"],
}
KEPT = {
    "Syncthing": [".stfolder", ".stversions"],
    "Dropbox": [".dropbox.cache"],
    "rsync": [".~tmp~", ".rsync-partial"],
    "Resilio": [".sync"],
    "Google Drive": [".tmp.driveupload", ".tmp.drivedownload"],
    "Safari": ["shot.json.download"],
    "systems": [
        "@eaDir",
        "#recycle",
        "@Recycle",
        ".@__thumb",
        "$RECYCLE.BIN",
        "System Volume Information",
        ".Trash-1000",
    ],
    "versions": [".git", ".svn"],
}
CONFLICTS = {
    "Syncthing": ["beastly.sync-conflict-20260818-173636-D4LGQYW.json", "a.sync-conflict-20260818-173636.png"],
    "Nextcloud": [
        "shot (conflicted copy 2026-11-23 120000).json",
        "shot (conflicted copy anna 2026-11-23 120000).json",
        "shot (case clash from anna 2026-11-23 120000).json",
    ],
    "ownCloud": ["shot_conflict-20160101-120000.json", "shot_conflict-anna-20160101-120000.json"],
    "Dropbox": [
        "shot (conflicted copy).json",
        "shot (Anna's conflicted copy 2026-11-23).json",
        "shot (Anna's conflicted copy).png",
        "shot (gpu-box's conflicted copy 2026-11-23 (1)).json",
        "shot (Case Conflict).json",
        "shot (case conflict 1).json",
        "shot (unicode conflict).json",
        "shot (normalization conflict).json",
        "shot (selective sync conflict).json",
        "Shot (Selective Sync Conflict 2).JSON",
        "shot (In Konflikt stehende Kopie von Anna 2026-11-23).json",
        "shot (Copie en conflit de Anna 2026-11-23).json",
        "shot (Copia en conflicto de Anna 2026-11-23).json",
    ],
    "Seafile": ["shot (SFConflict anna@example.com 2026-11-23-12-00-00).json"],
    "Proton Drive": [
        "shot (# Edit conflict 2026-11-23 #).json",
        "Name Conflict shot (# Name conflict 2026-11-23 #).json",
    ],
    "rclone bisync": ["shot.json..path1", "shot.json..path2", "shot.json.conflict1", "shot.conflict2.json"],
}
OUR_OWN = [
    "shot.json",
    "SHOT.JSON",
    "shot-01 (2).json",
    "conflict.json",
    "shot_conflict-scene.json",
    "copy of shot.json",
    "shot - Copy.json",
    "the conflict (case 3).json",
    "part.json",
    "tmp.json",
    "download.json",
    "a.tmp.json",
    "é ☃.json",
    "shot.part.json",
    "sync.json",
    "(conflict).json",
    "4913.json",
    "shot.v2.json",
    "shot #3.json",
    "a~b.json",
    "swp.json",
]


def each(table: dict[str, list[str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", [name for names in table.values() for name in names])


@pytest.fixture
def workflows(tmp_path: Path) -> Path:
    folder = tmp_path / "projects" / "film" / "workflows"
    folder.mkdir(parents=True)
    return folder


def said(workflows: Path) -> tuple[str, ...]:
    tree = read_project(workflows.parent)
    assert tree.files == {}
    return tree.notices


@each(SCRATCH)
def test_what_is_being_written_is_never_looked_at(workflows: Path, name: str) -> None:
    (workflows / name).write_text("{}")
    (workflows.parent / name).write_text("{}")
    assert is_scratch(name)
    assert not is_workflow_name(name)
    assert said(workflows) == ()
    assert read_forest(workflows.parents[1]).notices == ()


@each(SCRATCH)
def test_what_is_being_written_wakes_nobody(workflows: Path, name: str) -> None:
    intake = Intake.__new__(Intake)
    intake._projects = workflows.parents[1]
    assert intake.is_of_no_interest(workflows / name)
    assert intake.classify(workflows / name) is None


@each(KEPT)
def test_folders_that_tools_keep_are_not_looked_into(workflows: Path, name: str) -> None:
    for folder in (workflows / name, workflows.parents[1] / name / "workflows"):
        folder.mkdir(parents=True)
        (folder / "shot.json").write_text("{}")
    assert is_kept(name)
    assert said(workflows) == ()
    assert set(read_forest(workflows.parents[1]).projects) == {"film"}


@each(CONFLICTS)
def test_a_conflict_copy_never_runs_and_is_told(workflows: Path, name: str) -> None:
    (workflows / name).write_text("{}")
    assert is_conflict_copy(name)
    assert not is_scratch(name)
    assert said(workflows) == (f"workflows/{name} is a conflict copy; rename it to run it",)


@pytest.mark.parametrize("name", ["shot (conflicted copy).txt", "notes.sync-conflict-20260818-173636-D4LGQYW.md"])
def test_a_conflict_copy_of_something_else_is_nobodys_business(workflows: Path, name: str) -> None:
    (workflows / name).write_text("")
    assert said(workflows) == ()


@each(CONFLICTS)
def test_a_folder_that_is_a_conflict_copy_is_not_run_again_and_is_told(workflows: Path, name: str) -> None:
    """A project, or a folder of workflows, that a tool has doubled."""
    for folder in (workflows / name, workflows.parents[1] / name / "workflows"):
        folder.mkdir(parents=True)
        (folder / "shot.json").write_text("{}")
    forest = read_forest(workflows.parents[1])
    assert set(forest.projects) == {"film"}
    assert forest.notices == (f"projects/{name} is a conflict copy; rename it to run what is in it",)
    assert said(workflows) == (f"workflows/{name} is a conflict copy; rename it to run what is in it",)
    assert not forest.projects["film"].knows(f"{name}/shot.json")


@pytest.mark.parametrize("name", OUR_OWN)
def test_what_people_call_their_workflows_is_taken(workflows: Path, name: str) -> None:
    (workflows / name).write_text("{}")
    tree = read_project(workflows.parent)
    assert (set(tree.files), tree.notices) == ({name}, ())


# ---- OneDrive's, which may be a person's own name


@pytest.mark.parametrize(
    "name",
    [
        "shot-01-DESKTOP-AB12CD3.json",
        "shot-01-ANNAS-PC.json",
        "Shot-01-STUDIO7.json",
        "shot-01-LAPTOP-7F3K2M1Q-2.json",
        "shot-01-Annas-MacBook-Pro.json",
    ],
)
def test_what_may_be_a_copy_of_onedrive_is_told_and_taken_all_the_same(workflows: Path, name: str) -> None:
    for path in (name, "shot-01.json"):
        (workflows / path).write_text("{}")
    tree = read_project(workflows.parent)
    assert set(tree.files) == {name, "shot-01.json"}
    assert tree.notices == (f"workflows/{name} may be OneDrive's conflict copy of shot-01.json; if it is, remove it",)


@pytest.mark.parametrize(
    "names",
    [
        ["shot-01-ANNAS-PC.json"],
        ["shot-01-ANNAS-PC.json", "shot-02.json"],
        ["shot-01-ANNAS-PC.json", "shot-01.png"],
        ["portrait.json", "portrait-upscale.json", "portrait-v2.json", "portrait-4K.json", "portrait-02.json"],
    ],
)
def test_without_its_original_or_a_computers_name_it_is_nothing_of_the_kind(names: list[str]) -> None:
    assert list(possible_copies(names)) == []
