"""How far a running prompt is: a share of the time, as far as that can be known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.heard import AtNode, Began, Cached, Standing, Step, What
from comfywatch.progress import MAX_KEPT, Bar, Course, Outline, Pace, Progress, learned, progress

P = "p"
Times = Mapping[str, tuple[float, int]]
"""Seconds and steps of each node, in the order in which they run."""


def events(times: Times, *, cached: frozenset[str] = frozenset(), start: float = 100.0) -> Iterator[tuple[float, What]]:
    """What ComfyUI says of a run, and when; the last is that all is done."""
    now = start
    yield now, Began(prompt_id=P)
    yield now, Cached(prompt_id=P, nodes=cached)
    done: frozenset[str] = frozenset()
    for node, (seconds, steps) in times.items():
        yield now, Standing(prompt_id=P, running={node: (0, 1)}, done=done)
        yield now, AtNode(prompt_id=P, node=node)
        for step in range(1, steps + 1):
            at = now + seconds * step / steps
            yield at, Standing(prompt_id=P, running={node: (step, steps)}, done=done)
            yield at, Step(prompt_id=P, node=node, value=step, maximum=steps)
        now += seconds
        done |= {node}
        yield now, Standing(prompt_id=P, running={}, done=done)


def run(
    times: Times, outline: Outline, *, cached: frozenset[str] = frozenset()
) -> tuple[Course, list[tuple[float, Progress]]]:
    """The course at the end, and the progress after each event with its time."""
    course, seen = Course(began=0, last=0), []
    for at, what in events(times, cached=cached):
        course = course.after(what, at=at)
        seen.append((at, progress(course, outline, now=at)))
    return course, seen


def outline_of(times: Times, **more: object) -> Outline:
    return Outline(nodes={node: f"Class{node}" for node in times}, **more)  # type: ignore[arg-type]


SLEEPS: Times = {"1": (0.1, 0), "10": (8, 80), "11": (2, 20), "12": (14, 0), "13": (5.9, 1)}


def test_in_the_second_run_percent_is_the_share_of_the_time() -> None:
    first, _ = run(SLEEPS, outline_of(SLEEPS))
    known = outline_of(SLEEPS, paces=learned(first, outline_of(SLEEPS)))
    _, seen = run(SLEEPS, known)
    for at, told in seen[3:]:
        assert abs(told.percent - 100 * (at - 100) / 30) <= 2
        assert told.eta_seconds is not None
        assert abs(told.eta_seconds - (130 - at)) <= 1


def test_between_two_events_the_time_goes_on() -> None:
    course = Course(began=0, last=0).after(Began(prompt_id=P), at=0).after(AtNode(prompt_id=P, node="1"), at=0)
    known = Outline(nodes={"1": "A", "2": "B"}, paces={"1": Pace(class_type="A", seconds=8)})
    assert [progress(course, known, now=now).percent for now in (0, 2, 4, 6, 8)] == [0, 25, 50, 75, 99]


def test_in_a_first_run_the_nodes_that_are_done_count_and_nobody_knows_the_end() -> None:
    _, seen = run(SLEEPS, outline_of(SLEEPS))
    percents = [told.percent for _, told in seen]
    assert percents == sorted(percents)
    assert percents[-1] == 99
    assert {told.eta_seconds for _, told in seen} == {None}


def test_cached_nodes_hold_nothing_up() -> None:
    all_nodes = {"0": (9.0, 0), **SLEEPS}
    _, seen = run(SLEEPS, outline_of(all_nodes), cached=frozenset("0"))
    assert seen[-1][1].percent == 99
    paces = {node: Pace(class_type=f"Class{node}", seconds=seconds) for node, (seconds, _) in all_nodes.items()}
    _, seen = run(SLEEPS, outline_of(all_nodes, paces=paces), cached=frozenset("0"))
    assert all(abs(told.percent - 100 * (at - 100) / 30) <= 2 for at, told in seen[3:])


def test_a_node_with_more_steps_than_before_is_told_by_the_pace_of_its_steps() -> None:
    known = Outline(nodes={"1": "A"}, paces={"1": Pace(class_type="A", seconds=10)})
    _, seen = run({"1": (40, 40)}, known)
    assert all(abs(told.percent - 100 * (at - 100) / 40) <= 2 for at, told in seen if at > 104)


def test_loading_a_model_before_the_first_step_is_not_part_of_the_pace() -> None:
    course = Course(began=0, last=0).after(AtNode(prompt_id=P, node="1"), at=0)
    for value in range(1, 11):
        course = course.after(Step(prompt_id=P, node="1", value=value, maximum=20), at=30 + value)
    assert progress(course, Outline(nodes={"1": "A"}, paces={"1": Pace(class_type="A", seconds=99)}), now=40) == (
        Progress(percent=80, node_id="1", node="A", step="10/20", seconds=40, eta_seconds=10)
    )


def test_what_a_node_does_after_its_last_step_is_known_from_before() -> None:
    times = {"1": (10.0, 0)}
    course = Course(began=0, last=0).after(Began(prompt_id=P), at=0).after(AtNode(prompt_id=P, node="1"), at=0)
    for value in range(1, 5):
        course = course.after(Step(prompt_id=P, node="1", value=value, maximum=4), at=value / 2)
    course = course.after(Standing(prompt_id=P, running={}, done=frozenset("1")), at=10)
    paces = learned(course, outline_of(times))
    assert paces["1"] == Pace(class_type="Class1", seconds=10, tail=8)


def test_a_bar_that_begins_anew_says_nothing_of_the_whole_node() -> None:
    bar = Bar(first=1, first_at=0, value=9, value_at=8, maximum=10)
    assert bar.left(now=8) == 1
    assert bar.moved(1, 10, at=9).left(now=9) is None
    assert bar.moved(1, 10, at=9).moved(9, 10, at=17).left(now=17) is None


def test_another_node_under_a_known_id_is_not_taken_for_it() -> None:
    before = Outline(nodes={"1": "New"}, paces={"1": Pace(class_type="Old", seconds=9)})
    assert before.pace("1") is None


def test_without_a_word_heard_the_usual_time_tells() -> None:
    told = progress(Course(began=0, last=0), Outline(nodes={"1": "A"}, usual=40), now=10)
    assert (told.percent, told.eta_seconds) == (25, 30)


def test_a_run_that_takes_longer_than_ever_is_not_done_before_its_end() -> None:
    told = progress(Course(began=0, last=0), Outline(usual=40), now=1000)
    assert (told.percent, told.eta_seconds) == (99, 0)


def test_a_node_that_nobody_knows_is_no_stumbling_block() -> None:
    course = Course(began=0, last=0).after(AtNode(prompt_id=P, node="99"), at=1)
    assert progress(course, Outline(), now=2) == Progress(percent=0, node_id="99", seconds=2)


# ---- what is kept


def test_only_what_was_heard_from_its_begin_is_worth_keeping() -> None:
    course = Course(began=0, last=0)
    for at, what in list(events(SLEEPS))[2:]:
        course = course.after(what, at=at)
    assert learned(course, outline_of(SLEEPS)) == {}


def test_what_is_over_at_once_is_not_worth_keeping() -> None:
    times: Times = {"1": (0.01, 0), "2": (0.5, 0)}
    course, _ = run(times, outline_of(times))
    assert learned(course, outline_of(times)) == {}


def test_a_node_that_was_cached_this_time_is_remembered() -> None:
    outline = outline_of({"0": (9, 0), **SLEEPS}, paces={"0": Pace(class_type="Class0", seconds=9)})
    course, _ = run(SLEEPS, outline, cached=frozenset("0"))
    assert learned(course, outline)["0"].seconds == 9


def test_the_newest_run_counts_most() -> None:
    times: Times = {"1": (10, 0)}
    outline = outline_of(times, paces={"1": Pace(class_type="Class1", seconds=20)})
    course, _ = run(times, outline)
    assert learned(course, outline)["1"].seconds == pytest.approx(13)


def test_what_was_late_on_its_way_is_no_nodes_time() -> None:
    course = Course(began=0, last=20, is_whole=True, spent={"10": 8, "11": 12}, tails={"11": 6.5, "10": 0.1})
    paces = learned(course, outline_of({"10": (8, 1), "11": (6, 1)}), seconds=14)
    assert (paces["10"].seconds, paces["11"].seconds, paces["11"].tail) == (8, 6, 0.5)
    paces = learned(replace(course, tails={}), outline_of({"10": (8, 1), "11": (6, 1)}), seconds=10)
    assert (paces["10"].seconds, paces["11"].seconds) == (4, 6)


def test_however_many_nodes_there_are_few_are_kept() -> None:
    times: Times = {str(node): (1 + node / 10, 0) for node in range(60)}
    course, _ = run(times, outline_of(times))
    assert len(learned(course, outline_of(times))) <= MAX_KEPT
    assert "59" in learned(course, outline_of(times))


# ---- whatever is heard

_NODES = st.sampled_from(["1", "2", "3", "x"])
_IDS = st.text(min_size=1, max_size=3)
_NUMBERS = st.floats(0, 30)
_WHAT: st.SearchStrategy[What] = st.one_of(
    st.just(Began(prompt_id=P)),
    st.builds(Cached, prompt_id=st.just(P), nodes=st.frozensets(_NODES)),
    st.builds(AtNode, prompt_id=st.just(P), node=_NODES),
    st.builds(Step, prompt_id=st.just(P), node=_NODES, value=_NUMBERS, maximum=_NUMBERS),
    st.builds(
        Standing,
        prompt_id=st.just(P),
        running=st.dictionaries(_NODES, st.tuples(_NUMBERS, _NUMBERS)),
        done=st.frozensets(_NODES),
    ),
)
_PACES = st.dictionaries(_NODES, st.builds(Pace, class_type=st.just("A"), seconds=st.floats(0, 99), tail=_NUMBERS))


@given(st.lists(st.tuples(st.floats(0, 20), _WHAT)), _PACES, st.none() | st.floats(0, 99))
def test_whatever_is_heard_it_is_between_begin_and_end(
    heard: list[tuple[float, What]], paces: dict[str, Pace], usual: float | None
) -> None:
    outline = Outline(nodes=dict.fromkeys("123", "A"), paces=paces, usual=usual)
    course, now = Course(began=0, last=0), 0.0
    for after, what in heard:
        now += after
        course = course.after(what, at=now)
        told = progress(course, outline, now=now)
        assert 0 <= told.percent <= 99
        assert told.eta_seconds is None or told.eta_seconds >= 0
    assert sum(course.spent.values()) <= now - course.began + 1e-6
    assert all(pace.seconds >= 0 for pace in learned(course, outline).values())


@given(st.dictionaries(_IDS, st.tuples(st.floats(0.01, 50), st.integers(0, 30)), min_size=1, max_size=6))
def test_in_any_first_run_percent_only_grows(times: Times) -> None:
    _, seen = run(times, outline_of(times))
    percents = [told.percent for _, told in seen]
    assert percents == sorted(percents)


@given(st.dictionaries(_IDS, st.tuples(st.floats(0.5, 50), st.integers(0, 30)), min_size=1, max_size=6))
def test_in_any_second_run_like_the_first_percent_is_near_the_share_of_the_time(times: Times) -> None:
    first, _ = run(times, outline_of(times))
    total = sum(seconds for seconds, _ in times.values())
    if total < 1:
        return
    _, seen = run(times, outline_of(times, paces=learned(first, outline_of(times))))
    assert all(abs(told.percent - 100 * (at - 100) / total) <= 5 for at, told in seen[2:])
