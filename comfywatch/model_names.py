"""The names of models in a prompt: which are not installed, and how the server spells those that are.

Links and what is no text are no names. An alias of the config (wanted: installed) is an order: it is put in always, and
first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from comfywatch import sentences
from comfywatch.inventory import Inventory, Known, normalised
from comfywatch.model_folders import ModelInputs, looks_like_model
from comfywatch.problems import Problem
from comfywatch.prompt_graph import inputs_of, unwrapped
from comfywatch.schemas import Schemas
from comfywatch.sentences import NearNames, class_of

_NONE: Mapping[str, str] = {}


def missing_models(
    nodes: Iterable[tuple[str, Mapping[str, Any]]], models: ModelInputs, aliases: Mapping[str, str], near: NearNames
) -> Iterator[Problem]:
    """A problem for each input that names a model which is known not to be there."""
    installed_for = _normalised(aliases)
    for node_id, node in nodes:
        for name, given in inputs_of(node).items():
            value = unwrapped(given)
            if not isinstance(value, str) or not value:
                continue
            wanted = installed_for.get(normalised(value), value)
            if _is_missing(models, class_of(node), name, wanted):
                folder = models.folders(class_of(node), name)[0]
                yield sentences.model_missing(
                    node_id,
                    node,
                    name,
                    wanted,
                    folder,
                    near=near.of_model(wanted, models.installed(class_of(node), name)),
                    alias_of=value if wanted != value else "",
                )


def respell(
    prompt: Mapping[str, Any],
    *,
    schemas: Schemas | None = None,
    inventory: Inventory | None = None,
    aliases: Mapping[str, str] = _NONE,
) -> dict[str, Any]:
    """A new prompt in which models are called as the server calls them; nothing else differs."""
    models = ModelInputs(schemas=schemas, inventory=inventory)
    installed_for = _normalised(aliases)
    return {node_id: _respelled(node, models, installed_for) for node_id, node in prompt.items()}


def _is_missing(models: ModelInputs, class_type: str, name: str, wanted: str) -> bool:
    choices = models.choices(class_type, name)
    folders = models.folders(class_type, name)
    if not models.takes(class_type, name, wanted) or normalised(wanted) in (choices or ()):
        return False
    if models.inventory is None:
        return choices is not None
    said = {models.inventory.known(folder, wanted) for folder in folders}
    return said == {Known.NO} and (choices is not None or looks_like_model(wanted))


def _respelled(node: Any, models: ModelInputs, installed_for: Mapping[str, str]) -> Any:
    if not isinstance(node, Mapping) or not class_of(node):
        return node
    inputs = inputs_of(node)
    named = {name: unwrapped(value) for name, value in inputs.items()}
    new = {
        name: _spelling(models, class_of(node), name, installed_for.get(normalised(value), value)) or value
        for name, value in named.items()
        if isinstance(value, str)
    }
    changes = {name: value for name, value in new.items() if value != named[name]}
    return {**node, "inputs": {**inputs, **changes}} if changes else node


def _spelling(models: ModelInputs, class_type: str, name: str, wanted: str) -> str | None:
    """How the server spells ``wanted``, ``wanted`` itself if it does not know it, ``None`` if this is no model."""
    folders = models.folders(class_type, name)
    choices = models.choices(class_type, name) or {}
    if not folders and not (looks_like_model(wanted) and normalised(wanted) in choices):
        return None
    if normalised(wanted) in choices:
        return choices[normalised(wanted)]
    spellings = (None if models.inventory is None else models.inventory.spelling(key, wanted) for key in folders)
    return next(filter(None, spellings), wanted)


def _normalised(aliases: Mapping[str, str]) -> dict[str, str]:
    return {normalised(wanted): installed for wanted, installed in aliases.items()}
