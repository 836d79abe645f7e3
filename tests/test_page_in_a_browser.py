"""The page in a real browser, from a file: pictures, keyboard, filters, and that nothing hostile comes of it.

Needs Chromium (Debian's package); without one these tests are left out.
"""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from comfywatch.gallery import Run
from comfywatch.jobs import JobState
from comfywatch.page import Card, Page, overview, project_page
from comfywatch.problems import Problem
from tests.browser import Browser, browsing, chromium
from tests.made import NOON
from tests.page_made import HOSTILE_TEXTS, a_page, a_run, an_entry, hostile_page

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")
MANY = 5000


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def tab(browser: Browser) -> Iterator[Browser]:
    """A browser with which nothing goes wrong, whatever the test does."""
    browser.errors.clear()
    browser.dialogs.clear()
    browser.look_like(width=1280)
    yield browser
    assert browser.dialogs == []
    assert browser.errors == []


def lay(page: Page, projects: Path) -> str:
    """The page with its outputs, as a project on the disk; its address."""
    folder = projects / page.project.name
    for run in page.runs:
        (folder / run.folder).mkdir(parents=True, exist_ok=True)
        for name in run.shown.outputs:
            (folder / run.folder / name).write_bytes(_output(name, run))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_bytes(project_page(page, at=NOON).data)
    return (folder / "index.html").as_uri()


def _output(name: str, run: Run) -> bytes:
    stream = io.BytesIO()
    if name.endswith(".wav"):
        with wave.open(stream, "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(b"\0\0" * 8000)
    elif name.endswith(".svg"):
        return b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert("svg")</script></svg>'
    elif name.endswith(".html"):
        return b"<script>alert('html')</script>"
    else:
        Image.new("RGB", (8 + run.run % 50, 8), "teal").save(stream, "PNG")
    return stream.getvalue()


def shown(tab: Browser, selector: str = "#grid .tile") -> int:
    """How many elements can be seen."""
    count: int = tab.run(f"[...document.querySelectorAll({json.dumps(selector)})].filter(e => e.offsetParent).length")
    return count


def viewed(tab: Browser) -> str:
    """What the viewer shows, empty if it is closed."""
    name: str = tab.run("document.querySelector('#viewer[open] .stage img')?.alt ?? ''")
    return name


def never_left(tab: Browser, folder: Path) -> None:
    """Whatever was asked for lies in the folder."""
    outside = [place for place in tab.requested if not place.startswith((f"{folder.as_uri()}/", "data:", "about:"))]
    assert outside == []


def test_pictures_show_from_a_file(tab: Browser, tmp_path: Path) -> None:
    runs = [a_run(n, f"a #{n}? 100% 'x' ☃.png") for n in range(3, 0, -1)]
    tab.open(lay(a_page(*runs), tmp_path))
    tab.until("[...document.images].filter(i => i.naturalWidth > 0).length === 3")
    assert tab.run("document.querySelectorAll('.gone').length") == 0
    never_left(tab, tmp_path / "film")


def test_the_pictures_that_the_script_makes_are_where_the_others_are(tab: Browser, tmp_path: Path) -> None:
    name = "a #1? 100% '(x)!*' ~ ☃ é.png"
    runs = [a_run(n, name) for n in range(60, 0, -1)]
    tab.open(lay(a_page(*runs), tmp_path))
    tab.until("(scrollTo(0, 1e6), document.querySelectorAll('#grid .tile').length === 60)")
    tab.run("[...document.images].forEach(image => { image.loading = 'eager' })")
    tab.until("[...document.images].every(image => image.naturalWidth > 0)")
    assert tab.run("document.querySelectorAll('.gone').length") == 0
    assert tab.run("new Set([...document.images].map(i => i.src)).size") == 60
    never_left(tab, tmp_path / "film")


def test_sound_can_be_played(tab: Browser, tmp_path: Path) -> None:
    tab.open(lay(a_page(a_run(1, "a.wav")), tmp_path))
    tab.run("document.querySelector('audio').load()")
    tab.run("document.querySelector('audio').preload = 'auto'")
    tab.until("document.querySelector('audio').duration === 1")


def test_the_keyboard_leads_through_the_pictures(tab: Browser, tmp_path: Path) -> None:
    runs = [a_run(3, "three.png"), a_run(2, "two.glb"), a_run(1, "one.png")]
    tab.open(lay(a_page(*runs), tmp_path))
    tab.run("document.querySelector('a.media').focus()")
    tab.press("Enter")
    assert viewed(tab) == "three.png"
    tab.press("ArrowRight")
    assert viewed(tab) == "one.png"
    tab.press("ArrowRight")
    assert viewed(tab) == "one.png"
    tab.press("Home")
    assert viewed(tab) == "three.png"
    tab.press("End")
    tab.press("ArrowLeft")
    assert viewed(tab) == "three.png"
    tab.press("Escape")
    tab.until("document.querySelector('#viewer:not([open]) .stage').childElementCount === 0")
    assert tab.run("document.activeElement.href").endswith("/three.png")
    tab.press("ArrowRight")
    assert tab.run("document.activeElement.href").endswith("/two.glb")


def test_a_click_opens_a_picture_and_another_closes_it(tab: Browser, tmp_path: Path) -> None:
    tab.open(lay(a_page(a_run(1, "one.png")), tmp_path))
    tab.click("a.media")
    assert viewed(tab) == "one.png"
    tab.until("document.querySelector('.stage img').naturalWidth > 0")
    tab.click("#viewer .close")
    assert viewed(tab) == ""


def test_filters_by_state_workflow_and_month_last(tab: Browser, tmp_path: Path) -> None:
    entries = (an_entry("c.json", JobState.BLOCKED, problems=(Problem(code="x", message="m"),)),)
    runs = [
        a_run(40, path="a.json"),
        a_run(30, path="b.json", state=JobState.FAILED),
        a_run(20, path="a.json", finished=NOON - timedelta(days=90)),
    ]
    address = lay(a_page(*runs, entries=entries), tmp_path)
    tab.open(address)
    assert (shown(tab), shown(tab, ".row")) == (3, 1)
    tab.click('.chips [data-state="completed"]')
    assert (shown(tab), shown(tab, ".row")) == (2, 0)
    tab.run("document.querySelector('#workflow').focus()")
    tab.type("b")
    assert (shown(tab), shown(tab, "#none")) == (0, 1)
    tab.click('.chips [data-state=""]')
    assert shown(tab) == 1
    tab.open(f"{address}#workflow=a&month=2026-08")
    assert shown(tab) == 1
    assert tab.run("document.querySelector('#grid .run').textContent") == "20"


CLIPBOARD = "{value: {writeText: async (text) => { window.copied = text }}}"


def test_a_mend_can_be_copied(tab: Browser, tmp_path: Path) -> None:
    problem = Problem(code="x", message="m", fix="Put <it> into models/")
    tab.open(lay(a_page(entries=(an_entry("a.json", JobState.BLOCKED, problems=(problem,)),)), tmp_path))
    tab.run(f"void Object.defineProperty(navigator, 'clipboard', {CLIPBOARD})")
    tab.click(".copy")
    assert tab.until("window.copied") == "Put <it> into models/"


def test_where_there_is_no_clipboard_it_is_copied_the_old_way(tab: Browser, tmp_path: Path) -> None:
    problem = Problem(code="x", message="m", fix="Put <it> into models/")
    tab.open(lay(a_page(entries=(an_entry("a.json", JobState.BLOCKED, problems=(problem,)),)), tmp_path))
    tab.run("void Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    tab.run("document.addEventListener('copy', () => { window.copied = document.activeElement.value })")
    tab.click(".copy")
    assert tab.until("window.copied") == "Put <it> into models/"


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_nothing_comes_of_hostile_names_and_texts(text: str, tab: Browser, tmp_path: Path) -> None:
    page = hostile_page(text)
    tab.open(lay(page, tmp_path))
    picture = '.tile[data-kind="picture"] a.media'
    for selector in (picture, "#viewer .on", "#viewer .on", "#viewer .close", '.chips [data-state="failed"]'):
        tab.click(selector)
    tab.run("new Promise(done => setTimeout(done, 50))")
    never_left(tab, tmp_path / page.project.name)
    assert tab.run("location.protocol") == "file:"
    tab.errors[:] = [said for said in tab.errors if "net::ERR_" not in said]  # a player is no picture in disguise


def test_what_a_browser_would_run_is_not_a_way_out(tab: Browser, tmp_path: Path) -> None:
    tab.open(lay(a_page(a_run(1, "a.svg", "b.html")), tmp_path))
    tab.until("document.images[0].naturalWidth > 0")
    places = tab.run("[...document.querySelectorAll('main a')].map(link => link.href)")
    assert not [place for place in places if place.endswith((".svg", ".html"))]
    tab.click("a.media")
    assert viewed(tab) == "a.svg"
    assert tab.run("document.querySelector('.ways .open').href").endswith("/shot/001/")


MARKUP = "<img src=x onerror='alert(1)'><a id=bad href='javascript:alert(2)'>x</a><style>body { display: none }</style>"


def test_the_policy_holds_even_if_markup_came_in(tab: Browser, tmp_path: Path) -> None:
    tab.open(lay(a_page(a_run()), tmp_path))
    tab.run(f"document.body.insertAdjacentHTML('beforeend', {json.dumps(MARKUP)})")
    tab.run("document.body.append(Object.assign(document.createElement('script'), {textContent: 'alert(3)'}))")
    tab.run("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/leak.png'}))")
    tab.click("#bad")
    tab.run("new Promise(done => setTimeout(done, 50))")
    assert not [place for place in tab.requested if place.startswith("http")]
    assert len([said for said in tab.errors if "Content Security Policy" in said]) >= 4
    tab.errors.clear()


def test_thousands_are_made_as_somebody_scrolls(tab: Browser, tmp_path: Path) -> None:
    runs = [a_run(n, f"{n}.png") for n in range(MANY, 0, -1)]
    folder = tmp_path / "film"
    folder.mkdir()
    (folder / "index.html").write_bytes(project_page(a_page(*runs), at=NOON).data)
    tab.open((folder / "index.html").as_uri())
    assert tab.run("document.querySelectorAll('#grid .tile').length") < 200
    tab.until(f"(scrollTo(0, 1e9), document.querySelectorAll('#grid .tile').length === {MANY})")
    assert tab.run("[...document.querySelectorAll('#grid .tile .run')].at(-1).textContent") == "1"
    tab.errors.clear()  # the pictures are not there


def test_a_phone_shows_all_of_it_in_its_width(tab: Browser, tmp_path: Path) -> None:
    page = hostile_page("a-very-long-name-without-any-place-to-break-it-" * 4)
    tab.look_like(width=390, height=844)
    tab.open(lay(page, tmp_path))
    assert tab.run("document.documentElement.scrollWidth") == 390
    tab.errors.clear()  # its players have nothing to play


def test_by_night_it_is_dark(tab: Browser, tmp_path: Path) -> None:
    address = lay(a_page(a_run()), tmp_path)
    grounds = []
    for dark in (False, True):
        tab.look_like(width=1280, dark=dark)
        tab.open(address)
        grounds.append(tab.run("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(247, 246, 243)", "rgb(19, 19, 21)"]


def test_the_page_over_all_projects_leads_to_each(tab: Browser, tmp_path: Path) -> None:
    name = "my #1 film? 100%"
    lay(a_page(a_run(), name=name), tmp_path)
    (tmp_path / "index.html").write_bytes(
        overview([Card(name=name, cover="outputs/shot/001/shot_001.png")], at=NOON).data
    )
    tab.open((tmp_path / "index.html").as_uri())
    tab.until("document.images[0].naturalWidth > 0")
    tab.click(".card")
    tab.until(f"document.querySelector('h1')?.textContent === {json.dumps(name)}")
    tab.click("nav a")
    tab.until("document.querySelector('h1')?.textContent === 'Projects'")
    never_left(tab, tmp_path)
