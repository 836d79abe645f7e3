"""One HTTP session with one ComfyUI, and the only place that knows ``requests``.

The rule it keeps: an answer is either ComfyUI's yes or one error of ``comfy_errors``. No POST is sent twice. Redirects
are not followed, so that our headers go nowhere but to the configured address. The environment's proxies are not used
for this machine itself, and its passwords never.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from socket import gaierror
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urljoin, urlsplit

import requests
import requests.adapters
from requests.cookies import extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict

from comfywatch import __version__, comfy_values
from comfywatch.comfy_address import address, checked_headers
from comfywatch.comfy_answers import Answer, is_page_type, refusal
from comfywatch.comfy_errors import Busy, ComfyError, CutOff, NotComfy, TooLarge, Truncated, Unreachable
from comfywatch.comfy_upload import FileForm

_T = TypeVar("_T")
_CHUNK_BYTES = 256 * 1024
_IDLE_SECONDS = 1.0
"""A connection that was idle for longer is not used for a POST.

The server, or a router between, may just be closing it, and then nobody could say whether the prompt arrived. ComfyUI
keeps idle connections for more than a minute and proxies for some seconds, so a second is safe; a new connection costs
less than a millisecond, and in a row of prompts none is idle for so long.
"""


class Download:
    """A file of ComfyUI's that is being received; ``size`` is what it announced, ``None`` where it did not."""

    def __init__(self, response: requests.Response, url: str) -> None:
        self._response = response
        self._url = url
        length = response.headers.get("Content-Length", "")
        is_encoded = "Content-Encoding" in response.headers
        self.size = int(length) if length.isdecimal() and not is_encoded else None

    def chunks(self) -> Iterator[bytes]:
        """All of it, once; raises ``Truncated`` when it ends before ``size``, ``Busy`` when one wait is too long."""
        received = 0
        try:
            for chunk in self._response.iter_content(_CHUNK_BYTES):
                received += len(chunk)
                yield chunk
        except requests.RequestException as error:
            raise _failure(error, self._url) from error
        if self.size is not None and received < self.size:
            raise Truncated(f"{self._url} sent {received} of {self.size} bytes")


class ComfySession:
    """Asks, tells and downloads below ``url``/api; for one thread.

    ``timeout`` is in seconds and counts for each wait, not for a whole transfer. Raises ``ValueError`` for a URL, a
    header or a ``ca_file`` that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        headers: Mapping[str, str],
        ca_file: Path | None,
        clock: Callable[[], float],
    ) -> None:
        where, own = address(url), checked_headers(headers)
        self.url = where.url
        self._timeout = timeout
        self._clock = clock
        self._answered = clock()
        self._secrets = tuple(_secrets([*own.values(), where.authorization]))
        self._base = ""
        self._session = requests.Session()  # for its connections and cookies; what else it does is not needed here
        self._verify: bool | str = True if ca_file is None else _checked_ca(ca_file)
        # For another machine the environment's proxies count; its passwords (~/.netrc) would replace our Authorization.
        self._proxies = {} if where.is_loopback else requests.utils.get_environ_proxies(where.url)
        self._headers = requests.utils.default_headers()
        self._headers.update({"User-Agent": f"comfywatch/{__version__}", "Comfy-Usage-Source": "comfywatch"})
        if where.authorization:
            self._headers["Authorization"] = where.authorization
        self._headers.update(own)

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        self._session.close()

    def ask(self, path: str, shape: Callable[[Any], _T], **request: Any) -> _T:
        """The JSON at ``path`` as ``shape`` reads it; with ``body`` it is posted."""
        response = self._exchange(path, **request)
        try:
            return shape(json.loads(response.content))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise self._refusal(response, is_post="body" in request) from error

    def tell(self, path: str, body: bytes) -> None:
        """Post what has no answer but yes."""
        self._exchange(path, body=body)

    def size_of(self, path: str, query: Mapping[str, str]) -> int | None:
        """How many bytes the file at ``path`` has, without receiving it; ``None`` where that is not said."""
        with self._exchange(path, query=query, method="HEAD", stream=True) as response:
            return Download(response, self.url).size

    @contextmanager
    def download(self, path: str, query: Mapping[str, str]) -> Iterator[Download]:
        """Receive the file at ``path``."""
        with self._exchange(path, query=query, stream=True) as response:
            yield Download(response, self.url)

    def _exchange(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | FileForm | None = None,
        content_type: str = "application/json",
        method: str = "GET",
        stream: bool = False,
    ) -> requests.Response:
        """A 200 that is not a page; every other answer is raised."""
        target = f"{self.url}/api{path}" + (f"?{urlencode(query, quote_via=quote, errors='replace')}" if query else "")
        headers = {"Content-Type": content_type} if body is not None else {}
        if stream:
            headers["Accept-Encoding"] = "identity"  # so that Content-Length is the file's
        response = self._send(method if body is None else "POST", target, data=body, headers=headers, stream=stream)
        if response.status_code == 200 and not is_page_type(response.headers.get("Content-Type", "")):
            return response
        with response:
            error = self._refusal(response, is_post=body is not None)
        if body is None:
            raise error
        # The answer may have come before all of the body was sent: the rest would stand before the next request.
        self.close()
        raise self._too_large(len(body)) if response.status_code == 413 else error

    def _send(self, method: str, target: str, **request: Any) -> requests.Response:
        if method == "POST":
            if self._clock() - self._answered > _IDLE_SECONDS:
                self.close()
            return self._send_once(method, target, **request)
        try:
            return self._send_once(method, target, **request)
        except CutOff:
            # Most likely an idle connection that the server closed as we took it up; to ask again does no harm.
            self.close()
        return self._send_once(method, target, **request)

    def _send_once(
        self, method: str, target: str, *, data: bytes | FileForm | None, headers: Mapping[str, str], stream: bool
    ) -> requests.Response:
        """One exchange without what ``requests`` does around it, which takes as long as the exchange itself."""
        session = self._session
        try:
            request = self._prepared(method, target, data, headers)
            response = session.get_adapter(target).send(
                request, stream=stream, timeout=self._timeout, verify=self._verify, proxies=self._proxies
            )
            if "Set-Cookie" in response.headers:
                extract_cookies_to_jar(session.cookies, request, response.raw)  # type: ignore[no-untyped-call]
            if not stream:
                _ = response.content  # received now, so that its errors are told here
        except requests.RequestException as error:
            raise _failure(error, self.url) from error
        self._answered = self._clock()
        return response

    def _prepared(
        self, method: str, target: str, data: bytes | FileForm | None, headers: Mapping[str, str]
    ) -> requests.PreparedRequest:
        """``target`` has nothing in it that is still to be escaped but what is in the address."""
        if not self._base:
            self._base = str(requests.Request("GET", self.url).prepare().url).rstrip("/")
        request = requests.PreparedRequest()
        request.method = method
        request.url = self._base + target.removeprefix(self.url)
        request.headers = CaseInsensitiveDict({**self._headers, **headers})
        request.prepare_cookies(self._session.cookies)
        request.prepare_body(data, None)
        return request

    def _refusal(self, response: requests.Response, *, is_post: bool) -> ComfyError:
        try:
            body = response.content
        except requests.RequestException as error:
            return _failure(error, self.url)
        answer = Answer(
            status=response.status_code,
            place=self.url,
            location=_bare(response.url, response.headers.get("Location", "")),
            content_type=response.headers.get("Content-Type", ""),
            body=body,
        )
        return refusal(answer, is_post=is_post, secrets=self._secrets)

    def _too_large(self, sent: int) -> TooLarge:
        limit = None
        with suppress(ComfyError):
            limit = self.ask("/features", comfy_values.table).get("max_upload_size")
        if isinstance(limit, int) and sent > limit:
            mend = f"ComfyUI takes {limit}; start it with a larger --max-upload-size"
            return TooLarge(f"{sent} bytes are too many for {self.url}: {mend}", limit=limit)
        return TooLarge(f"{sent} bytes are too many for {self.url}, or for a proxy before it", limit=None)


def _secrets(values: Iterable[str]) -> Iterator[str]:
    """Each value, and the token in it; what is shorter than four characters would be found everywhere."""
    for value in values:
        yield from (part for part in (value, value.rpartition(" ")[2]) if len(part) > 3)


def _checked_ca(ca_file: Path) -> str:
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ValueError(f"ca_file {ca_file} has no certificates that can be used: {error.strerror}") from error
    return str(ca_file)


def _failure(error: requests.RequestException, url: str) -> ComfyError:
    """What ``requests`` reports, by what is known afterwards."""
    causes = tuple(_causes(error))
    # Before anything else: a ConnectTimeout is a ConnectionError too, and a slow body is reported as a broken one,
    # but a slow server, or one whose backlog is full, is not a dead one.
    if isinstance(error, requests.Timeout) or _any(causes, TimeoutError):
        return Busy(f"{url} did not answer in time")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return Unreachable(f"{url} cannot be asked; check comfyui_url, HTTP_PROXY and HTTPS_PROXY")
    if isinstance(error, requests.exceptions.SSLError):
        return _tls_failure(causes, url)
    if isinstance(error, requests.ConnectionError) and _any(causes, requests.adapters.MaxRetryError):
        return _unreachable(error, causes, url)
    if _any(causes, IncompleteRead):
        return Truncated(f"{url} ended its answer early")
    is_broken = isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError)
    if is_broken and (_any(causes, ConnectionError) or not _any(causes, HTTPException)):
        return CutOff(f"{url} closed the connection in the middle")
    return NotComfy(f"{url} does not answer as an HTTP server does; check comfyui_url")


def _unreachable(error: requests.ConnectionError, causes: tuple[BaseException, ...], url: str) -> Unreachable:
    """What failed before anything was sent; ``requests`` gives such errors, and no others, as spent retries."""
    if isinstance(error, requests.exceptions.ProxyError):
        return Unreachable(f"the proxy on the way to {url} does not work; check HTTP_PROXY, HTTPS_PROXY and NO_PROXY")
    if _any(causes, ConnectionRefusedError):
        return Unreachable(f"nothing listens at {url}; is ComfyUI running?", refused=True)
    if _any(causes, gaierror):
        return Unreachable(f"the host name in {url} is not known; check comfyui_url and the network")
    reasons = [each.strerror for each in causes if isinstance(each, OSError) and each.strerror]
    return Unreachable(f"{url} cannot be reached: {', '.join(reasons) or 'no connection'}")


def _tls_failure(causes: tuple[BaseException, ...], url: str) -> ComfyError:
    if _any(causes, ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return CutOff(f"{url} closed the connection in the middle")
    for each in causes:
        if isinstance(each, ssl.SSLCertVerificationError):
            return NotComfy(f"the certificate of {url} is not trusted ({each.verify_message}); check ca_file")
    return NotComfy(f"{url} does not speak TLS as it should; check whether comfyui_url begins with http:// or https://")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it holds; ``requests`` and its pool keep them as arguments, reasons and causes."""
    yield error
    for held in (*error.args, getattr(error, "reason", None), error.__cause__):
        if isinstance(held, BaseException):
            yield from _causes(held)


def _any(causes: tuple[BaseException, ...], *kinds: type[BaseException]) -> bool:
    return any(isinstance(each, kinds) for each in causes)


def _bare(asked: str, location: str) -> str:
    """Where a redirect points, without what may be secret in it; empty for what is no URL."""
    try:
        parts = urlsplit(urljoin(asked, location))
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
