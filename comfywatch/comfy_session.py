"""One HTTP session with one ComfyUI, and the only place that knows ``urllib3``.

The rule it keeps: an answer is either ComfyUI's yes or one error of ``comfy_errors``. No POST is sent twice. Redirects
are not followed, so that our headers go nowhere but to the configured address. The environment's proxies are not used
for this machine itself, and its passwords never.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from socket import gaierror
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urljoin

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError, ProxyError, ReadTimeoutError, SSLError

from comfywatch import comfy_address, comfy_values
from comfywatch.comfy_answers import Answer, bare, is_page_type, refusal
from comfywatch.comfy_cookies import Cookies
from comfywatch.comfy_errors import Busy, ComfyError, CutOff, NotComfy, TooLarge, Truncated, Unreachable
from comfywatch.comfy_upload import FileForm

_T = TypeVar("_T")
_CHUNK_BYTES = 256 * 1024
_NO_RETRIES = urllib3.Retry(False)
_UNDERSTOOD = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
_IDLE_SECONDS = 1.0
"""A connection that was idle for longer is not used for a POST.

The server, or a router between, may just be closing it, and then nobody could say whether the prompt arrived. ComfyUI
keeps idle connections for more than a minute and proxies for some seconds, so a second is safe; a new connection costs
less than a millisecond, and in a row of prompts none is idle for so long.
"""


class Download:
    """A file of ComfyUI's that is being received; ``size`` is what it announced, ``None`` where it did not."""

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str) -> None:
        self._response = response
        self._url = url
        length = response.headers.get("Content-Length", "")
        is_encoded = "Content-Encoding" in response.headers
        self.size = int(length) if length.isdecimal() and not is_encoded else None

    def chunks(self) -> Iterator[bytes]:
        """All of it, once; raises ``Truncated`` when it ends before ``size``, ``Busy`` when one wait is too long."""
        received = 0
        try:
            for chunk in self._response.stream(_CHUNK_BYTES):
                received += len(chunk)
                yield chunk
        except HTTPError as error:
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
        where, own = comfy_address.address(url), comfy_address.checked_headers(headers)
        self.url = where.url
        self._where = where
        self._timeout = urllib3.Timeout(connect=timeout, read=timeout)
        self._clock = clock
        self._answered = clock()
        self._secrets = tuple(comfy_address.secrets_in([*own.values(), where.authorization]))
        self._tls = comfy_address.trust(ca_file) if ca_file or where.url.startswith("https:") else None
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._base = ""
        self._cookies = Cookies()
        self._headers = comfy_address.merged(_UNDERSTOOD, comfy_address.identity(where, own))

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def ask(self, path: str, shape: Callable[[Any], _T], **request: Any) -> _T:
        """The JSON at ``path`` as ``shape`` reads it; with ``body`` it is posted."""
        response = self._exchange(path, **request)
        try:
            return shape(json.loads(response.data))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise self._refusal(response, is_post="body" in request) from error

    def tell(self, path: str, body: bytes) -> None:
        """Post what has no answer but yes."""
        self._exchange(path, body=body)

    def size_of(self, path: str, query: Mapping[str, str]) -> int | None:
        """How many bytes the file at ``path`` has, without receiving it; ``None`` where that is not said."""
        response = self._exchange(path, query=query, method="HEAD", stream=True)
        response.drain_conn()  # of nothing, after which the connection is free
        return Download(response, self.url).size

    @contextmanager
    def download(self, path: str, query: Mapping[str, str]) -> Iterator[Download]:
        """Receive the file at ``path``."""
        with closing(self._exchange(path, query=query, stream=True)) as response:
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
    ) -> urllib3.BaseHTTPResponse:
        """A 200 that is not a page; every other answer is raised."""
        target = f"/api{path}" + (f"?{urlencode(query, quote_via=quote, errors='replace')}" if query else "")
        added = {} if body is None else {"Content-Type": content_type, "Content-Length": str(len(body))}
        if stream:
            added["Accept-Encoding"] = "identity"  # so that Content-Length is the file's
        response = self._send(method if body is None else "POST", target, body=body, added=added, stream=stream)
        if response.status == 200 and not is_page_type(response.headers.get("Content-Type", "")):
            return response
        with closing(response):
            error = self._refusal(response, is_post=body is not None)
        if body is None:
            raise error
        # The answer may have come before all of the body was sent: the rest would stand before the next request.
        self.close()
        raise self._too_large(len(body)) if response.status == 413 else error

    def _send(self, method: str, target: str, **request: Any) -> urllib3.BaseHTTPResponse:
        is_order = method == "POST"
        if is_order and self._clock() - self._answered > _IDLE_SECONDS:
            self.close()
        try:
            return self._send_once(method, target, **request)
        except CutOff:
            # Most likely an idle connection that the server closed as we took it up; to ask twice does no harm.
            self.close()
            if is_order:
                raise
        return self._send_once(method, target, **request)

    def _send_once(
        self, method: str, target: str, *, body: bytes | FileForm | None, added: Mapping[str, str], stream: bool
    ) -> urllib3.BaseHTTPResponse:
        pool = self._pool or self._opened()
        try:
            response = pool.urlopen(
                method,
                self._base + target,
                body=body,
                headers=self._headers_for(target, added),
                retries=_NO_RETRIES,
                redirect=False,
                assert_same_host=False,
                timeout=self._timeout,
                preload_content=False,
            )
            if "Set-Cookie" in response.headers:
                self._cookies.keep(response, self._where.sent + target)
            if not stream:
                _ = response.data  # received now, so that its errors are told here
        except HTTPError as error:
            raise _failure(error, self.url) from error
        self._answered = self._clock()
        return response

    def _opened(self) -> urllib3.HTTPConnectionPool:
        """The way to ComfyUI, or to a proxy before it, which is told the whole URL where there is no TLS."""
        sent = self._where.sent
        try:
            self._pools.clear()
            self._pool = self._pools.connection_from_url(sent)
        except ValueError:  # not chained: its text may hold the proxy's password
            raise _unaskable(self.url) from None
        is_told_all = self._pools.proxy is not None and sent.startswith("http:")
        self._base = sent if is_told_all else (urllib3.util.parse_url(sent).path or "").rstrip("/")
        return self._pool

    @cached_property
    def _pools(self) -> urllib3.PoolManager:
        """Raises ``ValueError`` for a proxy that cannot be one."""
        proxy = comfy_address.environment_proxy(self._where)
        if proxy is None:
            return urllib3.PoolManager(ssl_context=self._tls)
        password = comfy_address.basic(proxy)
        return urllib3.ProxyManager(
            f"{proxy.scheme}://{proxy.netloc.rpartition('@')[2]}",
            proxy_headers={"Proxy-Authorization": password} if password else {},
            proxy_ssl_context=self._tls,
            ssl_context=self._tls,
        )

    def _headers_for(self, target: str, added: Mapping[str, str]) -> dict[str, str]:
        cookies = self._cookies.sent_to(self._where.sent + target)
        return comfy_address.merged(cookies, self._headers, added) if cookies or added else self._headers

    def _refusal(self, response: urllib3.BaseHTTPResponse, *, is_post: bool) -> ComfyError:
        try:
            body = response.data
        except HTTPError as error:
            return _failure(error, self.url)
        answer = Answer(
            status=response.status,
            place=self.url,
            location=bare(urljoin(self.url, response.url or ""), response.headers.get("Location", "")),
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


def _failure(error: HTTPError, url: str) -> ComfyError:
    """What ``urllib3`` reports, by what is known afterwards."""
    causes = tuple(_causes(error))
    # Before anything else: one that is slow to open is reported as no connection, but a slow server, or one whose
    # backlog is full, is not a dead one.
    if _any(causes, TimeoutError, ReadTimeoutError):
        return Busy(f"{url} did not answer in time")
    if isinstance(error, ValueError):  # about an address
        return _unaskable(url)
    if isinstance(error, SSLError):
        return _tls_failure(causes, url)
    was_open = not _any(causes, NewConnectionError)
    was_cut = was_open and _any(causes, ConnectionError)
    if not was_open or (isinstance(error, ProxyError) and not was_cut):
        return _unreachable(error, causes, url)
    if _any(causes, IncompleteRead):
        return Truncated(f"{url} ended its answer early")
    if was_cut or (isinstance(error, ProtocolError) and not _any(causes, HTTPException)):
        return CutOff(f"{url} closed the connection in the middle")
    return NotComfy(f"{url} does not answer as an HTTP server does; check comfyui_url")


def _unaskable(url: str) -> Unreachable:
    return Unreachable(f"{url} cannot be asked; check comfyui_url, HTTP_PROXY and HTTPS_PROXY")


def _unreachable(error: HTTPError, causes: tuple[BaseException, ...], url: str) -> Unreachable:
    """What failed before anything was sent."""
    if isinstance(error, ProxyError):
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
    """The error and those that it holds; ``urllib3`` keeps them as arguments and causes."""
    yield error
    for held in (*error.args, error.__cause__):
        if isinstance(held, BaseException):
            yield from _causes(held)


def _any(causes: tuple[BaseException, ...], *kinds: type[BaseException]) -> bool:
    return any(isinstance(each, kinds) for each in causes)
