"""Starting, stopping, restarting, and the command that serves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3
from urllib3.exceptions import HTTPError

from comfywatch.sandbox import Sandbox, SandboxSettings, UnknownVersion
from tests.sandbox.talk import Client, small, until


def is_refused(client: Client) -> bool:
    try:
        client.get("/queue")
    except HTTPError:
        return True
    return False


def test_a_stopped_server_refuses_and_comes_back_on_the_same_port(client: Client) -> None:
    port = client.sandbox.port
    client.sandbox.stop()
    assert is_refused(client)
    client.sandbox.start()
    assert client.sandbox.port == port
    assert client.get("/queue").status_code == 200


def test_a_restart_forgets_all_but_files(client: Client) -> None:
    client.run(small(1))
    client.sandbox.faults.pause = True
    client.submit(small(2))
    client.sandbox.restart()
    assert client.get("/history").json() == {}
    assert client.get("/queue").json() == {"queue_running": [], "queue_pending": []}
    client.sandbox.faults.release()
    entry = client.run(small(1))
    assert entry["prompt"][0] == 0
    assert entry["outputs"]["2"]["images"][0]["filename"] == "small_00002_.png"
    assert len(client.sandbox.posts) == 3


def test_a_restart_empties_the_temp_folder(client: Client) -> None:
    (client.sandbox.installation.temp / "old.png").touch()
    client.sandbox.restart()
    assert list(client.sandbox.installation.temp.iterdir()) == []


def test_a_prompt_that_was_running_is_gone_after_a_restart(client: Client) -> None:
    client.sandbox.faults.hold = True
    prompt_id = client.submit(small())
    until(lambda: client.sandbox.executed == [prompt_id])
    client.sandbox.restart()
    client.sandbox.faults.release()
    assert client.get(f"/history/{prompt_id}").json() == {}
    assert client.get("/prompt").json()["exec_info"]["queue_remaining"] == 0


def test_work_goes_on_while_the_network_is_away(client: Client) -> None:
    client.sandbox.faults.pause = True
    prompt_id = client.submit(small())
    client.sandbox.close_port()
    assert is_refused(client)
    client.sandbox.faults.release()
    until(lambda: (client.sandbox.installation.output / "small_00001_.png").exists())
    client.sandbox.open_port()
    assert client.history(prompt_id)["status"]["completed"]


def test_stopping_twice_and_starting_twice_is_no_mistake(sandbox: Sandbox) -> None:
    sandbox.start()
    sandbox.stop()
    sandbox.stop()


def test_a_restart_can_be_asked_for_over_http(client: Client) -> None:
    client.run(small())
    assert client.post("/sandbox/restart").status_code == 200
    until(lambda: has_forgotten(client))


def has_forgotten(client: Client) -> bool:
    try:
        return bool(client.get("/history").json() == {})
    except HTTPError:
        return False


def test_a_taken_port_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sandbox = Sandbox(SandboxSettings(port=taken.getsockname()[1]))
        with pytest.raises(OSError, match="attempting to bind"):
            sandbox.start()


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(UnknownVersion, match=r"no such version: 1\.2\.3"):
        SandboxSettings(version="1.2.3")


def test_its_folder_can_be_chosen(tmp_path: Path) -> None:
    with Sandbox(SandboxSettings(folder=tmp_path / "comfyui")) as sandbox, Client(sandbox) as client:
        client.run(small())
    assert (tmp_path / "comfyui" / "output" / "small_00001_.png").exists()


@pytest.mark.skipif(os.name == "nt", reason="a signal cannot be sent to one process there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_ends_on_a_signal(number: int) -> None:
    script = (
        "from comfywatch.sandbox import SandboxSettings, serve\n"
        "serve(SandboxSettings(), lambda url: print(url, flush=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert urllib3.request("GET", f"{url}/queue", timeout=5).status == 200
        process.send_signal(number)
        assert process.wait(10) == 0
