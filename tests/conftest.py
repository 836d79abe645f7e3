"""What tests share: a sandbox, a world in which a daemon works, and a certificate."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from loguru import logger

from comfywatch import board, decide, logs, page_board
from comfywatch.sandbox import Sandbox, SandboxSettings
from tests.world import World

# How long one example takes says more of the machine than of the code.
hypothesis_settings.register_profile("steady", deadline=None)
hypothesis_settings.load_profile("steady")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A ComfyUI that needs no GPU, as it is just after its start."""
    with Sandbox(SandboxSettings(step_seconds=0.01, folder=tmp_path / "comfyui")) as running:
        yield running


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that can be logged, at the lowest level that there is."""
    stream = io.StringIO()
    logs.configure("TRACE", stream)
    yield stream
    logger.remove()


@pytest.fixture
def world(tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Folders, a sandbox that is up, and a daemon that the test starts; what it waits for, it waits for less long."""
    monkeypatch.setattr(board, "SHORTEST_PAUSE", 0.05)
    monkeypatch.setattr(page_board, "SHORTEST_PAUSE", 0.05)
    monkeypatch.setattr(page_board, "COST_FACTOR", 1)
    monkeypatch.setattr(decide, "UNSURE_GAP", 0.3)
    monkeypatch.setattr(decide, "VANISHED_GAP", 0.1)
    made = World(tmp_path / "root", sandbox)
    yield made
    sandbox.faults.clear()
    made.stop()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=stub"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)),
        ],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("this openssl makes no such certificate")
    return cert, key
