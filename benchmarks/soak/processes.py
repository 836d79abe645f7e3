"""The two processes, as benchmarks start, ask and kill them; and what one uses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfywatch import plain_yaml

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 5.0
"""Seconds until a daemon that was asked to stop counts as hanging."""
STARTING = 10.0
"""Seconds in which a signal may find a process that does not listen to it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a process holds, and what it has used: memory in MiB, CPU in seconds."""

    memory: float
    cpu: float
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        """As Linux tells it."""
        proc = Path("/proc") / str(pid)
        words = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        times = (proc / "stat").read_text().rpartition(")")[2].split()
        return cls(
            memory=int(words["VmRSS"].split()[0]) / 1024,
            cpu=(int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"),
            descriptors=len(list((proc / "fd").iterdir())),
            threads=int(words["Threads"]),
        )

    def __str__(self) -> str:
        return f"{self.memory:.0f} MiB, {self.descriptors} descriptors, {self.threads} threads"


class ComfyProcess:
    """The sandbox's process; ``do`` has it do something and says what it answered."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.output = folder / "output"
        self._process = subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, "-m", "benchmarks.soak.comfyui", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
            start_new_session=True,
        )
        self.url: str = self.do("url")

    def do(self, name: str, **given: Any) -> Any:
        """One command."""
        pipe, answers = self._process.stdin, self._process.stdout
        if pipe is None or answers is None:
            raise RuntimeError("the sandbox has no pipes")
        pipe.write(json.dumps([name, given]) + "\n")
        pipe.flush()
        return json.loads(answers.readline())

    def end(self) -> None:
        """Stop it."""
        self._process.kill()
        self._process.communicate()


class DaemonProcess:
    """The daemon's process, as people run it; ``faults`` says how it failed, where it was not killed by us."""

    def __init__(self, root: Path, url: str, **settings: Any) -> None:
        root.mkdir(exist_ok=True)
        self.root = root
        self.faults: list[str] = []
        self._config = root / "config.yaml"
        self._config.write_bytes(plain_yaml.dump({"comfyui_url": url, "owner": "soak", **settings}))
        self._log = root / "daemon.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    @property
    def is_running(self) -> bool:
        """Whether it should be at work; says so in ``faults`` if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            self._blame(f"the daemon ended by itself with {self._process.returncode}")
            self._process = None
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Nothing happens if it runs."""
        if self.is_running:
            return
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("COMFYWATCH", "COMFYUI"))}
        self._started = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-m", "comfywatch", "run", "--config", str(self._config)],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=clean,
                start_new_session=True,
            )

    def kill(self) -> None:
        """As a power cut, as far as a process can tell."""
        if self.is_running and self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """As a service manager does; it has to end, and well."""
        if not self.is_running or self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._blame(f"the daemon did not stop within {PATIENCE} s")
            self.kill()
        else:
            is_young = time.monotonic() - self._started < STARTING
            if code != 0 and not (is_young and code == -signal.SIGTERM):
                self._blame(f"the daemon ended with {code} when it was stopped")
            self._process = None

    def shorten_log(self, *, to_bytes: int = 2**20) -> None:
        """Keep its end; while nothing runs."""
        if self._log.exists() and self._log.stat().st_size > to_bytes:
            self._log.write_bytes(self._log.read_bytes()[-to_bytes // 2 :])

    def _blame(self, what: str) -> None:
        told = self._log.read_text(errors="replace").splitlines()[-15:] if self._log.exists() else []
        self.faults.append("\n".join([what, *told]))
