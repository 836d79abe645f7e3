"""How a prompt ended, as ComfyUI's history has it; whatever stands there, no output is lost and nothing is made up."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.history import Outcome, OutputFile, read_outcome
from comfywatch.jobs import JobState

RECORDINGS = Path(__file__).parent / "recordings"
each_version = pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])


def recorded(version: str, name: str) -> Outcome:
    recording = json.loads((RECORDINGS / f"comfyui-{version}" / f"history_{name}.json").read_bytes())
    (entry,) = recording["response"]["body"].values()
    return read_outcome(entry)


def entry(outputs: Any = None, *messages: Any, status_str: Any = "success") -> dict[str, Any]:
    return {"outputs": outputs or {}, "status": {"status_str": status_str, "messages": list(messages)}}


def files(**lists: Any) -> list[OutputFile]:
    return list(read_outcome(entry({"7": lists})).files)


# ---- recordings of real servers


@each_version
@pytest.mark.parametrize(
    ("name", "outputs"),
    [("success", 1), ("batch4", 4), ("latent", 1), ("webp", 1), ("success_cached", 1), ("preview_any", 0)],
)
def test_a_success_is_completed_with_all_that_it_made(version: str, name: str, outputs: int) -> None:
    outcome = recorded(version, name)
    assert outcome.state is JobState.COMPLETED
    assert len(outcome.files) == outputs
    assert outcome.problems == ()


@each_version
def test_times_are_comfyuis_own(version: str) -> None:
    outcome = recorded(version, "success")
    assert outcome.started is not None
    assert outcome.finished is not None
    assert outcome.started.tzinfo is UTC
    assert outcome.seconds == round((outcome.finished - outcome.started).total_seconds(), 3)


@each_version
def test_texts_are_kept_beside_pictures(version: str) -> None:
    outcome = recorded(version, "two_outputs")
    assert len(outcome.files) == 2
    assert [node for node, _ in outcome.texts] == ["4"]


@each_version
def test_a_preview_is_told_from_an_output(version: str) -> None:
    assert [file.kind for file in recorded(version, "preview").files] == ["temp"]


@each_version
def test_hostile_names_arrive_as_comfyui_gives_them(version: str) -> None:
    names = {file.filename for file in recorded(version, "hostile_names").files}
    assert {"../../evil.png", "/etc/passwd", "..\\win.png", "CON.png", "a/b.png"} <= names


@each_version
@pytest.mark.parametrize(
    ("name", "said"),
    [("error_runtime", "failed with"), ("error_oom", "memory"), ("error_unicode", "☃"), ("error_corrupt_image", "")],
)
def test_a_failure_says_which_node_and_why_with_the_whole_traceback(version: str, name: str, said: str) -> None:
    outcome = recorded(version, name)
    assert outcome.state is JobState.FAILED
    (problem,) = outcome.problems
    assert said in problem.message
    assert problem.node
    assert problem.class_type
    assert problem.traceback


@each_version
def test_an_interrupted_run_is_cancelled_although_its_status_is_an_error(version: str) -> None:
    outcome = recorded(version, "interrupted")
    assert outcome.state is JobState.CANCELLED
    assert outcome.problems[0].code == "execution_interrupted"


# ---- the end


def test_the_messages_count_more_than_the_status() -> None:
    failed = ["execution_error", {"node_id": "3", "node_type": "X", "exception_message": "no"}]
    assert read_outcome(entry({}, failed)).state is JobState.FAILED
    assert read_outcome(entry({}, ["execution_success", {}], failed)).state is JobState.FAILED
    assert read_outcome(entry({}, ["execution_interrupted", {}], status_str="error")).state is JobState.CANCELLED


def test_the_status_counts_where_messages_say_nothing() -> None:
    assert read_outcome(entry(status_str="success")).state is JobState.COMPLETED
    assert read_outcome(entry(status_str="error")).state is JobState.FAILED


def test_what_was_finished_before_a_failure_is_kept() -> None:
    outputs = {"2": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}}
    outcome = read_outcome(entry(outputs, ["execution_error", {}], status_str="error"))
    assert outcome.state is JobState.FAILED
    assert [file.filename for file in outcome.files] == ["a.png"]


def test_a_failure_without_a_word_is_told_as_such() -> None:
    outcome = read_outcome({"status": {"status_str": "error"}})
    assert outcome.problems[0].fix


@pytest.mark.parametrize("odd", [{}, {"status": None}, {"status": []}, {"status": {"messages": None}}, {"outputs": 3}])
def test_without_a_sign_of_success_nothing_is_completed(odd: dict[str, Any]) -> None:
    if not odd.get("outputs"):
        assert read_outcome(odd).state is JobState.FAILED
    else:
        assert read_outcome({**odd, "status": {"status_str": "error"}}).state is JobState.FAILED


# ---- outputs


@pytest.mark.parametrize("key", ["images", "gifs", "video", "audio", "3d", "latents", "files", "whatever you like"])
def test_every_item_with_a_filename_is_an_output_under_whatever_key(key: str) -> None:
    item = {"filename": "a.bin", "subfolder": "x/y", "type": "output", "frame_rate": 8}
    assert files(**{key: [item, {"filename": "b.bin", "type": "temp"}]}) == [
        OutputFile(node="7", key=key, filename="a.bin", subfolder="x/y"),
        OutputFile(node="7", key=key, filename="b.bin", kind="temp"),
    ]


def test_what_is_no_file_is_none() -> None:
    assert (
        files(animated=[True], text=["a.png"], images=["a.png", None, 3, {}, {"filename": ""}, {"filename": 5}]) == []
    )


@pytest.mark.parametrize(
    ("path", "subfolder", "filename", "kind"),
    [
        ("a.glb", "", "a.glb", "output"),
        ("mesh/x/a.GLB", "mesh/x", "a.GLB", "output"),
        ("mesh\\a.obj", "mesh", "a.obj", "output"),
        ("mesh/a.glb [output]", "mesh", "a.glb", "output"),
        ("a.ply [temp]", "", "a.ply", "temp"),
    ],
)
def test_a_3d_result_may_be_a_path(path: str, subfolder: str, filename: str, kind: str) -> None:
    found = files(result=[path, None, {"camera": 1}])
    assert found == [OutputFile(node="7", key="result", filename=filename, subfolder=subfolder, kind=kind)]


def test_a_text_that_is_no_model_is_no_file() -> None:
    assert files(result=["a sentence", "notes.txt"]) == []


@pytest.mark.parametrize("shown", ["one", ["one"]])
def test_a_text_is_kept_alone_or_in_a_list(shown: Any) -> None:
    assert read_outcome(entry({"7": {"text": shown}})).texts == (("7", "one"),)


# ---- any JSON at all

KEYS = """
    outputs status messages status_str timestamp images filename type subfolder text result traceback exception_message
    node_id 1
"""
keys = st.sampled_from(KEYS.split())
words = st.sampled_from(
    ["success", "error", "execution_error", "execution_success", "execution_start", "a.png", "x.glb"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys | st.text(max_size=3), inner, max_size=4),
    max_leaves=25,
)
messages = st.lists(st.lists(words | values, min_size=2, max_size=2) | values, max_size=4)
entries = st.dictionaries(keys | st.text(max_size=3), values, max_size=5) | st.fixed_dictionaries(
    {
        "outputs": st.dictionaries(st.text(max_size=2), st.dictionaries(keys, values, max_size=3), max_size=3),
        "status": st.fixed_dictionaries({"status_str": values, "messages": messages}),
    }
)


@given(entries)
def test_any_json_has_an_outcome_that_can_be_kept(plain: dict[str, Any]) -> None:
    outcome = read_outcome(plain)
    assert outcome.state in {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}
    assert (outcome.state is JobState.COMPLETED) == (not outcome.problems)
    assert outcome.seconds is None or outcome.seconds >= 0
    assert Outcome.from_dict(json.loads(json.dumps(outcome.as_dict()))) == outcome


@given(entries)
def test_every_file_has_a_name(plain: dict[str, Any]) -> None:
    assert all(file.filename for file in read_outcome(plain).files)


def test_times_out_of_all_range_are_left_out() -> None:
    outcome = read_outcome(
        entry({}, ["execution_start", {"timestamp": 1e300}], ["execution_success", {"timestamp": -1}])
    )
    assert (outcome.started, outcome.finished, outcome.seconds) == (None, None, None)


def test_a_clock_that_was_set_back_gives_no_negative_time() -> None:
    outcome = read_outcome(
        entry({}, ["execution_start", {"timestamp": 9000}], ["execution_success", {"timestamp": 5000}])
    )
    assert outcome.seconds == 4.0
    assert outcome.started == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)
