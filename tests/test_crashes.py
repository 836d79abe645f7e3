"""Killed at any effect, and started again: every job ends once, whole, and nothing is executed twice.

A daemon in a process of its own is killed at its first effect, at its second, and so on until it comes to its end
alive; ``crash_child`` says what counts as an effect. By default every few effects are tried, with
``COMFYWATCH_CRASH_ALL=1`` all of them.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from comfywatch import board
from comfywatch.files import SCRATCH_PREFIX
from comfywatch.jobs import Job, JobState
from comfywatch.sandbox import Sandbox, SandboxSettings
from comfywatch.store import Store
from tests import crash_child
from tests.world import PATIENCE, Prompt, World, picture

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no process is forked, or killed by a signal, there")

IS_THOROUGH = os.environ.get("COMFYWATCH_CRASH_ALL") == "1"
KILLED = -signal.SIGKILL
STATES = {"shot.json": JobState.COMPLETED, "face.json": JobState.COMPLETED, "bad.json": JobState.FAILED}
FEWEST_EFFECTS = 50
"""There are about a hundred; fewer would say that they are no longer counted."""
FILES = {"shot.json": 2, "face.json": 1, "bad.json": 1}
"""How many files each workflow makes; ``bad.json`` fails after its first."""


class Trial:
    """Folders of its own in which a daemon is killed and started again; the sandbox is shared.

    Each has a project of its own name: with an empty state, a daemon takes up what ComfyUI has of its projects.
    """

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.world = World(folder, sandbox)
        self.sandbox = sandbox
        self.project = folder.name
        self._trace = folder / "trace"
        self._posts, self._executed = len(sandbox.posts), len(sandbox.executed)

    def drop(self) -> None:
        """Three workflows: with two outputs, with an input file, and one that fails when it has made a picture."""
        inputs = self.world.workflows(self.project).with_name("inputs")
        inputs.mkdir()
        Image.new("RGB", (8, 8), "red").save(inputs / "face.png")
        self.world.drop("shot.json", {**picture(1), "9": _saver("1")}, project=self.project)
        face = picture(2)
        face["1"] = {"class_type": "LoadImage", "inputs": {"image": "face.png"}}
        self.world.drop("face.json", face, project=self.project)
        failing = {"class_type": "TestFail", "inputs": {"image": ["1", 0], "kind": "error"}}
        self.world.drop("bad.json", {**picture(3), "5": failing, "9": _saver("5")}, project=self.project)

    def cancel_what_is_under_way(self) -> None:
        """One prompt runs and one waits; then the daemon is stopped, and asked to cancel both."""
        self.sandbox.faults.hold = True
        self.world.start()
        for path, color, state in (("runs.json", 4, "running"), ("waits.json", 5, "queued")):
            self.world.drop(path, picture(color), project=self.project)
            self.world.until_state(path, state, project=self.project)
        self.world.stop()
        store = Store(self.world.settings.database)
        store.add_request(command="cancel", target=self.project, options={}, at=datetime.now(UTC))
        store.close()

    # --- the daemon

    def run(self, *, blows_at: int = 0) -> int | None:
        """``run --once`` until it is killed or has nothing left to do; its exit code."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([crash_child.__name__])
        child = context.Process(target=crash_child.run, args=(self.world.settings, blows_at, self._trace))
        child.start()
        child.join(PATIENCE)
        if child.is_alive():
            child.kill()
            child.join()
            pytest.fail(f"it does not come to an end: {self.log()}")
        code = child.exitcode
        child.close()
        return code

    def is_killed_at(self, number: int) -> bool:
        """Start it to be killed at an effect; false if it came to its end before."""
        code = self.run(blows_at=number)
        assert code in {KILLED, crash_child.ENDED}, self.log()
        return code == KILLED

    def recover(self) -> None:
        """Start it again, and let it come to its end."""
        assert self.run() == crash_child.ENDED, self.log()

    def cut_power(self) -> None:
        """What was not fsynced is gone: new names in folders, and the content of files. The database syncs its own."""
        synced: set[str] = set()
        unsure: dict[str, str] = {}
        for what, path, *rest in map(json.loads, (self.world.root / "journal").read_text().splitlines()):
            if what == "named":
                unsure[path] = rest[0]
                continue
            synced.add(path)
            for name in [name for name in unsure if name.rpartition("/")[0] == path]:
                source = unsure.pop(name)
                if source and source not in synced:
                    Path(name).write_bytes(b"")
        for path in unsure:
            if Path(path).is_dir():
                shutil.rmtree(path)
            else:
                Path(path).unlink(missing_ok=True)

    # --- what came of it

    def executed(self) -> Counter[str]:
        """How often ComfyUI began each prompt of this trial."""
        return Counter(self.sandbox.executed[self._executed :])

    def accepted(self) -> list[tuple[str, str | None]]:
        """The workflow and the id of each prompt that ComfyUI took, one for each POST."""
        posts = [post for post in self.sandbox.posts[self._posts :] if post.status == 200]
        return [(post.extra_data["extra_pnginfo"]["comfywatch"]["workflow"], post.prompt_id) for post in posts]

    def jobs(self, path: str) -> list[Job]:
        """All that the database has of a workflow."""
        store = Store(self.world.settings.database)
        try:
            return store.jobs_of(self.project, path)
        finally:
            store.close()

    def ends_seen(self) -> list[str]:
        """The workflows of which the database has how they ended."""
        return [path for path in STATES if any(job.outcome for job in self.jobs(path))]

    def check(self) -> None:
        """Each job ended, once, and all that it made is in place, whole."""
        for path, state in STATES.items():
            assert [(job.state, job.run) for job in self.jobs(path)] == [(state, 1)], self.log()
            assert self.world.entry(path, project=self.project)["state"] == state, self.log()
            self._check_run(path, state)
        assert not list(self.world.root.rglob(f"{SCRATCH_PREFIX}*")), self.log()

    def check_nothing_ran_twice(self) -> None:
        """ComfyUI was there all the time, so that it was asked for each thing once."""
        accepted = self.accepted()
        assert sorted(path for path, _ in accepted) == sorted(STATES), self.log()
        assert self.executed() == Counter(prompt_id for _, prompt_id in accepted), self.log()

    def check_cancelled(self) -> None:
        """What ran was interrupted, what waited never ran, and both say so."""
        self.sandbox.faults.clear()
        for path in ("runs.json", "waits.json"):
            assert [(job.state, job.run) for job in self.jobs(path)] == [(JobState.CANCELLED, 1)], self.log()
            result = self.world.result(path, project=self.project)
            assert (result["state"], result["outputs"]) == (JobState.CANCELLED, []), self.log()
        posted = dict(self.accepted())
        assert len(self.accepted()) == 2, self.log()
        assert self.executed() == Counter([posted["runs.json"]]), self.log()
        assert posted["runs.json"] in self.sandbox.interrupted

    def _check_run(self, path: str, state: JobState) -> None:
        result = self.world.result(path, project=self.project)
        folder = self.world.projects / self.project / "outputs" / path.removesuffix(".json") / "001"
        assert (result["state"], result["run"], len(result["outputs"])) == (state, 1, FILES[path]), self.log()
        submitted = json.loads((folder / "workflow.json").read_bytes())
        for row in result["outputs"]:
            prefix = Path(submitted[row["node"]]["inputs"]["filename_prefix"])
            made = self.sandbox.installation.output / prefix.parent / row["name"]
            assert (folder / row["path"]).read_bytes() == made.read_bytes(), self.log()
        in_place = ["result.yaml", "workflow.json", *(row["path"] for row in result["outputs"])]
        assert sorted(file.name for file in folder.iterdir()) == sorted(in_place), self.log()

    def log(self) -> str:
        """What happened, for the message of a test that fails."""
        told = [path.read_text() for path in (self._trace, self.world.root / "daemon.log") if path.exists()]
        return "\n".join(told)


def _saver(source: str) -> Prompt:
    return {"class_type": "SaveImage", "inputs": {"images": [source, 0], "filename_prefix": "also"}}


def _every(few: int, *, start: int = 1) -> Iterator[int]:
    """The effects to be killed at: all, or every few."""
    return itertools.count(start, 1 if IS_THOROUGH else few)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One ComfyUI for all trials."""
    with Sandbox(SandboxSettings(step_seconds=0.01, folder=tmp_path_factory.mktemp("comfyui"))) as sandbox:
        yield sandbox


def test_killed_at_any_effect_every_job_ends_once_and_whole(shared: Sandbox, tmp_path: Path) -> None:
    for number in _every(8):
        trial = Trial(tmp_path / f"film-{number}", shared)
        trial.drop()
        if not trial.is_killed_at(number):
            break
        trial.recover()
        trial.check()
        trial.check_nothing_ran_twice()
    assert number > FEWEST_EFFECTS


@pytest.mark.skipif(sys.platform != "linux", reason="only there a descriptor tells what it is open for")
def test_after_a_power_cut_at_any_effect_nothing_that_counts_is_gone(shared: Sandbox, tmp_path: Path) -> None:
    for number in _every(8, start=5):
        trial = Trial(tmp_path / f"power-{number}", shared)
        trial.drop()
        is_killed = trial.is_killed_at(number)
        trial.cut_power()
        trial.recover()
        trial.check()
        trial.check_nothing_ran_twice()
        if not is_killed:
            break


def test_killed_again_while_it_recovers(shared: Sandbox, tmp_path: Path) -> None:
    for number in _every(20, start=3):
        trial = Trial(tmp_path / f"again-{number}", shared)
        trial.drop()
        if not trial.is_killed_at(number):
            break
        for second in range(7 + number % 5, 60, 15):
            if not trial.is_killed_at(second):
                break
        trial.recover()
        trial.check()
        trial.check_nothing_ran_twice()


def test_killed_and_comfyui_restarted_only_what_it_lost_runs_again(shared: Sandbox, tmp_path: Path) -> None:
    for number in _every(9, start=2):
        trial = Trial(tmp_path / f"restart-{number}", shared)
        trial.drop()
        if not trial.is_killed_at(number):
            break
        before, ended = trial.accepted(), trial.ends_seen()
        shared.restart()
        trial.recover()
        trial.check()
        after = trial.accepted()[len(before) :]
        assert len({path for path, _ in after}) == len(after), trial.log()
        assert not {path for path, _ in after} & set(ended), trial.log()


def test_killed_while_it_cancels_the_wish_is_carried_out_once(
    shared: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "SHORTEST_PAUSE", 0.02)
    for number in _every(12):
        trial = Trial(tmp_path / f"cancel-{number}", shared)
        trial.cancel_what_is_under_way()
        is_killed = trial.is_killed_at(number)
        trial.recover()
        trial.check_cancelled()
        if not is_killed:
            break
