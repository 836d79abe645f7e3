"""``comfywatch new``: a project folder with everything where it belongs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from comfywatch.commands.options import Finding, Unusable, settings_from, with_config
from comfywatch.commands.terminal import say

HEADER = """What is known of this project; comfywatch only reads it, and you may add to it.
status: active runs what is dropped into workflows/; paused, completed and archived hold it.
owner, priority, comfyui_url and models can be set too. All other keys are for you and your tools."""
FOLDERS = ("workflows", "inputs", "assets", "characters")
NOTES = "notes.md"


@click.command()
@click.argument("project")
@with_config
def new(project: str, config: Path | None) -> None:
    """Make a project: a folder for workflows, inputs and outputs.

    Its manifest has the keys that tools for projects know, too.

    \b
    Example:
      comfywatch new my-film
    """
    settings = settings_from(config)
    _check_name(project)
    folder = settings.projects / project
    try:
        _make(folder, project, hardware=_hardware(settings.inventory_file))
    except FileExistsError as error:
        raise Finding(f"{_shown(folder)} is there already; nothing was changed.") from error
    except OSError as error:
        raise Unusable(f"{_shown(folder)} cannot be made: {error.strerror}.") from error
    say(_next_steps(_shown(folder)))


def _check_name(name: str) -> None:
    """Refuse what some system, sync tool or shell would trip over, and what comfywatch itself does not look at."""
    from comfywatch.foreign_names import is_conflict_copy, is_kept
    from comfywatch.names import safe_name

    safe = safe_name(name)
    if name != safe or is_kept(name) or is_conflict_copy(name) or name.startswith("-") or not name.isprintable():
        better = safe.strip("~#-. ")
        hint = f" Take '{better}', for example." if better not in {"", "file"} else ""
        raise Unusable(
            f"'{name}' is no good name for a project: it is a folder's name that every system has to take, "
            f'without / \\ : * ? " < > | and not beginning with a dot, a hyphen, ~ or #.{hint}'
        )


def _hardware(inventory_file: Path) -> dict[str, Any]:
    """The machine that it is made for, as far as ComfyUI has said."""
    from comfywatch.installed import read_inventory

    found = read_inventory(inventory_file)
    known = found.system if found else {}
    return {key: known[key] for key in ("gpu", "vram_total_gb") if known.get(key)}


def _make(folder: Path, name: str, *, hardware: dict[str, Any]) -> None:
    from comfywatch import files, plain_yaml

    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir()
    for below in FOLDERS:
        (folder / below).mkdir()
    manifest = {
        "name": name,
        "description": "",
        "created": datetime.now(UTC).astimezone().date(),
        "status": "active",
        "hardware": hardware,
        "defaults": {},
        "characters": [],
        "workflows": [],
        "notes": f"see {NOTES}",
    }
    files.write_whole(folder / "manifest.yaml", plain_yaml.dump(manifest, header=HEADER))
    files.write_whole(
        folder / NOTES, f"# {name}\n\nWhatever is worth to be known. comfywatch does not read it.\n".encode()
    )


def _shown(folder: Path) -> str:
    """Relative to where the person is, if it lies below."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def _next_steps(folder: str) -> str:
    return f"""Made {folder}/

  workflows/     put workflows here (in ComfyUI: Workflow > Save)
  inputs/        pictures and other files that workflows name
  assets/        more of these, to be kept: logos, textures, sounds
  characters/    a folder for each, with pictures in NAME/references/
  manifest.yaml  the project's name, status and settings
  notes.md       for you

Pictures will appear in {folder}/outputs/, and how things stand in {folder}/status.yaml.
Next: comfywatch run"""
