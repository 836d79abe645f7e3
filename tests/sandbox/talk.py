"""A client for these tests: posts, waits, listens; and small prompts to post."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import urllib3
from PIL import Image

from comfywatch.sandbox import Sandbox

Json = dict[str, Any]
PATIENCE = 5.0


def node(class_type: str, **inputs: Any) -> Json:
    return {"class_type": class_type, "inputs": inputs}


def small(color: int = 7, prefix: str = "small", **size: int) -> Json:
    """One picture, saved."""
    picture = {"width": 16, "height": 8, "batch_size": 1, "color": color, **size}
    return {"1": node("EmptyImage", **picture), "2": node("SaveImage", images=["1", 0], filename_prefix=prefix)}


def png(color: int = 0, size: tuple[int, int] = (4, 4)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", size, color).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, after ``seconds``."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    seconds: float

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> Any:
        return json.loads(self.content)


class Client:
    """Talks to one sandbox, and tries nothing twice."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._pools = urllib3.PoolManager(retries=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._pools.clear()

    def request(self, method: str, path: str, *, params: Mapping[str, str] | None = None, **options: Any) -> Answer:
        url = self.sandbox.url + path + (f"?{urlencode(params)}" if params else "")
        began = monotonic()
        answer = self._pools.request(method, url, **{"timeout": PATIENCE, **options})
        return Answer(
            status_code=answer.status, headers=answer.headers, content=answer.data, seconds=monotonic() - began
        )

    def get(self, path: str, **options: Any) -> Answer:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Answer:
        return self.request("POST", path, **options)

    def submit(self, prompt: Json, **fields: Any) -> str:
        """The id of an accepted prompt."""
        answer = self.post("/prompt", json={"prompt": prompt, **fields})
        assert answer.status_code == 200, answer.text
        prompt_id: str = answer.json()["prompt_id"]
        return prompt_id

    def history(self, prompt_id: str) -> Json:
        """Its entry in history, when it is there."""
        until(lambda: prompt_id in self.get(f"/history/{prompt_id}").json())
        entry: Json = self.get(f"/history/{prompt_id}").json()[prompt_id]
        return entry

    def run(self, prompt: Json, **fields: Any) -> Json:
        """Post a prompt and wait for its end."""
        return self.history(self.submit(prompt, **fields))

    def upload(self, name: str, content: bytes, **fields: str) -> Answer:
        return self.post("/upload/image", fields={**fields, "image": (name, content)})


def until(is_so: Callable[[], bool]) -> None:
    """Ask until it is so; the pauses only spare the processor."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.002)):
        if is_so():
            return
        pause.wait(0.002)
    raise AssertionError("it never came true")


def listen(sandbox: Sandbox, act: Callable[[], object], *, client_id: str, ends: int = 1) -> list[Json]:
    """What one websocket hears from its opening on, until so many prompts are over; ``act`` sets it off."""

    async def hear() -> list[Json]:
        heard: list[Json] = []
        left = ends
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{sandbox.url}/ws?clientId={client_id}") as socket,
        ):
            heard.append(json.loads((await socket.receive(PATIENCE)).data))
            acting = asyncio.create_task(asyncio.to_thread(act))
            while left:
                heard.append(json.loads((await socket.receive(PATIENCE)).data))
                left -= heard[-1]["type"] == "executing" and heard[-1]["data"]["node"] is None
            await acting
        return heard

    return asyncio.run(hear())
