"""Which projects lie where the system does not tell of every change."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfywatch.mounts import Mount, mounted, tells_of_changes, unheard

NAMES = frozenset({"film", "show"})
LOCAL = ("ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "ntfs3", "fuseblk", "exfat", "vfat", "apfs", "")


def table(*places: tuple[Path, str]) -> tuple[Mount, ...]:
    return (Mount(point=Path("/"), kind="ext4"), *(Mount(point=point, kind=kind) for point, kind in places))


@pytest.mark.parametrize(
    "kind",
    [
        *("nfs", "nfs4", "cifs", "smb3", "9p", "drvfs", "vboxsf", "davfs", "afs", "ceph", "lustre", "virtiofs"),
        *("fuse", "fuse.sshfs", "fuse.bindfs", "fuse.rclone"),
    ],
)
def test_a_network_drive_and_fuse_do_not_tell_of_every_change(tmp_path: Path, kind: str) -> None:
    assert not tells_of_changes(kind)
    projects = tmp_path.resolve() / "projects"
    assert unheard(projects, NAMES, table((tmp_path.resolve(), kind))) == {"film": kind, "show": kind}


@pytest.mark.parametrize("kind", LOCAL)
def test_a_local_disk_does_and_so_does_an_unknown_one(tmp_path: Path, kind: str) -> None:
    assert tells_of_changes(kind)
    assert unheard(tmp_path / "projects", NAMES, table((tmp_path.resolve(), kind))) == {}


@pytest.mark.parametrize("where", ["film", "film/workflows", "film/workflows/shots", "film/inputs"])
def test_a_mount_in_one_project_is_that_projects_alone(tmp_path: Path, where: str) -> None:
    projects = tmp_path.resolve() / "projects"
    assert unheard(projects, NAMES, table((projects / where, "nfs4"))) == {"film": "nfs4"}


def test_a_local_disk_within_a_network_drive_is_heard(tmp_path: Path) -> None:
    projects = tmp_path.resolve() / "projects"
    assert unheard(projects, NAMES, table((projects, "cifs"), (projects / "film", "ext4"))) == {"show": "cifs"}


def test_of_two_mounts_at_one_point_the_later_counts(tmp_path: Path) -> None:
    projects = tmp_path.resolve() / "projects"
    assert unheard(projects, NAMES, table((projects, "nfs4"), (projects, "ext4"))) == {}


def test_without_a_table_everything_is_heard(tmp_path: Path) -> None:
    assert mounted(tmp_path / "nowhere") == ()
    assert unheard(tmp_path, NAMES, ()) == {}
