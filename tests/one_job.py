"""A daemon of whose jobs ComfyUI has one, and which goes on only when it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from comfywatch.engine import Engine
from comfywatch.jobs import Job
from comfywatch.server import Server
from comfywatch.settings import Settings
from tests.fake_comfy import FakeComfy
from tests.lives import Clock, Lives, Witness
from tests.world import picture

URL = "http://127.0.0.1:8188"


class OneJob:
    """Nothing is asked, and no time passes, but what a test hands over; ``settings`` are the daemon's."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        self.clock = Clock()
        self.comfy = FakeComfy(self.clock.read, cancels_jobs=True)
        made = Settings(root=root, comfyui_url=URL, owner="here", existing="run", **settings)
        self.lives = Lives(made, self.comfy, self.clock, Witness())
        workflows = root / "projects" / "film" / "workflows"
        workflows.mkdir(parents=True)
        (workflows / "a.json").write_text(json.dumps(picture()))
        self.lives.start(started_ns=0)
        self.lives.run(1)

    @property
    def engine(self) -> Engine:
        assert self.lives.engine is not None
        return self.lives.engine

    @property
    def server(self) -> Server:
        return self.engine.dispatcher.servers.main

    @property
    def job(self) -> Job:
        (job,) = self.engine.ledger.jobs.values()
        return job
