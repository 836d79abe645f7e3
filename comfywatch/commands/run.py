"""``comfywatch run``: the daemon."""

from __future__ import annotations

from pathlib import Path

import click

from comfywatch import logs
from comfywatch.began import began_ns
from comfywatch.commands.options import Unusable, settings_from, with_config
from comfywatch.one_cpu import stay_on_one_cpu


@click.command()
@click.option(
    "--once", is_flag=True, help="Work until nothing is left to do, then end: 0, or 1 if anything went wrong."
)
@click.option("--url", metavar="URL", help="Where ComfyUI is, instead of what the settings say.")
@with_config
@click.pass_context
def run(ctx: click.Context, once: bool, url: str | None, config: Path | None) -> None:
    """Watch the projects and run what is dropped there.

    It goes on until Ctrl-C or SIGTERM; what ComfyUI has by then is picked up at the next start. With --once, ComfyUI
    that cannot be reached ends it with 3, and the files stay pending.

    \b
    Examples:
      comfywatch run
      comfywatch run --url http://192.168.1.20:8188
      comfywatch run --once
    """
    settings = settings_from(config, url=url)
    logs.configure(settings.log_level)
    stay_on_one_cpu()

    from comfywatch.daemon import AlreadyRunning, Daemon, StateRefused
    from comfywatch.settings import BadSettings
    from comfywatch.store import Damaged, NewerSchema

    try:
        code = Daemon(settings, once=once, began_ns=began_ns()).run()
    except (AlreadyRunning, StateRefused, NewerSchema, BadSettings) as error:
        raise Unusable(str(error)) from error
    except Damaged as error:
        raise Unusable(
            f"{settings.database} is damaged ({error}). Move it away, and what is finished is read anew."
        ) from error
    except PermissionError as error:
        raise Unusable(f"{error.filename or settings.state} cannot be written: {error.strerror}.") from error
    ctx.exit(code)
