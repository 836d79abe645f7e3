"""What to look for while jobs are blocked: the folders of missing models, and missing classes."""

from __future__ import annotations

from collections.abc import Iterable

from comfywatch.asks import Peek
from comfywatch.jobs import Job
from comfywatch.model_folders import ModelInputs
from comfywatch.server import Server

MAX_CLASSES = 20
"""Each is a question of its own, and a workflow can name thousands that nobody has."""


def to_peek(blocked: Iterable[Job], server: Server) -> Peek | None:
    """A cheap look for what these jobs of one server lack, ``None`` if it is nothing that comes by itself.

    Of the classes that a job lacks it is the first: they come in packages, and with a restart of ComfyUI.
    """
    inputs = ModelInputs(schemas=server.schemas, inventory=server.inventory)
    folders: dict[str, tuple[str, ...]] = {}
    classes: set[str] = set()
    for job in blocked:
        lacking = [problem.class_type for problem in job.problems if problem.code == "missing_node_type"]
        classes |= set(lacking[:1]) if len(classes) < MAX_CLASSES else set()
        for problem in (problem for problem in job.problems if problem.input):
            for folder in inputs.folders(problem.class_type, problem.input):
                folders[folder] = (server.inventory.models.get(folder) if server.inventory else None) or ()
    return Peek(folders=folders, classes=frozenset(classes)) if folders or classes else None
