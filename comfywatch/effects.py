"""What the engine wants done, performed after the commit; and what comes back beside ``asks.Answer``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from comfywatch.asks import Answer, Ask
from comfywatch.collect import Collected, Collection
from comfywatch.comfy_errors import ComfyError
from comfywatch.figures import Figures
from comfywatch.gathering import News
from comfywatch.heard import What
from comfywatch.inputs import InputFile
from comfywatch.packages import PackageMap
from comfywatch.page import Card
from comfywatch.page_writing import Written
from comfywatch.sheet import Sheet
from comfywatch.store import Damaged, Unavailable
from comfywatch.tree import Forest

UNHEARD = "unheard"
"""The name of the fact that the database keeps of ``Unheard``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskServer:
    """To the thread that asks this ComfyUI; answered by ``Answer``."""

    url: str
    ask: Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """To the pool; answered by ``Collected``."""

    url: str
    task: Collection


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """To the pool: send a job's input files to its ComfyUI; answered by ``Uploaded``."""

    url: str
    job: int
    files: tuple[InputFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindPackages:
    """To the pool: which package has which class of node; answered by ``PackagesFound``.

    The Manager of the ComfyUI at ``url`` is asked if ``answers``, else the one below ``comfyui_path``, if that is here.
    """

    url: str
    answers: bool
    comfyui_path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """To the scribe: a part of a look through the project folders; answered by ``Scanned``.

    ``goes_on``: the next part of the look that is under way, else the first of a new one. ``in_full``: also where
    nothing seems to have changed.
    """

    goes_on: bool = False
    in_full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteStatus:
    """To the scribe; answered by ``StatusWritten``."""

    project: str
    folder: Path
    sheet: Sheet


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFile:
    """To the pool: a file of ours below ``state/``."""

    path: Path
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchProjects:
    """To the watcher: exactly these projects, and these folders of theirs, by their paths below ``projects/``."""

    names: frozenset[str]
    folders: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """To the thread that listens to this ComfyUI: it is there. ``anew``: what is open has gone deaf."""

    url: str
    client_id: str
    anew: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowLive:
    """To the pool: how far each running job is, for whoever follows."""

    path: Path
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowPreview:
    """To the pool: the newest picture of a running job, into its run folder; answered by ``PreviewShown``."""

    job: int
    project: Path
    run_folder: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """To those who send word: what has happened."""

    news: News


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowFigures:
    """To the pool: how everything stands, for those who measure."""

    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class WritePage:
    """To the pool: ``index.html`` of a project; answered by ``PageWritten``. What ran is read there."""

    project: str
    folder: Path
    sheet: Sheet
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOverview:
    """To the pool: ``index.html`` over all projects; answered by ``PageWritten`` for no project."""

    cards: tuple[Card, ...]
    others: tuple[str, ...]
    at: datetime


Effect: TypeAlias = (
    AskServer
    | Collect
    | Upload
    | FindPackages
    | Scan
    | WriteStatus
    | WriteFile
    | WatchProjects
    | Listen
    | ShowLive
    | ShowPreview
    | Tell
    | ShowFigures
    | WritePage
    | WriteOverview
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """Something may have changed at this path."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """The files are on the server: their names there, by node and input; or ``error`` says why not."""

    job: int
    names: Mapping[tuple[str, str], str]
    error: ComfyError | OSError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagesFound:
    """What a Manager knows, for the jobs of the ComfyUI at ``url``; ``None`` if there is no Manager to ask."""

    url: str
    packages: PackageMap | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What lies in the project folders, or in a part of them; ``took`` in seconds."""

    forest: Forest
    took: float
    is_last: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusWritten:
    """``status.yaml`` of a project is in place, or ``error`` says why not; ``took`` seconds of work."""

    project: str
    error: OSError | Unavailable | Damaged | None = None
    took: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchAdded:
    """A folder is watched from now on: what was written before is found by a scan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Woken:
    """There may be requests in the database, or it is time to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unheard:
    """The projects of which the system does not tell every change, each with the reason; an empty name is all."""

    projects: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something that was heard on a websocket, and when, on the monotonic clock."""

    what: What
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What was heard of a ComfyUI; ``is_open`` is set where its websocket was opened or closed."""

    url: str
    told: tuple[Told, ...] = ()
    is_open: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewShown:
    """A preview is in place, or could not be written."""

    job: int
    is_written: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PageWritten:
    """What came of a page; an empty project is the page over all of them."""

    project: str
    result: Written


Event: TypeAlias = (
    Touched
    | Scanned
    | StatusWritten
    | WatchAdded
    | Unheard
    | Woken
    | Answer
    | Collected
    | Uploaded
    | PackagesFound
    | Heard
    | PreviewShown
    | PageWritten
)
