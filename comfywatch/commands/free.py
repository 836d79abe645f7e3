"""``comfywatch free``: have ComfyUI give memory back."""

from __future__ import annotations

from pathlib import Path

import click

from comfywatch.commands.options import NotReachable, open_comfy, settings_from, with_config
from comfywatch.commands.terminal import say


@click.command()
@with_config
def free(config: Path | None) -> None:
    """Have ComfyUI unload its models and free memory.

    It does so once it is idle; the next job loads what it needs again.

    \b
    Example:
      comfywatch free
    """
    from comfywatch.comfy_errors import ComfyError
    from comfywatch.commands.database import ask_daemon, opened, wait_for_answer
    from comfywatch.commands.wishes import NOT_ANSWERED
    from comfywatch.lock import is_held

    settings = settings_from(config)
    if is_held(settings.lock):
        with opened(settings) as store:
            answer = wait_for_answer(store, ask_daemon(store, settings, "free"))
        say(answer or NOT_ANSWERED)
        return
    try:
        with open_comfy(settings) as comfy:
            comfy.free()
    except ComfyError as error:
        raise NotReachable(str(error)) from error
    say("ComfyUI frees memory as soon as it is idle.")
