"""Wishes without a shell: an empty file ``X.retry``, ``X.cancel`` or ``X.hold`` beside ``X.json`` (DESIGN 2).

``retry`` and ``cancel`` act once for each appearance: what was acted on is kept in the database until the file was seen
to be gone, and goes along when the workflow is moved. ``hold`` holds as long as it is there. None is ever removed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path, PurePosixPath

from loguru import logger

from comfywatch.desk import Desk
from comfywatch.jobs import workflow_name
from comfywatch.ledger import Ledger
from comfywatch.misplaced import readable
from comfywatch.store import FileRecord, Heeded
from comfywatch.tree import WORKFLOWS, Forest, ProjectTree, look_at

WAS_HERE = "was here before comfywatch; remove it, and put it there again"
RUN_AGAIN = "run again"
UNDER_WAY = "under way already"


class Control(StrEnum):
    """What a file beside a workflow asks for, by its ending."""

    RETRY = "retry"
    CANCEL = "cancel"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lying:
    """A control file, by its path below ``workflows/``, and the workflow that it is for."""

    file: str
    control: Control
    workflow: str


class Controls:
    """Heeds the control files of all projects. At the first start what lies there is no order, like old workflows."""

    def __init__(self, ledger: Ledger, desk: Desk, projects: Path, *, is_first_start: bool) -> None:
        self._ledger = ledger
        self._desk = desk
        self._projects = projects
        self._is_first_start = is_first_start
        self._notices: dict[str, tuple[str, ...]] = {}

    def glance(self, project: str, path: str) -> bool:
        """A workflow was touched; true if files for it lie beside it, which a look is to find.

        If it came together with its ``hold``, it is not to run before that look.
        """
        workflow = self._projects / project / WORKFLOWS / path
        lying = {control for control in Control if _lies_beside(workflow, control)}
        if Control.HOLD in lying:
            self._ledger.on_hold.add((project, path))
        return bool(lying)

    def look_through(self, forest: Forest, *, at: datetime, is_last: bool = True) -> None:
        """Heed what a look, or a part of one, found; the workflows that it found must have been taken."""
        if not forest.is_there:
            return
        concerned = (
            self._ledger.store.heeding() | self._notices.keys() | {project for project, _ in self._ledger.on_hold}
        )
        for tree in forest.projects.values():
            if tree.is_there and (tree.controls or tree.name in concerned):
                self._look_at(tree, at=at)
        self._is_first_start = self._is_first_start and not is_last

    def notices(self, project: str) -> tuple[str, ...]:
        """What is to be said of control files that are for no workflow."""
        return self._notices.get(project, ())

    def notes(self, project: str) -> dict[str, str]:
        """By path of a workflow, what was done for the files that lie beside it."""
        notes: dict[str, str] = {}
        for heeded in self._ledger.store.heeded(project):
            said = f"{PurePosixPath(heeded.file).name} seen: {self._said(heeded)}"
            notes[heeded.path] = "; ".join(filter(None, (notes.get(heeded.path), said)))
        return notes

    def _said(self, heeded: Heeded) -> str:
        job = self._ledger.jobs.get(heeded.job) or self._ledger.store.job(heeded.job)
        return f"run {job.run}" if heeded.said == RUN_AGAIN and job is not None and job.run else heeded.said

    def _look_at(self, tree: ProjectTree, *, at: datetime) -> None:
        project = tree.name
        known = {record.path: record for record in self._ledger.files_of(project)}
        lying, notices = _matched(tree.controls, known)
        self._hold(project, {one.workflow for one in lying if one.control is Control.HOLD})
        heeded = {(one.path, one.control): one for one in self._ledger.store.heeded(project)}
        there = {(one.workflow, one.control.value): one for one in lying if one.control is not Control.HOLD}
        for key, gone in heeded.items():
            if key not in there and tree.knows(gone.file):
                self._ledger.store.forget_heeded(gone)
                self._ledger.changed.add(project)
        for key, one in there.items():
            if key not in heeded and not known[one.workflow].gone:
                self._heed(known[one.workflow], one, at=at)
        if notices != self._notices.get(project, ()):
            self._notices[project] = notices
            self._ledger.changed.add(project)

    def _hold(self, project: str, paths: set[str]) -> None:
        before = {key for key in self._ledger.on_hold if key[0] == project}
        now = {(project, path) for path in paths}
        if now != before:
            self._ledger.on_hold -= before
            self._ledger.on_hold |= now
            self._ledger.changed.add(project)

    def _heed(self, record: FileRecord, one: Lying, *, at: datetime) -> None:
        if self._is_first_start:
            said = WAS_HERE
        elif one.control is Control.RETRY and self._came_before(record, one):
            said = UNDER_WAY
        elif one.control is Control.RETRY:
            said = self._desk.retry(record, is_named=True, at=at)
        else:
            said = self._desk.cancel(record)
        latest = self._ledger.file(record.project, record.path) or record
        heeded = Heeded(
            project=record.project, path=record.path, control=one.control, file=one.file, job=latest.job, said=said
        )
        self._ledger.store.save_heeded(heeded)
        self._ledger.changed.add(record.project)
        logger.bind(project=record.project, job=record.path).info("{} seen: {}", PurePosixPath(one.file).name, said)

    def _came_before(self, record: FileRecord, one: Lying) -> bool:
        """Whether a control file lay there before the workflow did: then the run that came of that is what it wants."""
        stamp, latest = look_at(self._projects / record.project / WORKFLOWS / one.file), self._ledger.latest(record)
        return stamp is not None and latest is not None and stamp.ctime_ns / 1e9 < latest.first_seen.timestamp()


def _lies_beside(workflow: Path, control: Control) -> bool:
    names = (f"{workflow.stem}.{control}", f"{workflow.name}.{control}")
    return any(look_at(workflow.with_name(name)) for name in names)


def _matched(files: Iterable[str], known: Mapping[str, FileRecord]) -> tuple[list[Lying], tuple[str, ...]]:
    """The control files of one project with their workflows, and a notice for each that has none."""
    lying, notices = [], []
    by_name = {workflow_name(path): path for path in sorted(known, reverse=True)} if files else {}
    for file in sorted(files):
        stem, _, ending = file.rpartition(".")
        workflow = stem if stem in known else by_name.get(stem) or _picture(stem, known)
        if workflow is not None:
            lying.append(Lying(file=file, control=Control(ending.lower()), workflow=workflow))
        else:
            meant = PurePosixPath(stem).name
            notices.append(f"{WORKFLOWS}/{readable(file)} is for no workflow; put it beside {readable(meant)}.json")
    return lying, tuple(notices)


def _picture(stem: str, known: Mapping[str, FileRecord]) -> str | None:
    return next((path for path in (f"{stem}.png", f"{stem}.webp") if path in known), None)
