"""The thread that asks: each ask is answered once, with a result or an error."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from comfywatch.asker import Asker, perform
from comfywatch.asks import (
    Absent,
    Adopt,
    Answer,
    Ask,
    AtWork,
    Ended,
    Free,
    Installed,
    Look,
    LookUp,
    Peek,
    Post,
    Probe,
    Refresh,
    Sightings,
    TakeOut,
    Waiting,
)
from comfywatch.comfy import Comfy
from comfywatch.comfy_errors import Busy, NotComfy, Rejected, Unreachable
from comfywatch.comfy_values import Accepted
from comfywatch.sandbox import Sandbox, SandboxSettings
from comfywatch.submission import post_body
from tests.made import a_job
from tests.world import PATIENCE, picture

ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"
NEVER = "99999999-9999-4999-8999-999999999999"


@pytest.fixture(params=["0.3.64", "0.33.0"])
def server(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Both generations: the newer one has jobs that can be cancelled by id."""
    with Sandbox(SandboxSettings(version=request.param, step_seconds=0.01)) as running:
        yield running


@pytest.fixture
def comfy(server: Sandbox) -> Iterator[Comfy]:
    with Comfy(server.url, timeout=10) as opened:
        yield opened


def post(prompt_id: str, color: int = 1, prompt: dict[str, Any] | None = None) -> Post:
    job = a_job(run=1, prompt_id=prompt_id)
    body = post_body(prompt or picture(color), job, client_id="me", saved=None, provenance=True)
    return Post(job=1, prompt_id=prompt_id, body=body)


def answer(ask: Ask, comfy: Comfy) -> Answer:
    return perform(ask, comfy, url="here")


def result(ask: Ask, comfy: Comfy) -> Any:
    answered = answer(ask, comfy)
    assert answered.error is None
    return answered.result


def look(comfy: Comfy, *prompt_ids: str, witness: str = "") -> Sightings:
    seen = result(Look(prompts=dict(enumerate(prompt_ids)), witness=witness), comfy)
    assert isinstance(seen, Sightings)
    return seen


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


# ---- one ask


def test_an_answer_says_which_ask_of_which_server_it_is_for(comfy: Comfy) -> None:
    answered = answer(Probe(), comfy)
    assert (answered.url, answered.ask) == ("here", Probe())
    assert answered.took >= 0
    assert isinstance(answered.result, dict)


def test_a_post_is_answered_with_its_id_and_number(comfy: Comfy, server: Sandbox) -> None:
    accepted = result(post(ONE), comfy)
    assert isinstance(accepted, Accepted)
    assert accepted.prompt_id == ONE
    assert [posted.prompt_id for posted in server.posts] == [ONE]


def test_a_refusal_is_an_answer_with_the_servers_words(comfy: Comfy) -> None:
    answered = answer(post(ONE, prompt={"1": {"class_type": "NoSuchNode", "inputs": {}}}), comfy)
    assert answered.result is None
    assert isinstance(answered.error, Rejected)
    assert answered.error.error


def test_down_slow_and_strange_are_told_apart(comfy: Comfy, server: Sandbox) -> None:
    server.faults.html = True
    assert isinstance(answer(Probe(), comfy).error, NotComfy)
    server.faults.clear()
    server.faults.hang = "/system_stats"
    with Comfy(server.url, timeout=0.3) as impatient:
        assert isinstance(answer(Probe(), impatient).error, Busy)
    server.faults.clear()
    server.stop()
    error = answer(Probe(), comfy).error
    assert isinstance(error, Unreachable)
    assert error.refused


# ---- looks


def test_a_prompt_is_seen_waiting_at_work_and_ended(comfy: Comfy, server: Sandbox) -> None:
    server.faults.hold = True
    for color, prompt_id in enumerate((ONE, TWO)):
        result(post(prompt_id, color), comfy)
    until(lambda: server.executed)
    seen = look(comfy, ONE, TWO, NEVER).by_job
    assert isinstance(seen[0], AtWork)
    assert isinstance(seen[1], Waiting)
    assert seen[0].number < seen[1].number
    assert isinstance(seen[2], Absent)
    server.faults.clear()
    until(lambda: isinstance(look(comfy, TWO).by_job[0], Ended))
    ended = look(comfy, ONE).by_job[0]
    assert isinstance(ended, Ended)
    assert ended.entry["outputs"]


def test_no_prompt_is_missed_on_its_way_from_the_queue_to_the_history(comfy: Comfy, server: Sandbox) -> None:
    for number in range(30):
        prompt_id = f"{number:08}-0000-4000-8000-000000000000"
        result(post(prompt_id, number), comfy)
        while not isinstance(look(comfy, prompt_id).by_job[0], Ended):
            assert not isinstance(look(comfy, prompt_id).by_job[0], Absent)


def test_one_look_at_the_queue_serves_all_prompts(comfy: Comfy, server: Sandbox) -> None:
    before = len(server.requests)
    look(comfy, ONE, TWO, NEVER)
    paths = [path for _, path in server.requests[before:]]
    assert sum(path.endswith("/queue") for path in paths) == 1
    assert paths[0].endswith("/queue")


def test_the_witness_is_asked_only_if_something_is_missed(comfy: Comfy, server: Sandbox) -> None:
    result(post(ONE), comfy)
    until(lambda: isinstance(look(comfy, ONE).by_job[0], Ended))
    assert look(comfy, ONE, witness=ONE).witness_known is None
    assert look(comfy, NEVER).witness_known is None
    assert look(comfy, NEVER, witness=ONE).witness_known is True
    server.faults.forget(history=True, queue=True)
    assert look(comfy, NEVER, witness=ONE).witness_known is False


def test_many_that_ended_are_asked_for_at_once(comfy: Comfy, server: Sandbox) -> None:
    prompt_ids = [f"{number:08}-0000-4000-8000-000000000000" for number in range(20)]
    for number, prompt_id in enumerate(prompt_ids):
        result(post(prompt_id, number), comfy)
    until(lambda: isinstance(look(comfy, prompt_ids[-1]).by_job[0], Ended))
    before = len(server.requests)
    seen = result(LookUp(prompts=dict(enumerate([*prompt_ids[:10], NEVER]))), comfy)
    assert set(seen.by_job) == set(range(10))
    assert [path.rpartition("/")[2] for _, path in server.requests[before:]] == ["history", NEVER]


# ---- taking out


@pytest.mark.parametrize("interrupt", [True, False])
def test_what_waits_is_taken_out_and_nobody_elses_is_touched(comfy: Comfy, server: Sandbox, interrupt: bool) -> None:
    server.faults.hold = True
    for color, prompt_id in enumerate((ONE, TWO)):
        result(post(prompt_id, color), comfy)
    until(lambda: server.executed)
    result(TakeOut(job=1, prompt_id=TWO, interrupt=interrupt), comfy)
    seen = look(comfy, ONE, TWO).by_job
    assert isinstance(seen[0], AtWork)
    assert isinstance(seen[1], Absent)
    assert server.interrupted == []


def test_what_runs_is_interrupted_only_if_that_was_asked(comfy: Comfy, server: Sandbox) -> None:
    server.faults.hold = True
    result(post(ONE), comfy)
    until(lambda: server.executed)
    result(TakeOut(job=1, prompt_id=ONE, interrupt=False), comfy)
    assert not any(path.endswith(("/interrupt", "/cancel")) for _, path in server.requests)
    assert isinstance(look(comfy, ONE).by_job[0], AtWork)
    result(TakeOut(job=1, prompt_id=ONE, interrupt=True), comfy)
    until(lambda: server.interrupted)
    assert server.interrupted == [ONE]


def test_to_take_out_what_is_not_there_does_no_harm(comfy: Comfy, server: Sandbox) -> None:
    server.faults.hold = True
    result(post(ONE), comfy)
    until(lambda: server.executed)
    result(TakeOut(job=1, prompt_id=NEVER, interrupt=True), comfy)
    assert isinstance(look(comfy, ONE).by_job[0], AtWork)
    assert server.interrupted == []


# ---- what is installed


def test_what_is_installed_comes_without_the_folders_that_hold_no_models(comfy: Comfy, server: Sandbox) -> None:
    installed = result(Refresh(), comfy)
    assert isinstance(installed, Installed)
    assert installed.models["checkpoints"] == tuple(server.models["checkpoints"])
    assert not {"custom_nodes", "configs", "datasets"} & installed.models.keys()
    assert "KSampler" in installed.object_info
    assert "system" in installed.stats


def test_a_peek_sees_a_model_or_a_class_that_came(comfy: Comfy, server: Sandbox) -> None:
    known = {"loras": tuple(server.models["loras"])}
    assert result(Peek(folders=known, classes=frozenset()), comfy) is False
    assert result(Peek(folders={"no such folder": ()}, classes=frozenset({"NoSuchNode"})), comfy) is False
    server.models["loras"].append("new.safetensors")
    assert result(Peek(folders=known, classes=frozenset()), comfy) is True
    server.node_classes.discard("KSampler")
    assert result(Peek(folders={}, classes=frozenset({"KSampler"})), comfy) is False
    server.node_classes.add("KSampler")
    assert result(Peek(folders={}, classes=frozenset({"KSampler"})), comfy) is True


def test_memory_can_be_freed(comfy: Comfy, server: Sandbox) -> None:
    assert result(Free(), comfy) is None
    assert any(path.endswith("/free") for _, path in server.requests)


def test_prompts_of_ours_are_known_by_their_mark_wherever_they_are(comfy: Comfy, server: Sandbox) -> None:
    result(post(ONE, 1), comfy)
    until(lambda: isinstance(look(comfy, ONE).by_job[0], Ended))
    comfy.post_prompt({"prompt": picture(2)})
    until(lambda: comfy.queue_remaining() == 0)
    server.faults.hold = True
    result(post(TWO, 3), comfy)
    found = {ours.prompt_id: ours for ours in result(Adopt(), comfy)}
    assert set(found) == {ONE, TWO}
    assert found[ONE].mark["workflow"] == "a.json"
    assert found[ONE].prompt == picture(1)
    assert found[ONE].number is None
    assert found[TWO].number is not None


# ---- the thread


def test_the_thread_answers_each_ask_once_and_in_order(server: Sandbox) -> None:
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    asker = Asker("here", lambda _: Comfy(server.url), answers.put)
    asks: list[Ask] = [Probe(), post(ONE), Look(prompts={1: ONE}), Free(), Probe()]
    for ask in asks:
        asker.ask(ask)
    asker.start()
    asker.stop()
    asker.join(PATIENCE)
    assert not asker.is_alive()
    assert [answers.get().ask for _ in range(answers.qsize())] == asks


def test_an_error_does_not_end_the_thread(server: Sandbox) -> None:
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    server.stop()
    asker = Asker("here", lambda _: Comfy(server.url), answers.put)
    asker.start()
    asker.ask(Probe())
    assert answers.get(timeout=PATIENCE).error is not None
    server.start()
    asker.ask(Probe())
    assert answers.get(timeout=PATIENCE).error is None
    asker.stop()
    asker.join(PATIENCE)


def test_a_thread_that_hangs_does_not_keep_the_process_alive(server: Sandbox) -> None:
    asker = Asker("here", lambda _: Comfy(server.url), lambda _: None)
    assert asker.daemon
    assert isinstance(asker, threading.Thread)
