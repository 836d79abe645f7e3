"""The thread that listens to one ComfyUI's websocket, and says what it heard.

It decides nothing: whatever it says is only a reason to look, and without it everything goes on by asking. What is not
urgent waits for ``GATHER_SECONDS``, so that many small messages are taken in together.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from loguru import logger

from comfywatch.comfy_socket import Closed, ComfySocket, Silent
from comfywatch.effects import Heard, Told
from comfywatch.heard import InHistory, Preview, Standing, Step, What, read

GATHER_SECONDS = 0.1
PING_SECONDS = 20.0
DEAD_SECONDS = 40.0
"""How long an open socket may be silent although it was asked for a word."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
PREVIEW_SECONDS = 0.5
_NEWEST_COUNTS = (Step, Standing, Preview)


class Listener(threading.Thread):
    """Listens until ``stop``; ``say`` is called on this thread.

    ``open_socket`` takes the address and the ``client_id``, and raises ``Closed`` or ``ValueError``. After ``patience``
    seconds without a word it is asked whether the other side is there, again and again. After the first time without an
    answer it is said to be closed, so that ComfyUI is asked in another way; after ``dead_after`` seconds that is true.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        open_socket: Callable[[str, str], ComfySocket],
        say: Callable[[Heard], None],
        *,
        previews: bool,
        patience: float = PING_SECONDS,
        dead_after: float = DEAD_SECONDS,
    ) -> None:
        super().__init__(name=f"listener {url}", daemon=True)
        self.client_id = client_id
        self._url = url
        self._open_socket = open_socket
        self._say = say
        self._previews = previews
        self._patience = patience
        self._most_unanswered = max(2, math.ceil(dead_after / patience))
        self._wake = threading.Event()
        self._must_stop = False
        self._must_reopen = False
        self._socket: ComfySocket | None = None
        self._heard: list[Told] = []
        self._gathering_since = 0.0
        self._preview_due = 0.0

    def wake(self, *, anew: bool = False) -> None:
        """ComfyUI is there: no need to wait any longer. With ``anew``, what is open has gone deaf."""
        self._must_reopen = self._must_reopen or anew
        self._wake.set()

    def stop(self) -> None:
        """End soon."""
        self._must_stop = True
        self._wake.set()
        if (opened := self._socket) is not None:
            opened.break_off()

    def run(self) -> None:
        """The thread."""
        pause = FIRST_PAUSE
        while not self._must_stop:
            self._wake.clear()
            self._must_reopen = False
            began = time.monotonic()
            try:
                with self._open_socket(self._url, self.client_id) as opened:
                    self._listen(opened)
            except (Closed, ValueError) as error:
                if not self._must_stop:
                    logger.debug("not listening to {} for {} s: {}", self._url, pause, error)
            pause = FIRST_PAUSE if time.monotonic() - began > self._patience else min(2 * pause, LONGEST_PAUSE)
            if not self._must_reopen:
                self._wake.wait(pause)

    def _listen(self, opened: ComfySocket) -> None:
        """Until it is closed, or has gone silent."""
        self._socket = opened
        try:
            if self._previews:
                opened.ask_for_previews()
            self._say(Heard(url=self._url, is_open=True))
            self._hear_all(opened)
        finally:
            self._socket = None
            self._tell()
            self._say(Heard(url=self._url, is_open=False))

    def _hear_all(self, opened: ComfySocket) -> None:
        unanswered = 0
        while not self._must_stop and not self._must_reopen:
            try:
                message = opened.receive(timeout=self._longest())
            except Silent:
                if self._heard:
                    self._tell()
                else:
                    unanswered = self._ping(opened, unanswered)
                continue
            if unanswered > 1:
                self._say(Heard(url=self._url, is_open=True))
            unanswered = 0
            if message is not None and (what := read(message)) is not None:
                self._take(what, now=time.monotonic())

    def _ping(self, opened: ComfySocket, unanswered: int) -> int:
        """Ask for a word; how often that was not answered yet."""
        if unanswered == self._most_unanswered:
            raise Closed("no answer to a ping")
        if unanswered == 1:
            self._say(Heard(url=self._url, is_open=False))
        opened.ping()
        return unanswered + 1

    def _longest(self) -> float:
        """Seconds to wait for the next message."""
        if not self._heard:
            return self._patience
        return max(self._gathering_since + GATHER_SECONDS - time.monotonic(), 0.001)

    def _take(self, what: What, *, now: float) -> None:
        if isinstance(what, Preview):
            if not self._previews or now < self._preview_due:
                return
            self._preview_due = now + PREVIEW_SECONDS
        if not self._heard:
            self._gathering_since = now
        self._forget_older(what)
        self._heard.append(Told(what=what, at=now))
        if isinstance(what, InHistory) or now - self._gathering_since >= GATHER_SECONDS:
            self._tell()

    def _forget_older(self, what: What) -> None:
        """Of what tells how far something is only the newest counts, since the last word of another kind."""
        for place in range(len(self._heard) - 1, -1, -1):
            before = self._heard[place].what
            if not isinstance(before, _NEWEST_COUNTS):
                return
            if _replaces(what, before):
                del self._heard[place]
                return

    def _tell(self) -> None:
        heard, self._heard = tuple(self._heard), []
        if heard:
            self._say(Heard(url=self._url, told=heard))


def _replaces(what: What, before: What) -> bool:
    """Whether nothing of what was said before is of use any more."""
    if type(what) is not type(before) or not isinstance(what, _NEWEST_COUNTS) or what.prompt_id != before.prompt_id:
        return False
    return not isinstance(what, Step) or (isinstance(before, Step) and what.node == before.node)
