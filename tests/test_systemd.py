"""The two units: what they promise, that systemd takes them, and that comfywatch behaves as they say."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from comfywatch.settings import Settings

SYSTEMD = Path(__file__).parents[1] / "systemd"
SYSTEM, USER = SYSTEMD / "comfywatch.service", SYSTEMD / "user" / "comfywatch.service"
BOTH = pytest.mark.parametrize("unit", [SYSTEM, USER], ids=["system", "user"])
PATIENCE = 10.0

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")


def _read(unit: Path) -> dict[str, list[str]]:
    """``Section.Key`` with its values, in order; comments left out."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(f"{section}.{key}", []).append(value)
    return found


def _one(unit: Path, key: str) -> str:
    (value,) = _read(unit)[key]
    return value


# --- what they promise


@BOTH
def test_no_unit_of_comfyui_is_needed_to_start(unit: Path) -> None:
    keys = {key.partition(".")[2] for key in _read(unit)}
    assert not keys & {"Requires", "Requisite", "BindsTo", "PartOf", "Upholds"}
    assert "comfyui" not in " ".join([*_read(unit).get("Unit.Wants", ()), *_read(unit).get("Unit.After", ())]).lower()


@BOTH
def test_systemd_is_told_when_it_is_ready_and_notices_when_it_hangs(unit: Path) -> None:
    assert _one(unit, "Service.Type") == "notify"
    assert float(_one(unit, "Service.WatchdogSec")) >= 10


@BOTH
def test_it_comes_back_whatever_happened(unit: Path) -> None:
    assert _one(unit, "Service.Restart") == "always"
    assert float(_one(unit, "Service.RestartSec")) > 0
    assert _one(unit, "Unit.StartLimitIntervalSec") == "0"


@BOTH
def test_a_group_can_work_with_what_is_written(unit: Path) -> None:
    assert _one(unit, "Service.UMask") == "0002"


@BOTH
def test_the_state_is_where_systemd_makes_it(unit: Path) -> None:
    environment = dict(value.split("=", 1) for value in _read(unit)["Service.Environment"])
    assert environment == {"COMFYWATCH_STATE": f"%S/{_one(unit, 'Service.StateDirectory')}"}
    assert {name.removeprefix("COMFYWATCH_").lower() for name in environment} <= set(Settings.model_fields)


@BOTH
def test_it_stops_as_comfywatch_does(unit: Path) -> None:
    assert _one(unit, "Service.KillSignal") == "SIGTERM"
    assert float(_one(unit, "Service.TimeoutStopSec")) >= 5


@BOTH
def test_it_has_no_rights_to_lose(unit: Path) -> None:
    assert _one(unit, "Service.NoNewPrivileges") == "yes"
    assert _one(unit, "Service.RestrictAddressFamilies").split() == ["AF_INET", "AF_INET6", "AF_UNIX"]
    assert _one(unit, "Service.SystemCallFilter") == "@system-service"


def test_the_service_of_the_system_writes_to_projects_and_state_alone() -> None:
    assert _one(SYSTEM, "Service.ProtectSystem") == "strict"
    assert _one(SYSTEM, "Service.ReadWritePaths") == f"-{_one(SYSTEM, 'Service.WorkingDirectory')}/projects"
    assert _one(SYSTEM, "Service.CapabilityBoundingSet") == ""
    assert _one(SYSTEM, "Service.User") not in {"", "root"}


def test_the_unit_of_a_person_asks_for_nothing_that_only_root_can_give() -> None:
    keys = {key.partition(".")[2] for key in _read(USER)}
    assert not keys & {
        "User",
        "Group",
        "CapabilityBoundingSet",
        "AmbientCapabilities",
        "PrivateDevices",
        "ProtectClock",
    }
    assert not {key for key in keys if key.startswith(("ReadWritePaths", "ProtectKernel"))}
    assert _one(USER, "Install.WantedBy") == "default.target"


@BOTH
def test_each_line_is_explained(unit: Path) -> None:
    """Every group of lines in [Service] begins with a comment."""
    lines = unit.read_text(encoding="utf-8").split("[Service]\n")[1].split("[Install]")[0].splitlines()
    assert lines[0].startswith("#")
    for before, line in pairwise(lines):
        if before == "" and line:
            assert line.startswith("#"), f"{line} begins a group without a word of why"


# --- what systemd says


@BOTH
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not there")
    copy = tmp_path / "comfywatch.service"
    text = unit.read_text(encoding="utf-8")
    copy.write_text(text.replace(_one(unit, "Service.ExecStart").split()[0], sys.executable), encoding="utf-8")
    scope = ["--user"] if unit is USER else []
    done = subprocess.run(
        [analyze, *scope, "verify", "--man=no", str(copy)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "Failed to initialize manager" in done.stderr:
        pytest.skip(f"systemd-analyze does not work here: {done.stderr.strip()}")
    assert (done.returncode, done.stderr) == (0, "")


# --- what comfywatch does


class _Listener:
    """The socket on which systemd listens; ``told`` is all that it was told."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(PATIENCE)
        self.told: list[str] = []

    def until(self, message: str) -> None:
        """Listen until it is told ``message``."""
        while message not in self.told:
            self.told.append(self._socket.recv(256).decode())

    def close(self) -> None:
        self._socket.close()


@contextmanager
def _started(unit: Path, root: Path, **env: str) -> Iterator[tuple[subprocess.Popen[bytes], _Listener]]:
    """What the unit starts, as systemd starts it, in a folder of ours."""
    listener = _Listener(root / "notify")
    arguments = shlex.split(_one(unit, "Service.ExecStart"))[1:]
    process = subprocess.Popen(
        [sys.executable, "-m", "comfywatch", *arguments],
        cwd=root,
        env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(root / "notify"), **env},
        umask=int(_one(unit, "Service.UMask"), 8),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process, listener
    finally:
        process.kill()
        process.wait(PATIENCE)
        listener.close()


@only_linux
def test_what_the_unit_starts_is_ready_lives_and_stops_within_a_second(tmp_path: Path) -> None:
    env = {"WATCHDOG_USEC": "200000", "COMFYWATCH_STATE": str(tmp_path / "state"), "COMFYUI_URL": "http://127.0.0.1:9"}
    with _started(SYSTEM, tmp_path, **env) as (process, listener):
        listener.until("READY=1")
        listener.told.clear()
        listener.until("WATCHDOG=1")
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert time.monotonic() - begin < 1
        listener.until("STOPPING=1")


@only_linux
def test_what_it_writes_is_the_groups_too(tmp_path: Path) -> None:
    project = tmp_path / "projects" / "film"
    (project / "workflows").mkdir(parents=True)
    project.chmod(0o2775)
    (project / "workflows" / "broken.json").write_text("not a workflow")
    env = {"COMFYWATCH_STATE": str(tmp_path / "state"), "COMFYUI_URL": "http://127.0.0.1:9"}
    with _started(SYSTEM, tmp_path, **env) as (process, listener):
        listener.until("READY=1")
        deadline = time.monotonic() + PATIENCE
        while not (project / "status.yaml").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    assert stat.S_IMODE((project / "status.yaml").stat().st_mode) == 0o664
    assert (project / "status.yaml").stat().st_gid == project.stat().st_gid
