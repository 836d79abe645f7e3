"""From bytes to a prompt: any bytes are one, not JSON yet, or no workflow; the content counts, and not its layout."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.workflow import Dropped, NotAWorkflow, NotJson, digest_of, parse_json, read_workflow
from tests.world import picture, text_to_image

texts = st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
nodes = st.fixed_dictionaries({"class_type": texts, "inputs": st.dictionaries(texts, values, max_size=4)})
prompts = st.dictionaries(texts, nodes, min_size=1, max_size=4).filter(lambda prompt: "prompt" not in prompt)


def read(value: Any) -> Dropped:
    return read_workflow(json.dumps(value).encode())


def code(value: Any) -> str:
    with pytest.raises(NotAWorkflow) as caught:
        read(value)
    assert caught.value.problem.fix
    return caught.value.problem.code


def reversed_keys(value: Any) -> Any:
    match value:
        case dict():
            return {key: reversed_keys(value[key]) for key in reversed(value)}
        case list():
            return [reversed_keys(item) for item in value]
        case _:
            return value


# ---- the digest


@given(prompts, st.dictionaries(texts, values, max_size=2), st.sampled_from([None, 1, "\t"]))
def test_layout_key_order_and_meta_do_not_count(prompt: dict[str, Any], meta: dict[str, Any], indent: Any) -> None:
    shuffled = {key: {**node, "_meta": meta} for key, node in reversed_keys(prompt).items()}
    data = json.dumps(shuffled, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        dropped = read_workflow(data)
    except NotJson:  # half a surrogate pair, not escaped, is no UTF-8
        dropped = read(shuffled)
    assert dropped.digest == digest_of(prompt)
    assert dropped.prompt == shuffled


@given(prompts, prompts)
def test_other_content_has_another_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest_of(one) == digest_of(other)) == same


def test_the_order_of_a_list_counts() -> None:
    one = {"1": {"class_type": "X", "inputs": {"images": ["2", 0]}}}
    other = {"1": {"class_type": "X", "inputs": {"images": [0, "2"]}}}
    assert digest_of(one) != digest_of(other)


def test_the_digest_is_a_sha_256_and_stays_what_it_was() -> None:
    """People's databases and ``result.yaml`` hold it: it may never change."""
    assert digest_of(picture()) == "761ebd4821566fd9b8177f3dd72db0a9c708898bde3e4af9a70469a2ae82d7db"


def test_a_post_body_is_the_same_content_as_its_prompt() -> None:
    body = {"prompt": picture(), "client_id": "x", "extra_data": {"extra_pnginfo": {"workflow": {"nodes": []}}}}
    assert read(body).digest == read(picture()).digest


# ---- what is taken


def test_an_exported_prompt_is_taken_as_it_is() -> None:
    dropped = read(text_to_image())
    assert dropped.prompt == text_to_image()
    assert dropped.saved is None


def test_a_post_body_is_taken_with_the_workflow_that_it_carries() -> None:
    saved = {"nodes": [], "version": 0.4}
    assert read({"prompt": picture(), "extra_data": {"extra_pnginfo": {"workflow": saved}}}).saved == saved


@pytest.mark.parametrize("extra", [None, [], "x", {}, {"extra_pnginfo": 3}, {"extra_pnginfo": {"workflow": "x"}}])
def test_what_a_post_body_carries_besides_does_not_matter(extra: Any) -> None:
    assert read({"prompt": picture(), "extra_data": extra}).saved is None


def test_a_node_may_be_called_prompt() -> None:
    prompt = {"prompt": picture()["1"], "2": {**picture()["2"], "inputs": {"images": ["prompt", 0]}}}
    assert read(prompt).prompt == prompt


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_encoding_that_editors_write_is_read(encoding: str) -> None:
    prompt = picture(prefix="Übung ☃")
    assert read_workflow(json.dumps(prompt, ensure_ascii=False).encode(encoding)).prompt == prompt


@given(st.integers(), st.text(st.characters(exclude_categories=["Cs"]), max_size=9))
def test_numbers_and_texts_arrive_as_they_are(number: int, text: str) -> None:
    prompt = {"1": {"class_type": "X", "inputs": {"seed": number, "text": text}}}
    assert read(prompt).prompt == prompt


# ---- what is not JSON, or not yet


@given(st.integers(1))
def test_every_part_of_a_file_that_is_being_written_is_not_json_yet(cut: int) -> None:
    data = json.dumps(text_to_image(), indent=1).encode()
    with pytest.raises(NotJson):
        read_workflow(data[: cut % len(data)])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        (b" \r\n\t", "the file is empty"),
        (b"\0\0\0\0", "the file is empty"),
        (b'{"1": ', "ends in the middle"),
        (b'{"1": "un', "ends in the middle"),
        (b"{\n 'a': 1}", "line 2, column 2"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1} {"b": 2}', "line 1, column 10"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "digits"),
        (b"\x89PNG\r\n\x1a\n", "UTF-8"),
        (b"<html>", "line 1, column 1"),
    ],
)
def test_what_is_not_json_says_where_or_why(data: bytes, said: str) -> None:
    with pytest.raises(NotJson, match=said):
        read_workflow(data)


# ---- what is JSON, and no workflow


def test_a_saved_workflow_is_told_from_a_prompt() -> None:
    saved = {"nodes": [{"id": 1, "type": "KSampler"}], "links": [], "version": 0.4}
    dropped = read(saved)
    assert dropped.is_saved
    assert dropped.saved == saved
    assert not read(picture()).is_saved


def test_the_layout_of_a_saved_workflow_does_not_count_and_its_values_do() -> None:
    def saved(*, value: int = 1, link: int = 7, **layout: Any) -> dict[str, Any]:
        node = {"id": 3, "type": "KSampler", "widgets_values": [value], "inputs": [{"name": "model", "link": link}]}
        return {"nodes": [{**node, **layout}, {"id": 9, "type": "Note", **layout}], "links": [[7, 1, 0, 3, 0, "MODEL"]]}

    plain = read(saved()).digest
    assert read(saved(pos=[1, 2], size=[3, 4], title="Mine", order=5, flags={"collapsed": True})).digest == plain
    assert read({**saved(), "groups": [{}], "extra": {"ds": {"scale": 2}}, "last_node_id": 99}).digest == plain
    assert read(saved(value=2)).digest != plain
    assert read(saved(link=8)).digest != plain
    assert read(saved(mode=4)).digest != plain


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        "x",
        [],
        [picture()],
        {},
        {"prompt": {}},
        {"a": 1},
        {"1": {"inputs": {}}},
        {"1": {"class_type": 5, "inputs": {}}},
        {"1": {"class_type": "X", "inputs": []}},
        {"1": {"class_type": "X", "inputs": None}},
        {**picture(), "version": 1},
        {"prompt": [picture()]},
    ],
)
def test_other_json_is_no_workflow(value: Any) -> None:
    assert code(value) == "not_a_workflow"


def test_the_entries_that_are_no_nodes_are_named_and_not_at_length() -> None:
    with pytest.raises(NotAWorkflow, match="'version'"):
        read({**picture(), "version": 1})
    with pytest.raises(NotAWorkflow) as caught:
        read({**picture(), **{f"{n} {'x' * 10_000}": 1 for n in range(1000)}})
    assert len(caught.value.problem.message) < 500


def test_a_number_that_is_too_large_for_json_is_refused() -> None:
    with pytest.raises(NotAWorkflow, match="too large"):
        read_workflow(b'{"1": {"class_type": "X", "inputs": {"a": 1e999}}}')


# ---- any bytes at all


@given(
    st.binary() | values.map(lambda value: json.dumps(value).encode()) | texts.map(lambda text: text.encode("utf-16"))
)
def test_any_bytes_are_a_workflow_or_say_why_not(data: bytes) -> None:
    try:
        dropped = read_workflow(data)
    except (NotJson, NotAWorkflow) as error:
        assert str(error)
    else:
        assert dropped.digest == digest_of(dropped.prompt)


@given(prompts, st.data())
def test_a_damaged_workflow_is_a_workflow_or_says_why_not(prompt: dict[str, Any], data: st.DataObject) -> None:
    good = bytearray(json.dumps(prompt).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_workflow(bytes(good))
    except (NotJson, NotAWorkflow) as error:
        assert str(error)


@pytest.mark.parametrize("depth", [10, 100, sys.getrecursionlimit() // 2, sys.getrecursionlimit(), 20_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_refused_and_never_a_crash(depth: int, opening: bytes, closing: bytes) -> None:
    deep = opening * depth + b"1" + closing * depth
    try:
        read_workflow(b'{"1": {"class_type": "X", "inputs": {"a": ' + deep + b"}}}")
    except (NotJson, NotAWorkflow) as error:
        assert "nested too deeply" in str(error)


def test_any_json_can_be_parsed() -> None:
    assert parse_json(b'[1, {"a": null}]') == [1, {"a": None}]
