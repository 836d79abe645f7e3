"""``python -m benchmarks.speed``: measures, prints a table, and writes the figures as JSON.

On the sandbox, or on the ComfyUI that ``COMFYUI_URL`` names, which then makes some thousand small pictures.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from benchmarks.speed.archive import archive, small
from benchmarks.speed.drops import colors
from benchmarks.speed.latency import latency
from benchmarks.speed.stage import comfyui
from benchmarks.speed.throughput import throughput

RESULTS = Path("benchmarks/results.json")

Figures = dict[str, Any]
Measure = Callable[[str, Iterator[int]], Figures]


def measures(*, sizes: tuple[int, ...], drops: int, workflows: int, projects: int) -> dict[str, Measure]:
    """What is measured, by name."""
    found: dict[str, Measure] = {"latency": lambda url, free: latency(url, free, drops=drops)}
    for size in sizes:
        found[f"{size} jobs"] = lambda url, free, size=size: throughput(url, free, jobs=size)  # type: ignore[misc]
    found["ten projects"] = small
    found["archive"] = lambda url, free: archive(url, free, workflows=workflows, projects=projects)
    return found


def shown(figures: Mapping[str, Any], *, indent: str = "  ") -> Iterator[str]:
    """Lines of a table."""
    for name, value in figures.items():
        text = ", ".join(f"{key} {number}" for key, number in value.items()) if isinstance(value, dict) else value
        yield f"{indent}{name:<28} {text}"


@click.command()
@click.option("--only", multiple=True, help="A measurement by its name, such as 'latency'; may be given again.")
@click.option("--jobs", "sizes", type=int, multiple=True, default=(100, 1000, 10_000), help="Dropped at once.")
@click.option("--drops", type=int, default=100, show_default=True, help="One after the other, in each way.")
@click.option("--workflows", type=int, default=100_000, show_default=True, help="Finished before.")
@click.option("--projects", type=int, default=500, show_default=True, help="In which they lie.")
@click.option("--json", "into", type=click.Path(path_type=Path), default=RESULTS, show_default=True)
def main(only: tuple[str, ...], sizes: tuple[int, ...], drops: int, workflows: int, projects: int, into: Path) -> None:
    """Measure how fast comfywatch is, and what it costs."""
    given = os.environ.get("COMFYUI_URL", "")
    wanted = measures(sizes=sizes, drops=drops, workflows=workflows, projects=projects)
    measured: Figures = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "comfyui": "given" if given else "sandbox",
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    free = colors()
    for name in [name for name in wanted if not only or name in only]:
        with comfyui(given) as url:
            measured[name] = wanted[name](url, free)
        click.echo(name)
        for line in shown(measured[name]):
            click.echo(line)
        into.write_text(json.dumps(measured, indent=2) + "\n")
    click.echo(f"written: {into}")


if __name__ == "__main__":
    main()
