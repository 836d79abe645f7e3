"""The words of a message about what has come to an end; pure, and short however much there is to tell.

What a person must act on comes first. Names and sentences are other people's: they stay on one line, and call nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from comfywatch.jobs import Job, JobState, workflow_name
from comfywatch.logs import one_line
from comfywatch.problems import errors

ORDER = (JobState.FAILED, JobState.BLOCKED, JobState.INVALID, JobState.COMPLETED)
MAX_NAMES = 10
"""Workflows that a message names in each state."""
MAX_SENTENCE = 300
MAX_TITLE = 120
_SHORT_OF_A_CALL = "\u200b"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A job that came to where a person may want to know of it; ``lies_in`` is seen from its project."""

    id: int
    project: str
    path: str
    state: JobState
    run: int | None = None
    lies_in: str = ""
    why: str = ""
    mend: str = ""

    @classmethod
    def of(cls, job: Job) -> End:
        """What is told of a job."""
        first = next(iter(errors(job.problems)), None)
        return cls(
            id=job.id,
            project=job.project,
            path=job.path,
            state=job.state,
            run=job.run,
            lies_in=job.lies_in if job.run else "",
            why=first.message if first else "",
            mend=(first.fix if first else "") or job.hint,
        )

    @property
    def name(self) -> str:
        """As the commands take it."""
        return f"{self.project}/{workflow_name(self.path)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulletin:
    """A message. ``pictures`` are of runs whose picture may come along, the newest first."""

    title: str
    text: str
    is_bad: bool = False
    pictures: tuple[End, ...] = ()


def bulletin(ends: Iterable[End], *, drained: Mapping[JobState, int] | None, host: str, left_out: int = 0) -> Bulletin:
    """One message for all of ``ends``; ``drained``: nothing is left to do, and what has come of it all since then."""
    told = sorted(ends, key=lambda end: ORDER.index(end.state))
    counts = Counter(end.state for end in told)
    lines = [line for state in ORDER for line in _of_state([end for end in told if end.state is state])]
    if left_out:
        lines.append(f"and {left_out} more")
    if drained is not None:
        lines.append(f"Nothing is left to do: {_counted(drained)}.")
    return Bulletin(
        title=_title(told, counts, drained=drained),
        text="\n".join([*lines, "", f"comfywatch on {_safe(host)}"]),
        is_bad=any(end.state is not JobState.COMPLETED for end in told),
        pictures=tuple(end for end in reversed(told) if end.state is JobState.COMPLETED and end.run),
    )


def _title(ends: list[End], counts: Mapping[JobState, int], *, drained: Mapping[JobState, int] | None) -> str:
    if len(ends) == 1:
        title = f"{ends[0].name}: {ends[0].state}"
    elif ends:
        projects = sorted({end.project for end in ends})
        title = f"{', '.join(projects)}: {_counted(counts)}"
    else:
        title = f"Nothing is left to do: {_counted(drained or {})}"
    return _safe(title, MAX_TITLE)


def _of_state(ends: list[End]) -> Iterator[str]:
    """A line for each that has something to be said of it; those that are simply completed share one."""
    if not ends:
        return
    shown, more = ends[-MAX_NAMES:], len(ends) - MAX_NAMES
    if ends[0].state is JobState.COMPLETED:
        names = ", ".join(_safe(end.name) for end in shown)
        yield f"completed: {names}{f' and {more} more' if more > 0 else ''}"
        return
    yield from map(_line, shown)
    if more > 0:
        yield f"and {more} more {ends[0].state}"


def _line(end: End) -> str:
    said = f"{end.state}: {_safe(end.name)}"
    why = f": {_safe(end.why)}" if end.why else ""
    return f"{said}{why}{f' -> {_safe(end.mend)}' if end.mend else ''}"


def _counted(counts: Mapping[JobState, int]) -> str:
    return ", ".join(f"{counts[state]} {state}" for state in reversed(ORDER) if counts.get(state)) or "nothing ended"


def _safe(text: str, longest: int = MAX_SENTENCE) -> str:
    """On one line, and without what a service would take for a call of people (``@everyone``)."""
    line = one_line(text.replace("@", f"@{_SHORT_OF_A_CALL}"))
    return line if len(line) <= longest else f"{line[: longest - 2]} …"
