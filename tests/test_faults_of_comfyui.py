"""ComfyUI's faults: what it forgets, breaks, hides or never says costs at most a second run, and is never called done.

``docs/reliability.md`` has a row for each. More are in ``test_promises`` and ``test_main_job``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from comfywatch import endings, link, overtime
from comfywatch.comfy import Comfy
from comfywatch.comfy_errors import NotComfy
from comfywatch.comfy_values import Accepted
from comfywatch.history import Outcome, OutputFile
from comfywatch.jobs import JobState
from comfywatch.link import IDLE_PATIENCE, STOP_PATIENCE, Link, ServerState, Standstill
from comfywatch.overtime import Limits
from comfywatch.sandbox import Sandbox
from comfywatch.server import LOOK_COST_FACTOR, Server
from comfywatch.store import Store
from tests.world import World, picture, with_node


def _idle(sandbox: Sandbox) -> bool:
    """Whether nothing lies in its queue."""
    lying = urllib3.request("GET", f"{sandbox.url}/queue", timeout=5).json()
    return not lying["queue_running"] and not lying["queue_pending"]


def _ask(world: World, command: str, target: str) -> None:
    """What a command in another process asks for."""
    store = Store(world.settings.database)
    try:
        number = store.add_request(command=command, target=target, options={}, at=datetime.now(UTC))
        store.commit()
        world.until(lambda: store.answer_to(number) is not None)
    finally:
        store.close()


def _accepted(sandbox: Sandbox) -> list[str | None]:
    return [post.prompt_id for post in sandbox.posts if post.status in {0, 200}]


# --- restarted, wiped


def test_restarted_between_the_end_and_the_download_it_is_fetched_from_the_new_life(world: World) -> None:
    world.start()
    world.sandbox.faults.hang = "/view"
    world.drop("a.json", picture())
    world.until(lambda: any("/view" in path for _, path in world.sandbox.requests))
    world.sandbox.restart()
    world.sandbox.faults.clear()
    world.until_state("a.json", "completed")
    assert len(world.outputs("a.json")) == 1
    assert len(world.sandbox.executed) == 1


def test_restarted_when_the_end_was_not_seen_it_runs_once_more_in_the_same_run(world: World) -> None:
    _run_unseen(world, world.sandbox.restart)
    world.until_state("a.json", "completed")
    assert len(world.sandbox.executed) == 2
    assert world.entry("a.json")["run"] == 1


def test_a_history_that_is_wiped_while_a_job_runs_changes_nothing(world: World) -> None:
    world.start()
    world.sandbox.faults.hold = True
    world.drop("a.json", picture())
    world.until_state("a.json", "running")
    world.sandbox.faults.forget(history=True, queue=False)
    world.sandbox.faults.clear()
    world.until_state("a.json", "completed")
    assert len(world.sandbox.executed) == 1


def test_an_end_that_was_wiped_unseen_is_neither_completed_nor_cancelled_but_run_again(world: World) -> None:
    _run_unseen(world, lambda: world.sandbox.faults.forget(history=True, queue=False))
    world.until_state("a.json", "completed")
    assert len(world.sandbox.executed) == 2
    assert len(world.outputs("a.json")) == 1


def _run_unseen(world: World, meanwhile: Callable[[], object]) -> None:
    """A job ends while the daemon is stopped, and something happens to ComfyUI before it starts again."""
    world.start()
    world.drop("warm.json", picture(7))
    world.until_state("warm.json", "completed")
    world.sandbox.executed.clear()
    world.sandbox.faults.hold = True
    world.drop("a.json", picture())
    world.until_state("a.json", "running")
    world.stop()
    world.sandbox.faults.clear()
    world.until(lambda: _idle(world.sandbox))
    meanwhile()
    world.start()


# --- slow, hanging, flapping, stumbling


def test_slow_answers_make_it_slow_and_nothing_else(world: World) -> None:
    world.start()
    world.until(lambda: world.status() or world.sandbox.requests)
    world.sandbox.faults.slow = {"/queue": 0.2, "/history": 0.2, "/prompt": 0.2, "/view": 0.2}
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    assert len(world.sandbox.posts) == 1


def test_hanging_for_long_it_is_busy_and_goes_on_with_what_it_had(world: World) -> None:
    world.settings = world.settings.model_copy(update={"api_timeout_seconds": 0.3})
    world.start()
    world.sandbox.faults.hold = True
    world.drop("a.json", picture(1))
    world.until_state("a.json", "running")
    world.sandbox.faults.hang = "/"
    world.until(lambda: world.status()["comfyui"]["state"] == "busy")
    world.drop("b.json", picture(2))
    world.until(lambda: "ComfyUI is busy" in world.entry("b.json").get("reason", ""))
    world.sandbox.faults.clear()
    world.until_state("a.json", "completed")
    world.until_state("b.json", "completed")
    assert len(world.sandbox.posts) == 2


def test_flapping_it_runs_everything_once(world: World) -> None:
    world.start()
    for number in range(4):
        for name in range(3):
            world.drop(f"{number}-{name}.json", picture(10 * number + name))
        world.sandbox.close_port()
        world.until(lambda: world.status().get("comfyui", {}).get("state") == "down")
        world.sandbox.open_port()
        world.until(lambda: world.status()["comfyui"]["state"] == "up")
    world.until(lambda: world.status()["counts"]["completed"] == 12)
    assert set(Counter(world.sandbox.executed).values()) == {1}
    assert len(world.sandbox.executed) == 12


@pytest.mark.parametrize(("where", "times"), [("/queue", 3), ("/history", 3), ("/view", 1)])
def test_a_stumbling_comfyui_is_asked_again_and_loses_nothing(world: World, where: str, times: int) -> None:
    world.start()
    world.until(lambda: world.sandbox.requests)
    world.sandbox.faults.error_500_count = times
    world.sandbox.faults.error_500 = where
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    assert len(world.sandbox.posts) == 1


# --- a POST that is under way


def test_a_post_whose_answer_is_not_comfyuis_is_looked_for_before_it_is_posted_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Comfy.post_prompt

    def answered_by_a_proxy(comfy: Comfy, body: bytes) -> Accepted:
        post(comfy, body)
        monkeypatch.undo()
        raise NotComfy("answered with a web page (200)")

    monkeypatch.setattr(Comfy, "post_prompt", answered_by_a_proxy)
    world.start()
    world.drop("a.json", picture())
    world.until_state("a.json", "completed")
    assert len(world.sandbox.posts) == 1


def test_a_removal_while_its_post_is_under_way_takes_the_prompt_out_after_the_answer(world: World) -> None:
    world.start()
    world.until(lambda: world.sandbox.requests)
    world.sandbox.faults.pause = True
    world.sandbox.faults.slow = {"POST /prompt": 0.5}
    path = world.drop("a.json", picture())
    world.until(lambda: ("POST", "/api/prompt") in world.sandbox.requests)
    path.unlink()
    world.until_state("a.json", "cancelled")
    world.sandbox.faults.clear()
    assert world.sandbox.executed == []
    assert len(_accepted(world.sandbox)) == 1


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_cancel_while_the_answer_to_its_post_hangs_is_carried_out_later(world: World, is_stopped: bool) -> None:
    world.settings = world.settings.model_copy(update={"api_timeout_seconds": 0.4})
    world.start()
    world.until(lambda: world.sandbox.requests)
    world.sandbox.faults.pause = True
    world.sandbox.faults.hang_after = "POST /prompt"
    world.drop("a.json", picture())
    world.until(lambda: world.sandbox.posts)
    _ask(world, "cancel", "film/a")
    if is_stopped:
        world.stop()
    world.sandbox.faults.hang_after = ""
    if is_stopped:
        world.start()
    world.until_state("a.json", "cancelled")
    world.sandbox.faults.clear()
    assert _idle(world.sandbox)
    assert world.sandbox.executed == []


# --- success without a file


def test_a_success_without_the_file_that_was_due_is_failed(world: World) -> None:
    world.start()
    world.drop("a.json", {"1": {"class_type": "TestManyFiles", "inputs": {"names": "", "filename_prefix": "x"}}})
    entry = world.until_state("a.json", "failed")
    assert entry["problems"][0]["code"] == "no_outputs"


def test_a_success_of_which_nothing_can_be_collected_is_completed_with_a_warning(world: World) -> None:
    world.start()
    world.drop("a.json", {"1": {"class_type": "TestManyFiles", "inputs": {"names": ""}}})
    entry = world.until_state("a.json", "completed")
    assert entry["problems"][0]["code"] == "nothing_to_collect"
    assert entry["problems"][0]["severity"] == "warning"


def test_a_preview_does_not_stand_for_the_file_that_was_due() -> None:
    preview = OutputFile(node="3", key="images", filename="p.png", kind="temp")
    success = Outcome(state=JobState.COMPLETED, files=(preview,))
    assert endings.judged(success, savers=["9"], warnings=()).state is JobState.FAILED
    assert endings.judged(success, savers=["3"], warnings=()).state is JobState.COMPLETED
    assert endings.judged(success, savers=[], warnings=()).problems == ()


# --- a queue of many megabytes


@given(st.lists(st.floats(0.0, 100.0), min_size=1, max_size=30))
def test_the_pause_between_two_looks_grows_with_what_a_look_costs(costs: list[float]) -> None:
    server = Server(link=Link(url="http://127.0.0.1:8188", poll_seconds=5))
    for now, cost in enumerate(costs):
        server.looked(took=cost, now=float(now))
        assert server.next_look >= now + LOOK_COST_FACTOR * cost
        server.moved_on(now=float(now))
        assert server.next_look >= now + LOOK_COST_FACTOR * cost


# --- a worker that died


A, B, C = (frozenset({name}) for name in "abc")
NONE: frozenset[str] = frozenset()
LIMITS = Limits(warn_after=600, longest=None)


def _seen(*looks: tuple[frozenset[str], frozenset[str], float], told: bool = False) -> Standstill:
    """What is known after looks at the queue, each with what ran, what waited, and when; others were as the last."""
    known, before = Standstill(last=-math.inf), looks[0]
    for look in looks:
        for now in (*_steps(before[2], look[2]), look[2]):
            running, pending, _ = look if now == look[2] else before
            known = known.seen(running, pending, is_told_to_stop=told, longest_gap=60, now=now)
        before = look
    return known


def _steps(begin: float, end: float) -> list[float]:
    return [begin + 30 * step for step in range(1, int((end - begin) // 30) + 1)]


def test_prompts_that_wait_while_none_runs_are_a_sure_sign() -> None:
    assert not _seen((NONE, A, 0), (NONE, A, IDLE_PATIENCE - 1)).complaint(patience=math.inf)
    assert "begins none" in _seen((NONE, A, 0), (NONE, A, IDLE_PATIENCE)).complaint(patience=math.inf)


def test_an_empty_queue_is_no_sign_of_anything() -> None:
    assert not _seen((NONE, NONE, 0), (NONE, NONE, 90_000)).complaint(patience=0)


def test_a_long_job_is_not_stuck_for_being_long() -> None:
    patience = overtime.patience(LIMITS, usual=[9_000, 10_000])
    assert not _seen((A, B, 0), (A, B, 29_000)).complaint(patience=patience)
    assert "has not moved" in _seen((A, B, 0), (A, B, 30_000)).complaint(patience=patience)


def test_what_never_ran_before_has_longer() -> None:
    assert overtime.patience(LIMITS, usual=[]) == 12 * LIMITS.warn_after
    assert overtime.patience(LIMITS, usual=[1, 2]) == LIMITS.warn_after


def test_a_prompt_that_does_not_obey_is_a_sign_too() -> None:
    assert not _seen((A, NONE, 0), (A, NONE, STOP_PATIENCE - 1), told=True).complaint(patience=math.inf)
    assert "told to stop" in _seen((A, NONE, 0), (A, NONE, STOP_PATIENCE), told=True).complaint(patience=math.inf)


def test_the_time_to_obey_begins_when_it_is_told() -> None:
    ran_long = _seen((A, NONE, 0), (A, NONE, 9_000))
    told = ran_long.seen(A, NONE, is_told_to_stop=True, longest_gap=60, now=9_001)
    assert told.seconds == 0


@pytest.mark.parametrize("after", [(B, NONE), (NONE, B), (A, NONE)])
def test_whatever_begins_or_leaves_is_a_movement(after: tuple[frozenset[str], frozenset[str]]) -> None:
    assert _seen((A, B, 0), (*after, 5_000)).seconds == 0


def test_a_newcomer_moves_nothing_and_neither_does_what_we_take_out() -> None:
    known = _seen((A, B, 0), (A, B | C, 5_000))
    assert known.seconds == 5_000
    assert known.seen(A, C, withdrawn=B, is_told_to_stop=False, longest_gap=60, now=5_010).seconds == 5_010


def test_after_a_sleep_of_the_machine_nobody_knows() -> None:
    known = _seen((A, B, 0), (A, B, 500))
    assert known.seen(A, B, is_told_to_stop=False, longest_gap=60, now=8_000).seconds == 0


def test_a_stuck_comfyui_stays_so_until_its_queue_moves_or_it_restarts() -> None:
    up = Link(url="http://127.0.0.1:8188", poll_seconds=5).answered(now=0)
    stuck = up.at_work("its queue does not move")
    assert (stuck.state, stuck.takes_jobs, stuck.answers) == (ServerState.STUCK, False, True)
    assert stuck.answered(now=1).state is ServerState.STUCK
    assert stuck.timed_out("slow", now=1).answered(now=2).state is ServerState.STUCK
    assert stuck.refused("down", now=1).answered(now=2).state is ServerState.UP
    assert stuck.at_work("").state is ServerState.UP


def test_a_queue_that_nobody_works_off_is_told_is_not_fed_and_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "IDLE_PATIENCE", 0.3)
    monkeypatch.setattr("comfywatch.server.SHORT_STANDSTILL", 0.1)
    world.sandbox.faults.pause = True
    world.start()
    for number in range(4):
        world.drop(f"{number}.json", picture(number))
    world.until(lambda: world.status().get("comfyui", {}).get("state") == "stuck")
    queued = [name for name, entry in world.status()["workflows"].items() if entry["state"] == "queued"]
    world.until(lambda: "begins none" in world.entry("3.json").get("reason", ""))
    assert "ComfyUI is stuck" in world.status()["notices"][0]
    _ask(world, "cancel", f"film/{queued[0].removesuffix('.json')}")
    world.until_state(queued[0], "cancelled")
    assert len(_accepted(world.sandbox)) == len(queued)
    world.sandbox.faults.clear()
    world.until(lambda: world.status()["counts"]["completed"] == 3)
    assert world.status()["comfyui"]["state"] == "up"


def test_run_once_does_not_wait_for_a_queue_that_nobody_works_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "IDLE_PATIENCE", 0.2)
    monkeypatch.setattr("comfywatch.server.SHORT_STANDSTILL", 0.1)
    world.settings = world.settings.model_copy(update={"api_timeout_seconds": 0.3})
    world.sandbox.faults.pause = True
    world.drop("a.json", picture())
    assert world.run_once() == 3
    assert world.entry("a.json")["state"] == "queued"


def test_a_worker_that_died_at_a_prompt_is_told_and_a_restart_mends_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfywatch.server.SHORT_STANDSTILL", 0.1)
    monkeypatch.setattr(overtime, "UNKNOWN_FACTOR", 1)
    world.settings = world.settings.model_copy(update={"warn_after_minutes": 0.5 / 60})
    world.start()
    world.sandbox.faults.dead_worker = True
    world.drop("a.json", picture())
    world.until(lambda: world.status().get("comfyui", {}).get("state") == "stuck")
    world.sandbox.faults.clear()
    world.sandbox.faults.dead_worker = False
    world.sandbox.restart()
    world.until_state("a.json", "completed")
    world.until(lambda: world.status()["comfyui"]["state"] == "up")


def test_a_job_that_takes_long_is_said_to_and_comfyui_is_up(world: World) -> None:
    world.settings = world.settings.model_copy(update={"warn_after_minutes": 0.2 / 60})
    world.start()
    world.drop("a.json", with_node("TestSleep", seconds=1.5))
    world.until_state("a.json", "completed")
    assert world.status()["comfyui"]["state"] == "up"
