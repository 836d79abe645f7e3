"""What an engine makes of what it heard: where to look, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from comfywatch.asks import Look, LookUp
from comfywatch.effects import Heard, Listen, PreviewShown, ShowLive, ShowPreview, Told
from comfywatch.heard import AtNode, Began, Cached, InHistory, Over, Preview, Standing, Step, What
from comfywatch.jobs import JobState
from comfywatch.live import want
from tests.fake_comfy import End
from tests.one_job import URL, OneJob


class Stage(OneJob):
    """The job runs, unless it does not begin."""

    def __init__(self, root: Path, *, begins: bool = True, **settings: Any) -> None:
        super().__init__(root, **settings)
        if begins:
            self.comfy.begin()
            self.lives.run(3)

    def hear(self, *what: What, url: str = URL) -> list[Any]:
        """What is to be done after that was heard."""
        told = tuple(Told(what=each, at=self.clock.now) for each in what)
        self.engine.handle(Heard(url=url, told=told), now=self.clock.now, at=self.clock.at)
        return self.engine.plan(now=self.clock.now, at=self.clock.at)

    def asks(self, *what: What, url: str = URL) -> list[type]:
        return [type(effect.ask) for effect in self.hear(*what, url=url) if hasattr(effect, "ask")]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_the_job_is_running(stage: Stage) -> None:
    assert stage.job.state is JobState.RUNNING


def test_what_the_history_has_by_now_is_asked_of_the_history_at_once(stage: Stage) -> None:
    assert stage.asks(InHistory(prompt_id=stage.job.prompt_id)) == [LookUp]


def test_an_end_that_may_not_be_written_yet_is_looked_for_soon(stage: Stage) -> None:
    server = stage.engine.dispatcher.servers.main
    stage.asks()
    assert server.next_look - stage.clock.now > 0.05
    assert stage.asks(Over(prompt_id=stage.job.prompt_id)) == []
    assert 0 < server.next_look - stage.clock.now <= 0.05


def test_a_job_that_was_heard_to_begin_and_lasts_is_looked_for_whatever_a_look_costs(tmp_path: Path) -> None:
    stage = Stage(tmp_path, begins=False)
    server = stage.engine.dispatcher.servers.main
    server.next_look = stage.clock.now + 60
    assert stage.asks(Began(prompt_id=stage.job.prompt_id)) == []
    stage.clock.advance(0.3)
    assert stage.asks() == [Look]


def test_an_end_that_is_true_ends_the_job(stage: Stage) -> None:
    stage.comfy.finish(End.SUCCESS)
    told = (Told(what=InHistory(prompt_id=stage.job.prompt_id), at=stage.clock.now),)
    stage.lives.events.append(Heard(url=URL, told=told))
    stage.lives.run(0.01)
    assert not stage.engine.ledger.jobs


def test_an_end_that_is_a_lie_ends_nothing(stage: Stage) -> None:
    told = (Told(what=InHistory(prompt_id=stage.job.prompt_id), at=stage.clock.now),)
    stage.lives.events.append(Heard(url=URL, told=told))
    stage.lives.run(30)
    assert stage.job.state is JobState.RUNNING
    assert len(stage.comfy.executions) == 1


@pytest.mark.parametrize("prompt_id", ["", "of-somebody-else"])
def test_the_prompts_of_others_are_nothing_to_ask_about(stage: Stage, prompt_id: str) -> None:
    assert stage.asks(InHistory(prompt_id=prompt_id), Over(prompt_id=prompt_id)) == []


def test_a_server_that_nobody_knows_is_not_heard(stage: Stage) -> None:
    assert stage.asks(InHistory(prompt_id=stage.job.prompt_id), url="http://127.0.0.1:1") == []


_NODES = st.sampled_from(["1", "2", "9"])


def whats(prompt_id: str) -> st.SearchStrategy[What]:
    """Anything that could be heard of a prompt."""
    of = st.just(prompt_id)
    number = st.floats(0, 100)
    return st.one_of(
        *(st.builds(kind, prompt_id=of) for kind in (Began, Over, InHistory)),
        st.builds(Cached, prompt_id=of, nodes=st.frozensets(_NODES)),
        st.builds(AtNode, prompt_id=st.sampled_from([prompt_id, ""]), node=_NODES),
        st.builds(Step, prompt_id=of, node=_NODES, value=number, maximum=number),
        st.builds(
            Standing,
            prompt_id=of,
            running=st.dictionaries(_NODES, st.tuples(number, number)),
            done=st.frozensets(_NODES),
        ),
        st.builds(Preview, prompt_id=of, data=st.just(b"\xff\xd8\xff")),
    )


@how(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_whatever_is_heard_the_job_is_run_once_and_ends_when_it_ends(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("stage")
    stage = Stage(root, previews="live")
    for _ in range(3):
        heard = data.draw(st.lists(whats(stage.job.prompt_id), max_size=4))
        told = tuple(Told(what=what, at=stage.clock.now) for what in heard)
        stage.lives.events.append(Heard(url=URL, told=told))
        stage.lives.events.append(PreviewShown(job=stage.job.id, is_written=data.draw(st.booleans())))
        stage.lives.run(data.draw(st.sampled_from([0.0, 0.5, 3.0])))
        assert stage.job.state is JobState.RUNNING
    for job in list(stage.engine.ledger.active):
        stage.lives.events.append(PreviewShown(job=job, is_written=True))
    stage.comfy.finish(End.SUCCESS)
    stage.lives.run(30)
    assert not stage.engine.ledger.jobs
    assert len(stage.comfy.executions) == 1
    shutil.rmtree(root)


# ---- who is listened to


def listens(effects: list[Any]) -> Iterator[Listen]:
    return (effect for effect in effects if isinstance(effect, Listen))


def test_the_same_name_is_kept_from_start_to_start(stage: Stage) -> None:
    name = stage.engine.dispatcher.hearing.client_id
    stage.lives.die()
    stage.lives.start(started_ns=0)
    assert stage.engine.dispatcher.hearing.client_id == name
    assert name.startswith("comfywatch-")


def test_a_socket_on_which_nothing_was_heard_of_a_whole_job_is_opened_anew(stage: Stage) -> None:
    hearing = stage.engine.dispatcher.hearing
    server = stage.engine.dispatcher.servers.main
    hearing.heard(Heard(url=URL, is_open=True), server, now=0)
    hearing.ended(stage.job, server, now=stage.clock.now)
    assert [each.anew for each in listens(list(hearing.plan(now=stage.clock.now, at=stage.clock.at)))] == [True]
    hearing.ended(stage.job, server, now=stage.clock.now)
    assert not list(listens(list(hearing.plan(now=stage.clock.now, at=stage.clock.at))))


def test_a_socket_that_was_opened_just_now_need_not_have_heard(stage: Stage) -> None:
    hearing = stage.engine.dispatcher.hearing
    server = stage.engine.dispatcher.servers.main
    hearing.heard(Heard(url=URL, is_open=True), server, now=stage.clock.now)
    hearing.ended(stage.job, server, now=stage.clock.now)
    assert not list(listens(list(hearing.plan(now=stage.clock.now, at=stage.clock.at))))


# ---- previews and followers


def test_of_many_previews_the_newest_is_written_about_once_a_second(tmp_path: Path) -> None:
    stage = Stage(tmp_path, previews="live")

    def shown(data: bytes) -> list[bytes]:
        effects = stage.hear(Preview(prompt_id=stage.job.prompt_id, data=data))
        return [effect.data for effect in effects if isinstance(effect, ShowPreview)]

    assert shown(b"1") == [b"1"]
    assert shown(b"2") == []
    stage.engine.handle(PreviewShown(job=stage.job.id, is_written=True), now=stage.clock.now, at=stage.clock.at)
    assert shown(b"3") == []
    stage.clock.advance(1.1)
    assert shown(b"4") == [b"4"]


def test_a_preview_that_cannot_be_written_is_not_tried_for_ever(tmp_path: Path) -> None:
    stage = Stage(tmp_path, previews="live")
    stage.hear(Preview(prompt_id=stage.job.prompt_id, data=b"1"))
    stage.engine.handle(PreviewShown(job=stage.job.id, is_written=False), now=stage.clock.now, at=stage.clock.at)
    stage.clock.advance(600)
    effects = stage.hear(Preview(prompt_id=stage.job.prompt_id, data=b"2"))
    assert not [effect for effect in effects if isinstance(effect, ShowPreview)]


def test_the_run_folder_is_completed_only_after_a_preview_was_written(tmp_path: Path) -> None:
    stage = Stage(tmp_path, previews="live")
    job = stage.job.id
    stage.hear(Preview(prompt_id=stage.job.prompt_id, data=b"1"))
    stage.comfy.finish(End.SUCCESS)
    stage.lives.run(3)
    assert stage.engine.ledger.jobs[job].outcome is not None
    stage.lives.events.append(PreviewShown(job=job, is_written=True))
    stage.lives.run(1)
    assert not stage.engine.ledger.jobs


def test_nobody_is_told_how_far_it_is_while_nobody_follows(stage: Stage) -> None:
    step = Step(prompt_id=stage.job.prompt_id, node="1", value=1, maximum=4)
    stage.clock.advance(2)
    assert not [effect for effect in stage.hear(step) if isinstance(effect, ShowLive)]


def test_who_follows_is_told_how_far_it_is(stage: Stage) -> None:
    path = stage.engine.settings.live_file
    path.parent.mkdir(exist_ok=True)
    want(path)
    touched = stage.clock.at.timestamp()
    os.utime(path.with_name("live.json.wanted"), (touched, touched))
    stage.clock.advance(2)
    step = Step(prompt_id=stage.job.prompt_id, node="1", value=1, maximum=4)
    (shown,) = [effect for effect in stage.hear(step) if isinstance(effect, ShowLive)]
    (told,) = json.loads(shown.data)["jobs"].values()
    assert (told["node"], told["step"], told["percent"]) == ("EmptyImage", "1/4", 12)


def test_a_look_is_never_left_out_for_what_was_heard(stage: Stage) -> None:
    assert Look not in stage.asks(Step(prompt_id=stage.job.prompt_id, node="1", value=1, maximum=4))
    stage.clock.advance(stage.engine.settings.poll_seconds)
    assert Look in stage.asks(Step(prompt_id=stage.job.prompt_id, node="1", value=2, maximum=4))
