"""What stands before every request: the record, the faults, and ComfyUI's own guard against foreign web pages."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from comfywatch.sandbox.faults import matches
from comfywatch.sandbox.life import Life

STUMBLES = (AttributeError, LookupError, OSError, TypeError, ValueError)
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
LINGER = "hh" if sys.platform == "win32" else "ii"
SERVER_ERROR = "500 Internal Server Error\n\nServer got itself in trouble"
LOG_IN = "<!doctype html><title>Log in</title><h1>Please log in</h1><form method=post><input name=password></form>"


def server_error() -> web.Response:
    """What a real server answers when a handler raised."""
    return web.Response(status=500, text=SERVER_ERROR)


def plain_path(request: web.Request) -> str:
    """The path without ``/api``."""
    return request.path.removeprefix("/api")


def break_off(request: web.Request) -> web.Response:
    """Reset the connection; the response that is returned reaches nobody."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(LINGER, 1, 0))
        transport.abort()
    return web.Response(status=500)


def before_requests(life: Life) -> list[Middleware]:
    """The middlewares, outermost first."""

    @web.middleware
    async def troubled(request: web.Request, handler: Handler) -> web.StreamResponse:
        path = plain_path(request)
        if path.startswith("/sandbox/"):
            return await handler(request)
        life.record.requests.append((request.method, request.path))
        await _wait(life, request, path)
        response = _answer_of_fault(life, request) or await _answer(request, handler)
        await life.changes.until(lambda: not matches(life.faults.hang_after, request.method, path))
        return response

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if life.installation.newer and request.headers.get("Sec-Fetch-Site") == "cross-site":
            return web.Response(status=403)
        if _is_foreign(request.headers.get("Host", ""), request.headers.get("Origin", "")):
            return web.Response(status=403)
        return web.Response() if request.method == "OPTIONS" else await handler(request)

    return [troubled, guarded]


async def _wait(life: Life, request: web.Request, path: str) -> None:
    """Let a request be slow, or hang."""
    faults, method = life.faults, request.method
    seconds = max((wait for pattern, wait in faults.slow.items() if matches(pattern, method, path)), default=0)
    if (seconds or matches(faults.hang, method, path)) and not request.content_type.startswith("multipart/"):
        await request.read()  # it has arrived, so it will be acted upon even if the client goes away meanwhile
    if seconds:
        await asyncio.sleep(seconds)
    await life.changes.until(lambda: not matches(faults.hang, method, path))


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The handler's answer; for a body it stumbles over, what a real server answers then."""
    try:
        return await handler(request)
    except STUMBLES:
        return server_error()


def _answer_of_fault(life: Life, request: web.Request) -> web.Response | None:
    """The answer that a fault has for this request, in place of the right one."""
    faults, method, path = life.faults, request.method, plain_path(request)
    if faults.uses_500(method, path):
        return server_error()
    if not matches(faults.where, method, path):
        return None
    if faults.html:
        return web.Response(text=LOG_IN, content_type="text/html")
    if faults.redirect:
        return web.Response(status=302, headers={"Location": faults.redirect})
    if faults.status:
        return web.Response(status=faults.status)
    if faults.too_large and method == "POST":
        return web.Response(status=413, text="Maximum request body size 1 exceeded, actual body size 2")
    return None


def _is_foreign(host: str, origin: str) -> bool:
    """Whether a page from elsewhere asks a server that listens on this machine only."""
    if not host or not origin:
        return False
    asked, asking = urlsplit(f"//{host.lower()}"), urlsplit(origin.lower())
    if asked.hostname not in LOOPBACK or not asking.hostname:
        return False
    if asked.port is None or asking.port is None:
        return asked.hostname != asking.hostname
    return asked.netloc != asking.netloc
