"""One running sandbox, of the version that the test is for, and a client for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comfywatch.sandbox import Sandbox, SandboxSettings
from tests.sandbox.talk import Client


@pytest.fixture
def version() -> str:
    """Overridden by parametrizing."""
    return "0.3.64"


@pytest.fixture
def sandbox(version: str) -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(version=version, step_seconds=0.01)) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client(sandbox) as made:
        yield made
