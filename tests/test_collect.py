"""From the end of a prompt to its run folder: whole or not there, none lost, none outside, and the proof comes last."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from comfywatch.collect import Collection, collect, highest_run_on_disk, names_of, wanted
from comfywatch.comfy import Comfy
from comfywatch.comfy_errors import Busy, ComfyError, Truncated
from comfywatch.comfy_session import Download
from comfywatch.history import Outcome, OutputFile, read_outcome
from comfywatch.inside import LeadsOut
from comfywatch.jobs import JobState
from comfywatch.problems import Problem
from comfywatch.sandbox import Sandbox
from tests.made import HOSTILE_NAMES, NOON, PROMPT_ID, a_job
from tests.stub_http import Reply, StubHttp
from tests.world import PATIENCE, picture, text_to_image

PNG = b"\x89PNG\r\n\x1a\n..."


@pytest.fixture
def comfy(sandbox: Sandbox) -> Iterator[Comfy]:
    with Comfy(sandbox.url, timeout=2.0) as opened:
        yield opened


@pytest.fixture
def film(tmp_path: Path) -> Path:
    folder = tmp_path / "projects" / "film"
    folder.mkdir(parents=True)
    return folder


def ran(prompt: dict[str, Any], sandbox: Sandbox, comfy: Comfy, film: Path, **changes: Any) -> Collection:
    """What is to be collected of a prompt that the sandbox has just run."""
    prompt_id = comfy.post_prompt({"prompt": prompt}).prompt_id
    deadline = time.monotonic() + PATIENCE
    while (entry := comfy.history(prompt_id)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    task = made(film, *read_outcome(entry).files, prompt=prompt, outcome=read_outcome(entry), server=sandbox.url)
    return replace(task, **changes)


def made(film: Path, *files: OutputFile, **changes: Any) -> Collection:
    job = a_job(path="shots/a.json", run=1, prompt_id=PROMPT_ID, submitted=NOON, state=JobState.RUNNING)
    plain: dict[str, Any] = {
        "job": job,
        "outcome": Outcome(state=JobState.COMPLETED, files=files),
        "prompt": picture(),
        "folder": film,
        "server": "http://127.0.0.1:8188",
        "comfyui_version": "0.3.64",
        "system": {"gpu": "none"},
    }
    return Collection(**plain | changes)


def output(filename: str, subfolder: str = "", kind: str = "output") -> OutputFile:
    return OutputFile(node="2", key="images", filename=filename, subfolder=subfolder, kind=kind)


def run_of(film: Path, run: int = 1) -> Path:
    return film / "outputs" / "shots" / "a" / f"{run:03}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def result_of(film: Path) -> dict[str, Any]:
    loaded = yaml.safe_load((run_of(film) / "result.yaml").read_bytes())
    assert isinstance(loaded, dict)
    return loaded


def views(sandbox: Sandbox) -> int:
    return sum(path.endswith("/view") for _, path in sandbox.requests)


def many(count: int) -> dict[str, Any]:
    prompt = picture()
    prompt["1"]["inputs"]["batch_size"] = count
    return prompt


# ---- what is there afterwards


def test_every_output_is_in_the_folder_byte_for_byte(sandbox: Sandbox, comfy: Comfy, film: Path) -> None:
    task = ran(many(3), sandbox, comfy, film)
    collected = collect(task, comfy)
    assert (collected.error, collected.gone) == (None, ())
    assert names(run_of(film)) == [
        "a_001_ComfyUI_00001_.png",
        "a_001_ComfyUI_00002_.png",
        "a_001_ComfyUI_00003_.png",
        "result.yaml",
        "workflow.json",
    ]
    for row in result_of(film)["outputs"]:
        data = (run_of(film) / row["path"]).read_bytes()
        assert data == (sandbox.installation.output / row["name"]).read_bytes()
        assert (row["bytes"], row["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_the_result_says_all_that_is_worth_knowing(sandbox: Sandbox, comfy: Comfy, film: Path) -> None:
    collect(ran(text_to_image(seed=7), sandbox, comfy, film), comfy)
    result = result_of(film)
    assert result["settings"]["seeds"] == {"3": 7}
    assert result["seconds"] > 0
    assert result["started"] <= result["finished"]
    plain = {key: result[key] for key in ("schema", "project", "workflow", "digest", "run", "prompt_id", "state")}
    assert plain == {
        "schema": 1,
        "project": "film",
        "workflow": "shots/a.json",
        "digest": "d",
        "run": 1,
        "prompt_id": PROMPT_ID,
        "state": "completed",
    }
    assert result["server"] == sandbox.url
    assert result["comfyui_version"] == "0.3.64"
    assert result["submitted"] == NOON
    assert result["system"] == {"gpu": "none"}


def test_the_workflow_that_ran_is_kept_alone_and_can_be_dropped_again(film: Path, comfy: Comfy) -> None:
    prompt = {"1": {"class_type": "X", "inputs": {"text": "é ☃ half\ud83d \U0001f600"}}}
    collect(made(film, prompt=prompt), comfy)
    assert json.loads((run_of(film) / "workflow.json").read_text(encoding="utf-8")) == prompt


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_a_run_that_failed_or_was_cancelled_has_its_result_too(state: JobState, film: Path, comfy: Comfy) -> None:
    problem = Problem(code="execution_error", message="It broke.", node="3", traceback=("line 1", "line 2"))
    collect(made(film, outcome=Outcome(state=state, problems=(problem,)), hint="Mend it."), comfy)
    result = result_of(film)
    assert (result["state"], result["hint"]) == (state, "Mend it.")
    assert result["problems"][0]["traceback"] == ["line 1", "line 2"]


def test_what_a_failed_run_had_finished_is_fetched_too(sandbox: Sandbox, comfy: Comfy, film: Path) -> None:
    task = ran(picture(), sandbox, comfy, film)
    collect(replace(task, outcome=replace(task.outcome, state=JobState.FAILED)), comfy)
    assert "a_001_ComfyUI_00001_.png" in names(run_of(film))


def test_texts_go_into_the_result(film: Path, comfy: Comfy) -> None:
    texts = (("7", "a lighthouse"), ("7", "two\nlines"))
    collect(made(film, outcome=Outcome(state=JobState.COMPLETED, texts=texts)), comfy)
    assert result_of(film)["texts"] == [{"node": "7", "text": "a lighthouse"}, {"node": "7", "text": "two\nlines"}]


def test_previews_are_fetched_only_if_they_are_wanted() -> None:
    outcome = Outcome(state=JobState.COMPLETED, files=(output("a.png"), output("p.png", kind="temp")))
    assert [file.filename for file in wanted(outcome, keep_previews=False)] == ["a.png"]
    assert [file.filename for file in wanted(outcome, keep_previews=True)] == ["a.png", "p.png"]


# ---- names


def test_an_output_is_called_by_workflow_run_and_name_or_as_comfyui_called_it(film: Path) -> None:
    task = made(film, output("lamp.png"))
    assert [name for _, name in names_of(task)] == ["a_001_lamp.png"]
    assert [name for _, name in names_of(replace(task, unique_names=False))] == ["lamp.png"]


@pytest.mark.parametrize("unique_names", [True, False])
def test_hostile_names_stay_in_the_folder_and_none_is_lost(unique_names: bool, film: Path, tmp_path: Path) -> None:
    files = [output(name, subfolder) for name in HOSTILE_NAMES if name for subfolder in ("", "../..")]
    with StubHttp(Reply(body=PNG)) as stub, Comfy(stub.url) as comfy:
        collected = collect(made(film, *files, unique_names=unique_names), comfy)
    assert (collected.error, collected.gone) == (None, ())
    rows = result_of(film)["outputs"]
    assert len(rows) == len(files)
    assert len({row["path"].casefold() for row in rows}) == len(files)
    assert set(names(run_of(film))) == {"result.yaml", "workflow.json", *(row["path"] for row in rows)}
    assert all((run_of(film) / row["path"]).read_bytes() == PNG for row in rows)
    assert [path.relative_to(tmp_path).parts[:2] for path in tmp_path.iterdir()] == [("projects",)]
    assert names(film) == ["outputs"]


def test_the_same_file_named_twice_is_fetched_once(film: Path) -> None:
    task = made(film, output("a.png"), output("a.png"), output("a.png", "x"), output("A.PNG"))
    assert [name for _, name in names_of(task)] == ["a_001_a.png", "a_001_a-2.png", "a_001_A-3.PNG"]


def test_our_own_two_files_are_not_overwritten(film: Path) -> None:
    task = made(film, output("result.yaml"), output("WORKFLOW.json"), unique_names=False)
    assert [name for _, name in names_of(task)] == ["result-2.yaml", "WORKFLOW-2.json"]


def test_a_long_name_of_a_workflow_leaves_room_for_that_of_the_output(film: Path) -> None:
    task = made(film, output("x" * 190 + ".png"))
    ((_, name),) = names_of(replace(task, job=replace(task.job, path="☃" * 80 + ".json")))
    assert len(name.encode()) <= 200
    assert name.endswith(".png")
    assert "_001_x" in name


# ---- crashes


class Dying(Comfy):
    """A client whose process dies in the middle of a download."""

    def __init__(self, url: str, *, after: int) -> None:
        super().__init__(url)
        self._left = after

    @contextmanager
    def view(self, *, filename: str, subfolder: str, kind: str) -> Iterator[Download]:
        with super().view(filename=filename, subfolder=subfolder, kind=kind) as download:
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
            yield download


@pytest.mark.parametrize("after", [0, 1, 2])
def test_after_a_crash_what_is_there_is_whole_and_is_not_fetched_again(
    after: int, sandbox: Sandbox, comfy: Comfy, film: Path
) -> None:
    task = ran(many(3), sandbox, comfy, film)
    with Dying(sandbox.url, after=after) as dying, pytest.raises(KeyboardInterrupt):
        collect(task, dying)
    assert len(names(run_of(film))) == after
    before = views(sandbox)
    assert collect(task, comfy).error is None
    assert views(sandbox) - before == 3 - after
    assert len(result_of(film)["outputs"]) == 3


def test_what_a_kill_left_half_written_is_removed(film: Path, comfy: Comfy) -> None:
    run_of(film).mkdir(parents=True)
    (run_of(film) / ".~comfywatch-0123456789ab.tmp").write_bytes(b"half a pict")
    assert collect(made(film), comfy).error is None
    assert names(run_of(film)) == ["result.yaml", "workflow.json"]


class MovingTheProject(Comfy):
    """A client during whose download somebody renames the project."""

    def __init__(self, url: str, project: Path) -> None:
        super().__init__(url)
        self._project = project

    @contextmanager
    def view(self, *, filename: str, subfolder: str, kind: str) -> Iterator[Download]:
        with super().view(filename=filename, subfolder=subfolder, kind=kind) as download:
            self._project.rename(self._project.with_name("renamed"))
            yield download


def test_a_project_that_is_renamed_meanwhile_is_not_called_completed(
    film: Path, sandbox: Sandbox, comfy: Comfy
) -> None:
    """Else the outputs of a completed run would be looked for where they are not."""
    task = ran(picture(), sandbox, comfy, film)
    with MovingTheProject(sandbox.url, film) as moving:
        assert isinstance(collect(task, moving).error, OSError)
    assert not film.exists()


def test_it_may_be_done_again_after_its_end_even_if_comfyui_has_forgotten(
    sandbox: Sandbox, comfy: Comfy, film: Path
) -> None:
    task = ran(many(2), sandbox, comfy, film)
    collect(task, comfy)
    first = result_of(film)
    sandbox.stop()
    assert collect(task, comfy).error is None
    assert result_of(film) == first


def test_a_download_that_ends_early_leaves_nothing_that_looks_whole(sandbox: Sandbox, comfy: Comfy, film: Path) -> None:
    task = ran(picture(), sandbox, comfy, film)
    sandbox.faults.view_truncated = 10
    assert isinstance(collect(task, comfy).error, Truncated)
    assert names(run_of(film)) == []
    sandbox.faults.clear()
    assert collect(task, comfy).error is None


@pytest.mark.parametrize("fault", ["down", "hang", "broken", "log-in page"])
def test_while_comfyui_is_away_nothing_is_completed_and_nothing_given_up(
    fault: str, sandbox: Sandbox, film: Path
) -> None:
    with Comfy(sandbox.url, timeout=0.2) as comfy:
        task = ran(picture(), sandbox, comfy, film)
        match fault:
            case "down":
                sandbox.stop()
            case "hang":
                sandbox.faults.hang = "/view"
            case "broken":
                sandbox.faults.error_500 = "/view"
            case _:
                sandbox.faults.html = True
        collected = collect(task, comfy)
    assert isinstance(collected.error, ComfyError)
    assert collected.gone == ()
    assert names(run_of(film)) == []
    assert isinstance(collected.error, Busy) == (fault == "hang")
    sandbox.faults.release()


def test_what_comfyui_no_longer_has_is_told_and_the_folder_is_emptied_for_the_next_try(
    sandbox: Sandbox, comfy: Comfy, film: Path
) -> None:
    task = ran(many(2), sandbox, comfy, film)
    (sandbox.installation.output / "ComfyUI_00002_.png").unlink()
    collected = collect(task, comfy)
    assert (collected.error, collected.gone) == (None, ("ComfyUI_00002_.png",))
    assert names(run_of(film)) == []


# ---- folders


def test_a_project_that_is_not_there_is_not_made_anew(film: Path, comfy: Comfy) -> None:
    """It was renamed or unmounted: what is written there now would be lost or in the way."""
    film.rmdir()
    assert isinstance(collect(made(film), comfy).error, OSError)
    assert not film.exists()


@pytest.mark.parametrize("place", ["outputs", "outputs/shots", "outputs/shots/a", "outputs/shots/a/001"])
@pytest.mark.parametrize("is_dangling", [True, False])
def test_a_link_in_the_way_is_not_followed(
    place: str, is_dangling: bool, film: Path, tmp_path: Path, comfy: Comfy
) -> None:
    outside = tmp_path / "outside"
    if not is_dangling:
        outside.mkdir()
    (film / place).parent.mkdir(parents=True, exist_ok=True)
    (film / place).symlink_to(outside)
    error = collect(made(film), comfy).error
    assert isinstance(error, LeadsOut)
    assert f"{place} is a link" in str(error)
    assert not outside.exists() or names(outside) == []


def test_a_file_in_the_way_is_told(film: Path, comfy: Comfy) -> None:
    (film / "outputs").write_bytes(b"")
    error = collect(made(film), comfy).error
    assert isinstance(error, OSError)
    assert "outputs is no folder" in str(error)


def test_a_link_where_an_output_should_be_is_replaced_and_not_written_through(
    film: Path, tmp_path: Path, sandbox: Sandbox, comfy: Comfy
) -> None:
    task = ran(picture(), sandbox, comfy, film)
    (tmp_path / "theirs").write_bytes(b"theirs")
    run_of(film).mkdir(parents=True)
    (run_of(film) / "a_001_ComfyUI_00001_.png").symlink_to(tmp_path / "theirs")
    assert collect(task, comfy).error is None
    assert (tmp_path / "theirs").read_bytes() == b"theirs"
    assert (run_of(film) / "a_001_ComfyUI_00001_.png").read_bytes().startswith(b"\x89PNG")


def test_runs_are_counted_by_the_folders_that_are_there(film: Path) -> None:
    assert highest_run_on_disk(film, "shots/a.json") == 0
    for name in ("001", "007", "notes", "12", "9" * 30):
        (film / "outputs" / "shots" / "a" / name).mkdir(parents=True)
    assert highest_run_on_disk(film, "shots/a.json") == 7
    (film / "outputs" / "shots" / "a" / "1000").mkdir()
    assert highest_run_on_disk(film, "shots/a.json") == 1000
