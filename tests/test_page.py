"""``index.html``: whatever a name or a text holds, it stays text; and the page stays small."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.gallery import Kind, Output, address, kind_of, shown
from comfywatch.jobs import JobState
from comfywatch.page import GALLERY_BYTES, Card, Page, card, overview, project_page
from comfywatch.problems import Problem
from comfywatch.templates import MARK, as_json
from tests.made import HOSTILE_NAMES, NOON
from tests.page_made import HOSTILE_TEXTS, a_page, a_run, an_entry, hostile_page

MAX_PAGE_BYTES = 6 * 2**20


@dataclass(slots=True)
class Parsed:
    """A page as a browser takes it apart."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    raw: dict[str, list[str]] = field(default_factory=dict)

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] or "" for _, attributes in self.tags if attribute in attributes]

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    @property
    def runs(self) -> Any:
        return json.loads(self.raw["script"][0])


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parsed = Parsed()
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parsed.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in {"script", "style"}:
            self.parsed.raw.setdefault(self._inside, []).append(data)
        else:
            self.parsed.texts.append(data)


def parsed(page: Page) -> Parsed:
    parser = _Parser()
    parser.feed(project_page(page, at=NOON).data.decode())
    parser.close()
    return parser.parsed


HARMLESS = parsed(hostile_page("harmless"))
KNOWN_TAGS = {tag for tag, _ in HARMLESS.tags}
KNOWN_ATTRIBUTES = {name for _, attributes in HARMLESS.tags for name in attributes}


# --- nothing from outside becomes markup


def is_harmless(told: Parsed) -> None:
    assert {tag for tag, _ in told.tags} <= KNOWN_TAGS
    assert {name for _, attributes in told.tags for name in attributes} <= KNOWN_ATTRIBUTES
    assert _heads(told) == _heads(HARMLESS)
    for place in (*told.values("href"), *told.values("src")):
        assert re.match(r"\.{1,2}/|data:,$|\.\./index\.html$", place), place
        assert re.fullmatch(r"[\w./%~,:-]*", place, re.ASCII), place


def _heads(told: Parsed) -> list[str]:
    return [tag for tag, _ in told.tags if tag in {"script", "style", "meta", "link", "title", "template", "dialog"}]


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_a_hostile_text_stays_text(text: str) -> None:
    told = parsed(hostile_page(text))
    is_harmless(told)
    if "\ud83d" not in text:
        assert text in told.text


@given(st.text(max_size=60))
def test_any_text_stays_text(text: str) -> None:
    is_harmless(parsed(hostile_page(text)))


@given(st.text(max_size=60))
def test_the_data_for_the_script_ends_no_element_and_is_what_it_was(text: str) -> None:
    data = as_json([text])
    assert not set("<>&'\u2028") & set(data)
    assert json.loads(data) == [text]


@given(st.text())
def test_an_address_is_relative_and_its_parts_stay_parts(path: str) -> None:
    made = address(path)
    assert made.startswith(("./", "../"))
    assert re.fullmatch(r"[A-Za-z0-9_./%~-]*", made)


def test_nothing_but_our_style_and_script_may_run_and_nobody_is_asked() -> None:
    told = parsed(a_page(a_run()))
    (policy,) = [attributes["content"] or "" for _, attributes in told.tags if "http-equiv" in attributes]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert (rules["img-src"], rules["media-src"]) == ("'self' data:", "'self'")
    assert rules["script-src"] == f"'{_digest(told.raw['script'][1])}'"
    assert rules["style-src"] == f"'{_digest(told.raw['style'][0])}'"
    assert not [name for name in KNOWN_ATTRIBUTES if name.startswith("on") or name == "style"]


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_page_over_all_projects_is_as_careful() -> None:
    cards = [Card(name=text, counts={JobState.FAILED: 1}, cover=f"outputs/{text}.png") for text in HOSTILE_TEXTS]
    parser = _Parser()
    parser.feed(overview(cards, others=HOSTILE_TEXTS, at=NOON).data.decode())
    assert {tag for tag, _ in parser.parsed.tags} <= KNOWN_TAGS | {"span"}
    assert all(place.startswith(("./", "data:,")) for place in parser.parsed.values("href"))
    assert "javascript:alert(6)" in parser.parsed.text
    assert "./javascript%3Aalert%286%29/index.html" in parser.parsed.values("href")


# --- what is shown


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.PNG", Kind.PICTURE),
        ("a.webp", Kind.PICTURE),
        ("a.webm", Kind.VIDEO),
        ("a.flac", Kind.AUDIO),
        ("a.glb", Kind.FILE),
        ("png", Kind.FILE),
        ("a.safetensors", Kind.FILE),
    ],
)
def test_the_kind_of_an_output_is_told_by_its_ending(name: str, kind: Kind) -> None:
    assert kind_of(f"x{name}" if name == "png" else name) is kind


@pytest.mark.parametrize(("name", "opens"), [("a.png", True), ("a.glb", True), ("a.svg", False), ("a.HTML", False)])
def test_what_a_browser_would_run_is_never_opened_by_itself(name: str, opens: bool) -> None:
    assert Output(run=a_run(), name=name).opens is opens
    places = parsed(a_page(a_run(1, name))).values("href")
    assert (f"./outputs/shot/001/{name}" in places) is opens


def test_an_output_is_told_with_workflow_run_seed_time_and_folder() -> None:
    told = parsed(a_page(a_run(7, "a b.png", path="scene 2/shot.json")))
    assert "./outputs/scene%202/shot/007/a%20b.png" in told.values("src")
    assert "./outputs/scene%202/shot/007/" in told.values("href")
    assert all(word in told.texts for word in ("scene 2/shot", "7"))
    assert "2026-11-23 19:00 UTC" in told.text
    assert told.runs == [
        {
            "w": "scene 2/shot",
            "n": 7,
            "s": "completed",
            "f": "outputs/scene 2/shot/007",
            "t": "2026-11-23T19:00:00Z",
            "d": 8.4,
            "e": ["7"],
            "o": [["a b.png", "p", 1]],
        }
    ]


def test_what_is_wrong_comes_with_its_mend_and_how_to_run_it_again() -> None:
    problem = Problem(code="x", message="It is not there.", fix="Fetch it.", node="4")
    entry = an_entry("it's a/shot.json", JobState.FAILED, run=2, problems=(problem,), hint="Look there.")
    told = parsed(a_page(entries=(entry,))).texts
    retry = """comfywatch retry 'film/it'"'"'s a/shot'"""
    assert all(text in told for text in ("Fetch it.", "Look there.", "It is not there. ", retry) if text[-1] != " ")


def test_what_waits_says_until_when_or_why() -> None:
    soon = NOON + timedelta(minutes=3)
    entries = (
        an_entry("b.json", JobState.QUEUED, expected=soon),
        an_entry("a.json", JobState.PENDING, reason="ComfyUI is down"),
    )
    text = parsed(a_page(entries=entries, arriving={"c.json": "being written"})).text
    assert "2026-11-23 12:03 UTC" in text
    assert "ComfyUI is down" in text
    assert "being written" in text


def test_an_empty_project_says_what_to_do() -> None:
    assert "Nothing here yet" in parsed(a_page()).text


def test_a_card_shows_the_newest_picture() -> None:
    made = card(a_page(a_run(2, "x.glb"), a_run(1, "x.mp4", "y.png")))
    assert made.cover == "outputs/shot/001/y.png"
    assert made.newest == NOON + timedelta(hours=2)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_we_would_not_have_given_is_not_shown(name: str) -> None:
    """Whoever can write into a project can write a ``result.yaml``."""
    for kept in shown([name], ["no seed", True, 5]).outputs:
        assert "/" not in kept
        assert "\\" not in kept
        assert kept not in {"", ".", ".."}
    assert shown([name], ["no seed", True, 5]).seeds == (5,)


# --- how it is written


def test_the_same_is_told_in_the_same_bytes_and_the_fingerprint_hangs_on_no_clock() -> None:
    page = hostile_page("x")
    one, later = project_page(page, at=NOON), project_page(page, at=NOON + timedelta(hours=1))
    assert one == project_page(page, at=NOON)
    assert one.fingerprint == later.fingerprint
    assert one.data != later.data
    other = project_page(replace(page, runs=(a_run(2), *page.runs)), at=NOON)
    assert other.fingerprint != one.fingerprint


def test_its_first_lines_say_who_wrote_it_and_what_it_says() -> None:
    made = project_page(a_page(), at=NOON)
    assert made.data.startswith(f"<!doctype html>\n<!-- {MARK} {made.fingerprint} -->\n".encode())


def test_it_stays_bounded_whatever_there_is() -> None:
    long = "&" * 5000
    problem = Problem(code="x", message=long, fix=long, node=long, class_type=long, input=long)
    entries = tuple(
        an_entry(f"{state}-{n}.json", state, problems=(problem,) * 20, hint=long, reason=long, run=1)
        for state in (JobState.FAILED, JobState.RUNNING, JobState.PENDING)
        for n in range(300)
    )
    runs = tuple(a_run(n, *(f"{'☃' * 60}{k}.png" for k in range(20)), path=f"{'x/' * 200}{n}.json") for n in range(900))
    made = project_page(a_page(*runs, entries=entries, notices=(long,) * 500), at=NOON)
    assert len(made.data) < MAX_PAGE_BYTES
    parser = _Parser()
    parser.feed(made.data.decode())
    assert 0 < len(parser.parsed.runs) < 900
    assert len(parser.parsed.raw["script"][0]) <= GALLERY_BYTES + 2
    assert "nothing to show, or no room here" in parser.parsed.text
