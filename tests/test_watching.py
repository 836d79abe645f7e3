"""Where events do not reach, polling takes over, for those projects alone; it is said once, and nothing is missed."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from comfywatch import cli
from comfywatch.bell import BELL, ring
from comfywatch.choices import Watch
from comfywatch.effects import Event, Touched, Unheard, WatchAdded, WatchProjects, Woken
from comfywatch.sandbox import Sandbox
from comfywatch.settings import Settings
from comfywatch.watching import Watching
from tests.world import World, logged, picture

PATIENCE = 10.0
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not say what is mounted")


def watching(
    tmp_path: Path,
    answer: Callable[[Event], None],
    watch: Watch = Watch.AUTO,
    *,
    is_ours: Callable[[str], bool] = lambda _: False,
    **mounts: str,
) -> Watching:
    """One beside a table of mounts, in which each of ``mounts`` is a project."""
    table = tmp_path / "mounts"
    projects = tmp_path.resolve() / "projects"
    lines = ["none / ext4 rw 0 0", *(f"none {projects / name} {kind} rw 0 0" for name, kind in mounts.items())]
    table.write_text("\n".join(lines))
    for name in ("film", "show"):
        (projects / name / "workflows").mkdir(parents=True, exist_ok=True)
    settings = Settings(root=tmp_path.resolve(), watch=watch)
    return Watching(settings, answer, is_ours=is_ours, mounts=table)


BOTH = WatchProjects(names=frozenset({"film", "show"}), folders=frozenset({"film/workflows", "show/workflows"}))


@pytest.mark.parametrize("watch", [Watch.AUTO, Watch.EVENTS])
def test_a_project_on_a_network_drive_is_left_to_the_rescans_unless_events_are_wanted(
    tmp_path: Path, watch: Watch
) -> None:
    answers: list[Event] = []
    with logged() as lines:
        at_work = watching(tmp_path, answers.append, watch, film="nfs4")
        at_work.perform(BOTH)
        at_work.perform(BOTH)
        at_work.stop()
    said = [line for line in lines if "film" in line]
    expected = {"film": "on nfs4 not every change is told"} if watch is Watch.AUTO else {}
    assert [event for event in answers if isinstance(event, Unheard)] == [Unheard(projects=expected)]
    assert len(said) == len(expected)
    assert sum(isinstance(event, WatchAdded) for event in answers) == 1


def test_polling_watches_nothing(tmp_path: Path) -> None:
    (tmp_path / "state" / BELL).mkdir(parents=True)
    answers: list[Event] = []
    at_work = watching(tmp_path, answers.append, Watch.POLLING)
    at_work.perform(BOTH)
    at_work.stop()
    assert answers == [Unheard(projects={})]
    assert not at_work.hears_bell


def test_whoever_rings_is_heard_each_time_and_so_is_the_end_of_the_bell(tmp_path: Path) -> None:
    bell = tmp_path / "state" / BELL
    bell.mkdir(parents=True)
    answers: queue.SimpleQueue[Event] = queue.SimpleQueue()
    at_work = watching(tmp_path, answers.put)
    assert at_work.hears_bell
    at_work.perform(BOTH)
    for do, where in ((ring, bell.parent), (ring, bell.parent), (shutil.rmtree, bell)):
        while not answers.empty():
            answers.get()
        do(where)
        assert answers.get(timeout=PATIENCE) == Woken()
    at_work.stop()


def test_without_a_bell_nobody_is_stopped_from_ringing(tmp_path: Path) -> None:
    at_work = watching(tmp_path, lambda _: None)
    assert not at_work.hears_bell
    ring(tmp_path / "state")
    assert not (tmp_path / "state").exists()
    at_work.stop()


def test_events_that_were_lost_bring_about_a_look_at_everything(tmp_path: Path) -> None:
    """Whoever asks whether a name is ours holds the watcher up, until more has happened than the system keeps."""
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 20_000:
        pytest.skip("it would take too many files to overflow the queue here")
    answers: queue.SimpleQueue[Event] = queue.SimpleQueue()
    may_go_on, overflown = threading.Event(), Touched(path=tmp_path.resolve() / "projects")

    def is_ours(path: str) -> bool:
        return may_go_on.wait(PATIENCE) and path.endswith(".flood")

    at_work = watching(tmp_path, answers.put, is_ours=is_ours)
    at_work.perform(BOTH)
    workflows = tmp_path / "projects" / "film" / "workflows"
    with logged() as lines:
        for _ in range(2):
            may_go_on.clear()
            for _ in range(most // 2 + 1000):
                (workflows / "a.flood").touch()
                (workflows / "a.flood").unlink()
            may_go_on.set()
            while answers.get(timeout=PATIENCE) != overflown:
                continue
    at_work.stop()
    assert sum("more changed at once" in line for line in lines) == 1


# ---- for real


@contextmanager
def daemon(world: World, *before: str) -> Iterator[Path]:
    """A daemon as a process, behind ``before``; its log."""
    config = world.root / "config.yaml"
    plain = {"comfyui_url": world.sandbox.url, "settle_seconds": 0.1, "rescan_seconds": world.settings.rescan_seconds}
    config.write_text(json.dumps(plain))
    log = world.root / "log"
    command = [*before, sys.executable, "-m", "comfywatch", "run", "--config", str(config)]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
    (world.root / "pid").write_text(str(process.pid))
    try:
        world.until(lambda: b" watching " in log.read_bytes())
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def doctor(world: World) -> str:
    return CliRunner().invoke(cli.app, ["doctor", "--config", str(world.root / "config.yaml")]).output


def may_limit_watches() -> bool:
    """Whether a limit of our own can be set, in a user namespace that has its own count."""
    probe = ["unshare", "-Ur", "sh", "-c", "echo 9 > /proc/sys/user/max_inotify_watches"]
    return (
        shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True, check=False).returncode == 0
    )


@pytest.mark.parametrize(
    ("limit", "said"), [("max_inotify_watches", "max_user_watches"), ("max_inotify_instances", "max_user_instances")]
)
def test_at_a_limit_of_inotify_the_rest_is_looked_through_and_nothing_is_missed(
    world: World, limit: str, said: str
) -> None:
    if not may_limit_watches():
        pytest.skip("no user namespace with its own limits can be made here")
    names = [f"project-{number}" for number in range(6)]
    for name in names:
        world.workflows(name)
    count = 5 if limit == "max_inotify_watches" else 0
    limited = ("unshare", "-Ur", "sh", "-c", f'echo {count} > /proc/sys/user/{limit}; exec "$@"', "sh")
    with daemon(world, *limited) as log:
        world.until(lambda: said.encode() in log.read_bytes())
        for color, name in enumerate(names):
            world.drop("a.json", picture(color), project=name)
        for name in names:
            world.until_state("a.json", "completed", project=name)
        world.drop("b.json", picture(77), project="project-5")
        world.until_state("b.json", "completed", project="project-5")
        assert said in doctor(world).replace("\n", "")
    assert log.read_text().count("gives no more") == 1
    assert len(world.sandbox.posts) == len(names) + 1


def test_more_changes_than_the_system_tells_of_are_noticed(tmp_path: Path, sandbox: Sandbox) -> None:
    """The rescan is a day away, and the event of the drop is lost in a flood of others."""
    world = World(tmp_path, sandbox, rescan_seconds=86400)
    workflows = world.workflows()
    world.drop("first.json", picture(1))
    with daemon(world) as log:
        world.until_state("first.json", "pending")
        world.drop("second.json", picture(2))
        world.until_state("second.json", "completed")
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        if most > 20_000:
            os.kill(pid, signal.SIGCONT)
            pytest.skip("it would take too many files to overflow the queue here")
        for number in range(most // 2 + 1000):
            (workflows / f".flood-{number % 50}").touch()
            (workflows / f".flood-{number % 50}").unlink()
        world.drop("third.json", picture(3))
        os.kill(pid, signal.SIGCONT)
        world.until_state("third.json", "completed")
    assert b"more changed at once" in log.read_bytes()


def test_on_fuse_what_others_write_behind_it_is_taken_by_polling(tmp_path: Path, sandbox: Sandbox) -> None:
    """Fifty workflows, written where no event comes from, of which some are edited, renamed and removed."""
    behind, before = tmp_path / "behind", tmp_path / "world" / "projects"
    for folder in (behind, before):
        folder.mkdir(parents=True)
    mount = ["bindfs", str(behind), str(before)]
    if shutil.which("bindfs") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("bindfs is not installed, or mounting is not permitted here")
    try:
        world = World(tmp_path / "world", sandbox)
        workflows = behind / "film" / "workflows"
        workflows.mkdir(parents=True)
        with daemon(world) as log:
            world.until(lambda: b"not every change is told" in log.read_bytes())
            for number in range(50):
                (workflows / f"shot-{number:02d}.json").write_text(json.dumps(picture(number)))
            world.until(lambda: world.status().get("counts", {}).get("completed") == 50, patience=60)
            (workflows / "shot-00.json").rename(workflows / "renamed.json")
            (workflows / "shot-01.json").unlink()
            (workflows / "shot-02.json").write_text(json.dumps(picture(102)))
            world.until(lambda: world.entry("shot-02.json").get("run") == 2, patience=30)
            world.until_state("shot-02.json", "completed")
            world.until(lambda: world.entry("renamed.json"))
            assert "not every change is told" in doctor(world).replace("\n", " ")
        assert log.read_text().count("not every change is told") == 1
        assert len(sandbox.posts) == 51
    finally:
        subprocess.run(["umount", "-l", str(before)], check=False)
