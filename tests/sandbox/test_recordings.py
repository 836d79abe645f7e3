"""The sandbox answers what the real servers answered: recorded requests, the same statuses and the same bodies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from comfywatch.sandbox import Sandbox
from tests.sandbox.talk import Answer, Client, listen, png, until

Json = dict[str, Any]
RECORDINGS = Path(__file__).parent.parent / "recordings"
VERSIONS = ("0.3.64", "0.33.0")
FORGOTTEN = {  # what differs from run to run, what is text only, and what is cut out of the recordings
    *("prompt_id", "number", "timestamp", "create_time", "tooltip", "traceback", "current_inputs", "current_outputs"),
    *("exception_message", "execution_start_time", "execution_end_time", "priority", "id", "sid", "search_aliases"),
}
MODELS = {
    "checkpoints": ["flux1-dev.safetensors", "sdxl/RealVisXL_V5.0.safetensors"],
    "loras": ["sage_character.safetensors", "ünï code.safetensors"],
    "embeddings": [],
}


def recorded(version: str, name: str) -> Any:
    return json.loads((RECORDINGS / f"comfyui-{version}" / f"{name}.json").read_text(encoding="utf-8"))


def names(*patterns: str) -> list[Any]:
    """A test parameter for each recording of each version."""
    found = [
        (version, path.stem)
        for version in VERSIONS
        for pattern in patterns
        for path in sorted((RECORDINGS / f"comfyui-{version}").glob(f"{pattern}.json"))
    ]
    return [pytest.param(*each, id="-".join(each)) for each in found if each[1] not in NOT_REPLAYED]


NOT_REPLAYED = {  # no prompts, too slow, and one whose history was recorded before its end
    *("prompt_info", "prompt_slow_a", "prompt_slow_b", "prompt_slow_c", "prompt_slow_d", "prompt_same_prompt_id_again"),
}
RUN_BEFORE = {  # what the recorded server had in its cache
    "prompt_success_cached": "prompt_success",
    "prompt_error_oom": "prompt_error_runtime",
    "prompt_error_unicode": "prompt_error_runtime",
}


@pytest.fixture
def prepared(sandbox: Sandbox, client: Client) -> Client:
    """A sandbox with the models and input files that the recorded servers had."""
    sandbox.models.update({folder: list(files) for folder, files in MODELS.items()})
    client.upload("corrupt.png", b"this is no picture")
    client.upload("ref.png", png(), subfolder="proj")
    return client


def plain(value: Any) -> Any:
    """A body without what cannot be the same twice."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key not in FORGOTTEN}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str):
        is_file = value.endswith((".png", ".webp", ".latent")) and "_0" in value
        return "…" if is_file or "tensor(" in value else value
    return value


def sorted_errors(body: Any) -> Any:
    """The order of a node's errors is that of a set: any."""
    for entry in body.get("node_errors", {}).values() if isinstance(body, dict) else ():
        entry["errors"].sort(key=lambda error: (error["type"], error["details"]))
    return body


def replay(client: Client, recording: Json) -> Answer:
    asked = recording["request"]
    return client.request(asked["method"], asked["path"], json=asked["json"])


def assert_alike(answer: Answer, recording: Json) -> None:
    expected = recording["response"]
    assert answer.status_code == expected["status"]
    if not expected["content_type"]:
        assert answer.content == b""
        return
    assert answer.headers["Content-Type"] == expected["content_type"]
    body = answer.json() if "json" in expected["content_type"] else answer.text
    assert plain(sorted_errors(body)) == plain(sorted_errors(expected["body"]))


@pytest.mark.parametrize(("version", "name"), names("err_*"))
def test_a_refusal_reads_as_recorded(prepared: Client, name: str, version: str) -> None:
    recording = recorded(version, name)
    if name == "err_not_json":
        answer = prepared.post("/prompt", body=b"{not json")
    elif name == "err_json_list":
        answer = prepared.post("/prompt", json=[])
    else:
        answer = replay(prepared, recording)
    assert_alike(answer, recording)


@pytest.mark.parametrize(("version", "name"), names("prompt_*"))
def test_a_prompt_ends_as_recorded(prepared: Client, name: str, version: str) -> None:
    posted = recorded(version, name)
    if name in RUN_BEFORE:
        before = replay(prepared, recorded(version, RUN_BEFORE[name]))
        prepared.history(before.json()["prompt_id"])
    answer = replay(prepared, posted)
    assert_alike(answer, posted)
    entry = prepared.history(answer.json()["prompt_id"])
    (expected,) = recorded(version, f"history_{name.removeprefix('prompt_')}")["response"]["body"].values()
    entry["prompt"][0] = expected["prompt"][0]
    entry["prompt"][1] = expected["prompt"][1]
    entry["prompt"][4].sort()
    expected["prompt"][4].sort()
    assert list(entry) == list(expected)
    assert plain(entry) == plain(expected)
    last, expected_last = entry["status"]["messages"][-1], expected["status"]["messages"][-1]
    assert set(last[1]) == set(expected_last[1])
    if last[0] == "execution_error":
        text = last[1]["exception_message"], expected_last[1]["exception_message"]
        assert text[0] == text[1] or "cannot identify image file" in text[0]


LOOKED_AT = (
    "features",
    "prompt_info",
    "queue_empty",
    "history_unknown",
    "object_info_unknown",
    "models_*",
    "embeddings",
)


@pytest.mark.parametrize(
    ("version", "name"), names(*LOOKED_AT, "view_missing", "view_traversal", "free", "interrupt_other", "jobs_unknown")
)
def test_a_question_is_answered_as_recorded(prepared: Client, name: str, version: str) -> None:
    recording = recorded(version, name)
    if recording["request"]["path"].lstrip("/") in {"models/checkpoints", "models/loras"}:
        assert prepared.get(recording["request"]["path"]).json() == recording["response"]["body"]
    elif name in LOOKED_AT or "unknown" in name or not name.startswith("models_"):
        assert_alike(replay(prepared, recording), recording)


@pytest.mark.parametrize("version", VERSIONS)
def test_prompt_info_and_model_folders_are_as_recorded(prepared: Client, version: str) -> None:
    assert_alike(replay(prepared, recorded(version, "prompt_info")), recorded(version, "prompt_info"))
    folders = prepared.get("/models").json()
    assert sorted(folders) == sorted(recorded(version, "models")["response"]["body"])


@pytest.mark.parametrize("version", VERSIONS)
def test_system_stats_has_the_recorded_keys(prepared: Client, version: str) -> None:
    expected, answered = recorded(version, "system_stats")["response"]["body"], prepared.get("/system_stats").json()
    assert list(answered) == list(expected)
    assert set(answered["system"]) == set(expected["system"])
    assert set(answered["devices"][0]) == set(expected["devices"][0])
    assert answered["system"]["comfyui_version"] == version
    assert answered["system"]["os"] == expected["system"]["os"]


@pytest.mark.parametrize("version", VERSIONS)
def test_ksampler_has_the_recorded_schema(prepared: Client, version: str) -> None:
    expected = plain(recorded(version, "object_info_KSampler")["response"]["body"])
    answered = plain(prepared.get("/object_info/KSampler").json())
    expected["KSampler"].pop("output_tooltips", None)
    for name, spec in expected["KSampler"]["input"]["required"].items():
        expected["KSampler"]["input"]["required"][name] = [part for part in spec if part != {}]
    expected["KSampler"]["description"] = ""
    assert answered == expected


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["success", "success_cached", "error_runtime"])
def test_the_websocket_says_what_was_recorded(prepared: Client, name: str, version: str) -> None:
    expected = [message for message in recorded(version, f"ws_{name}") if "sid" not in message["data"]]
    posted = recorded(version, f"prompt_{name}")
    if name == "success_cached":
        prepared.history(replay(prepared, posted).json()["prompt_id"])
    heard = listen(prepared.sandbox, lambda: replay(prepared, posted), client_id="recorder")[1:]
    assert plain(heard) == plain(expected)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_interrupt_is_told_as_recorded(prepared: Client, version: str) -> None:
    """The recorded node sleeps in steps of 0.1 s; only what is said at the end is compared."""
    expected = recorded(version, "ws_interrupt")
    posted = recorded(version, "prompt_slow_a")

    def act() -> None:
        prompt_id = replay(prepared, posted).json()["prompt_id"]
        until(lambda: prompt_id in prepared.sandbox.executed)
        prepared.post("/interrupt", json={"prompt_id": "nosuch"})
        prepared.post("/interrupt", json={"prompt_id": prompt_id})

    heard = listen(prepared.sandbox, act, client_id="recorder")[1:]
    at, expected_at = (
        next(i for i, message in enumerate(messages) if message["type"] == "execution_interrupted")
        for messages in (heard, expected)
    )
    assert [message["type"] for message in heard[at:]] == [message["type"] for message in expected[expected_at:]]
    assert set(heard[at]["data"]) == set(expected[expected_at]["data"])
    (entry,) = recorded(version, "history_interrupted")["response"]["body"].values()
    answered = prepared.history(prepared.sandbox.interrupted[0])
    for each in (entry, answered):
        each["status"]["messages"][-1][1].pop("executed")
        each["status"]["messages"][-1][1].pop("node_id")
        each["status"]["messages"][-1][1].pop("node_type")
        each["prompt"][:2] = []
    assert plain(answered) == plain(entry)


@pytest.mark.parametrize("version", VERSIONS)
def test_queue_rows_have_the_recorded_shape(prepared: Client, version: str) -> None:
    prepared.sandbox.faults.hold = True
    for letter in "abc":
        replay(prepared, recorded(version, f"prompt_slow_{letter}"))
    until(lambda: len(prepared.sandbox.executed) == 1)
    expected = recorded(version, "queue_running_and_pending")["response"]["body"]
    answered = prepared.get("/queue").json()
    for queue in (expected, answered):
        for row in [*queue["queue_running"], *queue["queue_pending"]]:
            assert isinstance(row[0], int)
            row[:2] = []
            assert ("create_time" in row[1]) is (version == "0.33.0")
    assert plain(answered) == plain(expected)
    prepared.sandbox.faults.clear()
    prepared.post("/queue", json={"clear": True})
    prepared.post("/interrupt")


@pytest.mark.parametrize("version", ["0.33.0"])
def test_finished_and_cancelled_jobs_read_as_recorded(prepared: Client, version: str) -> None:
    """The recorded jobs slept for long; these do not, and are otherwise the same."""
    short = recorded(version, "prompt_slow_c")["request"]["json"]
    short["prompt"]["5"]["inputs"]["seconds"] = 0.0
    job = prepared.get(f"/api/jobs/{prepared.post('/prompt', json=short).json()['prompt_id']}").json()
    until(lambda: prepared.get(f"/api/jobs/{job['id']}").json()["status"] == "completed")
    expected = recorded(version, "jobs_one")["response"]["body"]
    expected["workflow"]["prompt"]["5"]["inputs"]["seconds"] = 0.0
    assert plain(prepared.get(f"/api/jobs/{job['id']}").json()) == plain(expected)

    long = recorded(version, "prompt_slow_d")
    prompt_id = replay(prepared, long).json()["prompt_id"]
    until(lambda: prompt_id in prepared.sandbox.executed)
    until(lambda: prepared.sandbox.executed[-1] == prompt_id)
    running = prepared.get("/api/jobs?status=in_progress,pending").json()
    assert plain(running) == plain(recorded(version, "jobs_running")["response"]["body"])
    answer = prepared.post(f"/api/jobs/{prompt_id}/cancel", json={})
    assert_alike(answer, recorded(version, "jobs_cancel"))
    until(lambda: prepared.get(f"/api/jobs/{prompt_id}").json()["status"] == "cancelled")
    cancelled = plain(prepared.get(f"/api/jobs/{prompt_id}").json())
    expected = plain(recorded(version, "jobs_cancelled")["response"]["body"])
    for each in (cancelled, expected):  # how far it was is not the same twice
        for key in ("executed", "node_id", "node_type"):
            each["execution_status"]["messages"][-1][1].pop(key)
    assert cancelled == expected
