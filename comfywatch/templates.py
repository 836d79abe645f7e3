"""Pages from the templates in ``comfywatch/pages/``: everything in one file, and nothing from anywhere else.

What a template is given is text until it is escaped, which Jinja does by itself (``autoescape``); data for the script
goes through ``as_json``, and nothing else that comes from outside is ``safe``. Style and script are ours alone: a page
names their digests in its Content-Security-Policy, so that a browser runs nothing else, whatever a name or a prompt may
hold, and asks nobody for anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from comfywatch import __version__
from comfywatch.gallery import address

MARK = "Written by comfywatch; edits are overwritten."
"""Stands in the second line of each page: a file without it is not ours to replace."""
_POLICY = (
    "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src '{style}'; script-src '{script}'; "
    "base-uri 'none'; form-action 'none'"
)
_NEVER_IN_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"}
_JSON = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A page. ``fingerprint`` stands in its first lines, and is the same as long as it says the same."""

    data: bytes
    fingerprint: str


def rendered(template: str, *, title: str, at: datetime, **values: Any) -> Rendered:
    """A whole page, whose body is ``template``; ``at`` is when what it says was so."""
    style, script = _text("page.css"), _text("page.js")
    body = _environment().get_template(template).render(title=title, **values)
    told = "\0".join((__version__, style, script, _text("frame.html"), body))
    fingerprint = hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:32]
    page = (
        _environment()
        .get_template("frame.html")
        .render(
            mark=MARK,
            fingerprint=fingerprint,
            policy=_POLICY.format(style=_digest(style), script=_digest(script)),
            title=title,
            at=at,
            style=style,
            body=body,
            script=script,
        )
    )
    return Rendered(data=page.encode("utf-8", "replace"), fingerprint=fingerprint)


def as_json(value: Any) -> str:
    """A value as JSON that may stand in a ``script`` element."""
    text = _JSON.encode(value)
    for character, escaped in _NEVER_IN_HTML.items():
        text = text.replace(character, escaped)
    return text


def json_list(items: Iterable[str]) -> str:
    """What ``as_json`` made, as one list."""
    return "[" + ",\n".join(items) + "]"


@cache
def _text(name: str) -> str:
    text = resources.files("comfywatch").joinpath("pages", name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")  # as a browser reads it, of which the digest is


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"iso": _iso, "utc": _utc, "span": _span, "address": address}
    return environment


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _utc(moment: datetime) -> str:
    """For who has no script; the script shows the reader's own time."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _span(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
