"""Files are written whole or not at all, and read only where they are files."""

from __future__ import annotations

import os
import socket
import stat
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfywatch.files import (
    NotRegular,
    TooBig,
    open_regular,
    read_all,
    read_regular,
    remove_leftovers,
    sync_folder,
    whole,
    write_for_now,
    write_whole,
)
from comfywatch.foreign_names import is_scratch
from comfywatch.tree import look_at

posix = pytest.mark.skipif(sys.platform == "win32", reason="modes and kinds of files that Windows does not have")


class Crash(BaseException):
    """As bad as Ctrl-C."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- writing


def test_what_was_written_is_there_and_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.yaml", b"one")
    write_whole(tmp_path / "a.yaml", b"two")
    assert (tmp_path / "a.yaml").read_bytes() == b"two"
    assert names(tmp_path) == ["a.yaml"]


def test_what_is_written_for_now_is_whole_too_and_leaves_nothing(tmp_path: Path) -> None:
    write_for_now(tmp_path / "live.json", b"one")
    write_for_now(tmp_path / "live.json", b"two")
    assert (tmp_path / "live.json").read_bytes() == b"two"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_for_now(tmp_path / "folder", b"three")
    assert names(tmp_path) == ["folder", "live.json"]


@settings(deadline=None)
@given(st.binary(max_size=50), st.lists(st.binary(max_size=50)), st.sampled_from([Crash, KeyboardInterrupt, OSError]))
def test_a_crash_inside_leaves_the_old_content(old: bytes, new: list[bytes], crash: type[BaseException]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "a.yaml"
        target.write_bytes(old)

        def written() -> None:
            with whole(target) as handle:
                for part in new:
                    handle.write(part)
                raise crash

        with pytest.raises(crash):
            written()
        assert target.read_bytes() == old
        assert names(Path(folder)) == ["a.yaml"]


def test_while_it_is_written_the_old_content_is_there_beside_a_name_that_nobody_takes(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_bytes(b"old")
    with whole(target) as handle:
        handle.write(b"new")
        handle.flush()
        assert target.read_bytes() == b"old"
        (scratch,) = set(names(tmp_path)) - {"a.json"}
        assert scratch.startswith(".~comfywatch-")
        assert scratch.endswith(".tmp")
        assert is_scratch(scratch)
    assert target.read_bytes() == b"new"


def test_what_the_system_writes_in_pieces_becomes_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    write_whole(tmp_path / "a.yaml", b"one, two, three")
    assert (tmp_path / "a.yaml").read_bytes() == b"one, two, three"


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end_or_is_too_big(tmp_path: Path) -> None:
    file = tmp_path / "a.json"

    def grown(to: int) -> bytes:
        file.write_bytes(b"1234")
        handle = open_regular(file)
        status = os.fstat(handle.fileno())
        file.write_bytes(b"x" * to)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fstat", lambda _: status)
            return read_all(handle, max_bytes=8)[0]

    assert grown(8) == b"x" * 8
    with pytest.raises(TooBig):
        grown(9)


def test_where_it_cannot_be_put_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    (tmp_path / "a.yaml" / "x").touch()
    with pytest.raises(OSError, match=r"a\.yaml"):
        write_whole(tmp_path / "a.yaml", b"x")
    assert names(tmp_path) == ["a.yaml"]
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "nowhere" / "a.yaml", b"x")


def test_a_name_of_full_length_can_be_written(tmp_path: Path) -> None:
    write_whole(tmp_path / ("x" * 255), b"x")
    assert names(tmp_path) == ["x" * 255]


@posix
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_the_mode_is_that_of_a_plain_write(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "a.yaml", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.yaml").stat().st_mode) == mode


@posix
def test_a_link_in_the_way_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / "a.yaml").symlink_to(tmp_path / "theirs")
    write_whole(tmp_path / "a.yaml", b"ours")
    assert (tmp_path / "theirs").read_bytes() == b"theirs"
    assert not (tmp_path / "a.yaml").is_symlink()


def test_a_folder_that_is_gone_needs_no_sync(tmp_path: Path) -> None:
    sync_folder(tmp_path)
    sync_folder(tmp_path / "nowhere")


# ---- leftovers


def test_only_our_leftovers_are_removed(tmp_path: Path) -> None:
    for name in (".~comfywatch-1a.tmp", ".~comfywatch-2b.tmp", ".~comfywatch-notes", "a.tmp", ".~lock.x.tmp"):
        (tmp_path / name).touch()
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / ".~comfywatch-3c.tmp").touch()
    assert remove_leftovers(tmp_path) == 2
    assert names(tmp_path) == [".~comfywatch-notes", ".~lock.x.tmp", "a.tmp", "below"]
    assert names(tmp_path / "below") == [".~comfywatch-3c.tmp"]


def test_what_cannot_be_removed_is_told_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / ".~comfywatch-1a.tmp").mkdir()
    (tmp_path / ".~comfywatch-2b.tmp").touch()
    told: list[OSError] = []
    assert remove_leftovers(tmp_path, on_error=told.append) == 1
    assert len(told) == 1
    assert remove_leftovers(tmp_path / "nowhere") == 0


# ---- reading


def test_a_file_is_read_with_its_stamp(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"abc")
    assert read_regular(path, max_bytes=3) == (b"abc", look_at(path))


def test_a_file_with_too_many_bytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"abcd")
    with pytest.raises(TooBig) as caught:
        read_regular(path, max_bytes=3)
    assert caught.value.size == 4


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "a.json", max_bytes=3)


@posix
@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe", "socket", "device"])
def test_what_is_no_regular_file_is_not_read_and_nothing_stays_open(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.json"
    match kind:
        case "link":
            (tmp_path / "b.json").touch()
            path.symlink_to(tmp_path / "b.json")
        case "dangling link":
            path.symlink_to(tmp_path / "nowhere")
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                here = Path.cwd()
                os.chdir(tmp_path)  # the path of a socket may be no longer than a hundred bytes
                server.bind("a.json")
                os.chdir(here)
        case _:
            path = Path(os.devnull)
    before = open_descriptors()
    with pytest.raises(NotRegular):
        read_regular(path, max_bytes=3)
    assert open_descriptors() == before


def open_descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def test_an_open_file_can_seek(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    with open_regular(tmp_path / "a") as handle:
        assert handle.read() == b"abc"
        handle.seek(1)
        assert handle.read() == b"bc"


# ---- stamps


def test_a_rewrite_in_place_a_replacement_and_a_touch_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"abc")
    os.utime(path, ns=(5, 5))
    stamps = [look_at(path)]
    path.write_bytes(b"xyz")
    os.utime(path, ns=(6, 6))
    stamps.append(look_at(path))
    (tmp_path / "b.json").write_bytes(b"xyz")
    os.utime(tmp_path / "b.json", ns=(6, 6))
    (tmp_path / "b.json").replace(path)
    stamps.append(look_at(path))
    assert len(set(stamps)) == 3


@pytest.mark.parametrize("year", [1901, 1969, 2262, 2400])
def test_a_time_of_any_century_fits_into_the_database(tmp_path: Path, year: int) -> None:
    path = tmp_path / "a.json"
    path.touch()
    seconds = (year - 1970) * 31_556_952
    os.utime(path, (seconds, seconds))
    stamp = look_at(path)
    assert stamp is not None
    for number in (stamp.mtime_ns, stamp.ctime_ns, stamp.inode):
        assert -(2**63) <= number < 2**63
