"""Where jobs wait: in a round to be examined, then in a line to be posted; by project, so that none stands back.

A job is found in time that does not grow with how many wait; who has left in the meantime is noticed when the line is
walked.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator
from datetime import datetime
from enum import Enum, auto

from comfywatch.jobs import Job

_Place = tuple[datetime, list[tuple[int, int, str]], int]
"""See ``Job.place``."""


class Standing(Enum):
    """What is true of a job in the line just now."""

    READY = auto()
    NOT_YET = auto()
    LEFT = auto()


class Round:
    """Ids of jobs, taken one of each project in turn; within a project as they came."""

    def __init__(self) -> None:
        self._by_project: dict[str, dict[int, None]] = {}
        self._projects: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._projects)

    def __iter__(self) -> Iterator[int]:
        return iter(self._projects)

    def add(self, job: Job) -> None:
        """Put it at the end of its project's, unless it is there."""
        if self._projects.get(job.id) == job.project:
            return
        self.discard(job.id)
        self._projects[job.id] = job.project
        self._by_project.setdefault(job.project, {})[job.id] = None

    def discard(self, job_id: int) -> None:
        """Take it out, if it is there."""
        project = self._projects.pop(job_id, None)
        if project is not None:
            del self._by_project[project][job_id]
            if not self._by_project[project]:
                del self._by_project[project]

    def take(self, count: int) -> list[int]:
        """Take out the next ``count``."""
        return [self._next() for _ in range(min(count, len(self)))]

    def _next(self) -> int:
        project = next(iter(self._by_project))
        waiting = self._by_project.pop(project)
        job_id = next(iter(waiting))
        del waiting[job_id], self._projects[job_id]
        if waiting:
            self._by_project[project] = waiting  # behind the others
        return job_id


class Line:
    """Jobs by project and place."""

    def __init__(self) -> None:
        self._by_project: dict[str, list[_Place]] = {}
        self._places: dict[int, tuple[str, _Place]] = {}

    def add(self, job: Job) -> None:
        """Put a job into its place: once, however often it is added, and into its new one when its file has moved."""
        place = job.place
        before = self._places.get(job.id)
        if before == (job.project, place):
            return
        if before is not None:
            self._remove(*before)
        self._places[job.id] = job.project, place
        insort(self._by_project.setdefault(job.project, []), place)

    def heads(self, count: int, standing: Callable[[int], Standing], *, waits: Callable[[str], bool]) -> list[int]:
        """The ids of the first ``count`` ready jobs of each project; projects that wait are passed over."""
        found: list[int] = []
        for project in [name for name in self._by_project if not waits(name)]:
            found += self._heads_of(project, count, standing)
        return found

    def _heads_of(self, project: str, count: int, standing: Callable[[int], Standing]) -> list[int]:
        ready: list[int] = []
        left: list[_Place] = []
        for place in self._by_project[project]:
            match standing(place[-1]):
                case Standing.READY:
                    ready.append(place[-1])
                case Standing.LEFT:
                    left.append(place)
            if len(ready) == count:
                break
        for place in left:
            self._remove(project, place)
        return ready

    def _remove(self, project: str, place: _Place) -> None:
        del self._places[place[-1]]
        self._by_project[project].remove(place)
        if not self._by_project[project]:
            del self._by_project[project]
