"""The floor: how fast small jobs can pass through a ComfyUI at all.

A client that only posts, listens on one websocket, downloads and renames. It checks nothing and keeps nothing, so
whatever does more is measured against it. Never imported by the daemon.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.speed.drops import picture

AT_ONCE = 8
"""POSTs under way."""


def floor(url: str, count: int, *, first: int) -> float:
    """Seconds from the first POST to the last output in its place; colours count from ``first``."""
    with tempfile.TemporaryDirectory(prefix="comfywatch-floor-") as folder:
        return asyncio.run(_Run(url, Path(folder)).seconds(count, first=first))


class _Run:
    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._client_id = uuid.uuid4().hex

    async def seconds(self, count: int, *, first: int) -> float:
        prompts = {str(uuid.uuid4()): picture(first + n, prefix=f"floor/{first}/x") for n in range(count)}
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(connector=connector) as self._session,
            self._session.ws_connect(f"{self._url}/ws?clientId={self._client_id}", max_msg_size=0) as socket,
        ):
            start = time.perf_counter()
            tasks = [asyncio.create_task(self._post(key, prompt)) for key, prompt in prompts.items()]
            left = set(prompts)
            while left:
                event = json.loads((await socket.receive()).data)
                if event["type"] == "executed":
                    tasks += [asyncio.create_task(self._fetch(image)) for image in event["data"]["output"]["images"]]
                elif event["type"] in {"execution_success", "execution_error"}:
                    left.discard(event["data"]["prompt_id"])
            await asyncio.gather(*tasks)
            return time.perf_counter() - start

    async def _post(self, prompt_id: str, prompt: Mapping[str, Any]) -> None:
        body = {"prompt": prompt, "client_id": self._client_id, "prompt_id": prompt_id}
        async with self._gate, self._session.post(f"{self._url}/prompt", json=body) as response:
            response.raise_for_status()

    async def _fetch(self, image: Mapping[str, str]) -> None:
        async with self._session.get(f"{self._url}/view", params=dict(image)) as response:
            data = await response.read()
        scratch = self._folder / f"{image['filename']}.tmp"
        scratch.write_bytes(data)
        scratch.rename(self._folder / image["filename"])
