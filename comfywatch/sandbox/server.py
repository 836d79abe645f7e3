"""The web server around one ``Life``: opened, closed hard as a killed process, and the sandbox's own endpoints."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from comfywatch.sandbox.faults import NoSuchFault
from comfywatch.sandbox.file_routes import FileRoutes
from comfywatch.sandbox.life import Life
from comfywatch.sandbox.routes import Routes
from comfywatch.sandbox.trouble import before_requests

PAGE = "<!doctype html><title>comfywatch sandbox</title><p>A stand-in for ComfyUI.</p>"


class Server:
    """``restart`` is what ``POST /sandbox/restart`` calls; it must not block."""

    def __init__(self, life: Life, restart: Callable[[], None]) -> None:
        self._life = life
        self._restart = restart
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.01)
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, port: int) -> int:
        """Listen and work; returns the port."""
        self._life.installation.make_folders()
        await self._runner.setup()
        opened = await self.open_port(port)
        self._tasks = [
            asyncio.create_task(self._life.worker.work_forever()),
            asyncio.create_task(self._life.events.publish_forever()),
        ]
        return opened

    async def open_port(self, port: int) -> int:
        """Listen."""
        site = web.TCPSite(self._runner, self._life.settings.host, port)
        await site.start()
        opened: int = self._runner.addresses[0][1]
        return opened

    async def close_port(self) -> None:
        """Listen no more and drop all connections; the work goes on."""
        for site in list(self._runner.sites):
            await site.stop()
        server = self._runner.server
        for connection in list(server.connections) if isinstance(server, web.Server) else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def close(self) -> None:
        """End as a killed process does: no answer to anyone."""
        await self.close_port()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._runner.cleanup()

    def _app(self) -> web.Application:
        limit = self._life.settings.max_upload_bytes
        app = web.Application(middlewares=before_requests(self._life), client_max_size=limit)
        routes = Routes(self._life)
        for method, path, handler in [*routes.table(), *FileRoutes(self._life).table()]:
            _add(app, method, path, handler)
            _add(app, method, f"/api{path}", handler)
        for method, path, handler in routes.newer_table() if self._life.installation.newer else ():
            _add(app, method, path, handler)
        app.router.add_get("/", self._page)
        app.router.add_get("/sandbox/record", self._record)
        app.router.add_get("/sandbox/faults", self._get_faults)
        app.router.add_post("/sandbox/faults", self._set_faults)
        app.router.add_post("/sandbox/models", self._set_models)
        app.router.add_post("/sandbox/node_classes", self._set_node_classes)
        app.router.add_post("/sandbox/restart", self._do_restart)
        app.router.add_get("/{elsewhere:.*}", self._no_page)  # last: the first that fits is taken
        return app

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def _no_page(self, _request: web.Request) -> web.Response:
        return web.Response(status=404, content_type="application/octet-stream")

    async def _record(self, _request: web.Request) -> web.Response:
        return web.json_response(self._life.record.as_dict())

    async def _get_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(self._life.faults.as_dict())

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            self._life.faults.apply(await request.json())
        except NoSuchFault as bad:
            return web.json_response({"error": str(bad)}, status=400)
        return web.json_response(self._life.faults.as_dict())

    async def _set_models(self, request: web.Request) -> web.Response:
        models = self._life.installation.models
        models.update(await request.json())
        return web.json_response(models)

    async def _set_node_classes(self, request: web.Request) -> web.Response:
        change = await request.json()
        classes = self._life.installation.node_classes
        classes.difference_update(change.get("remove", ()))
        classes.update(change.get("add", ()))
        return web.json_response(sorted(classes))

    async def _do_restart(self, _request: web.Request) -> web.Response:
        asyncio.get_running_loop().call_later(0.02, self._restart)
        return web.Response()


def _add(app: web.Application, method: str, path: str, handler: Handler) -> None:
    if method == "GET":
        app.router.add_get(path, handler)  # which answers HEAD too
    else:
        app.router.add_route(method, path, handler)
