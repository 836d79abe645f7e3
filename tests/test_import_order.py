"""A module imports only what stands below it, and each outside library has one importer (DESIGN 9)."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "comfywatch"

_ORDER = """
    __init__ began bell choices names foreign_names urls versions shipped problems settling
    plain_yaml replacements schemas device
    folder_names inventory link lock logs service one_cpu workers recipe hardware heard progress
    comfy_values comfy_errors comfy_answers comfy_upload comfy_address comfy_cookies comfy_session comfy comfy_socket
    pictures misplaced files inside reach given headers settings manifest editor_schemas
    mounts sync_tools state_folder tree scan
    model_folders sentences dynamic_inputs circles prompt_graph model_names link_types own_checks input_sentences case
    link_rules value_rules input_rules validation node_errors refusal
    packages model_links wanted core_nodes references mends package_search shelf
    jobs figures bulletin gathering
    hints gallery templates outline workflow saved prompts reading history endings decide line overtime submission
    status live page
    migrations store ledger survey collect past inherit away intake
    chains inputs origin neighbours sheet page_writing asks asker effects published uploads listener inotify
    watcher watching album postman notifier exposition publisher outlets performer
    projects installed server missing submit follow adopt servers posting forecast meters hearing dispatch
    desk controls board page_board lookout newsroom engine trouble daemon
    doctor demo commands cli __main__
"""
ORDER = _ORDER.split()
"""From bottom to top. A new module is put where it belongs; what does not fit in is in need of another cut."""

IMPORTERS = {
    "urllib3": {"comfy_session"},
    "websocket": {"comfy_socket"},
    "watchdog": {"watcher"},
    "yaml": {"plain_yaml"},
    "pydantic": {"settings"},
    "click": {"commands", "cli"},
    "jinja2": {"templates"},
    "rich": {"commands.terminal"},
    "aiohttp": {"sandbox"},
    "PIL": {"sandbox"},
    "apprise": {"postman"},
    "prometheus_client": {"exposition"},
}
"""Which module, or package of ours, may import a library; ``loguru``, with which everybody logs, has its own test."""


def module_of(file: Path) -> str:
    """``comfywatch/commands/run.py`` is ``commands.run``."""
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts)


FILES = {module_of(file): file for file in sorted(PACKAGE.rglob("*.py"))}


@cache
def imported(module: str) -> tuple[str, ...]:
    """Every name that a module imports, in full and at whatever place: also in functions, and for types alone."""
    names: list[str] = []
    for node in ast.walk(ast.parse(FILES[module].read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively, and that is not followed here"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(names)


def ours(module: str) -> set[str]:
    """The modules of ours that a module imports; a name that is no module is one of the module before it."""
    found = set()
    for name in imported(module):
        if name.startswith("comfywatch."):
            inside = name.removeprefix("comfywatch.")
            while inside and inside not in FILES and f"{inside}.__init__" not in FILES:
                inside = inside.rpartition(".")[0]
            found.add(inside or "__init__")
    return found


def place(module: str) -> str:
    """What stands in ``ORDER`` for a module: itself, or its package."""
    return module.partition(".")[0]


def outside(module: str) -> set[str]:
    """The libraries that a module imports."""
    return {name.partition(".")[0] for name in imported(module)} - sys.stdlib_module_names - {"comfywatch"}


def test_every_module_has_its_place_in_the_order() -> None:
    assert {place(module) for module in FILES} - {"sandbox"} == set(ORDER)
    assert len(set(ORDER)) == len(ORDER)


@pytest.mark.parametrize("module", [module for module in FILES if place(module) in ORDER])
def test_a_module_imports_only_what_stands_below_it(module: str) -> None:
    below = set(ORDER[: ORDER.index(place(module))])
    if place(module) in {"commands", "scan", "saved"}:
        below.add(place(module))
    if place(module) == "commands":
        below.add("sandbox")
    if module == "cli":
        below.add("sandbox")
    assert {place(name) for name in ours(module)} <= below


def test_nothing_goes_in_a_circle_not_even_within_a_package() -> None:
    graph = {module: ours(module) - {module} for module in FILES}
    while leaves := [module for module, needs in graph.items() if not needs & graph.keys()]:
        for module in leaves:
            del graph[module]
    assert graph == {}


def test_the_sandbox_stands_alone() -> None:
    """It is held to recordings of the real servers, so it must not share our idea of them."""
    importers = {place(module) for module in FILES if any(place(name) == "sandbox" for name in ours(module))}
    assert importers - {"sandbox"} <= {"cli", "commands"}
    assert {place(name) for module in FILES if place(module) == "sandbox" for name in ours(module)} <= {"sandbox"}


@pytest.mark.parametrize("library", IMPORTERS)
def test_an_outside_library_has_one_importer(library: str) -> None:
    importers = {module for module in FILES if library in outside(module)}
    assert importers
    allowed = IMPORTERS[library]
    assert {module for module in importers if not {module, place(module)} & allowed} == set()


def test_there_is_no_library_without_a_place_in_the_table() -> None:
    assert set().union(*map(outside, FILES)) == IMPORTERS.keys() | {"loguru"}


def test_everybody_logs_and_one_module_says_where_to() -> None:
    told = {module for module, file in FILES.items() if "logger.add(" in file.read_text(encoding="utf-8")}
    assert told == {"logs"}
