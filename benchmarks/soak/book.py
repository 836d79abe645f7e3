"""What was dropped, what ComfyUI saw of it, and what came of it: the judge of the soak.

Each drop has a number of its own, which is the colour of its first picture, so that ComfyUI's record tells which drop
a prompt is of. A drop is judged by the daemon's database and by the bytes in the project folder, never by its log.
"""

from __future__ import annotations

import itertools
import json
import math
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from comfywatch import plain_yaml
from comfywatch.jobs import Job, JobState, workflow_name
from comfywatch.store import Store

Place = tuple[str, str]
"""A project and a path below its ``workflows/``."""
EXCUSED = frozenset({"server_lost", "server_error", "output_gone"})
"""Failures that the troubles explain."""
ANSWERED_SECONDS = 60.0
"""So long a wish for a place may be carried out on what was put there since."""
UNTAKEN_SECONDS = 60.0
"""After that long, a drop that was removed or replaced before it was taken leaves no trace."""


class Kind(StrEnum):
    """What a workflow does."""

    PICTURE = "picture"
    SEVERAL = "several"
    SLOW = "slow"
    WITH_INPUT = "with input"
    MISSING = "missing"
    """Its model is not there before the end."""
    FAILING = "failing"
    BROKEN = "broken"


FILES = {Kind.PICTURE: 1, Kind.SEVERAL: 4, Kind.SLOW: 1, Kind.WITH_INPUT: 2, Kind.MISSING: 2, Kind.FAILING: 1}


class Verdict(StrEnum):
    """What came of a drop; the last three are broken promises."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INVALID = "invalid"
    UNTAKEN = "replaced before it was taken"
    LOST = "lost"
    DUPLICATED = "duplicated"
    FALSE = "false"


BROKEN_PROMISES = (Verdict.LOST, Verdict.DUPLICATED, Verdict.FALSE)


@dataclass(slots=True, kw_only=True)
class Drop:
    """One content at one place, or at the places to which it was moved.

    ``is_meddled``: a person took it out or stopped it. ``is_unfetched``: ComfyUI did not hand out files meanwhile, so
    that it may run once more. ``excuses``: how often a person had it run again. ``posts``: the era of the last POST by
    prompt; ``begun``: era and prompt, in order. ``folders``: what its run made, here and in ComfyUI.
    """

    number: int
    kind: Kind
    digest: str
    places: list[Place]
    is_wanted: bool = True
    is_meddled: bool = False
    is_unfetched: bool = False
    excuses: int = 0
    unwanted_since: float = 0.0
    posts: dict[str, int] = field(default_factory=dict)
    begun: list[tuple[int, str]] = field(default_factory=list)
    interrupted: set[str] = field(default_factory=set)
    folders: list[Path] = field(default_factory=list)
    verdict: Verdict | None = None

    def unwanted(self) -> None:
        """Its file was removed or has other content now."""
        self.is_wanted = False
        self.unwanted_since = time.monotonic()

    def repeated(self) -> int:
        """How often it was begun again although ComfyUI had forgotten nothing since the last time."""
        again = itertools.pairwise(self.begun)
        count = sum(self.posts.get(prompt_id, 0) <= era for (era, _), (_, prompt_id) in again)
        return max(0, count - self.excuses - self.is_unfetched)


class Book:
    """All drops that are not over; ``lying`` maps places to what lies there, ``findings`` are broken promises."""

    def __init__(self, projects: Path, made: Path) -> None:
        self.drops: dict[int, Drop] = {}
        self.lying: dict[Place, Drop] = {}
        self.tally: Counter[Verdict] = Counter()
        self.findings: list[str] = []
        self._projects = projects
        self._made = made
        self._numbers: dict[str, int] = {}
        self._asked: dict[Place, float] = {}

    # --- what people did

    def put(self, drop: Drop) -> None:
        """A file with new content was put at its place."""
        self.take_away(drop.places[-1])
        self.drops[drop.number] = drop
        self.lying[drop.places[-1]] = drop
        if time.monotonic() - self._asked.get(drop.places[-1], -math.inf) < ANSWERED_SECONDS:
            self.ask(drop)

    def take_away(self, place: Place) -> Drop | None:
        """The file at a place was removed or replaced."""
        drop = self.lying.pop(place, None)
        if drop is not None:
            drop.unwanted()
        return drop

    def ask(self, drop: Drop) -> None:
        """A person asked comfywatch to cancel or to retry what lies at a place; the answer may come late."""
        drop.is_meddled = True
        drop.excuses += 1
        drop.verdict = None
        now = time.monotonic()
        self._asked = {place: at for place, at in self._asked.items() if now - at < ANSWERED_SECONDS}
        self._asked[drop.places[-1]] = now

    def bring_back(self, drop: Drop) -> None:
        """A file that was removed lies there again: what was cancelled or failed runs."""
        self.take_away(drop.places[-1])
        self.lying[drop.places[-1]] = drop
        self.drops[drop.number] = drop
        drop.is_wanted = True
        if drop.verdict is not Verdict.COMPLETED:
            drop.excuses += drop.verdict is Verdict.FAILED
            drop.verdict = None

    def move(self, old: Place, new: Place) -> None:
        """A file was renamed."""
        drop = self.lying.pop(old)
        self.take_away(new)
        drop.places.append(new)
        self.lying[new] = drop

    def open_drops(self) -> list[Drop]:
        """Those of which it is not known yet what came of them."""
        return [drop for drop in self.drops.values() if drop.verdict is None]

    # --- what ComfyUI saw

    def note(self, seen: Mapping[str, Any]) -> None:
        """Its record since the last time."""
        for era, prompt_id, number in seen["posts"]:
            drop = self.drops.get(number)
            if drop is None:
                self.blame(Verdict.DUPLICATED, f"drop {number} was posted again after it was over")
            else:
                drop.posts[prompt_id] = era
                self._numbers[prompt_id] = number
        for era, prompt_id in seen["begun"]:
            drop = self.drops.get(self._numbers.get(prompt_id, 0))
            if drop is None:
                self.blame(Verdict.DUPLICATED, f"prompt {prompt_id} was begun after its drop was over")
            else:
                drop.begun.append((era, prompt_id))
        for prompt_id in seen["interrupted"]:
            drop = self.drops.get(self._numbers.get(prompt_id, 0))
            if drop is not None:
                drop.interrupted.add(prompt_id)

    # --- what came of it

    def jobs_of(self, store: Store, drop: Drop) -> list[Job]:
        """Its jobs, newest first."""
        found = (job for place in set(drop.places) for job in store.jobs_of(*place))
        return sorted((job for job in found if job.digest == drop.digest), key=lambda job: -job.id)

    def judge(self, drop: Drop, jobs: list[Job], *, is_last_word: bool = False) -> None:
        """Say what came of it, if that is known; with the last word, what has not ended as it should is lost."""
        if not jobs:
            self._judge_untaken(drop, is_last_word=is_last_word)
            return
        verdict, why = self._verdict(drop, jobs)
        if verdict is Verdict.LOST and not is_last_word:
            return
        drop.verdict = verdict
        if verdict in BROKEN_PROMISES:
            self.blame(verdict, f"drop {drop.number} ({drop.kind}, {'/'.join(drop.places[-1])}): {why}")

    def _judge_untaken(self, drop: Drop, *, is_last_word: bool) -> None:
        if not drop.is_wanted:
            if is_last_word or time.monotonic() - drop.unwanted_since > UNTAKEN_SECONDS:
                drop.verdict = Verdict.UNTAKEN
        elif is_last_word:
            drop.verdict = Verdict.LOST
            self.blame(Verdict.LOST, f"drop {drop.number} ({'/'.join(drop.places[-1])}) was never taken")

    def _verdict(self, drop: Drop, jobs: list[Job]) -> tuple[Verdict, str]:
        """What came of it and why; lost, as things are, if it is not at an end that is its own."""
        job = jobs[0]
        codes = {problem.code for problem in job.problems}
        match job.state:
            case _ if not all(other.is_final for other in jobs[1:]):
                pass
            case JobState.INVALID if drop.kind is Kind.BROKEN:
                return Verdict.INVALID, ""
            case JobState.COMPLETED:
                wrong = "; ".join(self._untruths(drop, job))
                return (Verdict.FALSE, wrong) if wrong else (Verdict.COMPLETED, "")
            case JobState.CANCELLED if drop.is_meddled or not drop.is_wanted:
                return Verdict.CANCELLED, ""
            case JobState.FAILED if drop.kind is Kind.FAILING or EXCUSED & codes:
                return Verdict.FAILED, ""
        told = "; ".join(f"{job.state} {[problem.message for problem in job.problems]}" for job in jobs)
        return Verdict.LOST, told

    def _untruths(self, drop: Drop, job: Job) -> Iterator[str]:
        """What is not as a completed job has it."""
        if drop.kind in {Kind.FAILING, Kind.BROKEN}:
            yield "it cannot be completed"
        if job.prompt_id in drop.interrupted:
            yield "it was interrupted"
        if job.prompt_id not in {prompt_id for _, prompt_id in drop.begun}:
            yield "ComfyUI never began it"
        run = self._run_folder(drop, job)
        if run is None:
            yield "it has no result.yaml"
            return
        drop.folders.append(run)
        result = _result(run)
        if (result["state"], result["digest"], result["run"]) != ("completed", drop.digest, job.run):
            yield "its result.yaml says something else"
        if len(result["outputs"]) != FILES.get(drop.kind):
            yield f"it has {len(result['outputs'])} outputs"
        yield from self._differing(drop, run, result["outputs"])

    def _differing(self, drop: Drop, run: Path, rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        submitted = json.loads((run / "workflow.json").read_bytes())
        for row in rows:
            made = self._made / Path(submitted[row["node"]]["inputs"]["filename_prefix"]).parent / row["name"]
            here = run / row["path"]
            drop.folders.append(made.parent)
            if not here.is_file() or here.read_bytes() != made.read_bytes():
                yield f"{row['path']} is not what ComfyUI made"

    def _run_folder(self, drop: Drop, job: Job) -> Path | None:
        """Where its run lies: at the place where the workflow was when it ended."""
        for project, path in reversed(drop.places):
            run = self._projects / project / "outputs" / workflow_name(path) / job.run_name
            if (run / "result.yaml").exists() and _result(run)["prompt_id"] == job.prompt_id:
                return run
        return None

    def close(self, drop: Drop) -> None:
        """It is over, and its file is gone: count it, and forget it, with all that it made."""
        repeated = drop.repeated()
        if repeated:
            told = ", ".join(f"{prompt_id} in era {era}" for era, prompt_id in drop.begun)
            self.blame(Verdict.DUPLICATED, f"drop {drop.number} ({drop.kind}) was begun {repeated} times more: {told}")
        if drop.verdict is not None and drop.verdict not in BROKEN_PROMISES:
            self.tally[drop.verdict] += 1
        for folder in drop.folders:
            shutil.rmtree(folder, ignore_errors=True)
        del self.drops[drop.number]
        for prompt_id in drop.posts:
            self._numbers.pop(prompt_id, None)

    def blame(self, verdict: Verdict, what: str) -> None:
        """A promise was broken."""
        self.tally[verdict] += 1
        self.findings.append(f"{verdict}: {what}")


def _result(run: Path) -> dict[str, Any]:
    loaded = plain_yaml.load((run / "result.yaml").read_bytes())
    return loaded if isinstance(loaded, dict) else {}
