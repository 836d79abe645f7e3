"""Names: safe on every system, never out of the folder, never two alike, and in the order that people expect."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.names import MAX_NAME_BYTES, distinct, natural, safe_name, shortened, slug
from tests.made import HOSTILE_NAMES

DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³"
}
wicked = st.text(st.sampled_from("./\\ :~\0\nCONconux1¹é\u0301\u017fK☃\u202e\ud83d"), max_size=30)
devices = st.tuples(st.sampled_from(sorted(DEVICES)), wicked).map("".join)
names = st.text() | wicked | devices | st.text(min_size=200, max_size=600)
safe_names = names.map(safe_name)


def is_safe(name: str) -> bool:
    """What Windows, the strictest of the systems, asks for; and no sign that shows a name otherwise than it is."""
    return (
        0 < len(name.encode()) <= MAX_NAME_BYTES
        and not re.search(r'[<>:"/\\|?*]', name)
        and not any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in name)
        and not set(name) & set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
        and name == name.strip(" ")
        and not name.startswith(".")
        and not name.endswith((".", "~"))
        and not name.startswith("~")
        and name.split(".")[0].strip().lower() not in DEVICES
        and unicodedata.is_normalized("NFC", name)
        and PurePosixPath(name).parts == PureWindowsPath(name).parts == (name,)
    )


# ---- safe


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_a_hostile_name_becomes_a_safe_one(name: str) -> None:
    assert is_safe(safe_name(name))


@given(names)
def test_every_name_becomes_a_safe_one_and_stays_so(name: str) -> None:
    assert is_safe(safe_name(name))
    assert safe_name(safe_name(name)) == safe_name(name)


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_a_hostile_name_stays_in_the_folder_and_can_be_written_there(name: str, tmp_path: Path) -> None:
    target = tmp_path / "run" / safe_name(name)
    target.parent.mkdir()
    target.write_bytes(b"x")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [target.name]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("ComfyUI_00001_.png", "ComfyUI_00001_.png"),
        ("../../evil.png", "evil.png"),
        ("/etc/passwd", "passwd"),
        ("..\\win.png", "win.png"),
        ("a/b.png", "b.png"),
        ("CON.png", "_CON.png"),
        (".hidden", "hidden"),
        ("..", "file"),
        ("~$a.png", "_$a.png"),
        ("a.png~", "a.png_"),
        ("", "file"),
        ("Übung ☃.png", "Übung ☃.png"),
        ("e\u0301.png", "é.png"),
    ],
)
def test_a_name_stays_as_near_to_itself_as_it_can(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("length", [1, 195, 200, 201, 251, 5000])
def test_a_long_name_keeps_its_ending(length: int) -> None:
    assert safe_name("x" * length + ".png").endswith("x.png")


@given(st.text(min_size=1), st.integers(30, 300))
def test_what_is_shortened_fits(name: str, room: int) -> None:
    assert len(shortened(name, to_bytes=room).encode("utf-8", "replace")) <= room


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_what_fits_is_not_shortened(name: str) -> None:
    assert shortened(name) == name


# ---- distinct


@given(st.lists(st.sampled_from(["a.png", "A.png", "a-2.png", "a", "straße", "STRASSE", "é", "e\u0301"]) | safe_names))
def test_no_two_names_are_alike_not_even_in_upper_and_lower_case(given_names: list[str]) -> None:
    taken = {"result.yaml"}
    found = [distinct(name, taken) for name in given_names]
    folded = [unicodedata.normalize("NFC", name).casefold() for name in found]
    assert len(set(folded)) == len(folded)
    assert len({name.upper() for name in found}) == len(found)
    assert "result.yaml" not in folded


@given(st.lists(safe_names, max_size=8))
def test_a_distinct_name_is_still_safe(given_names: list[str]) -> None:
    taken: set[str] = set()
    found = [shortened(distinct(name, taken)) for name in [*given_names, *given_names]]
    assert all(is_safe(name) for name in found)


def test_twins_are_numbered_before_their_ending() -> None:
    taken: set[str] = set()
    assert [distinct("a.tar.gz", taken), distinct("a.tar.gz", taken)] == ["a.tar.gz", "a.tar-2.gz"]
    assert [distinct("x", taken), distinct("X", taken), distinct("x", taken)] == ["x", "X-2", "x-3"]
    assert [distinct(".x", taken), distinct(".x", taken)] == [".x", ".x-2"]


def test_a_number_that_is_taken_is_passed_over() -> None:
    taken: set[str] = set()
    assert [distinct(name, taken) for name in ("a-2.png", "a.png", "a.png")] == ["a-2.png", "a.png", "a-3.png"]


# ---- slugs, for names that ComfyUI keeps


@given(names)
def test_a_slug_is_short_ascii_and_one_name_on_every_system(name: str) -> None:
    short = slug(name)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,40}", short)
    assert is_safe(short)
    assert ".." != short != "."


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("my-film", "my-film"),
        ("shots/day 1/a", "shots-day-1-a"),
        ("Größe", "Groe"),
        ("日本", "x"),
        ("../..", "x"),
        ("%date:yyyy%", "date-yyyy"),
        ("con", "_con"),
        ("x" * 99, "x" * 40),
        ("", "x"),
    ],
)
def test_a_slug_reads_like_its_name(name: str, short: str) -> None:
    assert slug(name) == short


# ---- order


def test_names_are_ordered_as_people_count() -> None:
    ordered = ["1.json", "2.json", "10.json", "a.json", "Shot-1.json", "shot-2.json", "shot-10.json", "shot-10b.json"]
    shuffled = set(ordered)
    assert sorted(shuffled, key=natural) == ordered


@given(st.lists(st.text() | st.text("0123456789ab²٣"), min_size=2))
def test_any_names_can_be_ordered(some: list[str]) -> None:
    keys = [natural(name) for name in sorted(some, key=natural)]
    assert all(one <= other for one, other in pairwise(keys))
