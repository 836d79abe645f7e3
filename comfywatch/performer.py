"""Has effects performed, each where it belongs: asks by two threads for each ComfyUI, files by the pool, watches here.

Everything that comes of an effect goes to ``answer`` as an event, on whichever thread it happened.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from loguru import logger

from comfywatch import files
from comfywatch.asker import Asker
from comfywatch.asks import Answer, Post
from comfywatch.choices import Previews
from comfywatch.collect import collect, show_preview
from comfywatch.comfy import Comfy
from comfywatch.comfy_socket import ComfySocket
from comfywatch.effects import (
    AskServer,
    Collect,
    Effect,
    Event,
    FindPackages,
    Listen,
    PackagesFound,
    PageWritten,
    PreviewShown,
    Scan,
    Scanned,
    ShowFigures,
    ShowLive,
    ShowPreview,
    StatusWritten,
    Tell,
    Upload,
    Uploaded,
    WatchProjects,
    WriteFile,
    WriteOverview,
    WritePage,
    WriteStatus,
)
from comfywatch.inside import open_folder
from comfywatch.listener import PING_SECONDS, Listener
from comfywatch.neighbours import STATUS
from comfywatch.outlets import Outlets
from comfywatch.package_search import find_packages
from comfywatch.page import PAGE
from comfywatch.page_writing import write_overview, write_page
from comfywatch.published import PUBLISHED
from comfywatch.reach import Reach
from comfywatch.settings import Settings
from comfywatch.settling import Stamp
from comfywatch.sheet import write_sheet
from comfywatch.store import Damaged, Store, Unavailable
from comfywatch.survey import Known, Survey
from comfywatch.tree import Forest
from comfywatch.uploads import Uploader
from comfywatch.watching import Watching
from comfywatch.workers import Workers

WORKERS = 8
"""What they do is mostly to wait for the disk, which makes durable together what waits at the same time."""


class Performer:
    """``addresses`` maps what the engine calls a ComfyUI to its whole URL; another engine brings its own.

    ``posting`` are the jobs whose POST was not answered yet, whichever engine wanted it.
    """

    def __init__(self, settings: Settings, addresses: Mapping[str, str], answer: Callable[[Event], None]) -> None:
        self._settings = settings
        self.addresses = addresses
        self._answer = answer
        self._headers = settings.headers()
        reach = Reach(projects=settings.projects, allow_links=settings.allow_links)
        self._uploader = Uploader(reach, settle_seconds=settings.settle_seconds)
        self.posting: set[int] = set()
        self._askers: dict[tuple[str, bool], Asker] = {}
        self._listeners: dict[str, Listener] = {}
        self._workers = Workers(WORKERS)
        self._scribe = Workers(1, name="scribe")
        self._outlets = Outlets(settings)
        self._of_thread = threading.local()
        self._tidied: set[str] = set()
        self._survey = Survey(settings.projects, allow_links=settings.allow_links)
        self._collecting: set[tuple[int, str]] = set()
        self._watching = Watching(settings, answer, is_ours=_is_ours)

    def start(self) -> None:
        """Begin to work; what a kill left in ``projects/`` goes before anybody writes there."""
        files.remove_leftovers(self._settings.projects)
        self._workers.start()
        self._scribe.start()
        self._outlets.start()

    @property
    def hears_bell(self) -> bool:
        """Whether a command that asks for something is heard at once."""
        return self._watching.hears_bell

    def stop(self, *, timeout: float, last_words: float = 0.0) -> None:
        """Finish what is under way, for ``timeout`` seconds at most; asks under way are left alone.

        ``last_words`` is how long what is still to be told may take.
        """
        self._watching.stop()
        self._scribe.stop(timeout=timeout / 2)
        self._workers.stop(timeout=timeout / 2)
        for asker in self._askers.values():
            asker.stop()
        for listener in self._listeners.values():
            listener.stop()
        self._outlets.stop(timeout=last_words)

    def perform(self, effect: Effect) -> None:
        """Have it done."""
        match effect:
            case AskServer():
                self._ask(effect)
            case Collect():
                self._collect(effect)
            case WatchProjects():
                self._watching.perform(effect)
                self._survey.watched = self._watching.told
            case Listen():
                self._listen(effect)
            case WriteStatus() | WriteFile() | ShowLive() | ShowPreview():
                self._write(effect)
            case Tell(news=news):
                self._outlets.tell(news)
            case WritePage() | WriteOverview():
                self._workers.perform(lambda: self._answer(page_written(effect, self._settings)))
            case _:
                self._perform_in_pool(effect)

    def _perform_in_pool(self, effect: Upload | FindPackages | Scan | ShowFigures) -> None:
        match effect:
            case Upload():
                self._workers.perform(lambda: self._answer(self._uploaded(effect)))
            case FindPackages():
                self._workers.perform(lambda: self._answer(self._packages(effect)))
            case Scan():
                self._scribe.perform(lambda: self._scan(effect))
            case ShowFigures(figures=figures):
                self._workers.perform(lambda: self._outlets.show(figures))

    def _write(self, effect: WriteStatus | WriteFile | ShowLive | ShowPreview) -> None:
        match effect:
            case WriteStatus():
                self._scribe.perform(lambda: self._answer(self._written(effect)))
            case WriteFile(path=path, data=data):
                self._workers.perform(lambda: _write(path, data))
            case ShowLive():
                self._workers.perform(lambda: _show_live(effect))
            case ShowPreview():
                self._workers.perform(lambda: self._answer(_preview_shown(effect)))

    def _ask(self, effect: AskServer) -> None:
        if isinstance(effect.ask, Post):
            self.posting.add(effect.ask.job)
        self._asker(effect.url, posts=isinstance(effect.ask, Post)).ask(effect.ask)

    def _asker(self, url: str, *, posts: bool) -> Asker:
        """The one that posts to a ComfyUI, or the one that asks it for everything else."""
        if (url, posts) not in self._askers:
            self._askers[url, posts] = Asker(url, self._open, self._posted if posts else self._answer)
            self._askers[url, posts].start()
        return self._askers[url, posts]

    def _posted(self, answer: Answer) -> None:
        self._answer(answer)
        self.posting.discard(answer.ask.job if isinstance(answer.ask, Post) else 0)

    def _open(self, url: str) -> Comfy:
        address = self.addresses.get(url, url)
        return Comfy(
            address,
            timeout=self._settings.api_timeout_seconds,
            headers=self._headers_for(address),
            ca_file=self._settings.ca_file,
        )

    def _listen(self, effect: Listen) -> None:
        """One listener for each ComfyUI; after the database was lost it goes by another name."""
        known = self._listeners.get(effect.url)
        if known is not None and known.client_id == effect.client_id:
            known.wake(anew=effect.anew)
            return
        if known is not None:
            known.stop()
        listener = Listener(
            effect.url,
            effect.client_id,
            self._open_socket,
            self._answer,
            previews=self._settings.previews is Previews.LIVE,
            patience=min(self._settings.poll_seconds, PING_SECONDS),
        )
        self._listeners[effect.url] = listener
        listener.start()

    def _open_socket(self, url: str, client_id: str) -> ComfySocket:
        """With the same headers as ``_open``."""
        address = self.addresses.get(url, url)
        return ComfySocket(
            address,
            client_id=client_id,
            timeout=self._settings.api_timeout_seconds,
            headers=self._headers_for(address),
            ca_file=self._settings.ca_file,
        )

    def _headers_for(self, address: str) -> dict[str, str]:
        """Our headers go to the configured ComfyUI only."""
        return self._headers if address == self._settings.comfyui_url else {}

    def _client(self, url: str) -> Comfy:
        """This thread's own client for a ComfyUI."""
        clients: dict[str, Comfy] = self._of_thread.__dict__.setdefault("clients", {})
        if url not in clients:
            clients[url] = self._open(url)
        return clients[url]

    def _collect(self, effect: Collect) -> None:
        """Each run is collected by one thread at a time, also if an engine that began anew asks for it again."""
        run = effect.task.job.id, effect.task.job.prompt_id
        if run in self._collecting:
            return
        self._collecting.add(run)

        def work() -> None:
            collected = collect(effect.task, self._client(effect.url))
            self._collecting.discard(run)
            self._answer(collected)

        self._workers.perform(work)

    def _uploaded(self, effect: Upload) -> Uploaded:
        return self._uploader.perform(effect, self._client(effect.url), now_ns=time.time_ns())

    def _packages(self, effect: FindPackages) -> PackagesFound:
        comfy = self._client(effect.url) if effect.answers else None
        return PackagesFound(url=effect.url, packages=find_packages(comfy, effect.comfyui_path))

    def _scan(self, effect: Scan) -> None:
        start = time.monotonic()
        if not effect.goes_on:
            self._survey.give_up()
        try:
            with _known_files(self._settings.database) as known:
                forest, is_last = self._survey.part(known, now_ns=time.time_ns(), in_full=effect.in_full)
        except OSError as error:
            logger.warning("the projects cannot be looked through ({}); trying again", error)
            self._survey.give_up()
            forest, is_last = Forest(is_there=False), True
        self._answer(Scanned(forest=forest, took=time.monotonic() - start, is_last=is_last))

    def _written(self, effect: WriteStatus) -> StatusWritten:
        """The first write of a project removes what a kill left there; no other write is under way then."""
        if effect.project not in self._tidied:
            self._tidied.add(effect.project)
            with suppress(OSError), open_folder(effect.folder) as folder:
                folder.remove_leftovers()
        return written(effect, self._settings.database)


def written(effect: WriteStatus, database: Path) -> StatusWritten:
    """``status.yaml``, whole."""
    start, error = time.thread_time(), None
    try:
        write_sheet(effect.sheet, effect.folder, database=database)
    except (OSError, Unavailable, Damaged) as reason:
        error = reason
    return StatusWritten(project=effect.project, error=error, took=time.thread_time() - start)


@contextmanager
def _known_files(database: Path) -> Iterator[Known]:
    """What the database knows, read beside the thread that writes it; nothing while it cannot be read."""
    try:
        store = Store(database, may_be_newer=True)
    except (Unavailable, Damaged):
        yield lambda _: None
        return

    def known(project: str) -> dict[str, Stamp | None] | None:
        try:
            return store.stamps_of(project)
        except (Unavailable, Damaged):
            return None

    with closing(store):
        yield known


def page_written(effect: WritePage | WriteOverview, settings: Settings) -> PageWritten:
    """``index.html``, whole, if it says anything new."""
    match effect:
        case WritePage():
            result = write_page(effect.sheet, effect.folder, database=settings.database, at=effect.at)
            return PageWritten(project=effect.project, result=result)
        case WriteOverview():
            result = write_overview(effect.cards, effect.others, settings.projects, at=effect.at)
            return PageWritten(project="", result=result)


def _write(path: Path, data: bytes) -> None:
    """A file below ``state/`` that only spares an ask at the next start."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(path, data)
    except OSError as error:
        logger.warning("{} cannot be written: {}", path.name, error)


def _show_live(effect: ShowLive) -> None:
    """Of no worth a moment later, so neither durable nor worth a word."""
    with suppress(OSError):
        files.write_for_now(effect.path, effect.data)


def _preview_shown(effect: ShowPreview) -> PreviewShown:
    return PreviewShown(job=effect.job, is_written=show_preview(effect.project, effect.run_folder, effect.data))


def _is_ours(path: str) -> bool:
    """What we write ourselves must not wake us."""
    name = os.path.basename(path)  # noqa: PTH119  # asked for each event
    return name in {STATUS, PAGE, PUBLISHED, "outputs"} or name.startswith(files.SCRATCH_PREFIX)
