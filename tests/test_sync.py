"""Two real Syncthings: workflows are dropped at one end, a daemon works at the other, and results come back.

It takes some minutes, so only ``make test-sync`` runs it.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comfywatch import plain_yaml
from comfywatch.foreign_names import is_conflict_copy
from comfywatch.sandbox import Sandbox
from tests import syncthing
from tests.world import World, picture

COUNT = 50
SECONDS = float(os.environ.get("COMFYWATCH_TEST_SYNC", "0") or 0)
"""Over how many seconds the workflows are dropped."""
PATIENCE = 120.0

pytestmark = [
    pytest.mark.skipif(not SECONDS, reason="make test-sync runs it: it takes some minutes"),
    pytest.mark.skipif(not syncthing.is_installed(), reason=syncthing.NEEDS),
]


class Artist:
    """Somebody at the other end, who has no more than the folder. Each content is another color, and lies once."""

    def __init__(self, folder: Path) -> None:
        self.workflows = folder / "film" / "workflows"
        self.outputs = folder / "film" / "outputs"
        self.lying: dict[str, int] = {}
        self.removed: set[int] = set()
        self._colors = iter(range(1, 10_000))
        (self.workflows / "done").mkdir(parents=True)

    def drop(self, name: str) -> None:
        self.lying[name] = color = next(self._colors)
        self.write(name, color)

    def write(self, name: str, color: int) -> None:
        (self.workflows / name).write_text(json.dumps(picture(color)), encoding="utf-8")

    def rename(self, old: str, new: str) -> None:
        (self.workflows / old).rename(self.workflows / new)
        self.lying[new] = self.lying.pop(old)

    def remove(self, name: str) -> None:
        (self.workflows / name).unlink()
        self.removed.add(self.lying.pop(name))

    def status(self) -> dict[str, Any]:
        try:
            loaded = plain_yaml.load((self.outputs.parent / "status.yaml").read_bytes())
        except FileNotFoundError:
            return {}
        assert isinstance(loaded, dict)
        return loaded

    def missing(self) -> list[str]:
        """The workflows of which no finished run of the present content has come back, whole."""
        done = {color for color, _ in self.results()}
        return sorted(name for name, color in self.lying.items() if color not in done)

    def results(self) -> Iterator[tuple[int, Path]]:
        """By color, each run that is here: its result, and its outputs as the result has them."""
        for result in self.outputs.rglob("result.yaml"):
            plain = plain_yaml.load(result.read_bytes())
            assert isinstance(plain, dict)
            workflow = result.with_name("workflow.json")  # a sync tool may bring it later than the result
            if plain["state"] == "completed" and workflow.exists() and _are_whole(result.parent, plain["outputs"]):
                yield _color_of(workflow), result.parent


def _are_whole(folder: Path, outputs: list[dict[str, str]]) -> bool:
    try:
        return all(
            hashlib.sha256((folder / output["path"]).read_bytes()).hexdigest() == output["sha256"] for output in outputs
        )
    except FileNotFoundError:
        return False


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[tuple[syncthing.Peer, syncthing.Peer]]:
    here = syncthing.Peer(tmp_path / "syncthing-here", tmp_path / "root" / "projects")
    there = syncthing.Peer(tmp_path / "syncthing-there", tmp_path / "there")
    try:
        here.meet(there)
        yield here, there
    finally:
        here.stop()
        there.stop()


@pytest.mark.parametrize("watch", ["auto", "polling"])
def test_what_is_dropped_at_one_end_comes_back_as_results(
    tmp_path: Path, sandbox: Sandbox, peers: tuple[syncthing.Peer, syncthing.Peer], watch: str
) -> None:
    here, there = peers
    world = World(tmp_path / "root", sandbox, watch=watch, rescan_seconds=2, delete_grace_seconds=10, settle_seconds=1)
    artist = Artist(there.folder)
    world.start()
    try:
        over_some_minutes(artist)
        there.until(lambda: not artist.missing(), patience=PATIENCE)
        provoke_a_conflict(artist, world, here, there)
        there.until(lambda: not artist.missing(), patience=PATIENCE)
        there.until(lambda: artist.status()["counts"]["completed"] >= len(artist.lying), patience=PATIENCE)
    finally:
        world.stop()
    assert_promises(artist, world, sandbox, here, there)


def over_some_minutes(artist: Artist) -> None:
    """Drop, and now and then edit, rename and remove what was dropped lately or long ago."""
    chance, never = random.Random(7), threading.Event()
    for number in range(COUNT):
        artist.drop(f"shot-{number:02d}.json")
        never.wait(SECONDS / COUNT * chance.uniform(0.2, 1.8))
        name = chance.choice(sorted(artist.lying))
        match number % 5:
            case 1:
                artist.drop(name)
            case 2:
                artist.rename(name, f"done/{Path(name).stem}-{number}.json")
            case 3 if len(artist.lying) > 5:
                artist.remove(name)


def provoke_a_conflict(artist: Artist, world: World, here: syncthing.Peer, there: syncthing.Peer) -> None:
    """Both ends change a workflow while they do not see each other."""
    artist.drop("both.json")
    there.until(lambda: not artist.missing(), patience=PATIENCE)
    here.part(there)
    artist.write("both.json", 20_001)
    (world.workflows() / "both.json").write_text(json.dumps(picture(20_002)), encoding="utf-8")
    for peer in (here, there):
        peer.look()
    world.until(lambda: world.entry("both.json").get("run") == 2)
    here.meet_again(there)
    there.until(lambda: any(is_conflict_copy(file.name) for file in artist.workflows.iterdir()), patience=PATIENCE)
    artist.lying["both.json"] = _color_of(artist.workflows / "both.json")


def _color_of(file: Path) -> int:
    color = json.loads(file.read_text(encoding="utf-8"))["1"]["inputs"]["color"]
    assert isinstance(color, int)
    return color


def assert_promises(
    artist: Artist, world: World, sandbox: Sandbox, here: syncthing.Peer, there: syncthing.Peer
) -> None:
    runs = Counter(post.prompt["1"]["inputs"]["color"] for post in sandbox.posts if post.status == 200)
    assert artist.missing() == []
    assert {color: count for color, count in runs.items() if count > 1} == {}
    for folder in (here.folder, there.folder):
        copies = [path for path in folder.rglob("*") if is_conflict_copy(path.name)]
        assert [path.parent.name for path in copies] == ["workflows"], "only the workflow that both changed"
    (copy,) = (path.name for path in (world.workflows()).iterdir() if is_conflict_copy(path.name))
    assert f"workflows/{copy} is a conflict copy; rename it to run it" in world.status()["notices"]
    assert copy not in world.status()["workflows"]
    print(f"{sum(runs.values())} runs, {len(artist.lying)} workflows lie there, {len(artist.removed)} were removed")  # noqa: T201 - figures for whoever ran it
