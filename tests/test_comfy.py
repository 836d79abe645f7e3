"""What the client asks of ComfyUI, what it makes of the answers, and who it says it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from comfywatch.comfy import Comfy
from comfywatch.comfy_errors import Broken, NotComfy, Rejected, Unreachable, Unsupported
from comfywatch.comfy_values import Accepted, Queue, QueueItem
from tests.comfy_talk import ACCEPTED, EMPTY_404, ID, SECRET, Talk, each, one, talking
from tests.stub_http import Reply, reply


@pytest.fixture
def talk() -> Iterator[Talk]:
    with talking() as opened:
        yield opened


def test_system_stats_is_how_comfyui_is_known(talk: Talk) -> None:
    comfy, stub = talk(reply({"system": {"comfyui_version": "0.3.64"}, "devices": []}), reply({"name": "another"}))
    assert comfy.system_stats()["system"]["comfyui_version"] == "0.3.64"
    assert (one(stub).method, one(stub).target) == ("GET", "/api/system_stats")
    with pytest.raises(NotComfy, match="not as ComfyUI does"):
        comfy.system_stats()


def test_features_are_empty_where_the_server_does_not_know_them(talk: Talk) -> None:
    comfy, _ = talk(reply({"max_upload_size": 5}), EMPTY_404)
    assert comfy.features() == {"max_upload_size": 5}
    assert comfy.features() == {}


def test_object_info_of_all_or_one_class(talk: Talk) -> None:
    comfy, stub = talk(reply({"A": {}, "B": {}}), reply({}))
    assert set(comfy.object_info()) == {"A", "B"}
    assert comfy.object_info("Any / thing [100%]?") == {}
    assert [asked.target for asked in stub.asked] == [
        "/api/object_info",
        "/api/object_info/Any%20%2F%20thing%20%5B100%25%5D%3F",
    ]


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_no_path_can_carry_is_not_known_and_not_asked(name: str, talk: Talk) -> None:
    comfy, stub = talk(reply({"leaked": {}}))
    assert comfy.object_info(name) == {}
    assert comfy.models_in(name) is None
    assert not stub.asked


@pytest.mark.parametrize("prompt_id", ["", ".", ".."])
def test_without_an_id_nothing_is_asked(prompt_id: str, talk: Talk) -> None:
    comfy, stub = talk(reply({"all": {}}))
    for ask in (comfy.history, comfy.job, comfy.cancel_job):
        with pytest.raises(ValueError, match="is not an id"):
            ask(prompt_id)
    assert not stub.asked


def test_model_folders_and_their_files(talk: Talk) -> None:
    comfy, stub = talk(reply(["loras", "vae"]), reply(["a.safetensors", "sub\\b.safetensors"]), EMPTY_404)
    assert comfy.model_folders() == ["loras", "vae"]
    assert comfy.models_in("loras") == ["a.safetensors", "sub\\b.safetensors"]
    assert comfy.models_in("my/own") is None
    assert [asked.target for asked in stub.asked] == ["/api/models", "/api/models/loras", "/api/models/my%2Fown"]


def test_a_prompt_is_posted_as_it_is_and_accepted(talk: Talk) -> None:
    comfy, stub = talk(reply({"prompt_id": ID, "number": 7, "node_errors": {"9": {"errors": []}}}), ACCEPTED)
    assert comfy.post_prompt(b'{"prompt" :  {}}') == Accepted(prompt_id=ID, number=7, node_errors={"9": {"errors": []}})
    comfy.post_prompt({"prompt": {"1": {"inputs": {"text": "süß"}}}})
    assert (stub.asked[0].method, stub.asked[0].target) == ("POST", "/api/prompt")
    assert stub.asked[0].headers["Content-Type"] == "application/json"
    assert stub.asked[0].body == b'{"prompt" :  {}}'
    assert stub.asked[1].json == {"prompt": {"1": {"inputs": {"text": "süß"}}}}


def test_a_refused_prompt_comes_with_comfyuis_reasons(talk: Talk) -> None:
    error = {"type": "invalid_prompt", "message": "No such node", "details": "Node ID '#1'", "extra_info": {}}
    node_errors = {"1": {"errors": [], "class_type": "A"}}
    comfy, _ = talk(
        reply({"error": error, "node_errors": node_errors}, 400),
        reply({"error": "no prompt", "node_errors": []}, 400),
    )
    with pytest.raises(Rejected, match="No such node") as rejected:
        comfy.post_prompt({})
    assert (rejected.value.error, rejected.value.node_errors) == (error, node_errors)
    with pytest.raises(Rejected) as rejected:
        comfy.post_prompt({})
    assert (rejected.value.error, rejected.value.node_errors) == ({"message": "no prompt"}, {})


def test_a_400_without_reasons_is_not_comfyuis(talk: Talk) -> None:
    comfy, _ = talk(Reply(status=400, body=b"Client sent an HTTP request to an HTTPS server."))
    with pytest.raises(NotComfy, match="HTTPS server"):
        comfy.post_prompt({})


def test_the_queue_tells_whose_each_prompt_is(talk: Talk) -> None:
    comfy, _ = talk(
        reply(
            {
                "queue_running": [[3, "a", {"1": {}}, {"client_id": "x"}, ["1"], "something new"]],
                "queue_pending": [[-4.5, "b", None, None, []]],
            }
        )
    )
    assert comfy.queue() == Queue(
        running=(QueueItem(number=3, prompt_id="a", prompt={"1": {}}, extra_data={"client_id": "x"}),),
        pending=(QueueItem(number=-4.5, prompt_id="b", prompt={}, extra_data={}),),
    )


def test_the_cheapest_look(talk: Talk) -> None:
    comfy, stub = talk(reply({"exec_info": {"queue_remaining": 12}}))
    assert comfy.queue_remaining() == 12
    assert (one(stub).method, one(stub).target) == ("GET", "/api/prompt")


def test_taking_out_nothing_asks_nothing(talk: Talk) -> None:
    comfy, stub = talk(Reply())
    comfy.delete_pending([])
    assert not stub.asked
    comfy.delete_pending(("a", "b"))
    assert (one(stub).target, one(stub).json) == ("/api/queue", {"delete": ["a", "b"]})


def test_history_has_an_entry_or_none(talk: Talk) -> None:
    entry: dict[str, Any] = {"outputs": {}, "status": None}
    comfy, stub = talk(reply({ID: entry}), reply({}), reply({ID: entry, "b": {}}))
    assert comfy.history(ID) == entry
    assert comfy.history(ID) is None
    assert comfy.recent_history(2) == {ID: entry, "b": {}}
    assert [asked.target for asked in stub.asked][1:] == [f"/api/history/{ID}", "/api/history?max_items=2"]


def test_a_job_that_is_not_known_is_not_a_route_that_is_not_known(talk: Talk) -> None:
    comfy, stub = talk(reply({"status": "pending"}), reply({"error": "Job not found"}, 404), EMPTY_404)
    assert comfy.job(ID) == {"status": "pending"}
    assert comfy.job(ID) is None
    with pytest.raises(Unsupported):
        comfy.job(ID)
    assert stub.asked[0].target == f"/api/jobs/{ID}"


def test_cancelling_a_job(talk: Talk) -> None:
    unknown_route = Reply(status=405, body=b"405: Method Not Allowed")
    comfy, stub = talk(reply({"cancelled": True}), reply({"cancelled": False}), unknown_route)
    assert comfy.cancel_job(ID) is True
    assert comfy.cancel_job(ID) is False
    with pytest.raises(Unsupported):
        comfy.cancel_job(ID)
    assert (stub.asked[0].method, stub.asked[0].target) == ("POST", f"/api/jobs/{ID}/cancel")


def test_only_a_named_prompt_is_interrupted(talk: Talk) -> None:
    comfy, stub = talk(Reply())
    with pytest.raises(ValueError, match="stops whatever runs"):
        comfy.interrupt("")
    assert not stub.asked
    comfy.interrupt(ID)
    assert (one(stub).target, one(stub).json) == ("/api/interrupt", {"prompt_id": ID})


def test_memory_is_given_back(talk: Talk) -> None:
    comfy, stub = talk(Reply())
    comfy.free(free_memory=False)
    assert (one(stub).target, one(stub).json) == ("/api/free", {"unload_models": True, "free_memory": False})


# Who we are, and where that goes


def test_what_every_request_carries_and_what_none_does(talk: Talk) -> None:
    comfy, stub = talk(reply({}))
    comfy.features()
    headers = one(stub).headers
    assert headers["Comfy-Usage-Source"] == "comfywatch"
    assert headers["Host"] == stub.url.removeprefix("http://")
    assert not [name for name in headers if name in {"Origin", "Referer", "Authorization"} or name.startswith("Sec-")]


def test_own_headers_are_sent_with_everything(talk: Talk) -> None:
    comfy, stub = talk(reply({}), ACCEPTED, headers={"Authorization": f"Bearer {SECRET}", "X-Key ": " ü "})
    comfy.features()
    comfy.post_prompt({})
    assert [asked.headers["Authorization"] for asked in stub.asked] == [f"Bearer {SECRET}"] * 2
    assert stub.asked[0].headers["X-Key"].encode("latin-1", "surrogateescape") == "ü".encode("latin-1")


def test_user_and_password_in_the_url_become_a_header(talk: Talk) -> None:
    _, stub = talk(reply({}))
    with Comfy(stub.url.replace("//", "//jo%40home:p%C3%A4ss@")) as comfy:
        comfy.features()
        assert comfy.url == stub.url
    assert one(stub).headers["Authorization"] == "Basic am9AaG9tZTpww6Rzcw=="


def test_a_path_before_the_api_is_kept(talk: Talk) -> None:
    comfy, stub = talk(reply({}), path="/gpu%20box/comfy//")
    comfy.features()
    assert comfy.url == f"{stub.url}/gpu%20box/comfy"
    assert one(stub).target == "/gpu%20box/comfy/api/features"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8188",
        "ftp://host",
        "http://",
        f"http://user:{SECRET}/x@host",
        "http://host:port",
        f"http://host/?token={SECRET}",
        "http://host/#7",
        "http://a..b",
        f"http://{'a' * 70}",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        Comfy(url)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("name", ["X Key", "", "X:", "Ü"])
def test_a_header_name_that_http_cannot_carry_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="header number 1"):
        Comfy("http://127.0.0.1:1", headers={name: "x"})


@pytest.mark.parametrize("value", [f"{SECRET}\r\nX: y", f"{SECRET}\x00", f"{SECRET}→"])
def test_a_header_value_that_http_cannot_carry_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(ValueError, match="the header X-Key") as refused:
        Comfy("http://127.0.0.1:1", headers={"X-Key": value})
    assert SECRET not in str(refused.value)


def test_a_ca_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "none.pem"):
        with pytest.raises(ValueError, match="ca_file"):
            Comfy("https://127.0.0.1:1", ca_file=tmp_path / name)


def test_nothing_secret_is_shown(talk: Talk) -> None:
    echo = f"you sent 'Bearer {SECRET}', that is {SECRET}".encode()
    comfy, stub = talk(Reply(status=500, body=echo), headers={"Authorization": f"Bearer {SECRET}"})
    with pytest.raises(Broken) as broken:
        comfy.features()
    with Comfy(stub.url.replace("//", f"//me:{SECRET}@")) as known:
        assert SECRET not in repr(known) + repr(vars(known)) + known.url
    with Comfy(f"http://me:{SECRET}@127.0.0.1:1") as nobody, pytest.raises(Unreachable) as unreachable:
        nobody.features()
    shown = [str(broken.value), broken.value.text, str(unreachable.value), str(unreachable.value.__cause__)]
    assert not [text for text in shown if SECRET in text]


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    comfy, stub = talk(reply({}))
    comfy.features()
    assert one(stub).target == "/api/features"


def test_a_proxy_of_the_environment_is_asked_for_others(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    _, proxy = talk(reply({}), Reply(status=502))
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "")
    with Comfy("http://gpu-box.test:8188") as comfy:
        comfy.features()
        with pytest.raises(Unreachable):
            comfy.features()
    assert proxy.asked[0].target == "http://gpu-box.test:8188/api/features"


def test_a_proxy_that_is_down_says_nothing_of_comfyui(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with Comfy("http://gpu-box.test:8188") as comfy, pytest.raises(Unreachable, match="HTTP_PROXY") as unreachable:
        comfy.features()
    assert not unreachable.value.refused


def test_a_password_in_netrc_is_not_sent(talk: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
    monkeypatch.setenv("NETRC", os.fspath(tmp_path / "netrc"))
    comfy, stub = talk(reply({}), headers={"Authorization": "Bearer mine"})
    comfy.features()
    assert one(stub).headers["Authorization"] == "Bearer mine"


@each
def test_a_redirect_is_not_followed(ask: Callable[[Comfy], object], talk: Talk) -> None:
    _, elsewhere = talk(reply({}))
    to = {"Location": f"{elsewhere.url}/login?token={SECRET}"}
    comfy, _ = talk(Reply(status=302, headers=to), headers={"X-Key": "x"})
    with pytest.raises(NotComfy, match=r"sends us to .*/login .*log-in page") as strange:
        ask(comfy)
    assert SECRET not in str(strange.value)
    assert not elsewhere.asked


def test_a_redirect_to_nowhere(talk: Talk) -> None:
    comfy, _ = talk(Reply(status=301, headers={"Location": "http://[what"}), Reply(status=302))
    for _ in range(2):
        with pytest.raises(NotComfy, match="sends us to"):
            comfy.queue()
