"""The promises of DESIGN 1, checked against what the daemon did, what its ComfyUI really ran, and what lies on the
disk.

It believes no state of the daemon's: what was posted, run, forgotten and taken out is what the fake ComfyUI and the
folders themselves say.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from comfywatch import plain_yaml
from comfywatch.asks import Absent, Answer, Ended, Look, Post, Sightings
from comfywatch.collect import RESULT, Collected, Collection
from comfywatch.comfy_errors import Truncated
from comfywatch.engine import Engine
from comfywatch.jobs import TRANSITIONS, Job, JobState, Wish
from comfywatch.jobs import Post as PostStage
from tests.fake_comfy import End, Execution, FakeComfy
from tests.folders import Folders, Key
from tests.lives import Clock, KeptStore, Witness

_NOBODY = Job(id=0, project="", path="", digest="", first_seen=datetime(2040, 1, 1, tzinfo=UTC))
LOOKS_APART = 5.0
TRUNCATED_TOO_OFTEN = 3


class Audit(Witness):
    """``ended`` are prompts of which the daemon has durably been told the end: those must never run again.

    ``orphans`` were posted before the database was lost: a removal since then nobody can have noticed.
    """

    def __init__(self, root: Path, clock: Clock, comfy: FakeComfy) -> None:
        self.folders = self._folders = Folders(root, clock, is_known=self._is_known, is_done=self._is_done)
        self._comfy = comfy
        self.jobs: dict[int, Job] = {}
        self.latest: dict[Key, Job] = {}
        self.prompts_of: dict[int, list[str]] = defaultdict(list)
        self._posted: Counter[str] = Counter()
        self._missed: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.orphans: set[str] = set()
        self._told: set[str] = set()
        self.ended: set[str] = set()
        self._excused: set[int] = set()
        self._truncated: Counter[str] = Counter()
        self._vanished: Counter[int] = Counter()
        self._to_verify: dict[int, Job] = {}
        self._requests: dict[int, Key] = {}

    # --- what happens around the daemon

    def forgotten(self) -> None:
        """ComfyUI was restarted or its history wiped: what ended unseen may run again."""
        for index, execution in enumerate(self._comfy.executions):
            if execution.is_forgotten and execution.prompt_id not in self.ended:
                self._excused.add(index)

    def state_lost(self) -> None:
        """The database is gone; what has no ``result.yaml`` under its own path is known to ComfyUI alone."""
        proved = set(self._results())
        self.ended = {
            job.prompt_id
            for job in self.jobs.values()
            if job.prompt_id in self.ended and proved & {(job.project, job.path, job.prompt_id)}
        }
        self.orphans |= self._posted.keys()
        self.jobs = {}
        self.latest = {}
        for memory in (self.prompts_of, self._vanished, self._to_verify, self._requests):
            memory.clear()
        self.forgotten()

    def asked(self, request: int, key: Key) -> None:
        """A person asked for something; what comes of it shows in the answer."""
        self._requests[request] = key

    # --- what the daemon does

    def changes(self, before: Job | None, job: Job) -> None:
        if before is not None and before.state is not job.state:
            onward = TRANSITIONS[before.state].values()
            assert job.state in onward, f"job {job.id} went from {before.state} to {job.state}"

    def caught_up(self) -> None:
        self.ended |= self._told
        self._told.clear()

    def committed(self, store: KeptStore) -> None:
        before, self.jobs = self.jobs, store.all_jobs()
        self.latest = {(file.project, file.path): self.jobs[file.job] for file in store.files()}
        for key in self._folders.moved_from.keys() - self.latest.keys():
            del self._folders.moved_from[key]
        for job in self.jobs.values():
            known = before.get(job.id)
            if job.is_final and (known is None or not known.is_final):
                self._judge(job)
        self._serve(store)

    def posts(self, ask: Post, *, now: float) -> None:
        job = self.jobs.get(ask.job)
        assert job is not None, f"job {ask.job} is posted and the database does not know it"
        assert job.prompt_id == ask.prompt_id, "it is posted under an id that is not saved"
        assert job.post is not PostStage.NONE, "it is posted before its intention is saved"
        self._as_dropped(job, ask)
        if self._posted[ask.prompt_id]:
            assert self._was_missed_twice(ask.prompt_id), f"{ask.prompt_id} is posted again without two looks before"
        self._posted[ask.prompt_id] += 1
        self._missed.pop(ask.prompt_id, None)
        if ask.prompt_id not in self.prompts_of[ask.job]:
            self.prompts_of[ask.job].append(ask.prompt_id)

    def hears(self, answer: Answer, *, performed: float, now: float, engine: Engine) -> None:
        if not isinstance(answer.ask, Look) or not isinstance(answer.result, Sightings):
            return
        for job_id, prompt_id in answer.ask.prompts.items():
            sighting = answer.result.by_job.get(job_id)
            if isinstance(sighting, Absent):
                self._missed[prompt_id].append((performed, now))
            elif isinstance(sighting, Ended) and engine.ledger.jobs.get(job_id, _NOBODY).prompt_id == prompt_id:
                self._told.add(prompt_id)

    def collected(self, task: object, result: Collected) -> None:
        assert isinstance(task, Collection)
        prompt_id = task.job.prompt_id
        self._truncated[prompt_id] += isinstance(result.error, Truncated)
        if result.gone or self._truncated[prompt_id] >= TRUNCATED_TOO_OFTEN:
            self._vanished[task.job.id] += 1
            for index, execution in enumerate(self._comfy.executions):
                if execution.prompt_id == prompt_id:
                    self._excused.add(index)

    def died(self) -> None:
        self._told.clear()
        self._missed.clear()

    # --- the promises

    def nothing_ran_twice(self) -> None:
        """As many runs of a content as were ordered, less those whose end ComfyUI forgot unseen."""
        ran = Counter(
            execution.digest
            for index, execution in enumerate(self._comfy.executions)
            if execution.digest and index not in self._excused and not execution.is_partial
        )
        for digest, times in ran.items():
            ordered = self._folders.orders[digest]
            assert times <= ordered, f"{self._named(digest)} ran {times} times and was ordered {ordered} times"

    def runs_go_up(self) -> None:
        """No two jobs of a workflow have the same run, and later ones have higher runs."""
        runs: dict[Key, list[int]] = defaultdict(list)
        for job in self.jobs.values():
            if job.run is not None:
                runs[job.project, job.path].append(job.run)
        for key, numbers in runs.items():
            assert len(set(numbers)) == len(numbers), f"{key} has runs {numbers}"

    def completed_is_whole(self) -> None:
        """What was called completed has all its outputs in its folder, byte for byte."""
        if not self._folders.are_there:
            return
        for job in list(self._to_verify.values()):
            self._verify(job)
        self._to_verify.clear()

    def results_are_true(self) -> None:
        """Every ``result.yaml`` names files that are there, whole."""
        for folder, result in self._results().values():
            for output in result["outputs"]:
                data = (folder / output["path"]).read_bytes()
                assert hashlib.sha256(data).hexdigest() == output["sha256"], f"{folder}/{output['path']} is not whole"

    def _as_dropped(self, job: Job, ask: Post) -> None:
        """The prompt is the dropped one but for its prefixes, and nobody has taken it back."""
        posted = json.loads(ask.body)["prompt"]
        for node in posted.values():
            prefix = node["inputs"].get("filename_prefix")
            if prefix is not None:
                own, _, name = prefix.rpartition("/")
                assert own.startswith("comfywatch/"), prefix
                assert own.endswith(ask.prompt_id[:8]), prefix
                node["inputs"]["filename_prefix"] = name
        assert posted == self._folders.prompts[job.digest], "what is posted is not what was dropped"

    def _was_missed_twice(self, prompt_id: str) -> bool:
        looks = [performed for performed, _ in self._missed[prompt_id]]
        return bool(looks) and looks[-1] - looks[0] >= LOOKS_APART

    # --- ends

    def _judge(self, job: Job) -> None:
        """A final state has its cause outside the daemon."""
        match job.state:
            case JobState.COMPLETED:
                self._to_verify[job.id] = job
                self.completed_is_whole()
            case JobState.FAILED:
                assert self._may_be_failed(job), f"{job} is failed without a cause"
            case JobState.CANCELLED:
                assert self._may_be_cancelled(job), f"{job} is cancelled without a cause"

    def _may_be_failed(self, job: Job) -> bool:
        ends = {execution.end for execution in self._runs_of(job)}
        return bool(
            ends & {End.ERROR, End.NO_FILES}
            or (job.losses >= 2 and self._comfy.times_forgotten >= 2)
            or job.refusals >= 3
            or self._vanished[job.id] >= 2
            or not self.prompts_of[job.id]  # found by its result.yaml, after the state was lost
        )

    def _may_be_cancelled(self, job: Job) -> bool:
        prompts = {job.prompt_id, *self.prompts_of[job.id]}
        if prompts & (self._comfy.interrupted | self._comfy.deleted):
            return True
        if job.wish is Wish.CANCEL:
            return True
        if job.wish is Wish.REMOVE:
            return any(digest == job.digest for _, digest in self._folders.disturbed)
        return not self.prompts_of[job.id] and job.run is not None

    def _verify(self, job: Job) -> None:
        found = self._results().get((job.project, job.path, job.prompt_id)) or next(
            (value for key, value in self._results().items() if key[2] == job.prompt_id), None
        )
        assert found is not None, f"{job.project}/{job.path} run {job.run} is completed and has no {RESULT}"
        folder, result = found
        assert result["state"] == "completed", f"{folder} says {result['state']}"
        last = self._runs_of(job)[-1]
        assert last.end is End.SUCCESS, f"{job.path} is completed, and ComfyUI says {last.end}"
        fetched = {output["name"]: (folder / output["path"]).read_bytes() for output in result["outputs"]}
        assert fetched == {name: data for (_, name), data in last.files.items()}, f"{folder} is not what ComfyUI made"

    def _runs_of(self, job: Job) -> list[Execution]:
        return [execution for execution in self._comfy.executions if execution.prompt_id == job.prompt_id]

    def _results(self) -> dict[tuple[str, str, str], tuple[Path, dict[str, Any]]]:
        """Every ``result.yaml`` by project, path and prompt id."""
        found = {}
        for path in self._folders.projects.glob(f"*/outputs/**/{RESULT}"):
            result = plain_yaml.load(path.read_bytes())
            assert isinstance(result, dict)
            project = path.relative_to(self._folders.projects).parts[0]
            found[project, result["workflow"], result.get("prompt_id", "")] = path.parent, result
        return found

    def _serve(self, store: KeptStore) -> None:
        """What a person asked for again is ordered once more."""
        for request, key in list(self._requests.items()):
            answer = store.answer_to(request)
            if answer is None:
                continue
            del self._requests[request]
            if key in self.latest and ("run again" in answer or "released" in answer):
                self._folders.orders[self.latest[key].digest] += 1

    def _is_known(self, key: Key) -> bool:
        return key in self.latest

    def _is_done(self, key: Key, digest: str) -> bool:
        job = self.latest.get(key)
        return job is not None and job.digest == digest and job.state is JobState.COMPLETED

    def _named(self, digest: str) -> str:
        color = self._folders.prompts[digest]["1"]["inputs"]["color"] if digest in self._folders.prompts else digest
        return f"the workflow of color {color}"
