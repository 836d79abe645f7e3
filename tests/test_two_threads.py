"""Who posts and who asks are two threads: what the one was told may be older than what the other knows by now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from comfywatch.asks import Answer, Ask, AtWork, Ended, Look, Sightings, Waiting
from comfywatch.asks import Post as PostAsk
from comfywatch.comfy_values import Accepted
from comfywatch.effects import AskServer
from comfywatch.jobs import JobState, Post
from tests.fake_comfy import End
from tests.one_job import OneJob


class Stage(OneJob):
    """The job waits in ComfyUI's queue."""

    def look(self) -> Look:
        """The next look, which is not performed."""
        self.clock.advance(10)
        while True:
            effects = self.engine.plan(now=self.clock.now, at=self.clock.at)
            found: list[Ask] = [effect.ask for effect in effects if isinstance(effect, AskServer)]
            if looks := [ask for ask in found if isinstance(ask, Look)]:
                return looks[0]

    def hears(self, ask: Ask, result: Sightings | Accepted) -> None:
        answer = Answer(url=self.server.url, ask=ask, result=result, took=0.0)
        self.engine.handle(answer, now=self.clock.now, at=self.clock.at)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path)
    assert made.job.state is JobState.QUEUED
    return made


def restarted(stage: Stage) -> None:
    """A POST that was answered meanwhile tells of a restart: its number is not above those before."""
    stage.server.link = stage.server.link.accepted(stage.job.number or 0)


@pytest.mark.parametrize("sighting", [Waiting(number=0), AtWork(number=0)])
def test_that_a_prompt_was_there_in_an_earlier_life_says_nothing_of_this_one(
    stage: Stage, sighting: Waiting | AtWork
) -> None:
    look, before = stage.look(), stage.job
    restarted(stage)
    stage.hears(look, Sightings(by_job={before.id: sighting}))
    assert stage.job == before
    assert stage.job.life < stage.server.link.life


def test_that_it_was_there_in_this_life_counts(stage: Stage) -> None:
    look = stage.look()
    stage.hears(look, Sightings(by_job={stage.job.id: AtWork(number=3)}))
    assert (stage.job.state, stage.job.life) == (JobState.RUNNING, stage.server.link.life)


def test_an_end_stays_an_end(stage: Stage) -> None:
    look, job = stage.look(), stage.job
    stage.comfy.begin()
    stage.comfy.finish(End.SUCCESS)
    restarted(stage)
    stage.hears(look, Sightings(by_job={job.id: Ended(entry=stage.comfy.history(job.prompt_id) or {})}))
    assert stage.job.outcome is not None


def test_a_late_prompt_with_a_high_number_makes_no_restart_of_the_one_on_its_way(stage: Stage) -> None:
    """The outcome of its POST was unknown; another POST, which got a lower number, is still to be answered."""
    late = stage.engine.ledger.change(replace(stage.job, post=Post.INTENDED, state=JobState.PENDING, number=None))
    look, life = stage.look(), stage.server.link.life
    stage.server.posting.add(99)
    stage.hears(look, Sightings(by_job={late.id: Waiting(number=8)}))
    assert stage.job == late
    stage.server.link = stage.server.link.accepted(7)
    assert stage.server.link.life == life
    stage.server.posting.clear()
    stage.hears(stage.look(), Sightings(by_job={late.id: Waiting(number=8)}))
    assert (stage.job.post, stage.job.number, stage.server.link.life) == (Post.ACCEPTED, 8, life)


def test_the_answer_to_a_post_that_a_look_overtook_changes_nothing(stage: Stage) -> None:
    """An engine that began anew, as after a full disk, did not wait for the answer."""
    intended = replace(stage.job, post=Post.INTENDED, state=JobState.PENDING, number=None)
    stage.engine.ledger.change(intended)
    stage.hears(stage.look(), Sightings(by_job={intended.id: Waiting(number=3)}))
    queued = stage.job
    assert queued.state is JobState.QUEUED
    ask = PostAsk(job=queued.id, prompt_id=queued.prompt_id, body=b"{}")
    stage.hears(ask, Accepted(prompt_id=queued.prompt_id, number=3, node_errors={}))
    assert stage.job == queued


def test_an_engine_that_begins_anew_leaves_alone_what_is_still_being_posted(stage: Stage) -> None:
    job = stage.engine.ledger.change(replace(stage.job, post=Post.INTENDED, state=JobState.PENDING, number=None))
    stage.engine.dispatcher.are_posted([job.id, 12345], now=stage.clock.now)
    stage.clock.advance(100)
    for _ in range(5):
        effects = stage.engine.plan(now=stage.clock.now, at=stage.clock.at)
        asks = [effect.ask for effect in effects if isinstance(effect, AskServer)]
        assert not [ask for ask in asks if isinstance(ask, PostAsk) or (isinstance(ask, Look) and ask.prompts)]
        stage.clock.advance(10)
    ask = PostAsk(job=job.id, prompt_id=job.prompt_id, body=b"{}")
    stage.hears(ask, Accepted(prompt_id=job.prompt_id, number=5, node_errors={}))
    assert stage.job.state is JobState.QUEUED
