"""``comfywatch demo``: the whole way of one workflow, for real, with a sandbox in ComfyUI's place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from comfywatch import demo as script
from comfywatch.commands.options import Finding, Unusable, with_config
from comfywatch.commands.sandbox import needs_extra
from comfywatch.commands.terminal import bold, coloured, say

if TYPE_CHECKING:
    from comfywatch.sandbox import Sandbox

MARK = ".comfywatch-demo"
"""A file in the folder that says: the demo made this and may empty it."""
PATIENCE = 30.0
_PAUSE = 0.005
_READY = " watching "
_STOP_SECONDS = 5.0


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Where to play; an earlier demo in it is removed.",
)
@with_config
def demo(folder: Path, config: Path | None) -> None:  # noqa: ARG001  # --config is taken by every command
    """See a workflow become a picture; needs no ComfyUI and no GPU.

    A sandbox stands in for ComfyUI. It takes some seconds, and leaves the folder to look around in.

    \b
    Examples:
      comfywatch demo
      comfywatch demo --folder /tmp/comfywatch-demo
    """
    try:
        from comfywatch.sandbox import Sandbox
    except ImportError as error:
        raise Unusable(needs_extra("The demo")) from error
    try:
        _make_folder(folder)
        say("A workflow is dropped into a folder and becomes a picture. No GPU and no model is needed:")
        say("a sandbox stands in for ComfyUI, so the picture is made up; all the rest is real.\n")
        with Sandbox() as sandbox:
            _play(folder, sandbox)
    except OSError as error:
        raise Unusable(f"The demo cannot work in {folder}: {error.strerror or error}.") from error


def _make_folder(folder: Path) -> None:
    """An empty folder with our mark; one that is not ours is left alone."""
    if folder.exists() and not (folder / MARK).is_file() and any(folder.iterdir()):
        raise Unusable(f"{folder} is there and was not made by the demo. Take another with --folder.")
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    (folder / "projects" / script.PROJECT / "workflows").mkdir(parents=True)
    (folder / MARK).write_text("Made by 'comfywatch demo', which empties this folder when it runs again.\n")


def _play(folder: Path, sandbox: Sandbox) -> None:
    project = folder / "projects" / script.PROJECT
    say(f"  the sandbox listens at {sandbox.url}")
    with _running(folder, sandbox.url):
        say(f"  comfywatch watches {folder / 'projects'}")
        dropped = project / "workflows" / script.WORKFLOW
        dropped.write_text(json.dumps(script.workflow(), indent=2), encoding="utf-8")
        say(f"  dropped {dropped}\n")
        state = _follow(folder, since=time.monotonic())
        if state != "completed":
            raise Finding(f"It was not completed within {PATIENCE:.0f} s; see {folder / 'comfywatch.log'}")
        _show_files(project)
    say(f"\nLook at it: {_picture(project)}")
    if shutil.which("comfywatch") is None:
        say("Your turn: install it (pipx install .), start ComfyUI, and say comfywatch new my-film.")
    else:
        say("Your turn: comfywatch new my-film, start ComfyUI, comfywatch run, and drop a workflow.")


# --- the daemon


@contextmanager
def _running(folder: Path, url: str) -> Iterator[None]:
    """``comfywatch run``, as anybody starts it, from when it watches to its end."""
    config, log = folder / "config.yaml", folder / "comfywatch.log"
    config.write_text(f"comfyui_url: {url}  # the sandbox of this demo\n", encoding="utf-8")
    command = [sys.executable, "-m", "comfywatch", "run", "--config", str(config)]
    # What the person has set for their own comfywatch is not meant for this one.
    env = {key: value for key, value in os.environ.items() if not key.startswith(("COMFYWATCH_", "COMFYUI_URL"))}
    with log.open("wb") as stream:
        daemon = subprocess.Popen(command, env=env, stdout=stream, stderr=stream)  # noqa: S603  # our own program
    try:
        _wait_until_ready(daemon, log)
        yield
    finally:
        daemon.terminate()
        try:
            daemon.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _wait_until_ready(daemon: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while _READY not in (said := log.read_text(encoding="utf-8", errors="replace")):
        if daemon.poll() is not None or time.monotonic() > until:
            raise Finding(f"comfywatch did not start: {said.strip() or 'it said nothing'}")
        _pause()


def _follow(folder: Path, *, since: float) -> str:
    """Say each state as it comes; the last one that was seen."""
    from comfywatch.jobs import FINAL
    from comfywatch.store import Store

    said: list[str] = []
    state = None
    store = Store(folder / "state" / "comfywatch.db")
    try:
        while state not in FINAL and time.monotonic() < since + PATIENCE:
            state = next((job.state for _, job in store.listing(script.PROJECT)), None)
            for step in script.passed(state or ""):
                if step not in said:
                    said.append(step)
                    click.echo(f"  {time.monotonic() - since:5.2f} s  {coloured(step)}: {script.STEPS[step]}")
            _pause()
    finally:
        store.close()
    return str(state)


# --- what came of it


def _show_files(project: Path) -> None:
    from comfywatch import plain_yaml

    status = _status_once_completed(project)
    _show_yaml(project / "status.yaml", script.excerpt_of_status(status))
    result = _result(project)
    _show_yaml(result, script.excerpt_of_result(plain_yaml.load(result.read_bytes())))


def _status_once_completed(project: Path) -> dict[str, Any]:
    """``status.yaml`` is at most a second behind."""
    from comfywatch import plain_yaml

    path, until = project / "status.yaml", time.monotonic() + _STOP_SECONDS
    while True:
        content: dict[str, Any] = plain_yaml.load(path.read_bytes()) if path.exists() else {}
        if content.get("counts", {}).get("completed") or time.monotonic() > until:
            return content
        _pause()


def _show_yaml(path: Path, excerpt: dict[str, Any]) -> None:
    from comfywatch import plain_yaml

    click.echo(f"\n{bold(str(path))} (shortened)")
    for line in plain_yaml.dump(excerpt).decode("utf-8").splitlines():
        say(f"  {line}")


def _result(project: Path) -> Path:
    return project / "outputs" / Path(script.WORKFLOW).stem / "001" / "result.yaml"


def _picture(project: Path) -> Path:
    return next(_result(project).parent.glob("*.png"))  # completed: it is there


def _pause() -> None:
    threading.Event().wait(_PAUSE)
