"""The classes of ComfyUI itself, as of one version that we know: what a server is too old for, and what people see."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from comfywatch import shipped


def version() -> str:
    """The version that the table is of."""
    known: str = _table()["version"]
    return known


def is_core(class_type: str) -> bool:
    """Whether ComfyUI itself has the class, in this version at the latest."""
    return class_type in _table()["nodes"]


def is_partner(class_type: str) -> bool:
    """Whether it is one of the classes of ComfyUI that ask a service for which an account is needed."""
    return class_type in _table()["partner_nodes"]


def shown_as(name: str) -> str | None:
    """The class that people see as ``name``, but for case and blanks."""
    return _by_shown_name().get(_letters(name))


@cache
def _table() -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = shipped.load("core_nodes.json")
    return loaded


@cache
def _by_shown_name() -> Mapping[str, str]:
    """A partner's class gives way to one that needs no account."""
    named = {**_table()["partner_nodes"], **_table()["nodes"]}
    return {_letters(shown): class_type for class_type, shown in named.items()}


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()
