"""The faults do what they say, and only as long as they are on."""

from __future__ import annotations

import threading

import pytest
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from comfywatch.sandbox import NoSuchFault, Sandbox, SandboxSettings
from tests.sandbox.talk import Client, listen, small, until


def test_what_hangs_is_not_acted_upon_until_released(client: Client) -> None:
    client.sandbox.faults.hang = "POST /prompt"
    with pytest.raises(ReadTimeoutError):
        client.post("/api/prompt", json={"prompt": small()}, timeout=0.05)
    assert client.get("/prompt").status_code == 200
    assert client.sandbox.posts == []
    client.sandbox.faults.release()
    until(lambda: len(client.sandbox.executed) == 1)


def test_an_answer_can_hang_after_the_deed(client: Client) -> None:
    client.sandbox.faults.hang_after = "POST /prompt"
    with pytest.raises(ReadTimeoutError):
        client.post("/prompt", json={"prompt": small()}, timeout=0.05)
    (post,) = client.sandbox.posts
    assert post.status == 200
    assert post.prompt_id
    client.history(post.prompt_id)


def test_a_500_is_counted(client: Client) -> None:
    client.sandbox.faults.error_500, client.sandbox.faults.error_500_count = "/queue", 2
    assert [client.get("/api/queue").status_code for _ in range(3)] == [500, 500, 200]
    client.sandbox.faults.error_500 = "/"
    assert {client.get(path).status_code for path in ("/queue", "/history", "/prompt")} == {500}


@pytest.mark.parametrize(("when", "accepted"), [("before", 0), ("after", 1)])
def test_a_reset_post_was_accepted_or_not(client: Client, when: str, accepted: int) -> None:
    client.sandbox.faults.apply({"reset_post": when})
    with pytest.raises(ProtocolError):
        client.post("/prompt", json={"prompt": small()})
    assert [post.status for post in client.sandbox.posts] == [200 * accepted]
    until(lambda: len(client.sandbox.executed) == accepted)
    assert client.run(small(9))["status"]["completed"]


def test_slow_is_slow_and_not_wrong(client: Client) -> None:
    client.sandbox.faults.slow = {"/queue": 0.05}
    with pytest.raises(ReadTimeoutError):
        client.get("/queue", timeout=0.01)
    assert client.get("/queue").seconds >= 0.05


def test_a_log_in_page_answers_everything(client: Client) -> None:
    client.sandbox.faults.html = True
    for path in ("/api/queue", "/system_stats", "/view?filename=a.png"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/html")


def test_a_redirect_leads_elsewhere(client: Client) -> None:
    client.sandbox.faults.redirect = "https://login.example/"
    answer = client.get("/queue")
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://login.example/")


@pytest.mark.parametrize("status", [401, 403, 502])
def test_a_status_can_be_for_some_requests_only(client: Client, status: int) -> None:
    client.sandbox.faults.status, client.sandbox.faults.where = status, "/upload"
    assert client.upload("a.png", b"").status_code == status
    assert client.get("/queue").status_code == 200


def test_too_large_is_said_of_posts(client: Client) -> None:
    client.sandbox.faults.too_large = True
    assert client.post("/prompt", json={}).status_code == 413
    assert client.get("/prompt").status_code == 200


def test_a_file_can_be_missing_or_half(client: Client) -> None:
    (image,) = client.run(small())["outputs"]["2"]["images"]
    client.sandbox.faults.view_404 = True
    assert client.get("/view", params=image).status_code == 404
    client.sandbox.faults.view_404, client.sandbox.faults.view_truncated = False, 10
    with pytest.raises(HTTPError):
        client.get("/view", params=image)
    client.sandbox.faults.clear()
    assert client.get("/view", params=image).content.startswith(b"\x89PNG")


def test_a_dead_worker_answers_and_does_not_move(client: Client) -> None:
    client.sandbox.faults.dead_worker = True
    stuck, waiting = client.submit(small(1)), client.submit(small(2))
    until(lambda: client.sandbox.executed == [stuck])
    client.post("/interrupt")
    queue = client.get("/queue").json()
    assert [[row[1] for row in queue[key]] for key in ("queue_running", "queue_pending")] == [[stuck], [waiting]]
    client.sandbox.restart()
    client.sandbox.faults.clear()
    assert client.get("/prompt").json()["exec_info"]["queue_remaining"] == 0


def test_a_server_can_forget(client: Client) -> None:
    client.run(small(1))
    client.sandbox.faults.pause = True
    client.submit(small(2))
    client.sandbox.faults.forget(queue=False)
    assert client.get("/history").json() == {}
    assert client.get("/prompt").json()["exec_info"]["queue_remaining"] == 1
    client.sandbox.faults.forget()
    assert client.get("/prompt").json()["exec_info"]["queue_remaining"] == 0


def test_faults_are_set_and_read_over_http(client: Client) -> None:
    set_to = client.post("/sandbox/faults", json={"error_500": "/queue", "error_500_count": 1, "slow": {"/view": 0}})
    assert set_to.json() == client.get("/sandbox/faults").json()
    assert client.get("/queue").status_code == 500
    assert client.post("/sandbox/faults", json={"no_such_thing": 1}).status_code == 400
    client.post("/sandbox/faults", json={"pause": True, "step": 1})
    first = client.submit(small(1))
    client.history(first)
    client.submit(small(2))
    client.post("/sandbox/faults", json={"forget": ["history", "queue"], "release": True, "clear": True})
    assert client.get("/history").json() == {}
    record = client.get("/sandbox/record").json()
    assert record["executed"] == client.sandbox.executed == [first]
    assert record["posts"][0]["prompt_id"] == first


def test_an_unknown_fault_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(NoSuchFault, match="no such fault: hungs"):
        sandbox.faults.apply({"hungs": True})


def test_trouble_does_not_reach_its_own_switches(client: Client) -> None:
    client.sandbox.faults.hang = "/"
    assert client.post("/sandbox/faults", json={"release": True}).json()["hang"] == ""


def test_a_model_and_a_node_can_appear_and_vanish(client: Client) -> None:
    sandbox = client.sandbox
    sandbox.models["loras"].append("new.safetensors")
    assert "new.safetensors" in client.get("/models/loras").json()
    spec = client.get("/object_info/LoraLoader").json()["LoraLoader"]["input"]["required"]["lora_name"]
    assert "new.safetensors" in spec[0]
    sandbox.node_classes.discard("EmptyImage")
    assert "EmptyImage" not in client.get("/object_info").json()
    assert client.get("/object_info/EmptyImage").json() == {}
    assert client.post("/prompt", json={"prompt": small()}).status_code == 400
    client.post("/sandbox/node_classes", json={"add": ["EmptyImage"]})
    client.post("/sandbox/models", json={"loras": []})
    assert client.run(small())["status"]["completed"]
    assert client.get("/models/loras").json() == []


def test_a_page_from_elsewhere_is_turned_away(client: Client) -> None:
    def ask(**headers: str) -> int:
        return client.get(
            "/prompt", headers={name.replace("_", "-"): value for name, value in headers.items()}
        ).status_code

    assert ask(Origin="http://evil.example") == 403
    assert ask(Origin="http://127.0.0.1:1") == 403
    assert ask(Origin=client.sandbox.url) == 200
    assert ask(Sec_Fetch_Site="cross-site") == 200
    with Sandbox(SandboxSettings(version="0.33.0")) as newer, Client(newer) as other:
        assert other.get("/prompt", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_http_answers_while_a_prompt_is_drawn(client: Client) -> None:
    """Progress is told while it runs, and a question in between is answered."""
    answered = threading.Event()

    def act() -> None:
        client.submit(small(width=2000, height=2000), client_id="me")
        answered.set()

    listen(client.sandbox, act, client_id="me")
    assert answered.is_set()
