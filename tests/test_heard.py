"""What a message on the websocket says; nothing in it is taken on trust."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.heard import (
    MAX_PREVIEW_BYTES,
    AtNode,
    Began,
    Cached,
    InHistory,
    Over,
    Preview,
    Standing,
    Step,
    What,
    read,
)
from comfywatch.sandbox.events import NOISE
from tests.made import PROMPT_ID

RECORDINGS = Path(__file__).parent / "recordings"
JPEG = b"\xff\xd8\xff\xe0 a picture"


def said(kind: str, **data: Any) -> What | None:
    return read(json.dumps({"type": kind, "data": data}))


def transcript(version: str, name: str) -> list[What]:
    messages = json.loads((RECORDINGS / f"comfyui-{version}" / f"ws_{name}.json").read_text(encoding="utf-8"))
    return [what for message in messages if (what := read(json.dumps(message))) is not None]


@pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])
@pytest.mark.parametrize("name", ["success", "success_cached", "error_runtime", "interrupt"])
def test_every_recorded_prompt_begins_and_is_in_history_at_the_end(version: str, name: str) -> None:
    heard = transcript(version, name)
    assert type(heard[0]) is Began
    ends = [type(what) for what in heard if isinstance(what, Over | InHistory)]
    assert ends in ([Over, InHistory], [InHistory], [Over])
    assert len({what.prompt_id for what in heard}) >= 1


@pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])
def test_a_recorded_success_reads_as_it_went(version: str) -> None:
    heard = transcript(version, "success")
    assert [what.node for what in heard if isinstance(what, AtNode)] == ["1", "2"]
    assert [what for what in heard if isinstance(what, Standing)][-1].done == {"1", "2"}
    assert next(what for what in heard if isinstance(what, Cached)).nodes == frozenset()


def test_the_cached_nodes_are_named() -> None:
    assert said("execution_cached", nodes=["1", "2"], prompt_id="p") == Cached(prompt_id="p", nodes=frozenset("12"))


def test_a_step_says_how_far_a_node_is() -> None:
    assert said("progress", value=3, max=20, prompt_id="p", node="5") == Step(
        prompt_id="p", node="5", value=3, maximum=20
    )


def test_who_comes_late_is_told_the_node_and_not_the_prompt() -> None:
    assert said("executing", node="5") == AtNode(prompt_id="", node="5")


def test_nodes_that_a_node_brought_along_count_as_that_one() -> None:
    assert said("executing", node="5.0.1", display_node="5", prompt_id="p") == AtNode(prompt_id="p", node="5")
    nodes = {
        "5.0.0": {"value": 1, "max": 1, "state": "finished", "display_node_id": "5"},
        "5.0.1": {"value": 2, "max": 9, "state": "running", "display_node_id": "5"},
        "4": {"value": 1, "max": 1, "state": "finished"},
        "6": {"value": 0, "max": 1, "state": "pending"},
    }
    assert said("progress_state", prompt_id="p", nodes=nodes) == Standing(
        prompt_id="p", running={"5": (2, 9)}, done=frozenset({"4"})
    )


def test_a_preview_says_whose_it_is_where_the_server_can() -> None:
    about = json.dumps({"prompt_id": PROMPT_ID, "image_type": "image/jpeg"}).encode()
    assert read(struct.pack(">II", 4, len(about)) + about + JPEG) == Preview(prompt_id=PROMPT_ID, data=JPEG)
    assert read(struct.pack(">II", 1, 1) + JPEG) == Preview(prompt_id="", data=JPEG)


def test_only_a_jpeg_of_a_decent_size_is_a_preview() -> None:
    assert read(struct.pack(">II", 1, 2) + b"\x89PNG\r\n") is None
    assert read(struct.pack(">II", 1, 1) + JPEG + bytes(MAX_PREVIEW_BYTES)) is None
    assert read(struct.pack(">II", 3, 1) + JPEG) is None


@pytest.mark.parametrize("noise", NOISE)
def test_nonsense_says_nothing_of_ours(noise: str | bytes) -> None:
    what = read(noise)
    assert what is None or isinstance(what, Over)


@given(st.binary() | st.text())
def test_no_message_is_a_stumbling_block(message: bytes | str) -> None:
    read(message)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.just("p"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_FIELDS = st.sampled_from(["node", "display_node", "prompt_id", "value", "max", "nodes", "state"])
_KINDS = st.sampled_from(["execution_start", "execution_cached", "executing", "progress", "progress_state", "status"])


@given(_KINDS, st.dictionaries(_FIELDS, _JSON | st.dictionaries(st.text(max_size=3), st.dictionaries(_FIELDS, _JSON))))
def test_no_shape_of_json_is_a_stumbling_block(kind: str, data: dict[str, Any]) -> None:
    what = read(json.dumps({"type": kind, "data": data}))
    assert what is None or isinstance(what.prompt_id, str)
