"""How runs end of which ComfyUI's history does not say it all: each as an outcome with its sentence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from comfywatch.comfy_errors import TooLarge
from comfywatch.history import Outcome
from comfywatch.jobs import JobState
from comfywatch.problems import Problem, Severity

LOG_HINT = "Look into ComfyUI's log (the window or journal of the machine that runs it) for what went wrong."
RETRY = "comfywatch retry runs it again."

CANCELLED_HERE = Problem(
    code="cancelled", message="It was cancelled or removed before it ran.", severity=Severity.WARNING
)
CANCELLED_THERE = Problem(
    code="cancelled", message="It was taken out of ComfyUI's queue.", fix=RETRY, severity=Severity.WARNING
)
LOST_TWICE = Problem(
    code="server_lost",
    message="ComfyUI went away twice while running this.",
    fix="Look into ComfyUI's log; then run 'comfywatch retry'.",
)


def ended(state: JobState, problem: Problem) -> Outcome:
    """An end of which the history says nothing."""
    return Outcome(state=state, problems=(problem,))


def judged(outcome: Outcome, *, savers: Iterable[str], warnings: tuple[Problem, ...]) -> Outcome:
    """A success as it counts here: without a file, although a node that saves files was to run, it is none.

    ``savers`` are the ids of such nodes, ``warnings`` what was said before it ran. A preview is no saved file, unless a
    saver says that it is its own.
    """
    due = list(savers)
    is_saved = any(file.kind == "output" or file.node in due for file in outcome.files)
    if due and not warnings and not is_saved:
        problem = Problem(
            code="no_outputs",
            message="ComfyUI calls it a success, and no node that saves files reported one.",
            fix=LOG_HINT,
            node=due[0],
        )
        return replace(outcome, state=JobState.FAILED, problems=(problem,))
    if outcome.files or outcome.texts:
        return replace(outcome, problems=warnings)
    nothing = Problem(
        code="nothing_to_collect",
        message="It ran, and made nothing that ComfyUI hands out; saved models stay in ComfyUI's output folder.",
        severity=Severity.WARNING,
    )
    return replace(outcome, problems=(*warnings, nothing))


def without_outputs(outcome: Outcome, names: tuple[str, ...]) -> Outcome:
    """A success of which ComfyUI no longer has what it made."""
    problem = Problem(
        code="output_gone",
        message=f"ComfyUI calls it a success, and does not have what it made: {', '.join(names[:5])}.",
        fix="See whether something tidies ComfyUI's output folder; then run 'comfywatch retry'.",
    )
    kept = tuple(file for file in outcome.files if file.filename not in names)
    return replace(outcome, state=JobState.FAILED, files=kept, problems=(*outcome.problems, problem))


def server_error(tries: int, why: str) -> Outcome:
    """ComfyUI could not even say what is wrong."""
    message = f"ComfyUI answered {tries} times with an error: {why}"
    return ended(JobState.FAILED, Problem(code="server_error", message=message, fix=LOG_HINT))


def too_large(error: TooLarge) -> Problem:
    """The body is above what ComfyUI, or a proxy before it, takes."""
    limit = f" It takes {error.limit / 2**20:.0f} MiB at most." if error.limit else ""
    return Problem(
        code="too_large",
        message=f"The workflow is too large for ComfyUI.{limit}",
        fix="Start ComfyUI with a larger --max-upload-size and run 'comfywatch retry', or take embedded data out.",
    )
