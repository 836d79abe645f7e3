"""``comfywatch schema``: what editors want to know of ``config.yaml`` and ``manifest.yaml``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from comfywatch.commands.options import with_config


@click.command()
@click.argument("file", type=click.Choice(["config", "manifest"]))
@with_config
def schema(file: str, config: Path | None) -> None:  # noqa: ARG001  # --config is taken by every command
    """Print the JSON Schema of config.yaml or manifest.yaml, for editors.

    An editor with the YAML language server completes keys and marks what is wrong, offline, where the first line of
    the file names its schema. That of config.example.yaml does:

    \b
      # yaml-language-server: $schema=./config.schema.json

    \b
    Examples:
      comfywatch schema config > config.schema.json
      comfywatch schema manifest > manifest.schema.json
    """
    click.echo(text(file))


def text(file: str) -> str:
    """The schema as it is printed."""
    from comfywatch import editor_schemas

    of_file = editor_schemas.of_config if file == "config" else editor_schemas.of_manifest
    return json.dumps(of_file(), indent=2, ensure_ascii=False)
