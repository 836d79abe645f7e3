"""The documents say what is so: commands are run, examples are what the code writes, tables are what the code has."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from comfywatch import cli, node_errors, plain_yaml, validation
from comfywatch.choices import NotifyOn
from comfywatch.jobs import TRANSITIONS, JobState
from comfywatch.link import ServerState
from comfywatch.manifest import Status
from comfywatch.sandbox import Sandbox, SandboxSettings
from comfywatch.settings import NOT_YET, BadSettings, Settings, load
from tests.documents import (
    DOCS,
    PAGES,
    README,
    ROOT,
    Shell,
    blocks,
    code,
    first_words,
    matches,
    prose,
    rows,
    section,
    steps,
    words,
)

BY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
CONTEXT = click.Context(cli.app)
COMMANDS = {name: cli.app.get_command(CONTEXT, name) for name in cli.app.list_commands(CONTEXT)}


# --- commands are run


@pytest.mark.parametrize("page", [README, DOCS / "commands.md", DOCS / "tutorial.md"], ids=lambda page: page.name)
def test_what_is_shown_is_what_happens(page: Path, tmp_path: Path) -> None:
    with Sandbox(SandboxSettings(step_seconds=0.01, folder=tmp_path / "comfyui")) as sandbox:
        shell = Shell(tmp_path / "home", sandbox.url)
        try:
            for step in steps(page):
                said = shell.do(step.command)
                assert matches(step.shown, said), f"{page.name} shows for '{step.command}' what is not so:\n{said}"
        finally:
            shell.close()


@BY_PAGE
def test_each_shell_block_can_be_parsed(page: Path) -> None:
    for text in blocks(page, "sh"):
        done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False, timeout=10)
        assert done.stderr == ""


@BY_PAGE
def test_each_command_that_is_named_is_there_with_its_options(page: Path) -> None:
    for line in code(page):
        command = re.match(r"(?:sudo -u comfywatch )?(?:\S*/)?comfywatch (?P<name>[a-z]+)(?P<rest>.*)", line)
        if command is not None:
            assert command["name"] in COMMANDS, f"{page.name}: {line}"
            assert set(re.findall(r"--[a-z-]+", command["rest"])) <= _options(command["name"]) | {"--help"}, line


@BY_PAGE
def test_each_make_command_is_a_target(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    for line in code(page):
        assert set(re.findall(r"^(?:PYTHON=\S+ )?make ([a-z]+)$", line)) <= targets, line


@BY_PAGE
def test_each_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.is_file(), f"{page.name}: {target}"
        assert not anchor or anchor in _anchors(there), f"{page.name}: {target}"


@BY_PAGE
def test_each_file_of_ours_that_is_named_is_there(page: Path) -> None:
    for line in code(page):
        for path in re.findall(r"(?<![\w./])(?:tests|systemd|docs|\.ci)/[\w./-]*\w", line):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


@BY_PAGE
def test_each_test_that_is_named_is_there(page: Path) -> None:
    known = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    for line in page.read_text(encoding="utf-8").splitlines():
        assert set(re.findall(r"`(test_\w+)`", line)) <= known, line


# --- README, and what stands beside it


def test_the_readme_names_each_state_in_its_order() -> None:
    assert first_words(section(README, "What the states mean")) == [state.value for state in JobState]


def test_make_demo_is_the_demo_and_waits_for_no_tools_of_developers() -> None:
    rule = re.search(r"^demo: (?P<needs>.*?) ##.*\n(?P<recipe>(?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert rule is not None
    assert rule["needs"] == "$(VENV)/.ready-to-run"
    assert rule["recipe"].strip().endswith("/comfywatch demo")


def test_nothing_names_a_place_to_fetch_packages_from() -> None:
    for path in ("Makefile", ".ci/run", ".pre-commit-config.yaml"):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not re.search(r"https?://|index-url|find-links", text), path


def test_ci_does_what_a_developer_does() -> None:
    commands = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert commands[-1] == "exec make test"
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_the_hooks_fetch_nothing() -> None:
    config: Any = plain_yaml.load((ROOT / ".pre-commit-config.yaml").read_bytes())
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")


def test_the_changelog_has_what_is_to_come() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]\n\n### Added\n\n- " in text


def test_each_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *(name for names in project["project"]["optional-dependencies"].values() for name in names),
        *(n for names in project["dependency-groups"].values() for n in names if not n.startswith("comfywatch")),
    ]
    names = {re.split(r"[<>=\[ ]", requirement)[0] for requirement in wanted}
    assert set(first_words(section(ROOT / "CONTRIBUTING.md", "Dependencies"))) == names


# --- the site, and where to begin in it


def test_each_page_has_its_place_in_the_site() -> None:
    site: Any = plain_yaml.load((ROOT / "mkdocs.yml").read_bytes())
    pages = [
        page for entry in site["nav"] for page in ([entry] if isinstance(entry, str) else next(iter(entry.values())))
    ]
    assert sorted(pages) == sorted(path.name for path in DOCS.glob("*.md"))


def test_what_troubles_are_told_by_is_what_is_said() -> None:
    told = first_words((DOCS / "troubleshooting.md").read_text(encoding="utf-8"))
    codes = {word for word in told if re.fullmatch(r"[a-z]+(_[a-z]+)+", word)} - {
        "next_update_by",
        *Settings.model_fields,
    }
    assert len(codes) > 3
    assert codes <= set(_codes())
    reasons = (DOCS / "states.md").read_text(encoding="utf-8")
    for reason in (word for word in told if " " in word):
        assert reason.removesuffix(" …") in reasons, reason


# --- docs/settings.md


def test_each_setting_is_explained_and_no_other() -> None:
    named = first_words((DOCS / "settings.md").read_text(encoding="utf-8"))
    assert len(named) == len(set(named))
    assert set(named) == set(Settings.model_fields)


def test_each_default_is_the_one_of_the_code(tmp_path: Path) -> None:
    told = {words(cells[0])[0]: cells[1] for cells in rows((DOCS / "settings.md").read_text(encoding="utf-8"))}
    in_words = {"root": "the config's folder", "state": "`state` in the root", "owner": "the host name"}
    assert told == {
        name: in_words.get(name) or _default(field.get_default()) for name, field in Settings.model_fields.items()
    }


def test_settings_without_effect_are_marked_and_no_others() -> None:
    marked = {words(cells[0])[0] for cells in rows((DOCS / "settings.md").read_text(encoding="utf-8")) if _later(cells)}
    assert marked == {key for key in Settings.model_fields if not _is_used(key)}
    assert {key.partition(":")[0] for key in NOT_YET} <= marked


def test_the_refusal_that_is_shown_is_what_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("pol_seconds: 2\nsettle_seconds: -2\n")
    with pytest.raises(BadSettings) as refused:
        load(None, env={}, cwd=tmp_path)
    assert blocks(DOCS / "settings.md", "text") == [f"{refused.value}\n"]


# --- docs/commands.md


def test_each_command_has_its_section_in_the_order_of_help() -> None:
    titles = re.findall(r"^## (.*)$", (DOCS / "commands.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(titles) == sorted(COMMANDS)
    assert titles[: len(cli.SECTIONS["First steps and every day"])] == list(cli.SECTIONS["First steps and every day"])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_usage_is_that_of_help(name: str) -> None:
    usage = words(section(DOCS / "commands.md", name))[0]
    command = COMMANDS[name]
    assert command is not None
    assert usage.startswith(f"comfywatch {name}")
    assert set(re.findall(r"--[a-z-]+", usage)) == _options(name) - {"--config"}
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            assert parameter.make_metavar(click.Context(command)) in usage


# --- docs/states.md and docs/comfyui.md


def test_each_state_goes_on_as_the_table_says() -> None:
    told = {words(cells[0])[0]: words(cells[2]) for cells in rows(section(DOCS / "states.md", "States"))}
    assert list(told) == [state.value for state in JobState]
    for state, onward in TRANSITIONS.items():
        assert set(told[state]) == {after.value for after in onward.values() if after is not state}, state


def test_each_code_of_a_problem_is_explained() -> None:
    told = set(first_words(section(DOCS / "states.md", "Problems")))
    assert told == set(_codes())


def test_what_is_invalid_is_told_as_invalid() -> None:
    told = set(first_words(section(DOCS / "states.md", "What is invalid: save a mended file")))
    assert told >= validation.INVALID_CODES


def test_each_state_of_a_project_and_of_comfyui_is_named() -> None:
    assert first_words(section(DOCS / "comfyui.md", "`comfyui.state`")) == [state.value for state in ServerState]
    text = (DOCS / "projects.md").read_text(encoding="utf-8") + (DOCS / "states.md").read_text(encoding="utf-8")
    assert all(state.value in text for state in Status)


# --- docs/notify.md


def test_each_thing_that_word_is_sent_of_is_explained() -> None:
    assert first_words(section(DOCS / "notify.md", "Who is told")) == [moment.value for moment in NotifyOn]


# --- docs/architecture.md


def test_each_module_has_its_place() -> None:
    named = set(first_words((DOCS / "architecture.md").read_text(encoding="utf-8")))
    package = ROOT / "comfywatch"
    modules = {".".join(path.relative_to(package).with_suffix("").parts) for path in package.rglob("*.py")}
    assert named == {name for name in modules if not name.endswith("__init__")}


# --- what the code has


def _options(name: str) -> set[str]:
    command = COMMANDS[name]
    assert command is not None
    return {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


def _anchors(page: Path) -> set[str]:
    """The names that headings get where Markdown is shown."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def _default(value: Any) -> str:
    """A default as docs/settings.md shows it."""
    if value is None or value == () or value == {}:
        return "none"
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else f"`{str(value).lower()}`"


def _later(cells: list[str]) -> bool:
    return "ot in this version yet" in cells[2]


def _is_used(key: str) -> bool:
    """Whether anything but ``settings`` itself looks at a setting; root and state are looked at through others."""
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "comfywatch").rglob("*.py"))
    return key == "root" or any(re.search(rf"settings\.{key}\b", source) for source in sources)


def _codes() -> Iterator[str]:
    """Every code that a problem of ours can have."""
    yield from validation.INVALID_CODES
    yield from node_errors._READERS  # the codes that ComfyUI has for single nodes
    for path in (ROOT / "comfywatch").glob("**/*.py"):
        if "sandbox" not in path.parts:
            yield from _codes_in(ast.parse(path.read_text(encoding="utf-8")))


def _codes_in(tree: ast.Module) -> Iterator[str]:
    names = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "code":
            for value in node.value.values if isinstance(node.value, ast.BoolOp) else [node.value]:
                if isinstance(value, ast.Constant) and value.value:
                    yield str(value.value)
                elif isinstance(value, ast.Name) and value.id in names:
                    yield names[value.id]
