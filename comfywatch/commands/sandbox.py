"""``comfywatch sandbox``: the stand-in for ComfyUI."""

from __future__ import annotations

import errno
from pathlib import Path

import click

from comfywatch.commands.options import Unusable, with_config
from comfywatch.commands.terminal import say


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8188, show_default=True, help="0 takes a free one.")
@click.option("--comfyui-version", metavar="V", default="0.3.64", show_default=True, help="0.3.64 or 0.33.0.")
@click.option(
    "--step-seconds", type=click.FloatRange(0), default=0.05, show_default=True, help="What a sampling step takes."
)
@with_config
def sandbox(port: int, comfyui_version: str, step_seconds: float, config: Path | None) -> None:  # noqa: ARG001  # --config is taken by every command
    """Stand in for ComfyUI, without a GPU or a model.

    Pictures are made up. It listens on this machine only, until Ctrl-C.

    \b
    Examples:
      comfywatch sandbox
      comfywatch sandbox --port 0 --comfyui-version 0.33.0 --step-seconds 1
    """
    try:
        from comfywatch.sandbox import SandboxSettings, UnknownVersion, serve
    except ImportError as error:
        raise Unusable(needs_extra("The sandbox")) from error
    try:
        settings = SandboxSettings(version=comfyui_version, step_seconds=step_seconds, port=port)
        serve(settings, _greet)
    except UnknownVersion as error:
        raise Unusable(f"--comfyui-version: {error}.") from error
    except OSError as error:
        why = "is in use already" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise Unusable(f"Port {port} {why}. Take another: --port 0 finds a free one.") from error


def needs_extra(what: str) -> str:
    """What to say where the packages of the sandbox are missing."""
    return f"{what} needs two more packages: pip install 'comfywatch[sandbox]'"


def _greet(url: str) -> None:
    say(f"A stand-in for ComfyUI listens at {url} (Ctrl-C ends it). Use it with: comfywatch run --url {url}")
