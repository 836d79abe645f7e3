"""What an answer that is no plain yes means, told from its status, its type and the beginning of its text.

Statuses 520 to 530 are those of tunnels through which many people reach their ComfyUI.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from comfywatch.comfy_errors import Broken, Busy, ComfyError, CutOff, NotComfy, Unreachable
from comfywatch.comfy_values import table_or_empty

_SLOW = frozenset({408, 429, 504, 522, 524})
_DOWN = frozenset({502, 503, 521, 523, 530})
_REFUSED = frozenset({502, 521})
_TEXT_CHARACTERS = 200


class Refused(NotComfy):
    """A 4xx whose meaning depends on the question; where the one who asked sees none, it is ``NotComfy``."""

    def __init__(self, message: str, *, status: int, answer: dict[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer as far as it matters here; ``place`` is ComfyUI's URL, ``location`` where a redirect points, bare."""

    status: int
    place: str
    location: str
    content_type: str
    body: bytes

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people, which ComfyUI's API never gives."""
        return is_page_type(self.content_type) or self.body.lstrip()[:1] == b"<"

    def text(self, secrets: Iterable[str]) -> str:
        """The title of a page or the first words of anything else, on one line and without ``secrets``."""
        text = self.body[:100_000].decode("utf-8", "replace")
        if self.is_page:
            title = re.search(r"<title[^>]*>(.*?)</title", text, re.IGNORECASE | re.DOTALL)
            text = html.unescape(title.group(1)) if title else ""
        for secret in secrets:
            text = text.replace(secret, "…")
        return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:_TEXT_CHARACTERS]


def is_page_type(content_type: str) -> bool:
    """Whether a ``Content-Type`` is that of a page."""
    return "html" in content_type.lower()


def bare(asked: str, location: str) -> str:
    """Where a redirect points, without what may be secret in it; empty for what is no URL."""
    try:
        parts = urlsplit(urljoin(asked, location))
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def refusal(answer: Answer, *, is_post: bool, secrets: Iterable[str]) -> ComfyError:
    """The error for an answer that is not the one hoped for; 413 is not told here."""
    secrets = tuple(secrets)
    place, status, text = answer.place, answer.status, answer.text(secrets)
    if status in _SLOW:
        return Busy(f"{place} answered that it is too busy ({status})")
    if status in _DOWN:
        if is_post:
            return CutOff(f"the proxy before {place} lost ComfyUI, perhaps on the way back ({status})")
        return Unreachable(
            f"the proxy before {place} does not reach ComfyUI ({status}); is it running?", refused=status in _REFUSED
        )
    if status >= 500:
        return Broken(f"{place} answered {status}: {text}", status=status, text=text)
    return _stranger(answer, text, secrets)


def _stranger(answer: Answer, text: str, secrets: Iterable[str]) -> NotComfy:
    """The sentence for what does not look like ComfyUI."""
    place, status = answer.place, answer.status
    if status in {401, 407} or (status == 403 and answer.is_page):
        return NotComfy(f"{place} does not let us in ({status}); check headers_file, or the user in comfyui_url")
    if 300 <= status < 400:
        return NotComfy(
            f"{place} sends us to {answer.location or 'another page'} ({status}); if ComfyUI is there, put that into "
            "comfyui_url; if it is a log-in page, check headers_file"
        )
    if answer.is_page:
        titled = f" called '{text}'" if text else ""
        return NotComfy(
            f"{place} answered with a web page{titled} ({status}), not as ComfyUI; check comfyui_url and headers_file"
        )
    said = f": {text}" if text else ""
    message = f"{place} answered {status}{said}, not as ComfyUI does; check comfyui_url and headers_file"
    if 400 <= status < 500:
        return Refused(message, status=status, answer=_table(answer.body, secrets))
    return NotComfy(message)


def _table(body: bytes, secrets: Iterable[str]) -> dict[str, Any]:
    """An object of JSON; a proxy may have put what we sent into it."""
    for secret in secrets:
        body = body.replace(secret.encode(), "…".encode())
    try:
        return table_or_empty(json.loads(body))
    except (ValueError, RecursionError):
        return {}
