"""No link leads out of a project: not for reading, not for uploading, not for writing, and not at the last moment.

A link that stays in its project may be read through; so may one that leads to where ``allow_links`` says.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from comfywatch import inside, status
from comfywatch.collect import Collection, collect, highest_run_on_disk
from comfywatch.comfy import Comfy
from comfywatch.effects import Upload, WriteStatus
from comfywatch.files import NotRegular
from comfywatch.history import Outcome, OutputFile
from comfywatch.inputs import InputFile, find
from comfywatch.inside import BY_DESCRIPTOR, LeadsOut, entered, open_folder
from comfywatch.jobs import JobState
from comfywatch.link import Link
from comfywatch.manifest import Status, read_manifest
from comfywatch.past import past_runs
from comfywatch.performer import written
from comfywatch.reach import MOST_OPEN, Reach
from comfywatch.sheet import Sheet
from comfywatch.tree import read_forest, read_project
from comfywatch.uploads import Uploader
from tests.made import NOON, PROMPT_ID, a_job
from tests.world import World, picture

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there links need rights that a test has not")
by_descriptor = pytest.mark.skipif(not BY_DESCRIPTOR, reason="this system cannot hold on to a folder")

SECRET = b"nobody else's"


@pytest.fixture(params=["held on to", "looked at"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to enter folders: as this system can, and as one without descriptors of folders would."""
    if request.param == "looked at":
        monkeypatch.setattr(inside, "BY_DESCRIPTOR", False)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    folder = tmp_path / "projects" / "film"
    for name in ("workflows", "inputs", "outputs"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder outside, with one of everything that somebody would like to read, and nothing that may be written."""
    folder = tmp_path / "elsewhere"
    (folder / "a" / "001").mkdir(parents=True)
    (folder / "shots").mkdir()
    (folder / "a.json").write_text(json.dumps(picture()))
    (folder / "shots" / "b.json").write_text(json.dumps(picture(2)))
    (folder / "secret.png").write_bytes(SECRET)
    (folder / "manifest.yaml").write_text("status: paused\n")
    (folder / "a" / "001" / "result.yaml").write_text(f"state: completed\ndigest: d\nprompt_id: {PROMPT_ID}\n")
    return folder


@contextmanager
def left_alone(folder: Path) -> Iterator[None]:
    """Nothing in ``folder`` is changed, added or removed."""
    before = _everything(folder)
    yield
    assert _everything(folder) == before


def _everything(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def exchange(folder: Path, target: Path) -> None:
    """Put a link where a folder is."""
    folder.rename(folder.with_name(f"{folder.name} aside"))
    folder.symlink_to(target)


def _open_files() -> int:
    """How many this process has open; 0 where nobody can say."""
    listed = Path("/dev/fd")
    return sum(1 for _ in listed.iterdir()) if listed.is_dir() else 0


class Fetched:
    """A ComfyUI whose every output is ``data``; ``meanwhile`` happens in the middle of the first download."""

    def __init__(self, data: bytes = b"picture", meanwhile: Any = None) -> None:
        self._data = data
        self._meanwhile = meanwhile

    @contextmanager
    def view(self, **_: str) -> Iterator[Fetched]:
        yield self

    def chunks(self) -> Iterator[bytes]:
        yield self._data[:3]
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        yield self._data[3:]


def collection(film: Path) -> Collection:
    file = OutputFile(node="2", key="images", filename="x.png", subfolder="", kind="output")
    return Collection(
        job=a_job(run=1, prompt_id=PROMPT_ID, submitted=NOON, state=JobState.RUNNING),
        outcome=Outcome(state=JobState.COMPLETED, files=(file,)),
        prompt=picture(),
        folder=film,
        server="http://127.0.0.1:8188",
        comfyui_version="0.3.64",
        system={},
    )


def fetch(film: Path, meanwhile: Any = None) -> str:
    """Collect one output; what was in the way, in words."""
    error = collect(collection(film), cast("Comfy", Fetched(meanwhile=meanwhile))).error
    return str(error) if error else ""


# ---- reading


@pytest.mark.parametrize(
    "target", ["../../../elsewhere/a.json", "absolute", "../../../elsewhere/nowhere.json", "x.json"]
)
def test_a_workflow_that_is_a_link_out_or_to_nowhere_is_not_read_and_is_told(
    way: None, film: Path, elsewhere: Path, target: str
) -> None:
    link = film / "workflows" / "x.json"
    link.symlink_to(elsewhere / "a.json" if target == "absolute" else target)
    tree = read_project(film)
    assert tree.files == {}
    assert tree.notices == ("workflows/x.json is a link and is not followed; put the file itself there",)
    reach = Reach(projects=film.parent)
    assert reach.stamp(link) is None
    with pytest.raises((NotRegular, FileNotFoundError)):
        reach.read(link, max_bytes=1000)


def test_nothing_is_read_below_a_folder_that_is_a_link_out(way: None, film: Path, elsewhere: Path) -> None:
    (film / "workflows" / "linked").symlink_to(elsewhere)
    tree = read_project(film)
    assert tree.files == {}
    assert tree.notices == ("workflows/linked is a link and is not followed; make it a folder",)
    assert not tree.knows("linked/a.json")
    with pytest.raises(LeadsOut, match="linked"):
        Reach(projects=film.parent).read(film / "workflows" / "linked" / "a.json", max_bytes=1000)


def test_during_a_visit_a_folder_stays_the_one_that_was_entered(way: None, film: Path, elsewhere: Path) -> None:
    reach = Reach(projects=film.parent)
    file = film / "workflows" / "a.json"
    file.write_text("{}")
    with reach.visit() as visit:
        assert visit.read(file, max_bytes=1000) == reach.read(file, max_bytes=1000)
        exchange(film / "workflows", elsewhere)
        with pytest.raises(LeadsOut):
            reach.read(file, max_bytes=1000)
        if inside.BY_DESCRIPTOR:
            assert visit.read(file, max_bytes=1000)[0] == (film / "workflows aside" / "a.json").read_bytes()


def test_a_visit_to_many_folders_keeps_few_of_them_open(film: Path) -> None:
    files = [film / "workflows" / str(number) / "a.json" for number in range(3 * MOST_OPEN)]
    for number, file in enumerate(files):
        file.parent.mkdir()
        file.write_text(str(number))
    before = _open_files()
    with Reach(projects=film.parent).visit() as visit:
        assert [int(visit.read(file, max_bytes=1000)[0]) for file in files] == list(range(3 * MOST_OPEN))
        assert _open_files() <= before + MOST_OPEN
    assert _open_files() == before


def test_a_link_to_itself_and_one_to_where_it_lies_are_no_way_round(way: None, film: Path) -> None:
    (film / "workflows" / "loop").symlink_to("loop")
    (film / "workflows" / "back").symlink_to("..")
    (film / "workflows" / "a.json").write_text("{}")
    tree = read_project(film)
    assert set(tree.files) == {"a.json"}
    assert [notice.partition(" ")[0] for notice in tree.notices] == ["workflows/back", "workflows/loop"]


def test_a_project_or_its_workflows_folder_that_is_a_link_is_not_there(way: None, film: Path, elsewhere: Path) -> None:
    (film.parent / "linked").symlink_to(elsewhere)
    exchange(film / "workflows", elsewhere)
    forest = read_forest(film.parent)
    assert set(forest.projects) == {"film"}
    assert not forest.projects["film"].is_there
    assert forest.projects["film"].notices == ("workflows is a link and is not followed; make it a folder",)
    assert forest.notices == ("projects/linked is a link and is not followed; make it a folder",)


@pytest.mark.parametrize("what", ["manifest.yaml", "the project"])
def test_a_manifest_is_not_read_through_a_link(way: None, film: Path, elsewhere: Path, what: str) -> None:
    if what == "the project":
        exchange(film, elsewhere)
    else:
        (film / "manifest.yaml").symlink_to(elsewhere / "manifest.yaml")
    reading = read_manifest(film)
    assert not reading.readable
    assert reading.manifest.status is Status.ACTIVE
    assert "a link" in reading.notices[0]


@pytest.mark.parametrize("part", ["outputs", "outputs/a", "outputs/a/001"])
def test_earlier_runs_are_not_read_through_a_link(way: None, film: Path, elsewhere: Path, part: str) -> None:
    (film / "outputs" / "a" / "001").mkdir(parents=True)
    exchange(film / part, elsewhere / Path(part).relative_to("outputs"))
    assert past_runs(film, "a.json") == []
    assert highest_run_on_disk(film, "a.json") == (1 if part == "outputs/a/001" else 0)


@pytest.mark.parametrize("part", ["inputs/lamp.png", "inputs/sub", "inputs", "assets", "characters", "characters/ann"])
def test_an_input_is_not_taken_through_a_link(way: None, film: Path, elsewhere: Path, part: str) -> None:
    name = {"inputs/lamp.png": "lamp.png", "inputs/sub": "sub/secret.png"}.get(part, "secret.png")
    target = elsewhere / "secret.png" if part == "inputs/lamp.png" else elsewhere
    (elsewhere / "ann" / "references").mkdir(parents=True)
    (elsewhere / "references").mkdir()
    for folder in (elsewhere / "ann" / "references", elsewhere / "references"):
        (folder / "secret.png").write_bytes(SECRET)
    (film / part).parent.mkdir(exist_ok=True)
    if part == "inputs":
        (film / part).rmdir()
    (film / part).symlink_to(target)
    assert find(film, name, Reach(projects=film.parent)) is None


def test_an_input_that_becomes_a_link_before_it_is_sent_is_not_sent(way: None, film: Path, elsewhere: Path) -> None:
    """It was a file when the workflow was examined."""
    reach = Reach(projects=film.parent)
    (film / "inputs" / "lamp.png").write_bytes(b"lamp")
    path = find(film, "lamp.png", reach)
    assert path is not None
    path.unlink()
    path.symlink_to(elsewhere / "secret.png")
    file = InputFile(node="1", class_type="LoadImage", input="image", name="", path=path, may_be_on_server=False)
    uploader = Uploader(reach, settle_seconds=1)
    event = uploader.perform(Upload(url="", job=1, files=(file,)), cast("Comfy", None), now_ns=0)
    assert isinstance(event.error, LeadsOut)
    assert event.names == {}


@by_descriptor
def test_where_a_link_leads_is_not_followed_any_further_if_it_is_exchanged_then(film: Path, elsewhere: Path) -> None:
    """Between the look at where a link leads and the opening of what is there."""
    (film / "workflows" / "real").mkdir()
    (film / "workflows" / "real" / "a.json").write_text("{}")
    (film / "workflows" / "x.json").symlink_to("real/a.json")
    place = Reach(projects=film.parent).led_to(film / "workflows" / "x.json")
    exchange(film / "workflows" / "real", elsewhere)
    with pytest.raises(LeadsOut), entered((place[0], place[1][:-1])):
        pass


# ---- links that may be followed, for reading


def test_a_link_that_stays_in_its_project_is_read_through(way: None, film: Path) -> None:
    (film / "templates").mkdir()
    (film / "templates" / "a.json").write_text("{}")
    (film / "outputs" / "x.png").write_bytes(b"x")
    (film / "workflows" / "b.json").symlink_to("../templates/a.json")
    (film / "inputs" / "again.png").symlink_to("../outputs/x.png")
    reach = Reach(projects=film.parent)
    assert read_project(film).files == {"b.json": reach.stamp(film / "templates" / "a.json")}
    found = find(film, "again.png", reach)
    assert found is not None
    with reach.opened(found) as source:
        assert source.read() == b"x"


def test_a_folder_of_workflows_is_not_read_twice_by_a_link_in_the_project(way: None, film: Path) -> None:
    (film / "workflows" / "a.json").write_text("{}")
    (film / "workflows" / "twice").symlink_to("../workflows")
    assert set(read_project(film).files) == {"a.json"}


def test_another_project_is_not_ones_own(way: None, film: Path) -> None:
    other = film.parent / "other" / "workflows"
    other.mkdir(parents=True)
    (other / "a.json").write_text("{}")
    (film / "workflows" / "a.json").symlink_to(other / "a.json")
    assert read_project(film).files == {}


def test_allow_links_lets_links_lead_there_and_nowhere_else(way: None, film: Path, elsewhere: Path) -> None:
    allowed = (elsewhere / "shots",)
    (film / "workflows" / "shots").symlink_to(elsewhere / "shots")
    (film / "workflows" / "one.json").symlink_to(elsewhere / "shots" / "b.json")
    (film / "workflows" / "two.json").symlink_to(elsewhere / "shots" / ".." / "a.json")
    (film / "inputs" / "lamp.png").symlink_to(elsewhere / "secret.png")
    forest = read_forest(film.parent, allow_links=allowed)
    assert set(forest.projects["film"].files) == {"shots/b.json", "one.json"}
    reach = Reach(projects=film.parent, allow_links=allowed)
    data, _ = reach.read(film / "workflows" / "shots" / "b.json", max_bytes=1000)
    assert json.loads(data) == picture(2)
    assert find(film, "lamp.png", reach) is None


def test_a_workflows_folder_may_be_a_link_to_where_links_may_lead(way: None, film: Path, elsewhere: Path) -> None:
    exchange(film / "workflows", elsewhere / "shots")
    tree = read_forest(film.parent, allow_links=(elsewhere,)).projects["film"]
    assert tree.is_there
    assert set(tree.files) == {"b.json"}


def test_behind_a_link_no_further_link_to_a_folder_is_followed(way: None, film: Path, elsewhere: Path) -> None:
    """Else thirty links could make a thousand million paths."""
    (elsewhere / "shots" / "loop").symlink_to("../shots")
    (film / "workflows" / "shots").symlink_to(elsewhere / "shots")
    assert set(read_forest(film.parent, allow_links=(elsewhere,)).projects["film"].files) == {"shots/b.json"}


def test_runs_cannot_make_runs_through_a_link(way: None, film: Path, tmp_path: Path) -> None:
    """Each run leaves a ``workflow.json``: a folder of workflows that holds outputs would never come to an end."""
    (film.parent / "other" / "outputs" / "a" / "001").mkdir(parents=True)
    (film.parent / "other" / "outputs" / "a" / "001" / "workflow.json").write_text("{}")
    (film / "workflows" / "round").symlink_to(film.parent / "other" / "outputs")
    (film / "workflows" / "above").symlink_to(tmp_path)
    assert read_forest(film.parent, allow_links=(tmp_path, film.parent)).projects["film"].files == {}


def test_a_folder_among_the_projects_is_no_way_out_although_links_may_lead_there(
    way: None, film: Path, elsewhere: Path
) -> None:
    """Who can write into that project could make its folder a link to anywhere."""
    library = film.parent / "library" / "inputs"
    library.parent.mkdir()
    library.symlink_to(elsewhere)
    (film / "inputs" / "secret.png").symlink_to(library / "secret.png")
    assert find(film, "secret.png", Reach(projects=film.parent, allow_links=(library,))) is None
    library.unlink()
    library.mkdir()
    (library / "secret.png").write_bytes(b"no secret")
    assert find(film, "secret.png", Reach(projects=film.parent, allow_links=(library,))) is not None


def test_what_the_projects_lie_in_may_be_links(way: None, film: Path, tmp_path: Path) -> None:
    (tmp_path / "mount").symlink_to(film.parent)
    (film / "workflows" / "a.json").write_text("{}")
    (film / "workflows" / "b.json").symlink_to("a.json")
    assert set(read_forest(tmp_path / "mount").projects["film"].files) == {"a.json", "b.json"}


# ---- writing


@pytest.mark.parametrize("part", ["outputs", "outputs/a", "outputs/a/001"])
def test_outputs_are_not_written_through_a_link_even_within_the_project(
    way: None, film: Path, elsewhere: Path, part: str
) -> None:
    (film / "outputs" / "a" / "001").mkdir(parents=True)
    exchange(film / part, elsewhere / Path(part).relative_to("outputs"))
    with left_alone(elsewhere):
        assert fetch(film) == f"{part} is a link; make it a folder"
    (film / part).unlink()
    exchange_back = film / f"{part} aside"
    (film / part).symlink_to(exchange_back)
    assert fetch(film) == f"{part} is a link; make it a folder"


@pytest.mark.parametrize("name", ["a_001_x.png", "result.yaml", "workflow.json"])
def test_a_link_in_the_run_folder_is_replaced_and_not_written_through(
    way: None, film: Path, elsewhere: Path, name: str
) -> None:
    run = film / "outputs" / "a" / "001"
    run.mkdir(parents=True)
    (run / name).symlink_to(elsewhere / "secret.png")
    with left_alone(elsewhere):
        assert fetch(film) == ""
    assert not (run / name).is_symlink()
    assert (run / "a_001_x.png").read_bytes() == b"picture"


def test_a_run_folder_is_made_durable_whoever_made_it(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt before this one may have made it, and failed or been killed before it was durable."""
    if not BY_DESCRIPTOR:
        pytest.skip("this system has no descriptors of folders")
    with open_folder(film, "outputs", "a", "001", make=True):
        pass
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    with open_folder(film, "outputs", "a", "001", make=True) as run:
        run.sync()
    folder = film / "outputs" / "a" / "001"
    assert synced == [folder.stat().st_ino, folder.parent.stat().st_ino]


def test_the_status_is_not_written_through_a_link(way: None, film: Path, elsewhere: Path, tmp_path: Path) -> None:
    project = status.Project(name="film", link=Link(url="http://127.0.0.1:8188", poll_seconds=5), host="here")
    sheet = Sheet(project=project, at=NOON, next_within=timedelta(hours=1))
    effect = WriteStatus(project="film", folder=film, sheet=sheet)
    (film / "status.yaml").symlink_to(elsewhere / "secret.png")
    with left_alone(elsewhere):
        assert written(effect, tmp_path / "comfywatch.db").error is None
        assert (film / "status.yaml").read_text().endswith("omitted: 0\n")
        exchange(film, elsewhere)
        error = written(effect, tmp_path / "comfywatch.db").error
    assert str(error) == "film is a link; make it a folder"


def test_leftovers_are_not_removed_through_a_link(way: None, film: Path, elsewhere: Path) -> None:
    (elsewhere / ".~comfywatch-1.tmp").touch()
    exchange(film / "outputs", elsewhere)
    with left_alone(elsewhere), pytest.raises(LeadsOut), open_folder(film, "outputs") as folder:
        folder.remove_leftovers()


@by_descriptor
@pytest.mark.parametrize("part", ["outputs", "outputs/a", "outputs/a/001"])
def test_a_folder_that_becomes_a_link_during_a_download_is_not_written_through(
    film: Path, elsewhere: Path, part: str
) -> None:
    """The scratch file, its rename and the result all go to the folder that was opened; and that is not enough."""
    target = elsewhere / Path(part).relative_to("outputs")
    with left_alone(elsewhere):
        said = fetch(film, meanwhile=lambda: exchange(film / part, target))
    assert said == "outputs/a/001 was moved away meanwhile"


@by_descriptor
def test_a_run_folder_that_was_moved_away_is_not_completed(film: Path) -> None:
    said = fetch(film, meanwhile=lambda: (film / "outputs").rename(film / "trash"))
    assert said == "outputs/a/001 was moved away meanwhile"
    assert fetch(film) == ""
    assert (film / "outputs" / "a" / "001" / "a_001_x.png").read_bytes() == b"picture"


@by_descriptor
def test_a_project_that_becomes_a_link_before_its_status_is_written_is_not_written_through(
    film: Path, elsewhere: Path
) -> None:
    with left_alone(elsewhere), open_folder(film) as folder:
        exchange(film, elsewhere)
        folder.write_whole("status.yaml", b"x")
        assert not folder.is_in_place()


@by_descriptor
def test_a_folder_that_is_made_and_exchanged_at_once_is_not_entered(film: Path, elsewhere: Path) -> None:
    """What was made is opened by its name, and by then that may be somebody's link."""
    (film / "outputs" / "a").symlink_to(elsewhere)
    with left_alone(elsewhere), pytest.raises(LeadsOut), open_folder(film, "outputs", "a", "001", make=True):
        pass


@pytest.mark.parametrize("step", ["..", ".", "", "a/b", "/etc"])
def test_a_step_names_something_in_its_folder_or_nothing(way: None, film: Path, step: str) -> None:
    with pytest.raises(LeadsOut), open_folder(film, step):
        pass
    with open_folder(film) as folder, pytest.raises(LeadsOut):
        folder.opened(step)


# ---- a daemon at work


def test_links_everywhere_lead_nowhere_and_stop_nobody(world: World, elsewhere: Path) -> None:
    """A project full of links out, and one beside it: that is worked off, and outside nothing is read or changed."""
    film = world.workflows().parent
    (film / "inputs").mkdir()
    (film / "inputs" / "lamp.png").symlink_to(elsewhere / "secret.png")
    (film / "outputs").symlink_to(elsewhere)
    (film / "manifest.yaml").symlink_to(elsewhere / "nowhere.yaml")
    (film / "workflows" / "link.json").symlink_to(elsewhere / "a.json")
    (film / "workflows" / "shots").symlink_to(elsewhere / "shots")
    (world.projects / "linked").symlink_to(elsewhere)
    load: dict[str, Any] = picture()
    load["1"] = {"class_type": "LoadImage", "inputs": {"image": "lamp.png"}}
    with left_alone(elsewhere):
        world.start()
        world.until(lambda: "a link" in str(world.status().get("notices")))
        assert world.status()["workflows"] == {}
        (film / "manifest.yaml").unlink()
        world.drop("load.json", load)
        world.drop("good.json", picture(3))
        world.drop("good.json", picture(4), project="other")
        world.until_state("good.json", "completed", project="other")
        problem = world.until_state("load.json", "blocked")["problems"][0]
        assert problem["code"] == "input_file_missing"
        world.until(lambda: "outputs is a link; make it a folder" in world.entry("good.json").get("reason", ""))
    notices = world.status()["notices"]
    for said in ("workflows/link.json is a link", "workflows/shots is a link", "projects/linked is a link"):
        assert any(notice.startswith(said) for notice in notices)
    assert not [path for path in world.sandbox.installation.input.rglob("*") if path.is_file()]
    (film / "outputs").unlink()
    world.until_state("good.json", "completed")
    assert len(world.outputs("good.json")) == 1


def test_where_links_may_lead_is_a_setting_that_the_daemon_goes_by(world: World, elsewhere: Path, sandbox: Any) -> None:
    allowing = World(world.root, sandbox, allow_links=(elsewhere,))
    film = allowing.workflows().parent
    (film / "inputs").mkdir()
    (film / "workflows" / "shots").symlink_to(elsewhere / "shots")
    allowing.start()
    try:
        held = allowing.until_state("shots/b.json", "pending")
        assert "was here before" in held["reason"]
        (elsewhere / "shots" / "c.json").write_text(json.dumps(picture(7)))
        allowing.until_state("shots/c.json", "completed")
        assert len(allowing.outputs("shots/c.json")) == 1
    finally:
        allowing.stop()
