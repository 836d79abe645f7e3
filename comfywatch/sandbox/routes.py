"""The endpoints but those for files: prompts, queue, history, jobs, what is installed, and the websocket."""

from __future__ import annotations

import contextlib
import json
import sys
import uuid
from pathlib import PurePosixPath
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.typedefs import Handler

from comfywatch.sandbox.jobs import BadQuery, all_jobs, one_job
from comfywatch.sandbox.life import Life
from comfywatch.sandbox.prompts import accept, record_post
from comfywatch.sandbox.trouble import break_off

Json = dict[str, Any]
MEMORY = 24 * 1024**3


class Routes:
    """Handlers that answer from one ``Life``."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def table(self) -> list[tuple[str, str, Handler]]:
        """Method, path and handler; each is served with and without ``/api``."""
        return [
            ("GET", "/ws", self.websocket),
            ("GET", "/system_stats", self.system_stats),
            ("GET", "/features", self.features),
            ("GET", "/object_info", self.object_info),
            ("GET", "/object_info/{name}", self.object_info_of_one),
            ("GET", "/models", self.models),
            ("GET", "/models/{folder}", self.models_of_folder),
            ("GET", "/embeddings", self.embeddings),
            ("GET", "/prompt", self.queue_depth),
            ("POST", "/prompt", self.post_prompt),
            ("GET", "/queue", self.queue),
            ("POST", "/queue", self.change_queue),
            ("GET", "/history", self.history),
            ("GET", "/history/{prompt_id}", self.history_of_one),
            ("POST", "/history", self.change_history),
            ("POST", "/interrupt", self.interrupt),
            ("POST", "/free", self.free),
        ]

    def newer_table(self) -> list[tuple[str, str, Handler]]:
        """What only newer servers have, and only under ``/api``."""
        return [
            ("GET", "/api/jobs", self.jobs),
            ("GET", "/api/jobs/{prompt_id}", self.job),
            ("POST", "/api/jobs/cancel", self.cancel_jobs),
            ("POST", "/api/jobs/{prompt_id}/cancel", self.cancel_job),
            ("GET", "/api/node_replacements", self.node_replacements),
        ]

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client_id = request.query.get("clientId", "") or uuid.uuid4().hex
        events = self._life.events
        events.add(client_id, socket)
        try:
            events.send("status", {"status": self._depth(), "sid": client_id}, client_id)
            served, node_id = self._life.worker.executing
            if served == client_id and node_id:
                events.send("executing", {"node": node_id}, client_id)
            first = True
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._hear(client_id, message.data, first=first)
                    first = False
        finally:
            events.remove(client_id, socket)
        return socket

    async def system_stats(self, _request: web.Request) -> web.Response:
        newer = self._life.installation.newer
        memory = {"ram_total": MEMORY, "ram_free": MEMORY // 2}
        system = {
            "os": sys.platform if newer else ("nt" if sys.platform == "win32" else "posix"),
            **memory,
            "comfyui_version": self._life.installation.version,
            "required_frontend_version": "1.0.0",
            "installed_templates_version": "0.1.0",
            "required_templates_version": "0.1.0",
            **({"comfy_package_versions": []} if newer else {}),
            "python_version": sys.version,
            "pytorch_version": "2.0.0+sandbox",
            "embedded_python": False,
            **({"deploy_environment": "sandbox"} if newer else {}),
            "argv": ["main.py", "--cpu"],
        }
        vram = dict.fromkeys(("vram_total", "vram_free", "torch_vram_total", "torch_vram_free"), MEMORY // 2)
        device = {"name": "sandbox", "type": "cpu", "index": None, **vram}
        return web.json_response({"system": system, "devices": [device]})

    async def features(self, _request: web.Request) -> web.Response:
        return web.json_response(self._features())

    async def object_info(self, _request: web.Request) -> web.Response:
        return web.json_response(self._life.installation.schemas())

    async def object_info_of_one(self, request: web.Request) -> web.Response:
        name, installation = request.match_info["name"], self._life.installation
        return web.json_response({name: installation.schema(name)} if installation.knows(name) else {})

    async def models(self, _request: web.Request) -> web.Response:
        return web.json_response(list(self._life.installation.models))

    async def models_of_folder(self, request: web.Request) -> web.Response:
        names = self._life.installation.models.get(request.match_info["folder"])
        return web.Response(status=404) if names is None else web.json_response(sorted(names))

    async def embeddings(self, _request: web.Request) -> web.Response:
        names = self._life.installation.models.get("embeddings", ())
        return web.json_response(sorted(str(PurePosixPath(name).with_suffix("")) for name in names))

    async def node_replacements(self, _request: web.Request) -> web.Response:
        return web.json_response({})

    async def queue_depth(self, _request: web.Request) -> web.Response:
        return web.json_response(self._depth())

    async def post_prompt(self, request: web.Request) -> web.Response:
        faults = self._life.faults
        body = await request.json()
        if faults.uses_reset("before"):
            record_post(self._life, body, 0)
            return break_off(request)
        status, answer = accept(self._life, body, source=request.headers.get("Comfy-Usage-Source"))
        return break_off(request) if faults.uses_reset("after") else web.json_response(answer, status=status)

    async def queue(self, _request: web.Request) -> web.Response:
        return web.json_response(self._life.queue.as_dict())

    async def change_queue(self, request: web.Request) -> web.Response:
        body = await request.json()
        if _given(body, "clear"):
            self._life.queue.clear()
        for prompt_id in _given(body, "delete") or ():
            self._life.queue.delete(prompt_id)
        return web.Response()

    async def history(self, request: web.Request) -> web.Response:
        max_items = int(request.query["max_items"]) if "max_items" in request.query else None
        offset = int(request.query.get("offset", -1))
        return web.json_response(self._life.queue.some_history(max_items=max_items, offset=offset))

    async def history_of_one(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["prompt_id"]
        entry = self._life.queue.history.get(prompt_id)
        return web.json_response({} if entry is None else {prompt_id: entry})

    async def change_history(self, request: web.Request) -> web.Response:
        body = await request.json()
        if _given(body, "clear"):
            self._life.queue.history.clear()
        for prompt_id in _given(body, "delete") or ():
            self._life.queue.history.pop(prompt_id, None)
        return web.Response()

    async def interrupt(self, request: web.Request) -> web.Response:
        body = await request.json() if _is_json(await request.read()) else {}
        prompt_id = body.get("prompt_id")
        if not prompt_id or self._life.queue.is_running(prompt_id):
            self._life.worker.interrupt()
        return web.Response()

    async def free(self, request: web.Request) -> web.Response:
        if (await request.json()).get("free_memory"):
            self._life.worker.free_memory()
        return web.Response()

    async def jobs(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(all_jobs(self._life.queue, dict(request.query)))
        except BadQuery as bad:
            return web.json_response({"error": str(bad)}, status=400)

    async def job(self, request: web.Request) -> web.Response:
        job = one_job(self._life.queue, request.match_info["prompt_id"])
        return web.json_response({"error": "Job not found"}, status=404) if job is None else web.json_response(job)

    async def cancel_job(self, request: web.Request) -> web.Response:
        return web.json_response({"cancelled": self._cancel(request.match_info["prompt_id"])})

    async def cancel_jobs(self, request: web.Request) -> web.Response:
        if not _is_json(await request.read()):
            return web.json_response({"error": "Request body must be valid JSON"}, status=400)
        body = await request.json()
        ids = body.get("job_ids") if isinstance(body, dict) else None
        if not isinstance(ids, list):
            return web.json_response({"error": "job_ids must be a list"}, status=400)
        bad = [each for each in ids if not _is_uuid(each)]
        if bad:
            shown = [each if isinstance(each, str) else repr(each) for each in bad]
            return web.json_response({"error": "job_ids contains invalid id(s)", "invalid_ids": shown}, status=400)
        return web.json_response({"cancelled": [self._cancel(each) for each in ids].count(True) > 0})

    def _cancel(self, prompt_id: str) -> bool:
        if self._life.queue.is_running(prompt_id):
            self._life.worker.interrupt()
            return True
        return self._life.queue.delete(prompt_id)

    def _depth(self) -> Json:
        return {"exec_info": {"queue_remaining": self._life.queue.remaining}}

    def _features(self) -> Json:
        limit = {"max_upload_size": self._life.settings.max_upload_bytes}
        if not self._life.installation.newer:
            return {"supports_preview_metadata": True, **limit}
        return {
            "supports_preview_metadata": True,
            "supports_model_type_tags": True,
            **limit,
            "extension": {"manager": {"supports_v4": True}},
            "node_replacements": True,
            "assets": False,
        }

    def _hear(self, client_id: str, text: str, *, first: bool) -> None:
        """A client's first message may ask which features there are."""
        with contextlib.suppress(ValueError, AttributeError):
            told = json.loads(text) if first else {}
            if told.get("type") == "feature_flags":
                if told.get("data", {}).get("supports_preview_metadata"):
                    self._life.events.reads_metadata(client_id)
                self._life.events.send("feature_flags", self._features(), client_id)


def _given(body: Any, name: str) -> Any:
    """A field of a body, which need not be an object: a list or a string simply has no such field."""
    if name not in body:
        return None
    return body[name]


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _is_uuid(text: Any) -> bool:
    try:
        return isinstance(text, str) and str(uuid.UUID(text)) == text
    except ValueError:
        return False
