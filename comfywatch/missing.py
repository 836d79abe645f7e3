"""What to look for while jobs are blocked: the folders of missing models, and missing classes."""

from __future__ import annotations

from collections.abc import Iterable

from comfywatch.asks import Peek
from comfywatch.jobs import Job
from comfywatch.model_folders import ModelInputs
from comfywatch.server import Server


def to_peek(blocked: Iterable[Job], server: Server) -> Peek | None:
    """A cheap look for what these jobs of one server lack, ``None`` if it is nothing that comes by itself."""
    inputs = ModelInputs(schemas=server.schemas, inventory=server.inventory)
    folders: dict[str, tuple[str, ...]] = {}
    classes: set[str] = set()
    for problem in (problem for job in blocked for problem in job.problems):
        if problem.code == "missing_node_type":
            classes.add(problem.class_type)
        for folder in inputs.folders(problem.class_type, problem.input) if problem.input else ():
            folders[folder] = (server.inventory.models.get(folder) if server.inventory else None) or ()
    return Peek(folders=folders, classes=frozenset(classes)) if folders or classes else None
