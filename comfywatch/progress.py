"""How far a running prompt is, from what was heard of it and what is known from earlier runs. Values only.

The rule: a share of the *time*. With the seconds that each node took in earlier runs it is what has passed beside what
is still to come; in a first run it is the nodes that are done, and how far the current one is. Times are monotonic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from comfywatch.heard import AtNode, Began, Cached, Standing, Step, What

HIGHEST_PERCENT = 99
"""Until it has ended: what comes after the last node takes time too."""
SURE_STEPS = 3
"""Steps of a node after which their pace says more than earlier runs do."""
WORTH_KEEPING = 1.0
"""Seconds that a prompt takes at least if its nodes' times are worth keeping."""
MAX_KEPT = 32
_SMALLEST_SHARE = 0.01
_NEWER = 0.7
"""How much the newest run counts beside those before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a person is told. ``seconds`` is since it began; ``eta_seconds`` is ``None`` where nobody can know."""

    percent: int
    node_id: str = ""
    node: str = ""
    title: str = ""
    step: str = ""
    seconds: float = 0.0
    eta_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a node went: its class, its seconds, and those of them that passed after its last step."""

    class_type: str
    seconds: float
    tail: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What is known of a prompt beforehand.

    ``nodes`` maps the ids of those that its outputs need to their classes, ``titles`` to the names that people gave
    them. ``paces`` are from earlier runs of this workflow, and so is ``usual``: its seconds as a whole.
    """

    nodes: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    paces: Mapping[str, Pace] = field(default_factory=dict)
    usual: float | None = None

    def pace(self, node_id: str) -> Pace | None:
        """How this node went before; another class under the same id is another node."""
        pace = self.paces.get(node_id)
        return pace if pace is not None and pace.class_type == self.nodes.get(node_id) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The steps of a node: the first that was heard of, and the newest, each with its time."""

    first: float
    first_at: float
    value: float
    value_at: float
    maximum: float
    is_steady: bool = True
    """Whether it only ever grew; a node that starts another bar says nothing of the whole."""

    def moved(self, value: float, maximum: float, *, at: float) -> Bar:
        """It has come to ``value``."""
        if value == self.value and maximum == self.maximum:
            return self
        is_steady = self.is_steady and value > self.value and maximum == self.maximum
        return replace(self, value=value, value_at=at, maximum=maximum, is_steady=is_steady)

    def left(self, *, now: float) -> float | None:
        """Seconds until its last step, ``None`` as long as its pace is not known."""
        steps = self.value - self.first
        if not self.is_steady or steps < SURE_STEPS or self.value >= self.maximum:
            return None
        each = (self.value_at - self.first_at) / steps
        return max(0.0, (self.maximum - self.value) * each - (now - self.value_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One run as it was heard of. ``spent`` and ``tails`` are seconds by node; ``is_whole``: heard from its begin."""

    began: float
    last: float
    is_whole: bool = False
    node: str = ""
    bar: Bar | None = None
    skipped: frozenset[str] = frozenset()
    done: frozenset[str] = frozenset()
    spent: Mapping[str, float] = field(default_factory=dict)
    tails: Mapping[str, float] = field(default_factory=dict)

    def after(self, what: What, *, at: float) -> Course:
        """The course once this was heard."""
        passed = self._until(at)
        match what:
            case Began():
                return Course(began=at, last=at, is_whole=True)
            case Cached(nodes=nodes):
                return replace(passed, skipped=nodes)
            case AtNode(node=node):
                return passed._at(node, at=at)
            case Step(node=node, value=value, maximum=maximum):
                return passed._at(node, at=at)._step(value, maximum, at=at)
            case Standing():
                return passed._standing(what, at=at)
        return passed

    def _until(self, at: float) -> Course:
        """The time since the last word belongs to the node that ran."""
        if not self.node or at <= self.last:
            return replace(self, last=max(at, self.last))
        spent = {**self.spent, self.node: self.spent.get(self.node, 0.0) + at - self.last}
        return replace(self, last=at, spent=spent)

    def _at(self, node: str, *, at: float) -> Course:
        """``node`` runs; a server that does not say which are done begins the next when the one before is."""
        if node == self.node:
            return self
        left = self._leaving(at=at)
        done = left.done | {self.node} if self.node else left.done
        return replace(left, node=node, bar=None, done=done - {node})

    def _leaving(self, *, at: float) -> Course:
        bar = self.bar
        if not self.node or bar is None or not bar.is_steady or bar.value < bar.maximum:
            return self
        return replace(self, tails={**self.tails, self.node: at - bar.value_at})

    def _step(self, value: float, maximum: float, *, at: float) -> Course:
        if maximum <= 1:
            return self
        if self.bar is None:
            bar = Bar(first=value, first_at=at, value=value, value_at=at, maximum=maximum)
            return replace(self, bar=bar)
        return replace(self, bar=self.bar.moved(value, maximum, at=at))

    def _standing(self, what: Standing, *, at: float) -> Course:
        node = self.node if self.node in what.running else next(reversed(list(what.running)), "")
        course = self if node == self.node else replace(self._leaving(at=at), node=node, bar=None)
        if node:
            course = course._step(*what.running[node], at=at)
        return replace(course, done=(course.done | what.done) - what.running.keys())


def progress(course: Course, outline: Outline, *, now: float) -> Progress:
    """How far it is at ``now``."""
    elapsed = max(0.0, now - course.began)
    left = _left(course, outline, elapsed=elapsed, now=now)
    share = _share_of_nodes(course, outline) if left is None else elapsed / (elapsed + left) if elapsed else 0.0
    bar = course.bar
    return Progress(
        percent=min(int(100 * share), HIGHEST_PERCENT),
        node_id=course.node,
        node=outline.nodes.get(course.node, ""),
        title=outline.titles.get(course.node, ""),
        step=f"{bar.value:g}/{bar.maximum:g}" if bar else "",
        seconds=round(elapsed, 1),
        eta_seconds=None if left is None else round(left),
    )


def learned(course: Course, outline: Outline, *, seconds: float | None = None) -> dict[str, Pace]:
    """The paces after this run, which went to its end; empty where there is nothing worth keeping.

    ``seconds`` is how long it took by ComfyUI's own clock.
    """
    if seconds is not None:
        course = _without_delay(course, sum(course.spent.values()) - seconds)
    total = sum(course.spent.values())
    if not course.is_whole or total < WORTH_KEEPING:
        return {}
    paces = {node_id: pace for node_id in outline.nodes if (pace := outline.pace(node_id)) is not None}
    for node_id, seconds in course.spent.items():
        if node_id in outline.nodes:
            paces[node_id] = _mixed(outline.pace(node_id), seconds, course.tails.get(node_id, 0.0), outline, node_id)
    heavy = {node_id: pace for node_id, pace in paces.items() if pace.seconds >= _SMALLEST_SHARE * total}
    return dict(sorted(heavy.items(), key=lambda item: -item[1].seconds)[:MAX_KEPT])


def _without_delay(course: Course, delay: float) -> Course:
    """What was long on its way to us is no node's time; most likely it stood between a last step and what followed."""
    if delay <= 0:
        return course
    late = max(course.tails, key=lambda node_id: course.tails[node_id], default="")
    gap = min(delay, course.tails.get(late, 0.0))
    spent, tails = dict(course.spent), dict(course.tails)
    if gap:
        spent[late], tails[late] = max(0.0, spent.get(late, 0.0) - gap), tails[late] - gap
    total = sum(spent.values())
    share = max(0.0, 1 - (delay - gap) / total) if total else 1.0
    return replace(course, spent={node_id: share * took for node_id, took in spent.items()}, tails=tails)


def _mixed(before: Pace | None, seconds: float, tail: float, outline: Outline, node_id: str) -> Pace:
    if before is not None:
        seconds = _NEWER * seconds + (1 - _NEWER) * before.seconds
        tail = _NEWER * tail + (1 - _NEWER) * before.tail
    return Pace(class_type=outline.nodes[node_id], seconds=round(seconds, 3), tail=round(tail, 3))


def _left(course: Course, outline: Outline, *, elapsed: float, now: float) -> float | None:
    """Seconds to go, ``None`` in a first run."""
    to_come = outline.nodes.keys() - course.skipped - course.done
    known = {node_id: pace for node_id in outline.nodes.keys() - course.skipped if (pace := outline.pace(node_id))}
    is_heard = bool(course.node or course.done or course.skipped)
    if is_heard and known:
        waiting = sum(pace.seconds for node_id, pace in known.items() if node_id in to_come and node_id != course.node)
        return waiting + _left_of_node(course, known.get(course.node), now=now)
    if outline.usual is not None and not (is_heard and outline.paces):
        return max(0.0, outline.usual - elapsed)
    return None


def _left_of_node(course: Course, pace: Pace | None, *, now: float) -> float:
    """By the pace of its steps where there are any, else by what it took before."""
    steps_left = course.bar.left(now=now) if course.bar else None
    if steps_left is not None:
        return steps_left + (pace.tail if pace else 0.0)
    if pace is None or not course.node:
        return 0.0
    so_far = course.spent.get(course.node, 0.0) + max(0.0, now - course.last)
    return max(0.0, pace.seconds - so_far)


def _share_of_nodes(course: Course, outline: Outline) -> float:
    to_run = outline.nodes.keys() - course.skipped
    if not to_run:
        return 0.0
    bar = course.bar
    part = bar.value / bar.maximum if bar and bar.is_steady and course.node in to_run else 0.0
    return min(1.0, (len(to_run & course.done) + min(part, 1.0)) / len(to_run))
