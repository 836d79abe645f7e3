"""A real Syncthing, on this machine alone: everything that reaches out is off, and it listens on loopback only."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from comfywatch.sync_tools import SCRATCH, STIGNORE

NEEDS = "this test needs the program syncthing: Debian's package of that name (apt install syncthing)"
PATIENCE = 60.0
FOLDER = "projects"
_KEY = "a-key-for-this-test-alone"
_CONFIG = """<configuration version="35">
<folder id="{folder}" path={path} type="sendreceive" rescanIntervalS="60" fsWatcherEnabled="true" fsWatcherDelayS="1"
 ignorePerms="false" autoNormalize="true"><filesystemType>basic</filesystemType>
<maxConflicts>-1</maxConflicts>{members}</folder>
{devices}
<gui enabled="true" tls="false"><address>127.0.0.1:{gui}</address><apikey>{key}</apikey></gui>
<options><listenAddress>tcp://127.0.0.1:{port}</listenAddress><globalAnnounceEnabled>false</globalAnnounceEnabled>
<localAnnounceEnabled>false</localAnnounceEnabled><relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled>
<reconnectionIntervalS>1</reconnectionIntervalS><startBrowser>false</startBrowser><urAccepted>-1</urAccepted>
<autoUpgradeIntervalH>0</autoUpgradeIntervalH><crashReportingEnabled>false</crashReportingEnabled>
<stunKeepaliveStartS>0</stunKeepaliveStartS></options>
</configuration>"""


def is_installed() -> bool:
    return shutil.which("syncthing") is not None


class Peer:
    """One Syncthing with one shared folder; ``meet`` makes it and another one share it, and both start."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home = home
        self.folder = folder
        self.port, self._gui = _free_port(), _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        for made in (home, folder):
            made.mkdir(parents=True, exist_ok=True)
        self._run("generate")
        self.id = self._run("--device-id").strip()
        (folder / ".stfolder").mkdir(exist_ok=True)
        (folder / STIGNORE).write_text(f"(?d){SCRATCH}\n", encoding="utf-8")

    def meet(self, other: Peer) -> None:
        for here, there in ((self, other), (other, self)):
            here._configure(there)
            here._start()
        for here, there in ((self, other), (other, self)):
            here.until(lambda here=here, there=there: here._connected(there))  # type: ignore[misc]

    def part(self, other: Peer) -> None:
        """As if the network were away."""
        self._ask("POST", f"/rest/system/pause?device={other.id}")
        self.until(lambda: not self._connected(other))

    def meet_again(self, other: Peer) -> None:
        self._ask("POST", f"/rest/system/resume?device={other.id}")
        self.until(lambda: self._connected(other))

    def look(self) -> None:
        """Have it look through its folder now."""
        self._ask("POST", f"/rest/db/scan?folder={FOLDER}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def until(self, holds: Callable[[], Any], *, patience: float = PATIENCE) -> None:
        deadline, never = time.monotonic() + patience, threading.Event()
        while not holds():
            assert time.monotonic() < deadline, f"it did not happen in {patience} s; see {self.home / 'log'}"
            never.wait(0.2)

    def _configure(self, other: Peer) -> None:
        devices = "".join(
            f'<device id="{peer.id}" name="{peer.home.name}"><address>tcp://127.0.0.1:{peer.port}</address></device>'
            for peer in (self, other)
        )
        members = "".join(f'<device id="{peer.id}"></device>' for peer in (self, other))
        text = _CONFIG.format(
            folder=FOLDER,
            path=quoteattr(str(self.folder)),
            members=members,
            devices=devices,
            gui=self._gui,
            port=self.port,
            key=_KEY,
        )
        (self.home / "config.xml").write_text(text, encoding="utf-8")

    def _start(self) -> None:
        with (self.home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["syncthing", "serve", "--no-browser", "--no-restart", f"--home={self.home}"],
                stdout=log,
                stderr=log,
                env=self._env(),
            )
        self.until(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self._ask("GET", "/rest/system/ping"))
        except OSError:
            return False

    def _connected(self, other: Peer) -> bool:
        connections = self._ask("GET", "/rest/system/connections")["connections"]
        return bool(connections.get(other.id, {}).get("connected"))

    def _ask(self, method: str, path: str) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._gui}{path}", method=method, headers={"X-API-Key": _KEY}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            data = answer.read()
        return json.loads(data) if data.strip() else None

    def _run(self, *arguments: str) -> str:
        command = ["syncthing", *arguments, f"--home={self.home}"]
        done = subprocess.run(command, capture_output=True, text=True, env=self._env(), timeout=PATIENCE, check=True)
        return done.stdout

    def _env(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.home), "STNOUPGRADE": "1", "STNODEFAULTFOLDER": "1"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
