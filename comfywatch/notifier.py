"""The thread that sends word to one receiver, so that nobody ever waits for a service.

What it is told lies in a queue of its own; what a service does not take is tried again a few times, and then given up
with a line in the log. The addresses are read from their file for each message, so that a mended file needs no restart.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from comfywatch.album import Picture, pictures_of
from comfywatch.bulletin import Bulletin
from comfywatch.gathering import Gathering, News
from comfywatch.postman import BadAddresses, services

PAUSES = (10.0, 60.0, 300.0)
"""Seconds until a message is tried again."""
MAX_WAITING = 1000
"""Pieces of news that wait while a service is slow; and messages that wait to be tried again are a tenth of these."""


@dataclass(slots=True)
class _Letter:
    """A message on its way. ``to`` names the services that have not taken it yet, ``None`` for all of them."""

    message: Bulletin
    pictures: list[Picture]
    due: float
    to: set[str] | None = None
    tries: int = 0


class Notifier:
    """``projects`` is where pictures are looked for."""

    def __init__(self, urls_file: Path, gathering: Gathering, *, projects: Path) -> None:
        self._urls_file = urls_file
        self._gathering = gathering
        self._projects = projects
        self._inbox: queue.SimpleQueue[News | None] = queue.SimpleQueue()
        self._letters: list[_Letter] = []
        self._is_behind = False
        self._thread = threading.Thread(target=self._run, name=f"notifier {urls_file.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def tell(self, news: News) -> None:
        """To be told to people; never waits. What a dead service piles up is dropped, with a word in the log."""
        if self._inbox.qsize() < MAX_WAITING:
            self._inbox.put(news)
            self._is_behind = False
        elif not self._is_behind:
            self._is_behind = True
            logger.warning("word of some jobs is not sent: what {} names is too slow", self._urls_file)

    def stop(self, *, timeout: float) -> None:
        """Send what there is, once and at once, for ``timeout`` seconds at most."""
        self._inbox.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            now = time.monotonic()
            due = min([self._gathering.due(now=now), *(letter.due for letter in self._letters)])
            try:
                news = self._inbox.get(timeout=min(max(0.0, due - now), threading.TIMEOUT_MAX))
            except queue.Empty:
                self._send(now=time.monotonic())
                continue
            if news is None:
                self._send(now=time.monotonic(), is_last=True)
                return
            self._gathering.take_in(news, now=time.monotonic())

    def _send(self, *, now: float, is_last: bool = False) -> None:
        """What is due, or all if it ``is_last``."""
        if is_last or self._gathering.due(now=now) <= now:
            message = self._gathering.take_out(now=now)
            if message is not None:
                self._letters.append(_Letter(message, pictures_of(message.pictures, self._projects), due=now))
        for letter in list(self._letters):
            if is_last or letter.due <= now:
                self._try(letter, is_last=is_last)
        del self._letters[: -MAX_WAITING // 10]

    def _try(self, letter: _Letter, *, is_last: bool) -> None:
        try:
            wanted = [one for one in services(self._urls_file) if letter.to is None or one.name in letter.to]
            letter.to = failed = {
                service.name for service in wanted if not service.send(letter.message, letter.pictures)
            }
            why = f"{', '.join(sorted(failed))} did not take it"
        except BadAddresses as error:
            failed, why = {str(error)}, str(error)
        if not failed or is_last or letter.tries >= len(PAUSES):
            self._letters.remove(letter)
            if failed:
                logger.error("word could not be sent and is given up: {}", why)
            return
        pause = PAUSES[letter.tries]
        letter.tries, letter.due, letter.pictures = letter.tries + 1, time.monotonic() + pause, []
        logger.warning("word could not be sent: {}; trying again in {} s", why, pause)
