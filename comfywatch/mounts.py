"""Which file system holds a folder, as Linux tells; whether a database is safe there, and whether changes are told.

A network drive tells of the changes that this machine makes, and of no others; so does what is mounted by FUSE, of
which nobody knows what is behind it. Where the system does not say, changes are taken to be told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "smb2", "afpfs", "9p", "davfs", "fuse.davfs", "fuse.davfs2",
        "fuse.sshfs", "fuse.rclone", "fuse.rclonefs", "fuse.glusterfs", "glusterfs", "ceph", "fuse.ceph",
        "fuse.ceph-fuse", "lustre", "afs", "fuse.afs", "coda", "ncpfs", "ncp", "beegfs", "gpfs", "orangefs", "pvfs2",
        "gfs2", "ocfs2", "vboxsf", "vmhgfs", "fuse.vmhgfs-fuse", "prl_fs", "virtiofs", "drvfs", "fuse.s3fs",
        "fuse.gcsfuse", "fuse.goofys", "fuse.juicefs", "fuse.gvfsd-fuse", "fuse.kio-fuse", "fuse.curlftpfs",
        "fuse.gdfs", "fuse.onedriver", "fuse.google-drive-ocamlfuse", "fuse.grpcfuse", "grpcfuse", "fakeowner",
        "osxfs", "webdav",
    }
)  # fmt: skip
"""Where what other machines write shows up."""
MOUNTS = Path("/proc/self/mounts")
_ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A file system in its place."""

    point: Path
    kind: str


def tells_of_changes(kind: str) -> bool:
    """Whether the system tells of whatever changes on a file system of this kind; an unknown one counts as local."""
    return kind not in NETWORK_FILE_SYSTEMS and kind != "fuse" and not kind.startswith("fuse.")


def mounted(mounts: Path = MOUNTS) -> tuple[Mount, ...]:
    """What is mounted, in order: of two at one point the later covers the first. Empty where the system is silent."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ()
    fields = (line.split(" ") for line in lines)
    return tuple(Mount(point=Path(_plain(field[1])), kind=field[2]) for field in fields if len(field) > 2)


def file_system_of(folder: Path, mounts: Path = MOUNTS) -> str:
    """The type of the file system that holds ``folder``; empty where the system does not say."""
    return kind_at(folder.resolve(), mounted(mounts))


def kind_at(folder: Path, table: tuple[Mount, ...]) -> str:
    """The same for a folder without links in its path, from what is mounted."""
    best, kind = -1, ""
    for mount in table:
        if len(mount.point.parts) >= best and folder.is_relative_to(mount.point):
            best, kind = len(mount.point.parts), mount.kind
    return kind


def unheard(projects: Path, names: Iterable[str], table: tuple[Mount, ...]) -> dict[str, str]:
    """The projects of which not all changes are told, each with the kind of file system that is to blame."""
    root = projects.resolve()
    below = [mount for mount in table if mount.point != root and mount.point.is_relative_to(root)]
    kind = kind_at(root, table)
    found = {}
    for name in names:
        kinds = [mount.kind for mount in below if mount.point.is_relative_to(root / name)]
        if not any(mount.point == root / name for mount in below):
            kinds.append(kind)
        deaf = next((kind for kind in kinds if not tells_of_changes(kind)), None)
        if deaf is not None:
            found[name] = deaf
    return found


def _plain(point: str) -> str:
    for escape, letter in _ESCAPES.items():
        point = point.replace(escape, letter)
    return point
