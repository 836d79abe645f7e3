"""Where ComfyUI is and how we show who we are: the URL and the headers, checked before anything is sent.

The rule: what is refused here is not quoted, for a password may be in it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from comfywatch.urls import checked_url, is_loopback

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """``url`` has no user, no password and no slash at the end; ``authorization`` is a header's value, or empty."""

    url: str
    authorization: str = field(default="", repr=False)
    is_loopback: bool = False


def address(url: str) -> Address:
    """``http(s)://[user:password@]host[:port][/prefix]`` taken apart; raises ``ValueError`` for anything else."""
    parts = urlsplit(checked_url(url))
    bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    try:
        (parts.hostname or "").encode("idna")
    except UnicodeError:
        raise ValueError(f"no host can have the name in {bare[:80]!r}") from None
    return Address(url=bare, authorization=_basic(parts), is_loopback=is_loopback(bare))


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """``headers`` without white space around; raises ``ValueError`` for one that HTTP cannot carry."""
    plain = {name.strip(): value.strip() for name, value in headers.items()}
    for place, (name, value) in enumerate(plain.items(), start=1):
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"header number {place} has a name that HTTP cannot carry")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the value of the header {name} has characters that HTTP cannot carry")
    return plain


def _basic(parts: SplitResult) -> str:
    if not parts.username and not parts.password:
        return ""
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")
