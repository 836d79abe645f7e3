"""What goes wrong: the processes die, the network and ComfyUI fail, people meddle, folders vanish.

Each trouble is a function that takes its choices from ``rng`` and arranges for its own end.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from benchmarks.soak.book import Book
from benchmarks.soak.people import PROJECTS, Later, People
from benchmarks.soak.processes import ComfyProcess, DaemonProcess
from comfywatch.jobs import workflow_name
from comfywatch.store import Store


@dataclass(slots=True, kw_only=True)
class Scene:
    """All that troubles can reach; ``outputs_vanish`` while ComfyUI does not hand out what it made."""

    comfyui: ComfyProcess
    daemon: DaemonProcess
    book: Book
    people: People
    later: Later
    outputs_vanish: int = 0

    def note_unfetched(self) -> None:
        """What is open now may have to run once more."""
        for drop in self.book.open_drops() if self.outputs_vanish else ():
            drop.is_unfetched = True

    def when_there(self, project: str, work: Callable[[], object]) -> None:
        """Do something in a project's folder, as soon as it is not away."""
        if project in self.people.away:
            self.later(0.2, lambda: self.when_there(project, work))
        else:
            work()

    def meddled(self, numbers: list[int]) -> None:
        """A person took these drops out of ComfyUI or stopped them."""
        for number in numbers:
            if number in self.book.drops:
                self.book.drops[number].is_meddled = True


# --- the daemon


def daemon_killed(scene: Scene, rng: random.Random) -> None:
    scene.daemon.kill()
    scene.later(rng.choice((0, rng.uniform(0, 2))), scene.daemon.start)


def daemon_stopped(scene: Scene, rng: random.Random) -> None:
    scene.daemon.stop()
    scene.later(rng.uniform(0, 2), scene.daemon.start)


# --- ComfyUI


def comfyui_restarted(scene: Scene, rng: random.Random) -> None:
    scene.comfyui.do("die")
    scene.later(rng.choice((0, rng.uniform(0, 3))), lambda: scene.comfyui.do("start"))


def both_killed(scene: Scene, rng: random.Random) -> None:
    daemon_killed(scene, rng)
    comfyui_restarted(scene, rng)


def network_away(scene: Scene, rng: random.Random) -> None:
    scene.comfyui.do("close")
    scene.later(rng.uniform(0.05, 3), lambda: scene.comfyui.do("open"))


def fault(switches: Mapping[str, Any], end: Mapping[str, Any], scene: Scene, rng: random.Random) -> None:
    """One of the sandbox's own; on for a while, or until it has struck so often."""
    scene.comfyui.do("faults", **switches)
    scene.later(rng.uniform(0.1, 4), lambda: scene.comfyui.do("faults", **end))


def fault_somewhere(name: str, scene: Scene, rng: random.Random) -> None:
    """One that strikes only some requests."""
    where = rng.choice(("/", "/queue", "/history", "/view", "POST /prompt", "/upload/image", "/system_stats"))
    value = {where: rng.uniform(0.1, 2.5)} if name == "slow" else where
    fault({name: value}, {name: {} if name == "slow" else ""}, scene, rng)


def outputs_vanish(scene: Scene, rng: random.Random) -> None:
    name, value, healthy = rng.choice((("view_404", True, False), ("view_truncated", 10, None)))
    scene.outputs_vanish += 1

    def end() -> None:
        scene.comfyui.do("faults", **{name: healthy})
        scene.note_unfetched()
        scene.outputs_vanish -= 1

    scene.comfyui.do("faults", **{name: value})
    scene.later(rng.uniform(0.1, 3), end)


# --- people at ComfyUI's window, and with comfywatch's commands


def history_wiped(scene: Scene, rng: random.Random) -> None:
    scene.meddled(scene.comfyui.do("wipe", history=True, queue=rng.random() < 0.3))


def prompt_deleted(scene: Scene, rng: random.Random) -> None:
    scene.meddled(scene.comfyui.do("delete", which=rng.getrandbits(16)))


def prompt_interrupted(scene: Scene, rng: random.Random) -> None:
    del rng
    scene.meddled(scene.comfyui.do("interrupt"))


def asked_to(command: str, scene: Scene, rng: random.Random) -> None:
    """``cancel`` or ``retry`` of a few workflows, as the commands ask for it."""
    database = scene.daemon.root / "state" / "comfywatch.db"
    if not scene.daemon.is_running or not database.exists():
        return
    lying = list(scene.book.lying.values())
    wanted = [drop for drop in lying if drop.verdict is None] if command == "cancel" else lying
    store = Store(database)
    for drop in rng.sample(wanted, min(len(wanted), rng.randint(1, 3))):
        scene.book.ask(drop)
        store.add_request(command=command, target="/".join(drop.places[-1]), options={}, at=datetime.now(UTC))
    store.close()


# --- folders


def project_away(scene: Scene, rng: random.Random) -> None:
    """Unmounted, or paused by the tool that synchronises it; and back."""
    project = rng.choice(PROJECTS)
    if project in scene.people.away:
        return
    here = scene.daemon.root / "projects" / project
    aside = here.with_name(f".{project} is away")
    here.rename(aside)
    scene.people.away.add(project)

    def back() -> None:
        aside.rename(here)
        scene.people.away.discard(project)

    scene.later(rng.uniform(0.1, 3), back)


def run_folder_in_the_way(scene: Scene, rng: random.Random) -> None:
    """A file stands where the folder of a run should be made, so that its outputs cannot be written."""
    drops = [drop for drop in scene.book.lying.values() if drop.verdict is None]
    if not drops:
        return
    project, path = rng.choice(drops).places[-1]
    folder = scene.daemon.root / "projects" / project / "outputs" / workflow_name(path)
    if folder.exists() or not folder.parent.is_dir():
        return
    folder.touch()
    scene.later(rng.uniform(0.1, 2), lambda: scene.when_there(project, folder.unlink))


def outputs_read_only(scene: Scene, rng: random.Random) -> None:
    """For all but root."""
    project = rng.choice(PROJECTS)
    folder = scene.daemon.root / "projects" / project / "outputs"
    if folder.is_dir():
        folder.chmod(0o555)
        scene.later(rng.uniform(0.1, 2), lambda: scene.when_there(project, lambda: folder.chmod(0o777)))


Trouble = Callable[[Scene, random.Random], None]
TROUBLES: Mapping[str, tuple[int, Trouble]] = {
    "daemon killed": (30, daemon_killed),
    "daemon stopped": (8, daemon_stopped),
    "ComfyUI restarted": (14, comfyui_restarted),
    "both killed": (4, both_killed),
    "network away": (8, network_away),
    "POST reset before it was taken": (6, partial(fault, {"reset_post": "before"}, {"reset_post": ""})),
    "POST reset after it was taken": (6, partial(fault, {"reset_post": "after"}, {"reset_post": ""})),
    "hanging": (6, partial(fault_somewhere, "hang")),
    "answers lost": (6, partial(fault_somewhere, "hang_after")),
    "slow": (6, partial(fault_somewhere, "slow")),
    "errors": (6, partial(fault_somewhere, "error_500")),
    "log-in page": (3, partial(fault, {"html": True}, {"html": False})),
    "history late": (3, partial(fault, {"history_late": 0.5}, {"history_late": 0.002})),
    "worker stuck": (3, partial(fault, {"hold": True}, {"hold": False})),
    "worker dead": (3, partial(fault, {"dead_worker": True}, {"dead_worker": False})),
    "outputs vanish": (5, outputs_vanish),
    "history wiped": (6, history_wiped),
    "prompt deleted": (6, prompt_deleted),
    "prompt interrupted": (6, prompt_interrupted),
    "asked to cancel": (4, partial(asked_to, "cancel")),
    "asked to run again": (4, partial(asked_to, "retry")),
    "project away": (6, project_away),
    "folder in the way": (6, run_folder_in_the_way),
    "outputs read-only": (2, outputs_read_only),
}
"""Each with its weight."""
