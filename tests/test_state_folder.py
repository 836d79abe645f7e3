"""The state folder: made if need be, and refused where the database could be damaged, with the mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfywatch.mounts import NETWORK_FILE_SYSTEMS, file_system_of
from comfywatch.settings import Settings
from comfywatch.state_folder import (
    StateRefused,
    prepare,
    synced_root,
)
from comfywatch.sync_tools import MARKS


def settings(root: Path) -> Settings:
    return Settings(root=root / "root")


def mounted(tmp_path: Path, *lines: str) -> Path:
    table = tmp_path / "mounts"
    table.write_text("".join(f"{line} rw 0 0\n" for line in lines))
    return table


# ---- making it


def test_it_is_made_with_a_gitignore_and_the_projects_folder(tmp_path: Path) -> None:
    wanted = settings(tmp_path)
    prepare(wanted)
    assert (wanted.state / ".gitignore").read_text() == "*\n"
    assert wanted.projects.is_dir()


def test_what_lies_there_stays_and_only_our_leftovers_go(tmp_path: Path) -> None:
    wanted = settings(tmp_path)
    wanted.state.mkdir(parents=True)
    for name in (".gitignore", "inventory.json", ".~comfywatch-12.tmp"):
        (wanted.state / name).write_text("mine")
    prepare(wanted)
    prepare(wanted)
    assert sorted(path.name for path in wanted.state.iterdir()) == [".gitignore", "bell", "inventory.json"]
    assert (wanted.state / ".gitignore").read_text() == "mine"


def test_a_file_in_the_way_is_told_in_a_sentence(tmp_path: Path) -> None:
    wanted = settings(tmp_path)
    wanted.root.mkdir()
    wanted.state.write_text("")
    with pytest.raises(StateRefused, match=r"state cannot be made or written: File exists"):
        prepare(wanted)


# ---- sync tools


@pytest.mark.parametrize("mark", [mark.replace("*", "1") for mark in MARKS])
def test_below_the_root_of_a_sync_tool_it_is_refused_with_the_mend(tmp_path: Path, mark: str) -> None:
    wanted = settings(tmp_path)
    (tmp_path / mark).touch()
    with pytest.raises(StateRefused, match=r"sync tool.*set 'state:' in config\.yaml to a folder on a local disk"):
        prepare(wanted)
    assert not wanted.state.exists()


def test_projects_may_be_synchronised_if_the_state_is_not(tmp_path: Path) -> None:
    wanted = settings(tmp_path)
    (wanted.projects / ".stfolder").mkdir(parents=True)
    prepare(wanted)
    assert synced_root(wanted.projects / "film") == wanted.projects.resolve()
    assert synced_root(wanted.state) is None


# ---- network drives


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "fuse.sshfs", "9p"])
def test_a_network_drive_is_known_by_its_file_system(tmp_path: Path, kind: str) -> None:
    table = mounted(tmp_path, "/dev/sda1 / ext4", f"nas:/films {tmp_path} {kind}")
    assert file_system_of(tmp_path / "root" / "state", table) == kind
    assert kind in NETWORK_FILE_SYSTEMS
    assert file_system_of(Path("/etc"), table) == "ext4"
    assert "ext4" not in NETWORK_FILE_SYSTEMS


def test_of_two_file_systems_at_one_point_the_later_covers_the_first(tmp_path: Path) -> None:
    table = mounted(tmp_path, "/dev/sda1 / ext4", f"systemd-1 {tmp_path} autofs", f"nas:/films {tmp_path} nfs4")
    assert file_system_of(tmp_path / "state", table) == "nfs4"


def test_a_folder_beside_the_drive_is_not_on_it(tmp_path: Path) -> None:
    table = mounted(tmp_path, "/dev/sda1 / ext4", f"nas:/films {tmp_path}/film nfs4")
    assert file_system_of(tmp_path / "film-2", table) == "ext4"


def test_a_drive_with_a_space_in_its_name_is_known(tmp_path: Path) -> None:
    table = mounted(tmp_path, "/dev/sda1 / ext4", rf"nas:/films {tmp_path}/my\040films nfs4")
    assert file_system_of(tmp_path / "my films" / "state", table) == "nfs4"


def test_where_the_system_does_not_say_nothing_is_refused(tmp_path: Path) -> None:
    assert file_system_of(tmp_path, tmp_path / "nowhere") == ""
    assert file_system_of(tmp_path, mounted(tmp_path, "nonsense")) == ""
