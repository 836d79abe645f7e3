"""Who hears what on the websocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.sandbox.talk import PATIENCE, Client, listen, node, small, until

Socket = aiohttp.ClientWebSocketResponse


@asynccontextmanager
async def opened(client: Client, query: str = "?clientId=me") -> AsyncIterator[Socket]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{client.sandbox.url}/api/ws{query}") as socket,
    ):
        yield socket


async def hear(socket: Socket) -> dict[str, Any]:
    message: dict[str, Any] = json.loads((await socket.receive(PATIENCE)).data)
    return message


async def hear_until(socket: Socket, kind: str) -> list[str]:
    """The kinds of messages up to the first of this kind."""
    kinds = [(await hear(socket))["type"]]
    while kinds[-1] != kind:
        kinds.append((await hear(socket))["type"])
    return kinds


def test_a_new_listener_is_told_how_long_the_queue_is(client: Client) -> None:
    async def first() -> dict[str, Any]:
        async with opened(client) as socket:
            return await hear(socket)

    client.sandbox.faults.pause = True
    client.submit(small())
    assert asyncio.run(first()) == {
        "type": "status",
        "data": {"status": {"exec_info": {"queue_remaining": 1}}, "sid": "me"},
    }


def test_a_nameless_listener_is_given_a_name(client: Client) -> None:
    async def name() -> str:
        async with opened(client, query="") as socket:
            return str((await hear(socket))["data"]["sid"])

    assert len(asyncio.run(name())) == 32


@pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])
def test_features_are_told_to_who_asks_first(client: Client, version: str) -> None:
    async def ask() -> dict[str, Any]:
        async with opened(client) as socket:
            await hear(socket)
            await socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
            return await hear(socket)

    assert asyncio.run(ask()) == {"type": "feature_flags", "data": client.get("/features").json()}


def test_nonsense_from_a_listener_is_overlooked(client: Client) -> None:
    async def talk() -> list[str]:
        async with opened(client) as socket:
            await hear(socket)
            for text in ("{", "[]", '{"type": "feature_flags"}'):
                await socket.send_str(text)
            await asyncio.to_thread(client.submit, small(), client_id="me")
            return await hear_until(socket, "execution_success")

    assert "feature_flags" not in asyncio.run(talk())


def test_another_clients_prompt_shows_in_the_queue_only(client: Client) -> None:
    async def overhear() -> set[str]:
        async with opened(client) as socket:
            await hear(socket)
            prompt_id = await asyncio.to_thread(client.submit, small(), client_id="other")
            await asyncio.to_thread(client.history, prompt_id)
            return {(await hear(socket))["type"] for _ in range(3)}

    assert asyncio.run(overhear()) == {"status"}


def test_progress_of_nobodys_prompt_is_told_to_everybody(client: Client) -> None:
    async def overhear() -> list[str]:
        async with opened(client) as socket:
            await asyncio.to_thread(
                client.submit, {**small(), "3": node("TestSleep", image=["1", 0], seconds=0), **kept()}
            )
            return await hear_until(socket, "progress")

    assert "execution_start" not in asyncio.run(overhear())


def kept() -> dict[str, Any]:
    return {"4": node("SaveImage", images=["3", 0], filename_prefix="slept")}


def test_who_comes_back_is_told_the_node_and_takes_the_old_place(client: Client) -> None:
    async def come_back() -> tuple[dict[str, Any], list[str]]:
        async with opened(client) as before, opened(client) as after:
            await hear(before)
            await hear(after)
            node_now = await hear(after)
            client.sandbox.faults.release()
            return node_now, await hear_until(after, "execution_success")

    client.sandbox.faults.hold = True
    prompt_id = client.submit(small(), client_id="me")
    until(lambda: client.sandbox.executed == [prompt_id])
    node_now, kinds = asyncio.run(come_back())
    assert node_now == {"type": "executing", "data": {"node": "1"}}
    assert "executed" in kinds


def test_a_cached_prompt_is_told_shortly(client: Client) -> None:
    client.run(small())
    heard = listen(client.sandbox, lambda: client.submit(small(), client_id="me"), client_id="me")
    assert [message["type"] for message in heard if message["type"] != "status"] == [
        *("execution_start", "execution_cached", "executed", "progress_state", "execution_success", "executing"),
    ]
