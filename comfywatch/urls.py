"""The address of a ComfyUI: what is one, whose it is, and how it is shown without its password."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, ip_address
from urllib.parse import SplitResult, urlsplit

_LOOPBACK = IPv4Network("127.0.0.0/8")
# A parser of URLs skips some of these and a client's may read others in its own way.
_NOT_IN_A_URL = re.compile(r"[\s\\\x00-\x1f\x7f\ud800-\udfff]")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SECRET_QUERY = re.compile(r"[?&](?:access_token|api_?key|key|token)=", re.IGNORECASE)
_LONGEST_LINK = 300


class BadUrl(ValueError):
    """This is no address to ask a ComfyUI at; the sentence says what would do and never shows a password."""


def checked_url(url: str) -> str:
    """``url`` without white space around it and slashes behind it. Raises ``BadUrl``."""
    url = url.strip()
    try:
        parts = _split(url)
    except ValueError:  # not chained: its text may hold the password
        raise BadUrl(f"expected an address such as http://127.0.0.1:8188, got {safe_url(url)[:80]!r}") from None
    if "?" in url or "#" in url:
        raise BadUrl(f"expected an address without ? and #, got {safe_url(url)[:80]!r}; tokens go into headers_file")
    return parts.geturl().rstrip("/")


def safe_url(url: str) -> str:
    """``url`` for messages and logs: user, password and query are masked, also where ``url`` is no proper URL."""
    before, at, after = url.rpartition("@")
    if not at:
        return re.sub(r"(?s)\?.*", "?***", url)
    scheme = re.match(r"\w+://", before)
    shown = f"{scheme[0] if scheme else ''}***"
    return shown if "?" in before else f"{shown}@{re.sub(r'(?s)[?].*', '?***', after)}"


def shown_link(text: str) -> str:
    """``text`` if it is an address that a person can open, from whomever it is; else, or with a password, empty."""
    try:
        parts = _split(text) if len(text) <= _LONGEST_LINK and text.isprintable() else None
    except ValueError:
        return ""
    if parts is None or "@" in parts.netloc:
        return ""
    return text.partition("?")[0] if _SECRET_QUERY.search(text) else text


def is_loopback(url: str) -> bool:
    """Whether ``url`` leads to this machine for sure: 127.0.0.0/8, ::1 or localhost."""
    try:
        host = _split(url).hostname or ""
        return host == "localhost" or _is_loopback(host)
    except ValueError:
        return False


def same_server(one: str, other: str) -> bool:
    """Whether two addresses differ at most in user and password, case, a default port or slashes at the end."""
    try:
        return _server(_split(one)) == _server(_split(other))
    except ValueError:
        return False


def _split(url: str) -> SplitResult:
    """The parts of an http or https address that names a host. Raises ``ValueError``."""
    parts = urlsplit(url)
    if _NOT_IN_A_URL.search(url) or parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.port == 0:
        raise ValueError
    return parts


def _is_loopback(host: str) -> bool:
    address = ip_address(host)
    return address in _LOOPBACK if address.version == 4 else address.packed == bytes(15) + b"\x01"


def _server(parts: SplitResult) -> tuple[str, str | None, int, str, str]:
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/"), parts.query
