"""The commands, as a person or a script uses them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner, Result
from loguru import logger

from comfywatch import __version__, cli, editor_schemas, outlets, plain_yaml
from comfywatch.commands import database, terminal
from comfywatch.commands.targets import UnknownName, find_target
from comfywatch.jobs import Fact, Job
from comfywatch.lock import Lock
from comfywatch.manifest import read_manifest
from comfywatch.problems import Problem
from comfywatch.sandbox import Sandbox
from comfywatch.settling import Stamp
from comfywatch.store import FileRecord, Store
from tests.stub_http import Reply, StubHttp
from tests.world import World, picture, text_to_image, with_node

RECORDINGS = Path(__file__).parent / "recordings"
SCHEMAS = str(RECORDINGS / "comfyui-0.3.64/some_object_info.json")
EXAMPLE = Path(__file__).parent.parent / "projects/example"
COMMANDS = tuple(name for names in cli.SECTIONS.values() for name in names)
NOBODY = "http://127.0.0.1:9"
"""An address at which nothing listens."""
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to be in, with no settings but an address at which no ComfyUI is."""
    for name in [name for name in os.environ if name.startswith("COMFYWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COMFYUI_URL", NOBODY)
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    monkeypatch.chdir(root)
    yield root
    logger.remove()


@pytest.fixture
def run() -> Run:
    """``comfywatch WORDS…`` within this process."""

    def run(*words: str) -> Result:
        result = CliRunner().invoke(cli.app, words, prog_name="comfywatch")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def program(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """``python -m comfywatch WORDS…`` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "comfywatch", *words],
        env={**os.environ, "PYTHONUTF8": "1", **env},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def write_json(path: Path, content: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


# --- help and errors


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_takes_config(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert re.search(rf"^ +comfywatch {name}\b", result.output.partition("Example")[2], re.MULTILINE)
    assert "--config FILE" in result.output
    assert max(map(len, result.output.splitlines())) <= 80


def test_help_shows_the_commands_that_matter_first(run: Run) -> None:
    listed = re.findall(r"^  (\w+)  ", run("--help").output, re.MULTILINE)
    assert listed[:6] == ["demo", "new", "run", "status", "check", "retry"]
    assert sorted(listed) == sorted(COMMANDS)


def test_the_version_can_be_asked_for(run: Run) -> None:
    assert run("--version").output == f"comfywatch {__version__}\n"


def test_a_misspelt_command_is_told_the_nearest(run: Run) -> None:
    result = run("stauts")
    assert result.exit_code == 2
    assert "There is no command 'stauts'. Did you mean 'status'?" in result.stderr


@pytest.mark.parametrize("command", [("run",), ("status",), ("new", "x"), ("retry", "x"), ("inventory",), ("free",)])
def test_bad_settings_are_told_all_at_once_and_end_with_2(run: Run, here: Path, command: Sequence[str]) -> None:
    (here / "config.yaml").write_text("pol_seconds: 3\nsettle_seconds: -2\n")
    result = run(*command)
    assert result.exit_code == 2
    assert result.stderr.startswith("config.yaml cannot be used:\n  - pol_seconds: no such setting")
    assert "settle_seconds" in result.stderr


def test_a_fault_of_ours_is_a_sentence_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def stumble() -> None:
        raise KeyError("x")

    assert cli.guarded(stumble) == cli.FAULT
    said = capsys.readouterr().err
    assert said.startswith("This is a fault of comfywatch itself (KeyError: 'x'). Please report it")
    assert "Traceback" not in said


def test_any_way_to_end_is_let_through() -> None:
    with pytest.raises(SystemExit):
        cli.guarded(lambda: sys.exit(3))


# --- new


def test_new_makes_a_project_and_says_what_to_do_next(run: Run, here: Path) -> None:
    result = run("new", "my-film")
    folder = here / "projects/my-film"
    assert result.exit_code == 0
    assert "Next: comfywatch run" in result.output
    made = ["assets", "characters", "inputs", "manifest.yaml", "notes.md", "workflows"]
    assert sorted(path.name for path in folder.iterdir()) == made
    assert set(re.findall(r"^  ([\w.]+)/? ", result.output, re.MULTILINE)) == set(made)
    reading = read_manifest(folder)
    assert reading.readable
    assert reading.notices == ()


def test_the_manifest_has_the_keys_of_other_tools_and_the_machine_if_it_is_known(run: Run, here: Path) -> None:
    keys = ["name", "description", "created", "status", "hardware", "defaults", "characters", "workflows", "notes"]
    write_json(here / "state/inventory.json", {"system": {"gpu": "RTX 4090", "vram_total_gb": 24.0, "vram_free_gb": 3}})
    run("new", "my-film")
    manifest: Any = plain_yaml.load((here / "projects/my-film/manifest.yaml").read_bytes())
    assert list(manifest) == keys
    assert manifest["hardware"] == {"gpu": "RTX 4090", "vram_total_gb": 24.0}
    assert marked(manifest) == []


def marked(manifest: Any) -> list[str]:
    """What an editor would mark in it."""
    return [error.message for error in jsonschema.Draft7Validator(editor_schemas.of_manifest()).iter_errors(manifest)]


def test_new_leaves_a_project_that_is_there_alone(run: Run, here: Path) -> None:
    run("new", "my-film")
    (here / "projects/my-film/manifest.yaml").write_text("status: paused\n")
    result = run("new", "my-film")
    assert (result.exit_code, result.stderr) == (1, "projects/my-film is there already; nothing was changed.\n")
    assert (here / "projects/my-film/manifest.yaml").read_text() == "status: paused\n"


@pytest.mark.parametrize("name", ["../x", ".x", "CON", "a:b", "a/b", "x.", "x ", "~x", "", "a\nb", "-x", "x" * 300])
def test_new_refuses_names_that_some_system_does_not_take(run: Run, here: Path, name: str) -> None:
    result = run("new", "--", name)
    assert result.exit_code == 2
    assert "is no good name for a project" in result.stderr
    assert not (here / "projects").exists()


# --- check


def lines_of(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_check_prints_a_line_a_file_in_order(run: Run, here: Path) -> None:
    good = write_json(here / "good.json", picture())
    bad = write_json(here / "bad.json", {"9": {"class_type": "NoSuchNode", "inputs": {}}, **picture()})
    saved = write_json(here / "saved.json", {"nodes": [{"id": 1, "type": "NoSuchNode"}], "links": []})
    (here / "broken.json").write_text("{")
    result = run("check", "--json", "--object-info", SCHEMAS, bad, good, saved, "broken.json", "gone.json")
    lines = lines_of(result)
    assert result.exit_code == 1
    assert [line["file"] for line in lines] == [bad, good, saved, "broken.json", "gone.json"]
    assert [line["format"] for line in lines] == ["api", "api", "ui", "api", "api"]
    assert [line["verdict"] for line in lines] == ["rejected", "ok", "rejected", "rejected", "rejected"]
    assert [[problem["code"] for problem in line["problems"]] for line in lines] == [
        ["missing_node_type"],
        [],
        ["missing_node_type"],
        ["not_json"],
        ["unreadable"],
    ]
    for line in lines:
        assert list(line) == ["file", "format", "verdict", "problems"]
        for problem in line["problems"]:
            assert list(problem) == ["node", "class_type", "input", "code", "message", "fix", "severity"]
            assert problem["severity"] in {"error", "warning"}


def test_check_is_content_with_what_is_ok(run: Run, here: Path) -> None:
    assert run("check", "--object-info", SCHEMAS, write_json(here / "a.json", picture())).exit_code == 0


def test_what_would_run_in_part_is_a_finding(run: Run, here: Path) -> None:
    prompt = picture()
    prompt["9"] = {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "x"}}
    result = run("check", "--json", "--object-info", SCHEMAS, write_json(here / "a.json", prompt))
    assert (result.exit_code, lines_of(result)[0]["verdict"]) == (1, "partial")


def test_a_newer_comfyui_looks_at_more(run: Run, here: Path) -> None:
    schemas = json.loads(Path(SCHEMAS).read_text(encoding="utf-8"))
    inputs = {"required": {"upscale_model": ["UPSCALE_MODEL"], "image": ["IMAGE"]}}
    schemas["ImageUpscaleWithModel"] = {"input": inputs, "output": ["IMAGE"], "output_node": False}
    prompt = with_node("ImageUpscaleWithModel", upscale_model=["6", 0])
    prompt["6"] = {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "missing.pth"}}
    file, info = write_json(here / "a.json", prompt), write_json(here / "info.json", schemas)
    words = ("check", "--json", "--object-info", info, file)
    as_told, older, newer = (
        lines_of(run(*words, *version))[0]
        for version in ((), ("--comfyui-version", "0.3.64"), ("--comfyui-version", "0.33.0"))
    )
    assert as_told == older
    assert (older["verdict"], older["problems"][0]["severity"]) == ("ok", "warning")
    assert (newer["verdict"], newer["problems"][0]["severity"]) == ("rejected", "error")


def test_an_impossible_version_is_refused(run: Run, here: Path) -> None:
    file = write_json(here / "a.json", picture())
    result = run("check", "--object-info", SCHEMAS, "--comfyui-version", "new", file)
    assert (result.exit_code, "such as 0.3.64" in result.stderr) == (2, True)


@pytest.mark.parametrize("content", [None, "[]", "{"])
def test_schemas_that_cannot_be_read_are_a_mistake_of_the_caller(run: Run, here: Path, content: str | None) -> None:
    if content is not None:
        (here / "info.json").write_text(content)
    result = run("check", "--object-info", "info.json", write_json(here / "a.json", picture()))
    assert (result.exit_code, "--object-info: info.json cannot be read" in result.stderr) == (2, True)


def test_without_any_knowledge_the_verdict_is_unknown(run: Run, here: Path) -> None:
    file = write_json(here / "a.json", picture())
    assert lines_of(run("check", "--json", file))[0]["verdict"] == "unknown"
    result = run("check", file)
    assert result.exit_code == 0
    assert "What this ComfyUI has is not known" in result.stderr


def test_check_asks_comfyui_for_what_is_not_kept(
    run: Run, here: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYUI_URL", sandbox.url)
    file = write_json(here / "a.json", text_to_image("missing.safetensors"))
    assert lines_of(run("check", "--json", file))[0]["verdict"] == "rejected"


def test_an_input_file_in_the_project_counts_as_there(run: Run, here: Path) -> None:
    prompt = {**picture(), "1": {"class_type": "LoadImage", "inputs": {"image": "lamp.png"}}}
    folder = here / "film" / "workflows" / "shots"
    folder.mkdir(parents=True)
    words = ("check", "--json", "--object-info", SCHEMAS, write_json(folder / "a.json", prompt))
    assert lines_of(run(*words))[0]["problems"][0]["code"] == "custom_validation_failed"
    (here / "film" / "inputs").mkdir()
    (here / "film" / "inputs" / "lamp.png").touch()
    assert lines_of(run(*words))[0] | {"file": ""} == {"file": "", "format": "api", "verdict": "ok", "problems": []}


def test_sentences_are_broken_between_words_and_names_stay_whole() -> None:
    text = f"Model '{'x' * 50}-y.safetensors' is not installed in checkpoints."
    assert terminal.lines_of(text, by=2, width=None) == [f"  {text}"]
    lines = terminal.lines_of(text, by=2, width=60)
    assert lines == ["  Model", f"    '{'x' * 50}-y.safetensors'", "    is not installed in checkpoints."]


def test_check_for_a_person_says_what_to_do(run: Run, here: Path) -> None:
    good, bad = (
        write_json(here / "good.json", picture()),
        write_json(here / "bad.json", text_to_image("no.safetensors")),
    )
    said = run("check", "--object-info", SCHEMAS, good, bad).stdout
    assert f"ok  {good}" in said
    assert "  Model 'no.safetensors' is not installed in checkpoints.\n    Put it into models/checkpoints/" in said
    assert said.endswith("2 files: 1 ok, 1 rejected\n")


def test_a_file_name_cannot_steer_the_terminal(run: Run) -> None:
    assert "\x1b[2J" not in run("check", "--object-info", SCHEMAS, "\x1b[2Jx.json").output


@pytest.mark.skipif(sys.platform != "linux", reason="only there any bytes make a file name")
def test_a_name_that_is_not_utf_8_can_be_checked(here: Path) -> None:
    Path(os.fsdecode(b"caf\xe9.json")).write_text(json.dumps(picture()))
    for words in (("check", "--json"), ("check",)):
        result = program(*words, "--object-info", SCHEMAS, os.fsdecode(b"caf\xe9.json"))
        assert (result.returncode, "caf\\udce9.json" in result.stdout) == (0, True)


def test_check_imports_only_what_it_needs(here: Path) -> None:
    file = write_json(here / "a.json", picture())
    script = (
        f"import sys; from comfywatch.cli import app; app(['check', '--object-info', {SCHEMAS!r}, {file!r}], "
        "standalone_mode=False); print([name for name in "
        "('requests', 'rich', 'pydantic', 'yaml', 'loguru', 'aiohttp') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.splitlines()[-1] == "[]"


def test_the_example_project_is_what_comfyui_takes(run: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUI_URL", sandbox.url)
    files = sorted(map(str, (EXAMPLE / "workflows").glob("*.json")))
    assert [line["verdict"] for line in lines_of(run("check", "--json", *files))] == ["ok", "ok"]
    assert read_manifest(EXAMPLE).notices == ()


# --- status


MISSING = Problem(
    code="value_not_in_list",
    message="Model 'flux1-dev.safetensors' is not installed in checkpoints.",
    fix="Put it into models/checkpoints/ of ComfyUI.",
    node="4",
)


def keep(store: Store, path: str, *facts: Fact, project: str = "my-film", gone: bool = False, **changes: Any) -> None:
    """A workflow whose job has come so far."""
    job = Job(id=0, project=project, path=path, digest=path, first_seen=AT, **changes)
    job = store.add_job(job, b"{}")
    for fact in facts:
        job = job.after(fact, finished=AT)
    store.save_job(job if job.is_final else replace(job, finished=None))
    stamp = Stamp(size=2, mtime_ns=1)
    store.save_file(FileRecord(project=project, path=path, digest=path, job=job.id, stamp=stamp, gone=gone))


@pytest.fixture
def jobs(here: Path) -> None:
    """A database in which something of every kind is."""
    (here / "state").mkdir()
    store = Store(here / "state/comfywatch.db")
    keep(store, "done.json", Fact.ACCEPTED, Fact.COMPLETED, run=3, prompt_id="id-3")
    keep(store, "scenes/needs-flux.json", Fact.BLOCKED, problems=(MISSING,))
    keep(store, "old.json", held="was here before comfywatch")
    keep(store, "new.json")
    keep(store, "removed.json", Fact.CANCELLED, gone=True)
    keep(store, "a.json", Fact.FAILED, project="other", run=1, hint="Look into ComfyUI's log.")
    store.close()
    (here / "projects/my-film/workflows").mkdir(parents=True)


def test_status_without_anything_says_how_to_begin(run: Run) -> None:
    result = run("status")
    assert result.exit_code == 0
    assert "comfywatch is not running; start it with: comfywatch run" in result.output
    assert "make one with: comfywatch new my-film" in result.output


@pytest.mark.usefixtures("jobs")
def test_status_says_what_each_workflow_waits_for(run: Run) -> None:
    lines = run("status", "my-film").output.splitlines()
    assert "my-film  1 blocked, 2 pending, 1 completed" in lines
    rows = [re.split(r" {2,}", line) for line in lines[3:]]
    assert rows == [
        ["scenes/needs-flux.json", "blocked", f"{MISSING.message} {MISSING.fix}"],
        ["new.json", "pending", "comfywatch is not running"],
        ["old.json", "pending", "was here before comfywatch; to run it: comfywatch retry my-film/old"],
        ["done.json", "completed", "3", "outputs/done/003"],
    ]


@pytest.mark.usefixtures("jobs")
def test_the_json_of_status_has_every_project(run: Run, here: Path) -> None:
    document = json.loads(run("status", "--json").output)
    assert list(document) == ["schema", "daemon", "comfyui", "projects"]
    assert (document["schema"], document["daemon"]) == (1, {"running": False})
    assert document["comfyui"] == {"url": NOBODY, "state": "unknown", "version": "", "message": ""}
    film = document["projects"]["my-film"]
    assert film["counts"] == {
        "running": 0,
        "queued": 0,
        "failed": 0,
        "blocked": 1,
        "invalid": 0,
        "pending": 2,
        "completed": 1,
        "cancelled": 0,
    }
    assert film["workflows"]["done.json"] == {
        "state": "completed",
        "run": 3,
        "prompt_id": "id-3",
        "outputs": "outputs/done/003",
        "finished": "2026-11-23T12:00:00Z",
    }
    assert film["workflows"]["scenes/needs-flux.json"]["problems"][0]["fix"] == MISSING.fix
    assert "removed.json" not in film["workflows"]
    assert document["projects"]["other"]["workflows"]["a.json"]["hint"] == "Look into ComfyUI's log."


@pytest.mark.usefixtures("jobs")
def test_status_of_an_unknown_project_names_the_nearest(run: Run) -> None:
    result = run("status", "my-flm")
    assert (result.exit_code, result.stderr) == (2, "There is no 'my-flm'. Near are: my-film.\n")


@pytest.mark.usefixtures("jobs")
def test_what_lies_there_and_was_not_taken_is_said(run: Run, here: Path) -> None:
    (here / "projects/my-film/workflows/fresh.json").write_text("{}")
    (here / "projects/my-film/lost.json").write_text("{}")
    said = run("status", "my-film").output
    assert "note: 1 not taken yet, as comfywatch is not running: fresh.json" in said
    assert "note: lost.json is not read; move it to workflows/" in said


def test_of_many_finished_only_the_newest_are_shown(run: Run, here: Path) -> None:
    (here / "state").mkdir()
    store = Store(here / "state/comfywatch.db")
    for number in range(15):
        keep(store, f"shot-{number}.json", Fact.ACCEPTED, Fact.COMPLETED, run=1)
    store.close()
    assert "and 5 more finished; see them with: comfywatch status my-film" in run("status").output
    assert run("status", "my-film").output.count("completed") == 16


@pytest.mark.usefixtures("jobs")
def test_a_status_yaml_that_somebody_wrote_does_no_harm(run: Run, here: Path) -> None:
    strange = "comfyui: 3\nnotices: {}\nworkflows: {new.json: 7, x.json: {state: pending, reason: [1]}, 9: {}}\n"
    (here / "projects/my-film/status.yaml").write_text(strange)
    lock = Lock(here / "state/comfywatch.lock")
    try:
        document = json.loads(run("status", "--json").output)
    finally:
        lock.release()
    assert document["daemon"] == {"running": True}
    assert document["projects"]["my-film"]["workflows"]["new.json"] == {"state": "pending", "run": None}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
@pytest.mark.usefixtures("jobs")
def test_status_can_be_read_on_a_terminal_of_80_columns() -> None:
    said = on_a_terminal("status", "my-film")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    assert "\x1b[33mblocked" in said
    assert max(len(line) for line in plain.splitlines()) <= 80
    assert "Model 'flux1-dev.safetensors' is not" in plain


def on_a_terminal(*words: str) -> str:
    """What the program writes to a terminal with 80 columns."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "NO_COLOR", "FORCE_COLOR"}}
    env["TERM"] = "xterm"
    process = subprocess.Popen([sys.executable, "-m", "comfywatch", *words], env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 65536):
            said += chunk
    except OSError:  # Linux's way of saying that the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(30) == 0
    return said.decode()


# --- retry and cancel


KNOWN = {"my-film": ("shot-01.json", "scenes/a.json"), "other": ("a.json",), "projects": ("x.json",)}


@pytest.mark.parametrize(
    ("word", "target"),
    [
        ("my-film", "my-film"),
        ("my-film/", "my-film"),
        ("my-film/shot-01", "my-film/shot-01.json"),
        ("my-film/shot-01.json", "my-film/shot-01.json"),
        ("my-film/scenes/a", "my-film/scenes/a.json"),
        ("projects/my-film/workflows/scenes/a.json", "my-film/scenes/a.json"),
        ("./projects/my-film", "my-film"),
        ("/home/x/projects/my-film/workflows/shot-01.json", "my-film/shot-01.json"),
        ("projects/x", "projects/x.json"),
    ],
)
def test_a_workflow_can_be_named_in_many_ways(word: str, target: str) -> None:
    assert find_target(word, KNOWN) == target


@pytest.mark.parametrize("word", ["my-flim", "my-film/shot-1", "my-film/workflows", "", "/"])
def test_what_is_not_known_is_told_what_is(word: str) -> None:
    with pytest.raises(UnknownName, match="my-film"):
        find_target(word, KNOWN)


def test_without_any_project_the_first_step_is_to_make_one() -> None:
    with pytest.raises(UnknownName, match="comfywatch new my-film"):
        find_target("x", {})


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("command", ["retry", "cancel"])
def test_a_wish_waits_for_the_next_start(run: Run, here: Path, command: str) -> None:
    result = run(command, "my-film/done", "--state", "completed")
    assert result.exit_code == 0
    assert result.output == "comfywatch is not running; this will be done at its next start.\n"
    store = Store(here / "state/comfywatch.db")
    request = store.open_requests()[0]
    store.close()
    assert (request.command, request.target, request.options) == (command, "my-film/done.json", {"state": "completed"})


@pytest.mark.usefixtures("jobs")
def test_a_wish_for_something_unknown_is_refused(run: Run, here: Path) -> None:
    result = run("retry", "my-film/don")
    assert (result.exit_code, "Near are: my-film/done" in result.stderr) == (2, True)
    assert run("retry", "my-film", "--state", "done").exit_code == 2
    store = Store(here / "state/comfywatch.db")
    assert store.open_requests() == []
    store.close()


@pytest.mark.usefixtures("jobs")
def test_what_was_not_taken_yet_cannot_be_retried(run: Run, here: Path) -> None:
    (here / "projects/my-film/workflows/fresh.json").write_text("{}")
    result = run("retry", "my-film/fresh")
    assert (result.exit_code, "has not been taken by comfywatch yet" in result.stderr) == (1, True)


def test_where_comfywatch_never_ran_there_is_nothing_to_retry(run: Run, here: Path) -> None:
    result = run("retry", "my-film")
    assert (result.exit_code, "comfywatch has not run here yet" in result.stderr) == (1, True)
    assert not (here / "state").exists()


@pytest.mark.usefixtures("jobs")
def test_a_daemon_that_does_not_answer_is_not_waited_for_long(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.1)
    lock = Lock(here / "state/comfywatch.lock")
    try:
        assert "has not answered yet; see: comfywatch status" in run("retry", "my-film").output
    finally:
        lock.release()


def test_a_damaged_database_is_a_sentence(run: Run, here: Path) -> None:
    (here / "state").mkdir()
    (here / "state/comfywatch.db").write_bytes(b"no database" * 1000)
    for words in (("status",), ("retry", "x")):
        result = run(*words)
        assert (result.exit_code, "comfywatch.db cannot be used" in result.stderr) == (2, True)


# --- beside a running daemon


def test_the_commands_work_beside_a_daemon(run: Run, here: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUI_URL", world.sandbox.url)
    world.start()
    world.drop("a.json", picture())
    world.drop("b.json", text_to_image("missing.safetensors"))
    world.until_state("a.json", "completed")
    world.until_state("b.json", "blocked")

    assert run("retry", "film/a").output == "film/a.json: 1 run again.\n"
    world.until(lambda: world.entry("a.json").get("run") == 2)
    assert run("cancel", "film/b").output == "film/b.json: 1 cancelled.\n"
    assert run("free").output == "ComfyUI is asked to free memory.\n"
    assert run("inventory", "refresh").output.startswith("ComfyUI 0.3.64, ")

    world.until(lambda: world.entry("a.json").get("state") == "completed")
    said = run("status").output
    assert f"comfywatch is running; ComfyUI 0.3.64 at {world.sandbox.url} is up." in said
    assert re.search(r"a\.json +completed +2 +outputs/a/002", said)
    document = json.loads(run("status", "--json").output)
    assert (document["daemon"]["running"], document["comfyui"]["state"]) == (True, "up")

    second = program("run")
    assert second.returncode == 2
    assert "another comfywatch already works on" in second.stderr


# --- run


def test_run_once_works_through_what_is_there(here: Path, sandbox: Sandbox) -> None:
    write_json(here / "projects/film/workflows/a.json", picture())
    result = program("run", "--once", "--url", sandbox.url)
    assert result.returncode == 0
    assert re.search(r"info    film/a\.json \([0-9a-f-]{36}\): queued as run 1\n", result.stderr)
    assert len(list((here / "projects/film/outputs/a/001").glob("*.png"))) == 1


def test_run_once_ends_with_3_if_comfyui_stays_away(here: Path) -> None:
    write_json(here / "projects/film/workflows/a.json", picture())
    result = program("run", "--once", COMFYWATCH_API_TIMEOUT_SECONDS="0.2", COMFYWATCH_POLL_SECONDS="0.1")
    assert result.returncode == 3
    assert "Traceback" not in result.stderr


def test_a_damaged_database_is_kept_aside_and_run_goes_on(here: Path) -> None:
    (here / "state").mkdir()
    (here / "state/comfywatch.db").write_bytes(b"no database" * 1000)
    result = program("run", "--once")
    assert (result.returncode, "is damaged" in result.stderr, "Traceback" in result.stderr) == (0, True, False)
    assert [path.read_bytes() for path in (here / "state").glob("*.damaged-*")] == [b"no database" * 1000]


# --- ComfyUI without a daemon


@pytest.mark.parametrize("command", [("free",), ("inventory", "refresh")])
def test_what_needs_comfyui_ends_with_3_without_it(run: Run, here: Path, command: Sequence[str]) -> None:
    result = run(*command)
    assert (result.exit_code, result.stderr) == (3, f"nothing listens at {NOBODY}; is ComfyUI running?\n")
    assert not (here / "state").exists()


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("headers_file: gone", "gone cannot be used"),
        ("ca_file: gone.pem", "gone.pem has no certificates that can be used"),
    ],
)
def test_a_secret_that_cannot_be_read_is_a_matter_of_config(run: Run, here: Path, setting: str, sentence: str) -> None:
    (here / "config.yaml").write_text(f"{setting}\n")
    result = run("free")
    assert (result.exit_code, sentence in result.stderr) == (2, True)
    assert sentence in " ".join(run("doctor").output.split())


def test_comfyui_can_be_asked_to_free_memory(run: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUI_URL", sandbox.url)
    assert run("free").output == "ComfyUI frees memory as soon as it is idle.\n"
    assert any(path.endswith("/free") for _, path in sandbox.requests)


def test_an_inventory_is_asked_for_and_kept(
    run: Run, here: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = run("inventory")
    assert (unknown.exit_code, "comfywatch inventory refresh" in unknown.stderr) == (1, True)
    monkeypatch.setenv("COMFYUI_URL", sandbox.url)
    said = run("inventory", "refresh").output
    assert re.search(r"^checkpoints +4  dreamcoast_v8\.safetensors, ", said, re.MULTILINE)
    assert run("inventory").output == said
    kept = json.loads((here / "state/inventory.json").read_text())
    assert json.loads(run("inventory", "--json").output) == kept
    assert "KSampler" in json.loads((here / "state/object_info.json").read_text())


def test_an_inventory_that_cannot_be_read_can_be_mended(run: Run, here: Path) -> None:
    (here / "state").mkdir()
    (here / "state/inventory.json").write_text("[")
    result = run("inventory")
    assert (result.exit_code, "'inventory refresh' writes it anew" in result.stderr) == (1, True)


def test_a_folder_is_scanned_into_the_inventory(run: Run, here: Path) -> None:
    root = here / "ComfyUI"
    for folder in ("models/loras", "models/vae", "custom_nodes/broken"):
        (root / folder).mkdir(parents=True)
    (root / "main.py").touch()
    (root / "nodes.py").write_text("NODE_CLASS_MAPPINGS = {'KSampler': object}\n")
    (root / "models/loras/a.safetensors").touch()
    (here / "state").mkdir()
    (here / "state/inventory.json").write_text('{"theirs": 1, "models": {"far": ["b.pt"], "odd": null}}')
    result = run("inventory", "scan", str(root))
    assert result.exit_code == 0
    assert result.stderr == (
        "custom_nodes/broken cannot be imported: broken has no __init__.py; its node classes are not known\n"
    )
    said = result.stdout
    for line in (
        "ComfyUI (version not known)",
        f"in {root}",
        "Read from the disk (offline): what is listed is there, and there may be more.",
        "node classes: 1, as far as the sources tell",
        "packages: 1 (broken)",
        "models: none in vae",
        "models: not known in odd",
    ):
        assert line in said.splitlines()
    assert re.search(r"^loras +1  a\.safetensors$", said, re.MULTILINE)
    kept = json.loads((here / "state/inventory.json").read_text())
    assert (kept["theirs"], kept["mode"], kept["node_classes_from"]) == (1, "offline", "sources")
    assert kept["models"]["far"] == ["b.pt"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("scan",), "inventory scan DIR"),
        (("show", "somewhere"), "inventory scan DIR"),
        (("scan", "nowhere"), "nowhere is not there"),
        (("scan", "."), "There is no ComfyUI in ."),
    ],
)
def test_a_scan_needs_the_folder_of_a_comfyui(run: Run, here: Path, words: tuple[str, ...], said: str) -> None:
    result = run("inventory", *words)
    assert (result.exit_code, said in result.stderr) == (2, True)
    assert not (here / "state/inventory.json").exists()


# --- schema and completion


@pytest.mark.parametrize("file", ["config", "manifest"])
def test_a_schema_is_printed_as_json(run: Run, file: str) -> None:
    schema = json.loads(run("schema", file).stdout)
    assert schema["title"].startswith(f"{file}.yaml")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_can_be_read_by_it(run: Run, shell: str, here: Path) -> None:
    script = run("completion", shell).stdout
    assert "_COMFYWATCH_COMPLETE" in script
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not there")
    done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False, timeout=10)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["comp"], ["completion"]),
        (["schema", ""], ["config", "manifest"]),
        (["retry", "my"], ["my-film", "my-other-film"]),
        (["retry", "my-film/"], ["my-film/a", "my-film/b/c"]),
        (["status", "nothing"], []),
        (["cancel", "--st"], ["--state"]),
    ],
)
def test_a_shell_is_offered_what_can_follow(here: Path, words: list[str], offered: list[str]) -> None:
    for path in ("my-film/workflows/a.json", "my-film/workflows/b/c.json", "my-other-film/workflows/d.json"):
        write_json(here / "projects" / path, picture())
    complete = BashComplete(cli.app, {}, "comfywatch", "_COMFYWATCH_COMPLETE")
    assert [item.value for item in complete.get_completions(words[:-1], words[-1])] == offered


def test_a_shell_is_offered_nothing_where_nothing_can_be_read(here: Path) -> None:
    complete = BashComplete(cli.app, {}, "comfywatch", "_COMFYWATCH_COMPLETE")
    assert complete.get_completions(["retry"], "x") == []
    (here / "config.yaml").write_text("nonsense: 1\n")
    assert complete.get_completions(["retry"], "x/y") == []


# --- doctor, demo, sandbox


def test_the_doctor_ends_with_one_next_step(run: Run, here: Path) -> None:
    (here / "projects/film/workflows").mkdir(parents=True)
    result = run("doctor")
    assert result.exit_code == 1
    assert re.search(r"^problem +ComfyUI +nothing listens at", result.output, re.MULTILINE)
    assert re.search(r"^warning +daemon +comfywatch is not running", result.output, re.MULTILINE)
    assert result.output.endswith(
        "\nNext: start ComfyUI, or say in config.yaml where it is: comfyui_url: http://gpu-box:8188\n"
    )


def test_the_doctor_sees_a_bad_config(run: Run, here: Path) -> None:
    (here / "config.yaml").write_text("pol_seconds: 3\n")
    result = run("doctor")
    assert result.exit_code == 1
    assert "pol_seconds: no such setting (did you mean 'poll_seconds'?)" in result.output


def test_the_doctor_times_comfyui_and_looks_at_the_headers(
    run: Run, here: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYUI_URL", sandbox.url)
    (here / "headers").write_text("X-Token: abc\n")
    (here / "headers").chmod(0o600)
    (here / "config.yaml").write_text("headers_file: headers\n")
    said = run("doctor").output
    assert re.search(rf"ok +ComfyUI +{sandbox.url} answers in \d+ ms; ComfyUI 0\.3\.64", said)
    assert re.search(r"ok +headers ", said)


def test_the_doctor_says_which_extra_is_missing(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "find_spec", lambda _: None)
    (here / "config.yaml").write_text("metrics_port: 9188\n")
    said = run("doctor").output
    assert re.search(r"^problem +extras +metrics_port needs one more package", said, re.MULTILINE)
    assert "-> pip install 'comfywatch[metrics]'" in said


def test_the_doctor_sends_a_test_to_each_service_and_says_no_address(run: Run, here: Path) -> None:
    with StubHttp(Reply()) as good, StubHttp(Reply(status=500)) as bad:
        addresses = [stub.url.replace("http://", "json://ada:secret@") for stub in (good, bad)]
        (here / "notify.urls").write_text("\n".join(addresses))
        (here / "notify.urls").chmod(0o600)
        (here / "config.yaml").write_text("notify: [{urls_file: notify.urls}]\nmetrics_file: gone/x.prom\n")
        assert "took a test message" not in run("doctor").output
        said = run("doctor", "--notify").output
    assert [asked.json["title"] for asked in good.asked] == ["comfywatch: a test"]
    assert re.search(r"^ok +notify +line 1 of notify.urls \(JSON\) took a test message", said, re.MULTILINE)
    assert re.search(r"^problem +notify +line 2 of notify.urls \(JSON\) did not take", said, re.MULTILINE)
    assert re.search(r"^problem +metrics +\S+/gone is not there", said, re.MULTILINE)
    assert "secret" not in said


def test_the_doctor_says_what_is_wrong_with_the_addresses(run: Run, here: Path) -> None:
    assert "nobody is to be told of anything" in run("doctor", "--notify").output
    (here / "config.yaml").write_text("notify: [{urls_file: notify.urls}]\n")
    assert re.search(r"^problem +notify +\S+/notify.urls cannot be read", run("doctor").output, re.MULTILINE)


def test_the_demo_shows_a_workflow_become_a_picture(run: Run, here: Path) -> None:
    result = run("demo")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert len(lines) < 40
    steps = [line.split()[2].removesuffix(":") for line in lines if re.match(r" +\d+\.\d\d s ", line)]
    assert steps == ["pending", "queued", "running", "completed"]
    picture_file = here / lines[-2].removeprefix("Look at it: ")
    assert picture_file.read_bytes().startswith(b"\x89PNG")
    assert not (here / "state").exists()
    (here / "demo/left").touch()
    assert run("demo").exit_code == 0
    assert not (here / "demo/left").exists()


def test_the_demo_empties_no_folder_that_is_not_its_own(run: Run, here: Path) -> None:
    (here / "demo").mkdir()
    (here / "demo/mine").touch()
    result = run("demo")
    assert (result.exit_code, "was not made by the demo" in result.stderr) == (2, True)
    assert (here / "demo/mine").exists()
    (here / "file").touch()
    assert run("demo", "--folder", "file").exit_code == 2


def test_a_demo_that_cannot_start_says_why(run: Run, here: Path) -> None:
    (here / ".stfolder").mkdir()
    result = run("demo")
    assert result.exit_code == 1
    assert "comfywatch did not start: " in result.stderr
    assert "which a sync tool copies to other machines" in result.stderr


@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_without_the_extra_packages_it_is_said_which_to_install(here: Path, command: str) -> None:
    script = f"import sys; sys.modules['aiohttp'] = None; sys.argv = ['comfywatch', {command!r}]; "
    script += "from comfywatch.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith("needs two more packages: pip install 'comfywatch[sandbox]'\n")


@pytest.mark.skipif(sys.platform == "win32", reason="there Ctrl-C reaches a whole group of processes")
def test_a_sandbox_says_where_it_is_and_ends_with_ctrl_c(here: Path) -> None:
    words = [sys.executable, "-m", "comfywatch", "sandbox", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert re.search(r"listens at http://127\.0\.0\.1:\d+ ", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_a_sandbox_that_cannot_start_says_why(run: Run, sandbox: Sandbox) -> None:
    taken = run("sandbox", "--port", str(sandbox.port))
    assert (taken.exit_code, f"Port {sandbox.port} is in use already" in taken.stderr) == (2, True)
    unknown = run("sandbox", "--comfyui-version", "9.9")
    assert (unknown.exit_code, "there is 0.3.64 and 0.33.0" in unknown.stderr) == (2, True)


def test_the_commands_are_click_commands() -> None:
    context = click.Context(cli.app)
    assert all(isinstance(cli.app.get_command(context, name), click.Command) for name in COMMANDS)
    assert cli.app.get_command(context, "nothing") is None
