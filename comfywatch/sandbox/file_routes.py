"""The endpoints for files: ``/view`` and the uploads."""

from __future__ import annotations

import asyncio
import io
import json
import mimetypes
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler
from PIL import Image

from comfywatch.sandbox.files import NotServed, find_for_view, place_upload
from comfywatch.sandbox.life import Life
from comfywatch.sandbox.trouble import server_error

BYTES = "application/octet-stream"
OLD_ACTIVE = {"text/html", "text/html-sandboxed", "application/xhtml+xml", "text/javascript", "text/css"}
ACTIVE = OLD_ACTIVE | {"image/svg+xml", "text/xml", "application/xml", "message/rfc822", "application/javascript"}


class FileRoutes:
    """Handlers that read and write the three folders."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def table(self) -> list[tuple[str, str, Handler]]:
        """Method, path and handler; each is served with and without ``/api``."""
        return [
            ("GET", "/view", self.view),
            ("POST", "/upload/image", self.upload_image),
            ("POST", "/upload/mask", self.upload_mask),
        ]

    async def view(self, request: web.Request) -> web.StreamResponse:
        query, faults = request.query, self._life.faults
        if "filename" not in query or faults.view_404:
            return web.Response(status=404)
        try:
            path = find_for_view(
                self._life.installation,
                filename=query["filename"],
                subfolder=query.get("subfolder"),
                kind=query.get("type", "output"),
            )
        except NotServed as refusal:
            return web.Response(status=refusal.status)
        if faults.view_truncated is not None:
            return await _half(request, path, faults.view_truncated)
        if "preview" in query or query.get("channel") in {"rgb", "a"}:
            return await asyncio.to_thread(_encoded_anew, path, query.get("preview"), query.get("channel", ""))
        return web.FileResponse(path, headers=self._headers(path.name))

    async def upload_image(self, request: web.Request) -> web.Response:
        return await self._upload(request, lambda _form, content: content)

    async def upload_mask(self, request: web.Request) -> web.Response:
        return await self._upload(request, self._masked)

    async def _upload(self, request: web.Request, change: Callable[[dict[str, str], bytes], bytes]) -> web.Response:
        post = await request.post()
        file = post.get("image")
        form = {key: value for key, value in post.items() if isinstance(value, str)}
        if not isinstance(file, web.FileField) or not file.filename:
            return web.Response(status=400)
        kind = form.get("type", "input")
        root = self._life.installation.folder(kind)
        if root is None:
            return server_error()
        content, overwrite = file.file.read(), form.get("overwrite") in {"true", "1"}
        subfolder = form.get("subfolder", "")
        try:
            path, name, is_there = place_upload(
                root, subfolder=subfolder, filename=file.filename, content=content, overwrite=overwrite
            )
            if not is_there:
                path.write_bytes(change(form, content))
        except NotServed as refusal:
            return web.Response(status=refusal.status)
        return web.json_response({"name": name, "subfolder": subfolder, "type": kind})

    def _masked(self, form: dict[str, str], content: bytes) -> bytes:
        """The picture that ``original_ref`` names, with the uploaded one's transparency."""
        named = json.loads(form["original_ref"])
        path = find_for_view(
            self._life.installation,
            filename=named["filename"],
            subfolder=named.get("subfolder"),
            kind=named.get("type", "output"),
        )
        with Image.open(path) as original, Image.open(io.BytesIO(content)) as mask:
            masked = original.convert("RGBA")
            masked.putalpha(mask.convert("RGBA").getchannel("A"))
        buffer = io.BytesIO()
        masked.save(buffer, "PNG")
        return buffer.getvalue()

    def _headers(self, name: str) -> dict[str, str]:
        newer = self._life.installation.newer
        content_type = "application/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0] or BYTES
        attached = newer and content_type in ACTIVE
        if content_type in (ACTIVE if newer else OLD_ACTIVE):
            content_type = BYTES
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        disposition = f'attachment; filename="{escaped}"' if attached else f'filename="{escaped}"'
        safety = {"X-Content-Type-Options": "nosniff"} if newer else {}
        return {"Content-Disposition": disposition, "Content-Type": content_type, **safety}


def _encoded_anew(path: Path, preview: str | None, channel: str) -> web.Response:
    """The picture in another format (``webp;90``), or some of its channels; what it carried along is lost."""
    form, options = "png", {}
    with Image.open(path) as file:
        picture: Image.Image = file.convert("RGBA") if channel == "a" and preview is None else file.copy()
    if preview is not None:
        form = "jpeg" if preview.startswith("jpeg") and "a" not in channel else "webp"
        quality = preview.rpartition(";")[2]
        options = {"quality": int(quality) if quality.isdigit() else 90}
    elif channel == "a":
        alpha, picture = picture.getchannel("A"), Image.new("RGBA", picture.size)
        picture.putalpha(alpha)
    if form == "jpeg" or channel == "rgb":
        picture = picture.convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    headers = {"Content-Disposition": f'filename="{path.name}"'}
    return web.Response(body=buffer.getvalue(), content_type=f"image/{form}", headers=headers)


async def _half(request: web.Request, path: Path, size: int) -> web.StreamResponse:
    """Promise the whole file, send ``size`` bytes, and break the connection."""
    content = path.read_bytes()
    response = web.StreamResponse(headers={"Content-Type": BYTES})
    response.content_length = len(content)
    await response.prepare(request)
    await response.write(content[:size])
    if request.transport is not None:
        request.transport.close()
    return response
