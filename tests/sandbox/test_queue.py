"""The queue: order, deleting, interrupting, and what is known of a prompt when."""

from __future__ import annotations

import uuid

import pytest

from tests.sandbox.talk import Client, listen, node, small, until

BOTH = pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])


def ids(rows: list[list[object]]) -> list[object]:
    return [row[1] for row in rows]


@BOTH
def test_a_prompt_is_pending_then_running_then_in_history(client: Client, version: str) -> None:
    faults = client.sandbox.faults
    faults.pause = faults.hold = True
    prompt_id = client.submit(small())
    assert ids(client.get("/queue").json()["queue_pending"]) == [prompt_id]
    faults.pause = False
    until(lambda: client.sandbox.executed == [prompt_id])
    assert ids(client.get("/queue").json()["queue_running"]) == [prompt_id]
    assert client.get("/prompt").json() == {"exec_info": {"queue_remaining": 1}}
    assert client.get(f"/history/{prompt_id}").json() == {}
    faults.hold = False
    assert client.history(prompt_id)["status"]["completed"]
    assert client.get("/queue").json() == {"queue_running": [], "queue_pending": []}


def test_lower_numbers_run_first(client: Client) -> None:
    client.sandbox.faults.pause = True
    first = client.submit(small(1))
    front = client.submit(small(2), front=True)
    numbered = client.submit(small(3), number=-0.5)
    last = client.submit(small(4))
    client.sandbox.faults.release()
    client.history(last)
    assert client.sandbox.executed == [front, numbered, first, last]


def test_one_step_lets_one_prompt_through(client: Client) -> None:
    client.sandbox.faults.pause = True
    first, second = client.submit(small(1)), client.submit(small(2))
    client.sandbox.faults.step()
    client.history(first)
    assert client.sandbox.executed == [first]
    assert ids(client.get("/queue").json()["queue_pending"]) == [second]


def test_a_deleted_prompt_never_runs_and_leaves_no_trace(client: Client) -> None:
    client.sandbox.faults.pause = True
    doomed, kept = client.submit(small(1)), client.submit(small(2))
    assert client.post("/queue", json={"delete": [doomed, "nosuch"]}).status_code == 200
    client.sandbox.faults.release()
    client.history(kept)
    assert client.sandbox.executed == [kept]
    assert client.get(f"/history/{doomed}").json() == {}


def test_clearing_takes_out_all_that_wait(client: Client) -> None:
    client.sandbox.faults.pause = True
    for color in range(3):
        client.submit(small(color))
    client.post("/queue", json={"clear": True})
    assert client.get("/prompt").json()["exec_info"]["queue_remaining"] == 0


@BOTH
def test_an_interrupt_by_another_id_does_nothing(client: Client, version: str) -> None:
    client.sandbox.faults.hold = True
    prompt_id = client.submit(small())
    until(lambda: client.sandbox.executed == [prompt_id])
    client.post("/interrupt", json={"prompt_id": "nosuch"})
    client.sandbox.faults.hold = False
    assert client.history(prompt_id)["status"]["completed"]
    assert client.sandbox.interrupted == []


@pytest.mark.parametrize("named", [True, False])
def test_an_interrupt_stops_what_runs(client: Client, *, named: bool) -> None:
    prompt_id = client.submit({**small(), "3": node("TestSleep", image=["1", 0], seconds=60.0), "4": sleeper("3")})
    until(lambda: client.sandbox.executed == [prompt_id])
    client.post("/interrupt", json={"prompt_id": prompt_id} if named else None)
    status = client.history(prompt_id)["status"]
    assert (status["status_str"], status["completed"]) == ("error", False)
    assert status["messages"][-1][0] == "execution_interrupted"
    assert client.sandbox.interrupted == [prompt_id]


def sleeper(source: str) -> dict[str, object]:
    return node("SaveImage", images=[source, 0], filename_prefix="slept")


def test_an_interrupt_with_nothing_running_spares_the_next_prompt(client: Client) -> None:
    client.post("/interrupt")
    assert client.run(small())["status"]["completed"]


@BOTH
def test_an_id_that_was_used_is_accepted_again_and_runs_again(client: Client, version: str) -> None:
    prompt_id = str(uuid.uuid4())
    client.sandbox.faults.pause = True
    assert client.submit(small(1), prompt_id=prompt_id) == client.submit(small(2), prompt_id=prompt_id) == prompt_id
    client.sandbox.faults.release()
    until(lambda: client.sandbox.executed == [prompt_id] * 2)
    until(lambda: not client.get("/queue").json()["queue_running"])
    (entry,) = client.get("/history").json().values()
    assert entry["prompt"][2]["1"]["inputs"]["color"] == 2


@BOTH
def test_what_is_no_uuid_is_an_id_for_the_older_server_only(client: Client, version: str) -> None:
    answer = client.post("/prompt", json={"prompt": small(), "prompt_id": "not a uuid!"})
    null = client.post("/prompt", json={"prompt": small(), "prompt_id": None})
    if version == "0.3.64":
        assert answer.json()["prompt_id"] == "not a uuid!"
        assert null.json()["prompt_id"] == "None"
    else:
        assert answer.json()["error"]["type"] == "invalid_prompt_id"
        assert uuid.UUID(null.json()["prompt_id"])


@BOTH
def test_keys_are_shown_in_the_queue_of_the_older_server_only(client: Client, version: str) -> None:
    client.sandbox.faults.pause = True
    prompt_id = client.submit(small(), extra_data={"api_key_comfy_org": "secret"})
    assert ("secret" in client.get("/queue").text) is (version == "0.3.64")
    client.sandbox.faults.release()
    client.history(prompt_id)
    assert "secret" not in client.get("/history").text


def test_history_tells_the_newest_oldest_first(client: Client) -> None:
    finished = [client.submit(small(color)) for color in range(4)]
    client.history(finished[-1])
    assert list(client.get("/history").json()) == finished
    assert list(client.get("/history?max_items=2").json()) == finished[2:]
    assert list(client.get("/history?max_items=2&offset=1").json()) == finished[1:3]
    client.post("/history", json={"delete": [finished[0]]})
    assert list(client.get("/history").json()) == finished[1:]
    client.post("/history", json={"clear": True})
    assert client.get("/history").json() == {}


def test_history_comes_after_the_last_message(client: Client) -> None:
    """Between success on the socket and the entry in history the prompt still counts as running."""
    client.sandbox.faults.history_late = 60.0
    prompt_id = client.submit(small())
    until(lambda: (client.sandbox.installation.output / "small_00001_.png").exists())
    assert client.get(f"/history/{prompt_id}").json() == {}
    assert ids(client.get("/queue").json()["queue_running"]) == [prompt_id]


def test_executing_nothing_is_said_when_history_is_written(client: Client) -> None:
    heard = listen(client.sandbox, lambda: client.submit(small(), client_id="me"), client_id="me")
    types = [message["type"] for message in heard]
    assert types[-3:] == ["execution_success", "status", "executing"]
    assert heard[-1]["data"]["prompt_id"] in client.get("/history").json()


def test_the_record_tells_every_post(client: Client) -> None:
    prompt_id = str(uuid.uuid4())
    client.submit(small(), prompt_id=prompt_id, client_id="me", extra_data={"extra_pnginfo": {"a": 1}})
    client.post("/api/prompt", json={"prompt": {}})
    accepted, refused = client.sandbox.posts
    assert (accepted.prompt_id, accepted.client_id, accepted.status) == (prompt_id, "me", 200)
    assert accepted.prompt == small()
    assert accepted.extra_data == {"extra_pnginfo": {"a": 1}}
    assert (refused.status, refused.prompt) == (400, {})
    assert client.sandbox.requests == [("POST", "/prompt"), ("POST", "/api/prompt")]
