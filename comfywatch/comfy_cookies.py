"""The cookies that one ComfyUI gave us, or a load balancer before it that wants to know us again."""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import Any
from urllib.request import Request


class Cookies:
    """They are kept as long as their server wants, at most for the life of this object."""

    def __init__(self) -> None:
        self._jar = CookieJar()

    def keep(self, response: Any, url: str) -> None:
        """Those that an answer from ``url`` sets or takes back; its ``info()`` gives its headers."""
        self._jar.extract_cookies(response, _request(url))

    def sent_to(self, url: str) -> dict[str, str]:
        """The header for a request to ``url``; empty where there is nothing to say."""
        if not len(self._jar):
            return {}
        request = _request(url)
        self._jar.add_cookie_header(request)
        return dict(request.header_items())


def _request(url: str) -> Request:
    return Request(url)  # noqa: S310  # it is never opened
