"""What people do with their folders: workflows dropped, changed, moved and tidied, as their programs do it."""

from __future__ import annotations

import hashlib
import json
import random
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.soak.book import Book, Drop, Kind, Place, Verdict
from comfywatch.workflow import digest_of

Later = Callable[[float, Callable[[], None]], None]
"""Has something done in so many seconds."""
PROJECTS = ("film", "spot", "Übung")
FOLDERS = ("", "", "day 1/", "day 1/night/")
MOST_LYING = 200
"""Files in all projects; what is above that is tidied up."""
LATE_MODEL = "late_arrival.safetensors"
"""A checkpoint that is installed only at the end."""
KINDS = {
    Kind.PICTURE: 40,
    Kind.SEVERAL: 15,
    Kind.SLOW: 15,
    Kind.WITH_INPUT: 10,
    Kind.FAILING: 8,
    Kind.BROKEN: 8,
    Kind.MISSING: 1,
}

Prompt = dict[str, Any]


class People:
    """``away`` holds the projects that are not there for a moment, ``dropped`` counts contents."""

    def __init__(self, projects: Path, book: Book, later: Later) -> None:
        self.away: set[str] = set()
        self.dropped = 0
        self._projects = projects
        self._book = book
        self._later = later
        self._removed: deque[tuple[bytes, Drop]] = deque(maxlen=10)
        self._half_written: set[int] = set()
        for project in PROJECTS:
            inputs = projects / project / "inputs"
            inputs.mkdir(parents=True)
            Image.new("RGB", (8, 8), "red").save(inputs / "face.png")
            for folder in FOLDERS:
                (projects / project / "workflows" / folder).mkdir(exist_ok=True)

    # --- what they do; each takes its choices from ``rng``, so that a seed tells the whole story

    def drop(self, rng: random.Random) -> None:
        """A new workflow at a new place."""
        place = self._new_place(rng, "shot")
        if place is not None:
            data = self._put(place, _kind(rng))
            self._write(place, data, rng)

    def drop_many(self, rng: random.Random) -> None:
        """A folder full at once."""
        for _ in range(rng.randint(5, 20)):
            self.drop(rng)

    def drop_half(self, rng: random.Random) -> None:
        """A file that takes its time to be written."""
        place = self._new_place(rng, "slowly")
        if place is None:
            return
        data = self._put(place, Kind.PICTURE)
        number = self.dropped
        cut = rng.randrange(1, len(data) - 1)
        handle = self.path(place).open("wb")
        handle.write(data[:cut])
        handle.flush()
        self._half_written.add(number)

        def finish() -> None:
            with handle:
                handle.write(data[cut:])
            self._half_written.discard(number)

        self._later(rng.uniform(0.05, 2), finish)

    def overwrite(self, rng: random.Random) -> None:
        """New content at a place that has some."""
        drop = self._any(rng)
        if drop is not None:
            self._write(drop.places[-1], self._put(drop.places[-1], _kind(rng)), rng)

    def touch(self, rng: random.Random) -> None:
        """The same content, laid out anew: nothing is to happen."""
        drop = self._any(rng)
        if drop is not None and drop.kind is not Kind.BROKEN:
            prompt = prompt_of(drop.kind, drop.number)
            self._write(drop.places[-1], json.dumps(prompt, indent=rng.randint(0, 4)).encode(), rng)

    def move(self, rng: random.Random) -> None:
        """Another name, folder or project."""
        drop, place = self._any(rng), self._new_place(rng, "moved")
        if drop is not None and place is not None:
            old = drop.places[-1]
            self.path(old).rename(self.path(place))
            self._book.move(old, place)

    def remove(self, rng: random.Random) -> None:
        """Gone, perhaps not for good."""
        drop = self._any(rng)
        if drop is not None:
            path = self.path(drop.places[-1])
            self._removed.append((path.read_bytes(), drop))
            path.unlink()
            self._book.take_away(drop.places[-1])

    def bring_back(self, rng: random.Random) -> None:
        """What was removed lies there again."""
        if self._removed:
            data, drop = self._removed.popleft()
            place = drop.places[-1]
            if drop.number in self._book.drops and place[0] not in self.away and place not in self._book.lying:
                self._book.bring_back(drop)
                self._write(place, data, rng)

    def tidy(self) -> None:
        """Remove the oldest of what is done, if there is much, and forget what is over."""
        done = [drop for drop in self._book.lying.values() if self._is_settled(drop)]
        for drop in done[: max(0, len(self._book.lying) - MOST_LYING)]:
            self.path(drop.places[-1]).unlink()
            self._book.take_away(drop.places[-1])
        kept = {drop.number for _, drop in self._removed}
        for drop in list(self._book.drops.values()):
            if drop.verdict is not None and not drop.is_wanted and drop.number not in kept:
                self._book.close(drop)

    def path(self, place: Place) -> Path:
        """Where a file lies."""
        return self._projects / place[0] / "workflows" / place[1]

    # --- how

    def _is_settled(self, drop: Drop) -> bool:
        return drop.verdict in {Verdict.COMPLETED, Verdict.FAILED} and drop.places[-1][0] not in self.away

    def _any(self, rng: random.Random) -> Drop | None:
        """A file that lies there, whole."""
        choice = rng.random()
        here = [drop for place, drop in self._book.lying.items() if place[0] not in self.away]
        whole = [drop for drop in here if drop.number not in self._half_written]
        return whole[int(choice * len(whole))] if whole else None

    def _new_place(self, rng: random.Random, name: str) -> Place | None:
        project, folder = rng.choice(PROJECTS), rng.choice(FOLDERS)
        path = f"{folder}{name}-{rng.getrandbits(40):010x}.json"
        return None if project in self.away else (project, path)

    def _put(self, place: Place, kind: Kind) -> bytes:
        """The bytes of a new drop."""
        self.dropped += 1
        if kind is Kind.BROKEN:
            data = b'{"1": {"class_type": "EmptyImage", "inputs": %d' % self.dropped
            digest = hashlib.sha256(data).hexdigest()
        else:
            prompt = prompt_of(kind, self.dropped)
            data, digest = json.dumps(prompt).encode(), digest_of(prompt)
        self._book.put(Drop(number=self.dropped, kind=kind, digest=digest, places=[place]))
        return data

    def _write(self, place: Place, data: bytes, rng: random.Random) -> None:
        """As editors do: in place, or by a scratch file and a rename."""
        path = self.path(place)
        if rng.random() < 0.5:
            path.write_bytes(data)
        else:
            scratch = path.with_name(f".{path.name}.part")
            scratch.write_bytes(data)
            scratch.replace(path)


def prompt_of(kind: Kind, number: int) -> Prompt:
    """A workflow whose first picture has the drop's number as its colour."""
    prompt = {"1": _node("EmptyImage", width=16, height=16, batch_size=1, color=number), "2": _saver("1")}
    match kind:
        case Kind.SEVERAL:
            more = {str(node): _saver("1", f"also/{node}") for node in (3, 4, 5)}
        case Kind.SLOW:
            more = {"2": _saver("3"), "3": _node("TestSleep", image=["1", 0], seconds=number % 8 / 8)}
        case Kind.WITH_INPUT:
            more = {"3": _node("LoadImage", image="face.png"), "4": _saver("3")}
        case Kind.MISSING:
            latent = _node("EmptyLatentImage", width=64, height=64, batch_size=1)
            decoded = _node("VAEDecode", samples=["4", 0], vae=["3", 2])
            model = _node("CheckpointLoaderSimple", ckpt_name=LATE_MODEL)
            more = {"3": model, "4": latent, "5": decoded, "6": _saver("5")}
        case Kind.FAILING:
            more = {"3": _node("TestFail", image=["1", 0], kind="error"), "4": _saver("3")}
        case _:
            more = {}
    return prompt | more


def _node(class_type: str, **inputs: Any) -> Prompt:
    return {"class_type": class_type, "inputs": inputs}


def _saver(source: str, prefix: str = "picture") -> Prompt:
    return _node("SaveImage", images=[source, 0], filename_prefix=prefix)


def _kind(rng: random.Random) -> Kind:
    return rng.choices(list(KINDS), list(KINDS.values()))[0]
