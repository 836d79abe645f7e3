"""YAML in and out: what is refused says where and why, and what is written reads back as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.plain_yaml import MAX_DEPTH, Flow, NotYaml, dump, line, load, shown

TAGS = ["int", "float", "timestamp", "bool", "null", "binary", "set", "omap", "pairs", "map", "seq", "str", "merge"]
NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


class Colour(StrEnum):
    RED = "red"


def clean(value: Any) -> Any:
    """What a value is expected to be after a round trip."""
    match value:
        case str():
            return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in value)
        case dict():
            return {clean(key): clean(item) for key, item in value.items()}
        case list():
            return [clean(item) for item in value]
        case _:
            return value


texts = st.text() | st.text("ab: #'\"\\\n\r\t\x85\u2028\ufeff-?|>%@`&*!{}[],~") | st.text(st.characters(), max_size=400)
surrogates = st.text(st.characters(categories=["Cs", "Ll"]), max_size=8)
whole_texts = st.text(st.characters(exclude_categories=["Cs"]))
times = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0))
numbers = st.integers(-(2**64), 2**64) | st.floats(allow_nan=False)
scalars = st.none() | st.booleans() | numbers | texts | surrogates | times
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(whole_texts, inner, max_size=4)
        | st.dictionaries(whole_texts, inner, max_size=4).map(Flow)
    ),
    max_leaves=12,
)


@given(values)
def test_what_is_written_reads_back_as_it_was(value: Any) -> None:
    assert load(dump(value)) == clean(value)


plain_keys = st.text("abk09 .:-_#'", min_size=1, max_size=6)
plain_values = st.recursive(
    st.none() | st.booleans() | numbers | times | st.text("abefxotzg 019.:,-_#'/+()~=<ü…", max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(plain_keys, inner, max_size=3)
        | st.dictionaries(plain_keys, inner, max_size=3).map(Flow)
    ),
    max_leaves=8,
)


@given(st.dictionaries(plain_keys, plain_values, min_size=1, max_size=4))
def test_what_is_plain_reads_the_same_as_what_pyyaml_writes(value: dict[str, Any]) -> None:
    assert load(dump(value)) == value


def test_what_is_plain_looks_as_what_pyyaml_writes() -> None:
    plain = {
        "server": "http://127.0.0.1:8188",
        "version": "0.3.64",
        "pytorch": "2.8.0+cu128",
        "node": "größer als 1",
        "sha256": "1e86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "settings": {"prompt": "a cat, sitting: on a mat #1", "seeds": {"3": 7}, "none": None, "empty": {}},
        "outputs": [{"path": "a_001.png", "size": {"bytes": 658}}, {"path": "a #1"}, "word"],
        "texts": [],
    }
    intricate = dump({**plain, "lines": "a\nb"})  # one such value, and PyYAML writes all of it
    assert dump(plain) == intricate.removesuffix(b'lines: "a\\nb"\n')


@given(st.text("ab .:\n", min_size=100, max_size=400), st.booleans())
def test_long_text_survives_its_folding(text: str, flow: bool) -> None:
    value = Flow(text=text) if flow else {"text": text}
    assert load(dump(value)) == value


@given(st.lists(surrogates, max_size=6, unique=True))
def test_names_that_no_encoding_fits_stay_apart(names: list[str]) -> None:
    back = load(dump({name: index for index, name in enumerate(names)}))
    assert sorted(back.values()) == list(range(len(names)))


@given(st.binary(max_size=200) | st.text("ab:-?&*!|>%@{}[],'\"#\n\t 019.\ufeff~=<", max_size=80))
def test_nothing_but_not_yaml_comes_out_of_any_text(text: str | bytes) -> None:
    try:
        load(text)
    except NotYaml as error:
        assert error.sentence
        assert error.line is None or error.line >= 1


@given(st.sampled_from(TAGS), st.text("01:-._xT+ '[]{}?"))
def test_no_tag_trips_the_reader(tag: str, text: str) -> None:
    try:
        load(f"!!{tag} {text}")
    except NotYaml as error:
        assert "\n" not in error.sentence


def test_a_replacement_gives_way_to_a_name_that_is_there() -> None:
    names = ["a\udce9", "a\udce8", "a\ufffd"]
    assert load(dump({name: number for number, name in enumerate(names, start=1)})) == {
        "a\ufffd\ufffd": 1,
        "a\ufffd\ufffd\ufffd": 2,
        "a\ufffd": 3,
    }


def test_a_status_reads_as_the_design_shows_it() -> None:
    value = {
        "schema": 1,
        "updated": NOON,
        "daemon": Flow(host="gpu-box", next_update_by=NOON),
        "notices": [],
        "workflows": {"a.json": Flow(state="running", progress={"percent": 37}), "b.json": {"state": "blocked"}},
    }
    assert dump(value, header="Written by comfywatch; edits are overwritten.").decode() == (
        "# Written by comfywatch; edits are overwritten.\n"
        "schema: 1\n"
        "updated: 2026-11-23T12:00:00Z\n"
        "daemon: {host: gpu-box, next_update_by: 2026-11-23T12:00:00Z}\n"
        "notices: []\n"
        "workflows:\n"
        "  a.json: {state: running, progress: {percent: 37}}\n"
        "  b.json:\n"
        "    state: blocked\n"
    )


def test_times_are_written_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    assert dump({"at": datetime(2026, 11, 23, 13, 0, 0, 999, tzinfo=berlin)}) == b"at: 2026-11-23T12:00:00Z\n"


def test_an_enum_is_written_as_its_word() -> None:
    assert dump({Colour.RED: Colour.RED}) == b"red: red\n"


def test_the_same_list_twice_is_written_twice() -> None:
    same = ["a"]
    assert load(dump({"one": same, "two": same})) == {"one": ["a"], "two": ["a"]}


@pytest.mark.parametrize("text", ["1e5", "0o17", "y", "N", "no", "null", "2026-11-23", "1:30", "=", "<<", "0x1f", ".5"])
def test_text_that_another_parser_takes_for_something_else_is_quoted(text: str) -> None:
    assert dump([text]) == f"- '{text}'\n".encode()


def test_a_line_break_is_written_as_an_escape() -> None:
    assert dump(["a\nb\u2028c"]) == b'- "a\\nb\\Lc"\n'


def test_nothing_in_it_is_none() -> None:
    assert load("") is None
    assert load(b"# only a comment\n") is None


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_editors_on_windows_save_is_read(codec: str) -> None:
    assert load("owner: Zoë\r\n".encode(codec)) == {"owner": "Zoë"}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: &x 1\n", 2, "anchors"),
        ("a: [&x 1, *x]\n", 1, "anchors"),
        ("a: 1\nb: *.json\n", 2, "in quotes"),
        ("a: 1\n\na: 2\n", 3, "'a' is there already (line 1)"),
        ("{a: 1, a: 2}", 1, "'a' is there already"),
        ("a: !python/object:os.system x\n", 1, "the tag '!python/object:os.system'"),
        ("a: =\n", 1, "a lone ="),
        ("a:\n  b: 2026-99-99\n", 2, "no valid timestamp"),
        ("a: !!int ''\n", 1, "no valid int"),
        ("a: " + "9" * 5000, 1, "128 digits"),
        ("a: 1\n---\na: 2\n", 2, "a second document"),
        ("a:\n\tb: 1\n", 2, "spaces, not tabs"),
        ("a: 1\nb: [\n", 3, "node content"),
        ("[" * 100_000, 1, f"more than {MAX_DEPTH} deep"),
        ("- " * 100_000, 1, f"more than {MAX_DEPTH} deep"),
        ("a: 1\nb: \0", 2, "U+0000"),
        ("a: 1\nb: \ud800", 2, "U+D800"),
        ("? [a]\n: 1\n", 1, "unhashable key"),
        (b"a: 1\nb: \xff\n", 2, "UTF-8"),
        (b"\xff\xfea", None, "UTF-8"),
        (b"PK\x03\x04", 1, "U+0003"),
    ],
)
def test_what_is_refused_says_where_and_why(text: str | bytes, line: int | None, words: str) -> None:
    with pytest.raises(NotYaml) as refused:
        load(text)
    assert refused.value.line == line
    assert words in refused.value.sentence
    assert line is None or str(refused.value).startswith(f"line {line}: ")


def test_a_bomb_of_aliases_is_refused_at_its_first_anchor() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 64))
    with pytest.raises(NotYaml, match="line 1: anchors"):
        load(bomb)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-2, "-2"),
        ("high", "'high'"),
        (None, "nothing"),
        (True, "true"),
        (0, "0"),
        ([1, 2], "a list"),
        ({"a": 1}, "a map"),
        (NOON, "the time 2026-11-23T12:00:00+00:00"),
        ("a\ud800", "'a\\ud800'"),
        ("x" * 100, f"'{'x' * 55}…'"),
        (10**99, f"1{'0' * 55}…"),
    ],
)
def test_a_value_in_a_sentence_is_short(value: Any, words: str) -> None:
    assert shown(value) == words


names = st.from_regex("[a-w][a-z_]*", fullmatch=True)


scalars = surrogates | texts | numbers | times
flows = st.dictionaries(names, scalars, max_size=4).map(Flow)


@given(st.dictionaries(names, scalars | flows, max_size=4).map(Flow), whole_texts)
def test_a_line_reads_as_what_is_dumped(value: Flow, key: str) -> None:
    on_one_line = line(key, value)
    assert on_one_line is None or load(on_one_line) == load(dump({key: value}))


@pytest.mark.parametrize(
    "text", ["yes", "No", "null", "~", "1", "1e3", "0o7", "12:30", "a: b", "a #b", "- a", "", " a"]
)
def test_what_could_be_taken_for_something_else_is_quoted_in_a_line(text: str) -> None:
    assert load(line(text, Flow({"state": text})) or "") == {text: {"state": text}}
