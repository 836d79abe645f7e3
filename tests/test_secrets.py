"""Headers, keys and passwords go to ComfyUI and nowhere else: into no file, no log, no answer and no traceback."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from comfywatch.comfy import Comfy
from comfywatch.comfy_errors import ComfyError, Rejected
from comfywatch.sandbox import Sandbox
from tests.stub_http import After, Reply, StubHttp
from tests.world import World, picture

USER, PASSWORD = "ada", "p4ss-w0rd-5b1e"
TOKEN, COOKIE = "tok-9f27c1d4a6", "crumb-77e0b2"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (PASSWORD, TOKEN, COOKIE, BASIC)
HEADERS = f"X-Api-Key: {TOKEN}\nCookie: session={COOKIE}\n"


@pytest.fixture
def headers_file(tmp_path: Path) -> Path:
    file = tmp_path / "etc" / "headers"
    file.parent.mkdir()
    file.write_text(HEADERS)
    file.chmod(0o600)
    return file


def with_password(url: str) -> str:
    return url.replace("://", f"://{USER}:{PASSWORD}@")


def secrets_in(text: str | bytes) -> list[str]:
    """Those that stand in it."""
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return [secret for secret in SECRETS if secret.encode() in data]


def files_with_secrets(root: Path) -> dict[str, list[str]]:
    files = [path for path in root.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    return {str(path): found for path in files if (found := secrets_in(path.read_bytes()) or secrets_in(str(path)))}


# ---- a daemon at work


TROUBLES: dict[str, tuple[Callable[[Sandbox], None], str]] = {
    "401": (lambda sandbox: setattr(sandbox.faults, "status", 401), "does not let us in (401)"),
    "a page": (lambda sandbox: setattr(sandbox.faults, "html", True), "web page"),
    "a redirect": (lambda sandbox: setattr(sandbox.faults, "redirect", with_password(sandbox.url)), "sends us to"),
    "errors": (lambda sandbox: setattr(sandbox.faults, "error_500", "/"), "500"),
    "silence": (lambda sandbox: setattr(sandbox.faults, "hang", "/"), "did not answer in time"),
    "nobody there": (lambda sandbox: sandbox.stop(), "nothing listens"),
}


def test_no_file_and_no_log_holds_a_secret_whatever_goes_wrong(
    world: World, headers_file: Path, log: io.StringIO
) -> None:
    """One job in peace, then each trouble in turn while another is waiting, and in the end it is all searched."""
    sandbox = world.sandbox
    url = with_password(sandbox.url)
    busy = World(world.root, sandbox, comfyui_url=url, headers_file=headers_file, api_timeout_seconds=0.3)
    busy.start()
    try:
        busy.drop("peace.json", picture(1))
        busy.until_state("peace.json", "completed")
        for number, (begin, said) in enumerate(TROUBLES.values(), start=2):
            begin(sandbox)
            busy.drop(f"{number}.json", picture(number))
            busy.until(lambda said=said: said in log.getvalue())  # type: ignore[misc]  # a loop's variable, bound
            busy.until(lambda number=number: busy.entry(f"{number}.json"))  # type: ignore[misc]  # likewise
            sandbox.restart() if said == "nothing listens" else sandbox.faults.clear()
            busy.until_state(f"{number}.json", "completed", "failed")
        assert busy.status()["comfyui"]["url"].endswith(f"***@{sandbox.url.removeprefix('http://')}")
    finally:
        busy.stop()
    assert files_with_secrets(world.root) == {}
    assert files_with_secrets(busy.settings.state) == {}
    assert secrets_in(log.getvalue()) == []


def test_they_are_sent_all_the_same() -> None:
    """Else what stands above would show nothing."""
    with StubHttp(Reply(body=b"{}")) as stub:
        with (
            Comfy(with_password(stub.url), timeout=2, headers={"X-Api-Key": TOKEN}) as comfy,
            pytest.raises(ComfyError),
        ):
            comfy.queue()
        assert stub.asked[0].headers["Authorization"] == f"Basic {BASIC}"
        assert stub.asked[0].headers["X-Api-Key"] == TOKEN


@pytest.mark.parametrize(
    "command", [["run", "--once"], ["status", "--json"], ["doctor"], ["inventory", "refresh"], ["free"]]
)
@pytest.mark.parametrize("trouble", ["none", "401"])
def test_no_command_says_a_secret(
    command: list[str], trouble: str, sandbox: Sandbox, headers_file: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    (root / "projects" / "film" / "workflows").mkdir(parents=True)
    config = tmp_path / "etc" / "config.yaml"
    lines = {"root": root, "comfyui_url": with_password(sandbox.url), "headers_file": headers_file}
    config.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()) + "log_level: debug\n")
    if trouble == "401":
        sandbox.faults.status = 401
    env = {key: value for key, value in os.environ.items() if not key.startswith(("COMFYWATCH", "COMFYUI"))}
    env["COMFYWATCH_API_TIMEOUT_SECONDS"] = "0.2"
    done = subprocess.run(
        [sys.executable, "-m", "comfywatch", *command, "--config", str(config)],
        env=env,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.stdout + done.stderr
    assert secrets_in(done.stdout + done.stderr) == []


# ---- errors and their tracebacks


ECHO = f"{PASSWORD} X-Api-Key: {TOKEN} Authorization: Basic {BASIC} session={COOKIE}"
ECHOES = {
    "text": Reply(status=403, body=ECHO.encode(), headers={"Content-Type": "text/plain"}),
    "error": Reply(status=500, body=ECHO.encode()),
    "page": Reply(status=200, body=f"<title>{ECHO}</title>".encode(), headers={"Content-Type": "text/html"}),
    "JSON": Reply(
        status=400,
        body=f'{{"error": {{"message": "{ECHO}", "details": "{ECHO}"}}, "node_errors": {{"1": "{ECHO}"}}}}'.encode(),
        headers={"Content-Type": "application/json"},
    ),
    "a redirect": Reply(status=302, headers={"Location": f"http://{USER}:{PASSWORD}@x/?key={TOKEN}"}),
    "nothing": Reply(status=None, after=After.RESET),
    "no HTTP": Reply(raw=ECHO.encode() + b"\r\n\r\n", after=After.CLOSE),
}


@pytest.mark.parametrize("kind", ECHOES)
def test_an_error_holds_no_secret_even_if_a_proxy_says_it_back(kind: str) -> None:
    """Not the password, which is never sent as it stands: only as a part of ``Basic``."""
    sent = {"X-Api-Key": TOKEN, "Cookie": f"session={COOKIE}"}
    with StubHttp(ECHOES[kind]) as stub, Comfy(with_password(stub.url), timeout=1, headers=sent) as comfy:
        with pytest.raises(ComfyError) as caught:
            comfy.post_prompt({"prompt": {}})
        assert secrets_in(repr(comfy)) == []
    error: Any = caught.value
    held = [str(error), repr(error), getattr(error, "text", "")]
    if isinstance(error, Rejected):
        held += [str(error.error), str(error.node_errors)]
    assert {TOKEN, BASIC, COOKIE} & set(secrets_in(" ".join(held))) == set()


def test_a_traceback_in_the_log_shows_no_values(log: io.StringIO) -> None:
    """As loguru would by itself (``diagnose``)."""
    try:
        _fails(TOKEN)
    except ValueError:
        logger.opt(exception=True).debug("it failed")
    assert "_fails" in log.getvalue()
    assert secrets_in(log.getvalue()) == []


def _fails(token: str) -> None:
    raise ValueError(f"a token of {len(token)} characters")


@pytest.mark.parametrize("fault", ["refused", "no TLS"])
def test_a_traceback_of_what_cannot_be_reached_holds_no_secret(fault: str) -> None:
    with StubHttp(Reply(status=200)) as stub:
        url = with_password(stub.url if fault == "refused" else stub.url.replace("http://", "https://"))
        if fault == "refused":
            stub.__exit__(None, None, None)
        with Comfy(url, timeout=1, headers={"X-Api-Key": TOKEN}) as comfy, pytest.raises(ComfyError) as caught:
            comfy.queue()
    text = "".join(traceback.format_exception(caught.value))
    assert "Traceback" in text
    assert secrets_in(text) == []
