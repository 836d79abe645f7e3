"""What can go wrong between us and ComfyUI: one tree, and what each branch lets the caller conclude.

- ``ComfyError``
    - ``Unreachable``: nothing was sent; ComfyUI is down, or its name or network is not there
    - ``Busy``: no answer in time; slow is not dead, and what became of a POST is not known
    - ``CutOff``: the connection broke in the middle; what became of a POST is not known
        - ``Truncated``: what arrived, or what we sent, was shorter than announced
    - ``Rejected``: ComfyUI read what we sent and will not have it
    - ``Broken``: ComfyUI stumbled over the request (5xx) and is still there
    - ``TooLarge``: the request is larger than the server, or a proxy before it, takes
    - ``Missing``: ComfyUI does not have that file
    - ``Unsupported``: this version of ComfyUI has no such route
    - ``NotComfy``: something answered, but not as ComfyUI does; a person has to look, and what became of a POST is not
      known

No message holds a header, a password or a query of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ComfyError(Exception):
    """Any of those below; the message is a sentence for a person."""


class Unreachable(ComfyError):
    """ComfyUI is down; nothing was sent.

    ``refused``: the machine is there and nothing listens, which speaks for a restart; a name that is not found or a
    network without a route says nothing of ComfyUI itself.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class Busy(ComfyError):
    """No answer in time, or the answer "later"; the outcome of a POST is not known."""


class CutOff(ComfyError):
    """The connection was reset or closed in the middle; the outcome of a POST is not known."""


class Truncated(CutOff):
    """Fewer bytes than announced."""


class Rejected(ComfyError):
    """ComfyUI refused what was sent (400): its ``error`` and, by node id, ``node_errors``; empty where it gave none."""

    def __init__(self, message: str, *, error: Mapping[str, Any], node_errors: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.error = dict(error)
        self.node_errors = dict(node_errors)


class Broken(ComfyError):
    """A 5xx of ComfyUI's own, with the beginning of its text; more often the request's fault than the server's."""

    def __init__(self, message: str, *, status: int, text: str) -> None:
        super().__init__(message)
        self.status = status
        self.text = text


class TooLarge(ComfyError):
    """The request has more bytes than are taken (413); ``limit`` is ``None`` where it is not known."""

    def __init__(self, message: str, *, limit: int | None) -> None:
        super().__init__(message)
        self.limit = limit


class Missing(ComfyError):
    """ComfyUI does not have, or does not give out, the file."""


class Unsupported(ComfyError):
    """This version of ComfyUI has no such route."""


class NotComfy(ComfyError):
    """A log-in page, a redirect, a refusal or another program's answer; the message says what came and what to do."""
