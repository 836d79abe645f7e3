"""Odd and hostile content: each gets a sentence or its run, and none stops the others."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from comfywatch import plain_yaml
from comfywatch.collect import Collection, collect, result_document
from comfywatch.comfy import Comfy
from comfywatch.comfy_errors import Truncated
from comfywatch.history import Outcome, OutputFile, read_outcome
from comfywatch.jobs import JobState
from comfywatch.link import Link
from comfywatch.manifest import read_manifest
from comfywatch.missing import MAX_CLASSES, to_peek
from comfywatch.neighbours import read_sign
from comfywatch.past import past_runs
from comfywatch.problems import Problem
from comfywatch.reading import parsed
from comfywatch.server import Server
from comfywatch.settings import BadSettings, load
from comfywatch.tree import MAX_WATCHED, FolderStamp, Forest, ProjectTree, read_forest, to_watch
from comfywatch.watcher import Watcher
from comfywatch.workflow import NotAWorkflow, NotJson, read_workflow
from tests.documents import DOCS, rows, words
from tests.made import HOSTILE_NAMES, NOON, PROMPT_ID, STAMP, a_job
from tests.stub_http import After, Reply, StubHttp
from tests.world import World, picture, with_node

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere such names or depths cannot be made")
posix = pytest.mark.skipif(sys.platform == "win32", reason="kinds of files that Windows does not have")

NAMES = (
    "two\nlines.json",
    "qu\"ote's.json",
    "{0}{x}.json",
    "%s%d.json",
    "<red>x<\\red>.json",
    "bell\a\x1b[31m.json",
    "x" * 250 + ".json",
    "-rf.json",
    "--help.json",
    "con.json",
    "LPT1.json",
    "a:b?*|.json",
    "trailing .json",
    "dots..json",
    "\u202egpj.json",
    "line\u2028break.json",
    "back\\slash.json",
    "$(touch x).json",
    "null.json",
    "1e3.json",
    "- k: v.json",
    "!tag.json",
    "*alias.json",
    "&a%.json",
    "\u00e9.json",
    "deep/" * 20 + "z.json",
)
PROJECT = 'two\nlines {0} "x" \u202e%s ' + "ü" * 20


def lines_of(log: io.StringIO) -> list[str]:
    return log.getvalue().split("\n")[:-1]


def deep_folder(base: Path, depth: int) -> None:
    """Folders nested deeper than any path can name."""
    here = os.open(base, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


# ---- names


@linux
def test_whatever_a_workflow_or_a_project_is_called_it_runs(world: World, log: io.StringIO) -> None:
    workflows = world.workflows(PROJECT)
    world.start()
    for color, name in enumerate(NAMES):
        (workflows / name).parent.mkdir(parents=True, exist_ok=True)
        (workflows / name).write_text(json.dumps(picture(color)))
    world.until(lambda: world.status(PROJECT).get("counts", {}).get("completed") == len(NAMES))
    status = world.status(PROJECT)
    assert set(status["workflows"]) == set(NAMES)
    assert all("has a name that Windows does not take" in notice for notice in status["notices"])
    for name in NAMES:
        (output,) = world.outputs(name, project=PROJECT)
        assert len(output.encode()) <= 200
        assert world.result(name, project=PROJECT)["workflow"] == name
    assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:.+]+ (debug|info|warning)", line) for line in lines_of(log))


@linux
def test_twins_of_names_both_run_and_never_share_a_folder(world: World) -> None:
    """``a.json`` and ``a.JSON`` have one folder here; ``A.json`` has the same on a system that ignores case."""
    twins = ["a.json", "A.json", "a.JSON", "\u00fc.json", "u\u0308.json", "S/a.json", "s/A.json"]
    world.sandbox.faults.hold = True
    world.start()
    for color, name in enumerate(twins):
        world.drop(name, picture(color))
    world.until(lambda: len(world.status().get("workflows", {})) == len(twins))
    world.sandbox.faults.clear()
    world.sandbox.faults.release()
    world.until(lambda: world.status()["counts"]["completed"] == len(twins))
    folders = [
        (Path(name.casefold()).with_suffix("").as_posix().replace("u\u0308", "\u00fc"), world.entry(name)["run"])
        for name in twins
    ]
    assert len(set(folders)) == len(twins)
    for name in twins:
        folder = world.projects / "film" / world.entry(name)["outputs"]
        assert plain_yaml.load((folder / "result.yaml").read_bytes())["workflow"] == name


@linux
def test_what_is_no_file_or_has_no_name_in_utf_8_is_told_and_stops_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflows = world.workflows()
    os.mkfifo(workflows / "pipe.json")
    (workflows / "folder.json").mkdir()
    (workflows / os.fsdecode(b"caf\xe9.json")).write_text(json.dumps(picture()))
    (world.projects / os.fsdecode(b"caf\xe9") / "workflows").mkdir(parents=True)
    monkeypatch.chdir(workflows)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.json")
        world.start()
        world.drop("good.json", picture())
        world.until_state("good.json", "completed")
    assert world.status()["notices"] == [
        "workflows/caf\\udce9.json is not read: its name is not UTF-8; rename it",
        "workflows/folder.json is not a file and is not read",
        "workflows/pipe.json is not a file and is not read",
        "workflows/socket.json is not a file and is not read",
        "projects/caf\\udce9 is not read: its name is not UTF-8; rename it",
    ]


@posix
def test_a_pipe_that_takes_the_place_of_an_input_is_waited_for_by_nobody(world: World) -> None:
    prompt = picture()
    prompt["1"] = {"class_type": "LoadImage", "inputs": {"image": "lamp.png"}}
    (world.workflows().parent / "inputs").mkdir()
    os.mkfifo(world.projects / "film" / "inputs" / "lamp.png")
    world.start()
    world.drop("load.json", prompt)
    assert world.until_state("load.json", "blocked")["problems"][0]["code"] == "input_file_missing"


# ---- depth


@pytest.fixture
def deep_path(tmp_path: Path) -> Iterator[Path]:
    """A folder that is emptied afterwards: what tidies the temporary folders of old test runs falls over such depth."""
    yield tmp_path
    subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)


@linux
def test_folders_nested_without_end_are_left_out_and_the_rest_is_found(deep_path: Path) -> None:
    workflows = deep_path / "projects" / "film" / "workflows"
    workflows.mkdir(parents=True)
    deep_folder(workflows, 3000)
    (workflows / "d" / "a.json").write_text("{}")
    (workflows / ("x" * 200 + "/") / ("y" * 200 + "/") / ("z" * 200)).mkdir(parents=True)
    long = workflows / ("x" * 200 + "/") / ("y" * 200 + "/") / ("z" * 200) / ("w" * 200)
    long.mkdir()
    (long / ("v" * 240 + ".json")).write_text("{}")
    tree = read_forest(deep_path / "projects").projects["film"]
    assert set(tree.files) == {"d/a.json"}
    nested, long_named = tree.notices
    assert nested.startswith(f"workflows/{'d/' * 32}d is not read: ")
    assert long_named.startswith(f"workflows/{'x' * 190}… is not read: ")
    assert all(notice.endswith("lies too deep or its path is too long; move it up") for notice in tree.notices)


@linux
def test_a_folder_nested_without_end_does_not_end_the_watching(deep_path: Path) -> None:
    """Whoever watches recursively walks into it, and falls."""
    for name in ("film", "other"):
        (deep_path / "projects" / name / "workflows").mkdir(parents=True)
    (deep_path / "aside").mkdir()
    deep_folder(deep_path / "aside", 1900)
    seen: list[Path] = []
    watcher = Watcher(seen.append, is_ours=lambda _: False)
    watcher.start()
    try:
        watcher.watch(deep_path / "projects", ("film", "other"))
        (deep_path / "aside").rename(deep_path / "projects" / "film" / "workflows" / "deep")
        (deep_path / "projects" / "other" / "workflows" / "a.json").write_text("{}")
        deadline = time.monotonic() + 60
        while deep_path / "projects" / "other" / "workflows" / "a.json" not in seen:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        watcher.stop()


# ---- numbers


def a_tree(name: str, *folders: str, changed: int) -> ProjectTree:
    stamps = {folder: FolderStamp(inode=1, mtime_ns=changed) for folder in (".", "workflows", *folders)}
    return ProjectTree(name=name, is_there=True, folders=stamps)


def test_of_very_many_folders_only_those_are_watched_in_which_something_happened_last() -> None:
    trees = [a_tree(f"p{number}", changed=number) for number in range(5000)]
    huge = a_tree("huge", *(f"workflows/{number}" for number in range(MAX_WATCHED)), changed=9999)
    watched = to_watch(Forest(is_there=True, projects={tree.name: tree for tree in (*trees, huge)}))
    assert len(watched) == MAX_WATCHED
    assert {"p4999", "p4999/workflows", "p4000"} <= watched.keys()
    assert not {"p0", "huge"} & watched.keys()


def test_very_many_small_projects_are_started_with_and_looked_through(world: World) -> None:
    """Two thousand are measured by hand; this many show that nothing grows with their square."""
    for number in range(150):
        (world.projects / f"p{number:04}" / "workflows").mkdir(parents=True)
        (world.projects / f"p{number:04}" / "workflows" / "a.json").write_text(json.dumps(picture(number)))
    start = time.monotonic()
    assert len(read_forest(world.projects).projects) == 150
    assert time.monotonic() - start < 60
    world.start()
    world.until(lambda: world.status("p0149"))
    world.drop("b.json", picture(500), project="p0077")
    world.until_state("b.json", "completed", project="p0077")


def test_a_workflow_of_thousands_of_unknown_classes_makes_few_questions() -> None:
    def lacks(number: int) -> tuple[Problem, ...]:
        names = (f"Nobody{number}-{kind}" for kind in range(100))
        return tuple(Problem(code="missing_node_type", message="", class_type=name) for name in names)

    server = Server(link=Link(url="http://127.0.0.1:8188", poll_seconds=5))
    peek = to_peek([a_job(id=number, problems=lacks(number)) for number in range(100)], server)
    assert peek is not None
    assert len(peek.classes) == MAX_CLASSES


# ---- content of workflows


def with_color(color: str) -> bytes:
    """A prompt with this text in place of a number."""
    return json.dumps(picture(77)).replace("77", color).encode()


GOOD = json.dumps(picture(5))
CONTENT: dict[str, tuple[bytes, str, str]] = {
    "deep": (b"[" * 1_000_000, "invalid", "nested too deeply"),
    "deep maps": (b'{"a":' * 1_000_000, "invalid", "nested too deeply"),
    "deep value": (with_color("[" * 150 + "]" * 150), "invalid", "nested too deeply"),
    "NaN": (with_color("NaN"), "invalid", "NaN is not JSON"),
    "Infinity": (with_color("-Infinity"), "invalid", "Infinity is not JSON"),
    "infinite": (with_color("1e999"), "invalid", "too large for JSON"),
    "digits": (with_color("9" * 5000), "invalid", "more than 4300 digits"),
    "huge number": (with_color("1" + "0" * 100), "blocked", "largest is 16777215"),
    "huge text": (with_color('"' + "x" * 1_000_000 + '"'), "blocked", "is not a whole number"),
    "half a pair": (with_color('"\\ud83d"'), "blocked", "is not a whole number"),
    "half a class": (GOOD.replace("EmptyImage", "\\ud83d").encode(), "blocked", "is not installed"),
    "half an id": (GOOD.replace('"1"', '"\\ud83d"').encode(), "completed", ""),
    "twice": (
        GOOD[:-1].encode() + b', "1": ' + json.dumps(picture(6)["1"]).encode() + b"}",
        "completed",
        "there twice",
    ),
    "mark": (b"\xef\xbb\xbf" + json.dumps(picture(7)).encode(), "completed", ""),
    "utf-16": (json.dumps(picture(8)).encode("utf-16"), "completed", ""),
    "half of utf-16": (GOOD.encode("utf-16")[:-1], "invalid", "not text in UTF-8"),
    "latin-1": (GOOD.replace("ComfyUI", "\xfc").encode("latin-1"), "invalid", "not text in UTF-8"),
    "nothing": (b"", "invalid", "the file is empty"),
    "zeros": (b"\0" * 1000, "invalid", "the file is empty"),
    "archive": (b"PK\x03\x04\xff\xfe", "invalid", "not text in UTF-8"),
    "page": (b"<!doctype html><html>", "invalid", "line 1, column 1"),
    "list": (b"[]", "invalid", "a list and not a map of nodes"),
    "null": (b"null", "invalid", "null and not a map of nodes"),
    "no nodes": (b"{}", "invalid", "no nodes"),
    "too many": (json.dumps({n: {"class_type": "X"} for n in range(10_001)}).encode(), "invalid", "10000 are taken"),
    "unknown classes": (
        json.dumps({n: {"class_type": f"Nobody{n}"} for n in range(500)}).encode(),
        "blocked",
        "Nobody0 (node 0) is not installed",
    ),
    "no inputs": (b'{"1": {"class_type": "SaveImage", "inputs": null}}', "invalid", "no entry has a class_type"),
    "number for a class": (b'{"1": {"class_type": 3, "inputs": {}}}', "invalid", "no entry has a class_type"),
    "id with a path": (GOOD.replace('"1"', '"../../x\\n{0}<red>"').encode(), "completed", ""),
    "prefix with a path": (GOOD.replace("ComfyUI", "../../../x").encode(), "completed", ""),
    "prefix of controls": (
        GOOD.replace("ComfyUI", "a\\u001b[31m").encode(),
        "failed",
        "does not have what it made",
    ),
    "path for an input": (
        GOOD.replace('"EmptyImage", "inputs": {', '"LoadImage", "inputs": {"image": "../../x",').encode(),
        "blocked",
        "not in ComfyUI's input folder",
    ),
}


def test_whatever_lies_in_a_file_it_gets_its_sentence_and_stops_nobody(world: World, log: io.StringIO) -> None:
    world.start()
    for name, (data, _, _) in CONTENT.items():
        (world.workflows() / f"{name}.json").write_bytes(data)
    with (world.workflows() / "large.json").open("wb") as handle:
        handle.truncate(100 * 2**20)
    world.drop("good.json", picture(), project="other")
    world.until_state("good.json", "completed", project="other")
    expected = {name: (state, said) for name, (_, state, said) in CONTENT.items()}
    expected["large"] = ("invalid", "The file has 100.0 MiB, and 16 are read at most.")
    final = ("completed", "invalid", "blocked", "failed")
    for name, (state, said) in expected.items():
        entry = world.until_state(f"{name}.json", *final)
        problems = entry.get("problems", [{}])
        assert (entry["state"], said in problems[0].get("message", "")) == (state, True), f"{name}: {entry}"
        assert all(problem.get("fix") for problem in problems if problem and problem.get("severity") != "warning")
    assert all(re.match(r"\d{4}-", line) and len(line) < 5000 for line in lines_of(log))


def test_a_hundred_megabytes_are_read_if_they_may_be_and_judged_in_bounded_time() -> None:
    """``max_workflow_mb`` allows up to a gigabyte."""
    start = time.monotonic()
    for data in (b"[" * 100_000_000, b'"' + b"x" * 100_000_000 + b'"'):
        with pytest.raises((NotJson, NotAWorkflow)):
            read_workflow(data)
    assert time.monotonic() - start < 60


def test_nodes_that_are_denied_are_never_posted(world: World) -> None:
    denying = World(world.root, world.sandbox, deny_nodes=("ImageInvert",))
    denying.start()
    try:
        denying.drop("bad.json", with_node("ImageInvert"))
        denying.drop("good.json", picture())
        entry = denying.until_state("bad.json", "blocked")
        assert entry["problems"][0]["code"] == "node_denied"
        denying.until_state("good.json", "completed")
        assert len(denying.sandbox.posts) == 1
    finally:
        denying.stop()


# ---- manifests

MANIFESTS = {
    "aliases": b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
    "merge": b"a: &a {status: paused}\n<<: *a\n",
    "tag": b"status: !!python/object/apply:os.system ['touch x']\n",
    "unknown tag": b"status: !include /etc/passwd\n",
    "depth": b"[" * 10_000,
    "twice": b"status: active\nstatus: paused\n",
    "two": b"status: active\n---\nstatus: paused\n",
    "list": b"- status: active\n",
    "zeros": b"\0" * 100,
    "utf-16 by halves": b"\xff\xfe\x00",
    "large": b"#" * 300_000,
    "digits": b"priority: " + b"9" * 10_000,
}
PARTLY = b"status: 7\npriority: .inf\nowner: [x]\nmodels: x\ncomfyui_url: 'javascript:x'\nnobody: *\n".replace(
    b" *", b" 1"
)


def test_a_hostile_manifest_holds_its_own_project_and_no_other(world: World) -> None:
    for name, data in MANIFESTS.items():
        world.drop("a.json", picture(), project=name)
        (world.projects / name / "manifest.yaml").write_bytes(data)
    world.drop("a.json", picture(2), project="partly")
    (world.projects / "partly" / "manifest.yaml").write_bytes(PARTLY)
    running = World(world.root, world.sandbox, existing="run")
    running.start()
    try:
        running.until_state("a.json", "completed", project="partly")
        assert len(running.status("partly")["notices"]) == 5
        for name in MANIFESTS:
            running.until(lambda name=name: running.status(name))  # type: ignore[misc]  # a loop's variable, bound
            assert running.entry("a.json", project=name)["state"] == "pending"
            assert running.status(name)["notices"][0].startswith("manifest.yaml cannot be read: ")
    finally:
        running.stop()


def test_a_manifest_that_names_another_server_is_not_gone_by(world: World) -> None:
    with StubHttp(Reply(status=200)) as stub:
        world.workflows()
        url = stub.url.replace("127.0.0.1", "comfy.example")
        (world.projects / "film" / "manifest.yaml").write_text(f"comfyui_url: {url}\n")
        world.start()
        world.drop("a.json", picture())
        world.until_state("a.json", "completed")
        assert stub.asked == []
    assert any("names another machine and is not used" in notice for notice in world.status()["notices"])


def test_one_more_server_on_this_machine_gets_jobs_and_never_our_headers(world: World, tmp_path: Path) -> None:
    """A manifest may name any port here: whoever listens there is asked as a ComfyUI, and told nothing."""
    headers = tmp_path / "headers"
    headers.write_text("Authorization: Bearer hidden-7f3a\n")
    headers.chmod(0o600)
    with StubHttp(Reply(status=200, body=b"{}", headers={"Content-Type": "application/json"})) as stub:
        world.workflows()
        (world.projects / "film" / "manifest.yaml").write_text(f"comfyui_url: {stub.url}\n")
        with_headers = World(world.root, world.sandbox, headers_file=headers)
        with_headers.start()
        try:
            with_headers.drop("a.json", picture())
            with_headers.until(lambda: stub.asked)
        finally:
            with_headers.stop()
        assert all("hidden-7f3a" not in str(asked.headers) for asked in stub.asked)


# ---- what ComfyUI hands over


def collection(folder: Path, *files: OutputFile, **changes: Any) -> Collection:
    plain: dict[str, Any] = {
        "job": a_job(run=1, prompt_id=PROMPT_ID, submitted=NOON, state=JobState.RUNNING),
        "outcome": Outcome(state=JobState.COMPLETED, files=files),
        "prompt": picture(),
        "folder": folder,
        "server": "http://127.0.0.1:8188",
        "comfyui_version": "0.3.64",
        "system": {},
    }
    return Collection(**plain | changes)


def test_outputs_of_any_name_stay_in_the_run_folder_and_none_is_lost(tmp_path: Path) -> None:
    film = tmp_path / "projects" / "film"
    film.mkdir(parents=True)
    outputs = [
        OutputFile(node="2", key="images", filename=name, subfolder=subfolder, kind="output")
        for name in HOSTILE_NAMES
        for subfolder in ("", "../..", "/etc")
    ]
    with StubHttp(Reply(body=b"picture")) as stub, Comfy(stub.url, timeout=2) as comfy:
        assert collect(collection(film, *outputs), comfy).error is None
    run = film / "outputs" / "a" / "001"
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.parent for path in written} == {run}
    assert len({path.name.casefold() for path in written}) == len(outputs) + 2
    listed = plain_yaml.load((run / "result.yaml").read_bytes())["outputs"]
    assert {row["path"] for row in listed} == {path.name for path in written} - {"result.yaml", "workflow.json"}


def test_ten_gigabytes_that_are_announced_fill_no_memory(tmp_path: Path) -> None:
    film = tmp_path / "projects" / "film"
    film.mkdir(parents=True)
    output = OutputFile(node="2", key="images", filename="x.png", subfolder="", kind="output")
    large = Reply(body=b"x" * 3_000_000, promised=10_000_000_000, after=After.CLOSE)
    with StubHttp(large) as stub, Comfy(stub.url, timeout=2) as comfy:
        tracemalloc.start()
        collected = collect(collection(film, output), comfy)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert isinstance(collected.error, Truncated)
    assert peak < 40_000_000  # the reply itself, as the stub holds it, and a few chunks
    assert list((film / "outputs" / "a" / "001").iterdir()) == []


any_text = st.text(max_size=30)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=10,
)
quick = effort(max_examples=60, deadline=2000)


@quick
@given(any_text, any_text, any_text, st.dictionaries(any_text, any_json, max_size=3))
def test_a_result_of_hostile_texts_is_yaml_for_everybody(
    name: str, text: str, traceback: str, system: dict[str, Any]
) -> None:
    problem = Problem(code="x", message=text, node=name, traceback=(traceback, text))
    outcome = Outcome(state=JobState.FAILED, texts=((name, text),), problems=(problem,))
    job = a_job(project=name or "p", path=f"{name}.json", run=1, prompt_id=PROMPT_ID, submitted=NOON)
    task = collection(Path("film"), outcome=outcome, job=job, server=text, hint=text, system={name: text})
    document = result_document(task, [{"path": name, "name": text}])
    data = plain_yaml.dump(document, header="Written by comfywatch")
    for loaded in (yaml.safe_load(data), plain_yaml.load(data)):
        assert loaded["schema"] == 1
        assert loaded["state"] == "failed"
        assert loaded["texts"] == [{"node": clean(name), "text": clean(text)}]


def clean(text: str) -> str:
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


# ---- parsers: nothing undeclared leaves them, and none takes long


@quick
@given(st.binary(max_size=400) | any_json.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_of_a_workflow_raise(data: bytes) -> None:
    reading = parsed(("film", "a.json"), STAMP, data)
    assert (reading.dropped is None) == (reading.problem is not None)


@quick
@given(st.dictionaries(any_text, any_json, max_size=5), st.dictionaries(any_text, any_json, max_size=3))
def test_no_history_raises(entry: dict[str, Any], outputs: dict[str, Any]) -> None:
    for plain in (entry, {"outputs": outputs, "status": entry}, {"outputs": {"1": outputs}, "prompt": entry}):
        assert Outcome.from_dict(json.loads(json.dumps(read_outcome(plain).as_dict()))).state in JobState


yaml_like = (
    st.binary(max_size=200)
    | st.text(alphabet=" \t\n-:[]{}&*!|>'\"%@#,?<=~0189ax", max_size=60).map(str.encode)
    | st.dictionaries(any_text, any_json, max_size=4).map(lambda value: plain_yaml.dump(value))
)


@quick
@given(yaml_like, st.sampled_from(["", "state: completed\n", "daemon: {host: x, state: running}\n"]))
def test_nothing_that_lies_in_a_project_raises(tmp_path_factory: Any, data: bytes, before: str) -> None:
    project = tmp_path_factory.mktemp("projects") / "film"
    (project / "outputs" / "a" / "001").mkdir(parents=True)
    for name in ("manifest.yaml", "status.yaml", "outputs/a/001/result.yaml"):
        (project / name).write_bytes(before.encode() + data)
    assert isinstance(read_manifest(project).readable, bool)
    assert len(past_runs(project, "a.json")) <= 1
    sign = read_sign(project)
    assert sign is None or isinstance(sign.is_alive(NOON), bool)


@quick
@given(yaml_like)
def test_no_config_raises_anything_but_bad_settings(tmp_path_factory: Any, data: bytes) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "config.yaml").write_bytes(data)
    try:
        load(root / "config.yaml", env={}, cwd=root)
    except BadSettings as error:
        assert error.problems


@pytest.mark.parametrize("part", ["- []\n", "? \n", "- a\n", "k: v\n", "'", "- 2001-01-01 00:00:00\n"])
def test_the_largest_manifest_is_read_in_bounded_time(tmp_path: Path, part: str) -> None:
    (tmp_path / "manifest.yaml").write_text(part * (256 * 1024 // len(part)))
    start = time.monotonic()
    reading = read_manifest(tmp_path)
    assert time.monotonic() - start < 60
    assert not reading.readable
    assert ("more than 100000 entries" in reading.notices[0]) == (part in {"- []\n", "? \n", "k: v\n"})


def test_the_end_of_a_run_is_known_without_reading_all_of_its_result(tmp_path: Path) -> None:
    run = tmp_path / "outputs" / "a" / "001"
    run.mkdir(parents=True)
    head = f"state: completed\ndigest: d\nprompt_id: {PROMPT_ID}\n"
    (run / "result.yaml").write_text(head + "texts:\n" + "- a\n" * 1_000_000)
    start = time.monotonic()
    assert [past.prompt_id for past in past_runs(tmp_path, "a.json")] == [PROMPT_ID]
    assert time.monotonic() - start < 60


# ---- docs/security.md


def test_each_claim_about_safety_is_shown_by_a_test_that_exists() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)\(", sources, re.MULTILINE))
    page = DOCS / "security.md"
    named = set(re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")))
    assert named <= there, named - there
    claims = list(rows(page.read_text(encoding="utf-8")))
    assert len(claims) > 25
    assert [cells[0] for cells in claims if not words(cells[-1])] == []
