"""The client against the sandbox, as both versions of ComfyUI."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from comfywatch.comfy import Comfy
from comfywatch.comfy_errors import Broken, Missing, Rejected, TooLarge, Unreachable, Unsupported
from comfywatch.sandbox import Sandbox, SandboxSettings
from tests.comfy_talk import received

_T = TypeVar("_T")


@pytest.fixture(params=["0.3.64", "0.33.0"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(version=request.param)) as running:
        yield running


def small_job(prompt_id: str, *, prefix: str = "x") -> dict[str, Any]:
    return {
        "prompt_id": prompt_id,
        "client_id": "test",
        "prompt": {
            "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 1}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
        },
    }


def ended(comfy: Comfy, prompt_id: str) -> dict[str, Any]:
    return until(lambda: comfy.history(prompt_id))


def until(look: Callable[[], _T | None]) -> _T:
    """What ``look`` sees once it sees something, within ten seconds."""
    deadline = time.monotonic() + 10
    while not (seen := look()):
        assert time.monotonic() < deadline
    return seen


def test_a_prompt_from_post_to_picture(sandbox: Sandbox) -> None:
    prompt_id = str(uuid4())
    with Comfy(sandbox.url) as comfy:
        assert comfy.post_prompt(small_job(prompt_id, prefix="a b/ü'")).prompt_id == prompt_id
        file = ended(comfy, prompt_id)["outputs"]["2"]["images"][0]
        picture = received(comfy, filename=file["filename"], subfolder=file["subfolder"], kind=file["type"])
        assert prompt_id in comfy.recent_history(10)
        with pytest.raises(Missing):
            received(comfy, filename="none.png")
    assert picture == (sandbox.installation.output / file["subfolder"] / file["filename"]).read_bytes()


def test_what_is_installed_there(sandbox: Sandbox) -> None:
    with Comfy(sandbox.url) as comfy:
        assert comfy.system_stats()["system"]["comfyui_version"] in {"0.3.64", "0.33.0"}
        assert comfy.features()["max_upload_size"] > 0
        assert "checkpoints" in comfy.model_folders()
        assert comfy.models_in("checkpoints") == sandbox.models["checkpoints"]
        assert comfy.models_in("clip") is None
        assert set(comfy.object_info("KSampler")) == {"KSampler"}
        assert comfy.object_info("No/Such") == {}


def test_a_prompt_is_taken_out_or_interrupted(sandbox: Sandbox) -> None:
    running, waiting = str(uuid4()), str(uuid4())
    sandbox.faults.hold = True
    with Comfy(sandbox.url) as comfy:
        for prompt_id in (running, waiting):
            comfy.post_prompt(small_job(prompt_id, prefix=prompt_id))
        until(lambda: comfy.queue().running)
        queue = comfy.queue()
        assert [item.prompt_id for item in (*queue.running, *queue.pending)] == [running, waiting]
        assert comfy.queue_remaining() == 2
        comfy.delete_pending([running, waiting])
        assert comfy.queue().pending == ()
        comfy.interrupt(running)
        messages = [name for name, _ in ended(comfy, running)["status"]["messages"]]
    assert "execution_interrupted" in messages


def test_jobs_are_known_only_to_newer_versions(sandbox: Sandbox) -> None:
    prompt_id = str(uuid4())
    with Comfy(sandbox.url) as comfy:
        comfy.post_prompt(small_job(prompt_id))
        ended(comfy, prompt_id)
        if sandbox.settings.version == "0.3.64":
            for ask in (comfy.job, comfy.cancel_job):
                with pytest.raises(Unsupported):
                    ask(prompt_id)
        else:
            assert (comfy.job(prompt_id) or {})["status"] == "completed"
            assert comfy.job(str(uuid4())) is None
            assert comfy.cancel_job(prompt_id) is False


@pytest.mark.parametrize("name", ["a.png", 'a"b;c;d.png', "a\nX: y.png", "ü 100%.png", "o'x;.png"])
def test_hostile_names_arrive_as_they_are(name: str, sandbox: Sandbox) -> None:
    with Comfy(sandbox.url) as comfy:
        stored = comfy.upload_image(io.BytesIO(name.encode()), name=name, subfolder="comfywatch/ab ü")
    assert stored == f"comfywatch/ab ü/{name}"
    assert (sandbox.installation.input / stored).read_bytes() == name.encode()


def test_what_the_sandbox_refuses(sandbox: Sandbox) -> None:
    with Comfy(sandbox.url) as comfy:
        with pytest.raises(Rejected, match="NoSuchNode"):
            comfy.post_prompt({"prompt": {"1": {"class_type": "NoSuchNode", "inputs": {}}}})
        with pytest.raises(Broken):
            comfy.post_prompt(b"not JSON")
        with pytest.raises(Rejected):
            comfy.upload_image(io.BytesIO(b"x"), name="x.png", subfolder="../..")


def test_a_restart_between_two_posts_is_not_cut_off(sandbox: Sandbox) -> None:
    with Comfy(sandbox.url) as comfy:
        comfy.post_prompt(small_job(str(uuid4())))
        sandbox.stop()
        with pytest.raises(Unreachable) as unreachable:
            comfy.queue()
        assert unreachable.value.refused
        sandbox.start()
        comfy.post_prompt(small_job(str(uuid4())))
    assert len(sandbox.posts) == 2


def test_too_large_for_the_sandbox() -> None:
    with Sandbox(SandboxSettings(max_upload_bytes=100_000)) as sandbox, Comfy(sandbox.url) as comfy:
        with pytest.raises(TooLarge) as large:
            comfy.upload_image(io.BytesIO(bytes(5_000_000)), name="a.png", subfolder="")
        assert large.value.limit == 100_000
        assert comfy.queue_remaining() == 0
