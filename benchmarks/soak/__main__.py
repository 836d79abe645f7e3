"""``python -m benchmarks.soak SECONDS [--seed N]``: for as long as one likes; exit code 1 if a promise was broken."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import click

from benchmarks.soak.soak import Soak


@click.command()
@click.argument("seconds", type=click.FloatRange(min=0, min_open=True))
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed, the same troubles.")
@click.option("--folder", type=click.Path(path_type=Path), help="Work in this new folder, and keep it.")
def main(seconds: float, seed: int, folder: Path | None) -> None:
    """Kill and break a daemon and a sandbox for SECONDS under a stream of drops, and count what came of each."""
    where = folder or Path(tempfile.mkdtemp(prefix="comfywatch-soak-"))
    report = Soak(where, seed=seed, say=click.echo).run(seconds)
    for line in report.lines():
        click.echo(line)
    if report.is_good and folder is None:
        shutil.rmtree(where, ignore_errors=True)
    else:
        click.echo(f"The folders are kept: {where}")
    sys.exit(0 if report.is_good else 1)


if __name__ == "__main__":
    main()
