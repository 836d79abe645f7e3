"""Where ComfyUI is, what is on the way, whom to trust and who we are, checked before anything is sent.

The rule: what is refused here is not quoted, for a password may be in it.
"""

from __future__ import annotations

import base64
import re
import ssl
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from comfywatch import __version__
from comfywatch.urls import checked_url, is_loopback

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """``url`` has no user, no password and no slash at the end; ``authorization`` is a header's value, or empty.

    ``sent`` is ``url`` with the name of the host as the network knows it, in ASCII.
    """

    url: str
    sent: str
    authorization: str = field(default="", repr=False)
    is_loopback: bool = False


def address(url: str) -> Address:
    """``http(s)://[user:password@]host[:port][/prefix]`` taken apart; raises ``ValueError`` for anything else."""
    parts = urlsplit(checked_url(url))
    place = parts.netloc.rpartition("@")[2]
    bare = f"{parts.scheme}://{place}{parts.path}"
    try:
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(f"no host can have the name in {bare[:80]!r}") from None
    if not place.isascii():
        place = f"{host}:{parts.port}" if parts.port else host
    sent = f"{parts.scheme}://{place}{parts.path}"
    return Address(url=bare, sent=sent, authorization=basic(parts), is_loopback=is_loopback(bare))


def environment_proxy(where: Address) -> SplitResult | None:
    """The proxy that the environment wants on the way, never for this machine itself.

    Raises ``ValueError`` for one that is no URL; its text may hold a password.
    """
    parts = urlsplit(where.sent)
    proxies = {} if where.is_loopback else urllib.request.getproxies()
    named = proxies.get(parts.scheme) or proxies.get("all")
    if not named or _is_spared(parts, proxies.get("no", "")):
        return None
    proxy = urlsplit(named if "://" in named else f"http://{named}")
    if not proxy.hostname:
        raise ValueError("a proxy of the environment has no host")
    return proxy


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Whom to trust: those of ``ca_file``, else the system's; raises ``ValueError`` for a file that has none."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ValueError(f"ca_file {ca_file} has no certificates that can be used: {error.strerror}") from error


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """``headers`` without white space around; raises ``ValueError`` for one that HTTP cannot carry."""
    plain = {name.strip(): value.strip() for name, value in headers.items()}
    for place, (name, value) in enumerate(plain.items(), start=1):
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"header number {place} has a name that HTTP cannot carry")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the value of the header {name} has characters that HTTP cannot carry")
    return plain


def identity(where: Address, own: Mapping[str, str]) -> dict[str, str]:
    """The headers that say who we are; ``own``, which are checked, come before what we would say."""
    ours = {"User-Agent": f"comfywatch/{__version__}", "Comfy-Usage-Source": "comfywatch"}
    return merged(ours, {"Authorization": where.authorization} if where.authorization else {}, own)


def merged(*tables: Mapping[str, str]) -> dict[str, str]:
    """One table of headers; of names that differ in case alone the last counts."""
    return dict({name.lower(): (name, value) for table in tables for name, value in table.items()}.values())


def secrets_in(values: Iterable[str]) -> Iterator[str]:
    """Each of our headers' values, and the token in it; under four characters they would be found everywhere."""
    for value in values:
        yield from (part for part in (value, value.rpartition(" ")[2]) if len(part) > 3)


def basic(parts: SplitResult) -> str:
    """User and password of a URL as the value of a header; empty where there are none."""
    if not parts.username and not parts.password:
        return ""
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


def _is_spared(parts: SplitResult, names: str) -> bool:
    """Whether ``names``, those of NO_PROXY, have the host or, which the standard library does not read, its network."""
    host = parts.hostname or ""
    for name in names.split(","):
        with suppress(ValueError):
            if "/" in name and ip_address(host) in ip_network(name.strip(), strict=False):
                return True
    return bool(urllib.request.proxy_bypass(f"{host}:{parts.port}" if parts.port else host))
