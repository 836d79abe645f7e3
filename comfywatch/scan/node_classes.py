"""The node classes of an installation, from its sources: ComfyUI's own, and those of the packages in ``custom_nodes``.

A package names them in ``NODE_CLASS_MAPPINGS``, or has a ``comfy_entrypoint`` whose extension lists classes that say
their name in ``define_schema``. What cannot be known is left out, never guessed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from comfywatch.scan.sources import Sources, constants, parsed
from comfywatch.scan.values import MISSING, UNKNOWN, Failed, Instance, Items, Module, Table, TooLong

OWN_FOLDERS = ("comfy_extras", "comfy_api_nodes")
DISABLED = ".disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Node classes, the packages in ``custom_nodes``, and a sentence for all that could not be read."""

    classes: frozenset[str]
    packages: tuple[str, ...]
    notices: tuple[str, ...]


@dataclass(slots=True)
class _Search:
    sources: Sources
    classes: set[str] = field(default_factory=set)
    notices: list[str] = field(default_factory=list)


def node_classes(root: Path, folders: Iterable[Path]) -> Found:
    """What the ComfyUI in ``root`` registers at its start; ``folders`` are those with packages of nodes."""
    search = _Search(Sources(root))
    core = _own_nodes(search, root)
    places = list(_packages(search, folders))
    for name, place in places:
        _take(search, f"custom_nodes/{place.name}", partial(search.sources.package, name, place))
    if core is not None:  # once more: packages add to it
        search.classes |= _mapped(core)
    packages = tuple(dict.fromkeys(name for name, _ in places))
    return Found(classes=frozenset(search.classes), packages=packages, notices=tuple(search.notices))


def _own_nodes(search: _Search, root: Path) -> Module | None:
    """ComfyUI's own; none in a folder that only holds what people put beside it."""
    if not (root / "nodes.py").is_file():
        return None
    core = _take(search, "nodes.py", partial(search.sources.load, "nodes"))
    for file in _own_files(root):
        load = partial(search.sources.load, f"{file.parent.name}.{file.stem}")
        _take(search, f"{file.parent.name}/{file.name}", load)
    return core


def _own_files(root: Path) -> Iterator[Path]:
    """The files that ``nodes.py`` loads from the folders beside it."""
    try:
        tree = parsed(root / "nodes.py")
    except Failed:
        return
    for folder in OWN_FOLDERS:
        patterns = _files_named(tree, folder)
        yield from (file for file in _sources_in(root / folder) if any(fnmatchcase(file.name, p) for p in patterns))


def _files_named(tree: ast.Module, folder: str) -> set[str]:
    """The names, or patterns of names, that stand in a function together with the folder's."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    texts = [set(constants(function)) for function in functions]
    return {text for own in texts if folder in own for text in own if text.endswith(".py") and text != "__init__.py"}


def _sources_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.py")) if folder.is_dir() else []


def _packages(search: _Search, folders: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Folders and single files, by the names that ComfyUI gives them; those that are switched off are left out."""
    for folder in folders:
        try:
            entries = sorted(folder.iterdir())
        except FileNotFoundError:
            continue
        except OSError as error:
            search.notices.append(f"{folder} cannot be read: {error.strerror or error}")
            continue
        for entry in entries:
            if entry.name.endswith(DISABLED) or entry.name == "__pycache__":
                continue
            if entry.suffix == ".py" and entry.is_file():
                yield entry.stem, entry
            elif entry.is_dir():
                yield entry.name, entry


def _take(search: _Search, shown: str, load: Callable[[], Any]) -> Module | None:
    """Add the classes of one module; whatever is wrong with it is said, and does not stop the others."""
    try:
        module = load()
        if isinstance(module, Module):
            search.classes |= _registered(search.sources, module)
            return module
    except Failed as failed:
        search.notices.append(f"{shown} cannot be imported: {failed}; its node classes are not known")
    except (TooLong, RecursionError):
        search.notices.append(f"{shown} is too intricate to be read; its node classes are not known")
    return None


def _registered(sources: Sources, module: Module) -> set[str]:
    if module.names.get("NODE_CLASS_MAPPINGS") is not None:
        return _mapped(module)
    entrypoint = module.names.get("comfy_entrypoint", MISSING)
    if entrypoint is MISSING:
        return set()
    extension = sources.call(entrypoint, [], {})
    listed = sources.call(sources.attribute(extension, "get_node_list"), [], {})
    names = [_node_id(sources, node) for node in listed] if isinstance(listed, Items) else []
    return {name for name in names if name}


def _mapped(module: Module) -> set[str]:
    mapping = module.names.get("NODE_CLASS_MAPPINGS")
    if not isinstance(mapping, Table):
        return set()
    return {name for name, value in mapping.items() if isinstance(name, str) and value is not None}


def _node_id(sources: Sources, node: Any) -> str:
    try:
        schema = sources.call(sources.attribute(node, "define_schema"), [], {})
    except Failed:
        return ""
    found = schema.names.get("node_id", UNKNOWN) if isinstance(schema, Instance) else UNKNOWN
    return found if isinstance(found, str) else ""
