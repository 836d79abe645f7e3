"""A daemon at work on real folders and a sandbox, and what a person would do with them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger

from comfywatch import plain_yaml
from comfywatch.daemon import Daemon
from comfywatch.sandbox import Sandbox
from comfywatch.settings import Settings

T = TypeVar("T")
PATIENCE = 15.0
"""Seconds until a test gives up; what it waits for takes milliseconds."""

Prompt = dict[str, Any]


def picture(color: int = 255, *, prefix: str = "ComfyUI") -> Prompt:
    """A prompt that needs no model: one picture of 64 by 64."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": color}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def with_node(class_type: str, color: int = 255, **inputs: Any) -> Prompt:
    """A picture that passes through one more node."""
    prompt = picture(color)
    prompt["5"] = {"class_type": class_type, "inputs": {"image": ["1", 0], **inputs}}
    prompt["2"]["inputs"]["images"] = ["5", 0]
    return prompt


def text_to_image(checkpoint: str = "v1-5-pruned-emaonly-fp16.safetensors", *, seed: int = 1, steps: int = 2) -> Prompt:
    """ComfyUI's classic chain."""
    return {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "seed": seed,
                "steps": steps,
                "cfg": 8,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1,
                "model": ["4", 0],
                "positive": ["6", 0],
                "negative": ["7", 0],
                "latent_image": ["5", 0],
            },
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a lighthouse", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
    }


@contextmanager
def logged() -> Iterator[list[str]]:
    """What is logged meanwhile, from info on."""
    lines: list[str] = []
    number = logger.add(lambda message: lines.append(message.record["message"]), level="INFO")
    try:
        yield lines
    finally:
        logger.remove(number)


class World:
    """``sandbox`` may be stopped and broken, the daemon started and stopped, at any time."""

    def __init__(self, root: Path, sandbox: Sandbox, **settings: Any) -> None:
        self.root = root
        self.sandbox = sandbox
        self.settings = Settings(
            root=root,
            **{
                "comfyui_url": sandbox.url,
                "settle_seconds": 0.1,
                "delete_grace_seconds": 0.2,
                "poll_seconds": 0.2,
                "rescan_seconds": 1,
                "api_timeout_seconds": 2,
                "owner": "here",
                **settings,
            },
        )
        self._thread: threading.Thread | None = None
        self._daemon: Daemon | None = None
        self.code: int | None = None
        self.projects.mkdir(parents=True, exist_ok=True)

    @property
    def projects(self) -> Path:
        return self.root / "projects"

    # --- the daemon

    def start(self, *, once: bool = False, began_ns: int | None = None) -> None:
        """Start the daemon; without ``once``, wait until it has looked through the folders."""
        self._daemon = daemon = Daemon(self.settings, once=once, began_ns=began_ns)

        def run() -> None:
            self.code = daemon.run()

        self._thread = threading.Thread(target=run, name="daemon", daemon=True)
        self._thread.start()
        if not once:
            self.until(lambda: (self.settings.state / "comfywatch.db").exists())

    def stop(self) -> None:
        """Stop the daemon as SIGTERM does."""
        if self._daemon is not None and self._thread is not None:
            self._daemon.stop()
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive()
        self._daemon = self._thread = None

    def run_once(self) -> int:
        """``comfywatch run --once``."""
        self.start(once=True)
        assert self._thread is not None
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._thread = self._daemon = None
        assert self.code is not None
        return self.code

    # --- what people do

    def workflows(self, project: str = "film") -> Path:
        folder = self.projects / project / "workflows"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def drop(self, path: str, prompt: Any, *, project: str = "film") -> Path:
        """Write a workflow by scratch file and rename, as most programs do."""
        target = self.workflows(project) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.part")
        scratch.write_text(prompt if isinstance(prompt, str) else json.dumps(prompt), encoding="utf-8")
        scratch.replace(target)
        return target

    # --- what people see

    def status(self, project: str = "film") -> dict[str, Any]:
        """``status.yaml``; empty if there is none yet."""
        try:
            loaded = plain_yaml.load((self.projects / project / "status.yaml").read_bytes())
        except FileNotFoundError:
            return {}
        assert isinstance(loaded, dict)
        return loaded

    def entry(self, path: str, *, project: str = "film") -> dict[str, Any]:
        """What ``status.yaml`` says of one workflow; empty if nothing."""
        found = self.status(project).get("workflows", {}).get(path, {})
        assert isinstance(found, dict)
        return found

    def result(self, path: str, *, run: int = 1, project: str = "film") -> dict[str, Any]:
        """The ``result.yaml`` of a run."""
        name = path.removesuffix(".json")
        loaded = plain_yaml.load(
            (self.projects / project / "outputs" / name / f"{run:03d}" / "result.yaml").read_bytes()
        )
        assert isinstance(loaded, dict)
        return loaded

    def outputs(self, path: str, *, run: int = 1, project: str = "film") -> list[str]:
        """The names in a run's folder, without our own two files."""
        folder = self.projects / project / "outputs" / path.removesuffix(".json") / f"{run:03d}"
        return sorted(file.name for file in folder.iterdir() if file.name not in {"result.yaml", "workflow.json"})

    def until(self, holds: Callable[[], T | None], *, patience: float = PATIENCE) -> T:
        """Wait for something that is to happen, and return what ``holds`` said of it."""
        deadline = time.monotonic() + patience
        while not (said := holds()):
            assert time.monotonic() < deadline, f"it did not happen in {patience} s; status: {self._all()}"
            time.sleep(0.01)
        return said

    def until_state(self, path: str, *states: str, project: str = "film") -> dict[str, Any]:
        """Wait until a workflow is in one of ``states``, and return what ``status.yaml`` had of it then."""
        return self.until(
            lambda: entry if (entry := self.entry(path, project=project)).get("state") in states else None
        )

    def _all(self) -> dict[str, Any]:
        return {folder.name: self.status(folder.name) for folder in self.projects.iterdir() if folder.is_dir()}
