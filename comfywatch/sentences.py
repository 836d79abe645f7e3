"""What is said about a node, in the same words wherever it is found: by our own check, or by ComfyUI's refusal.

Names and values come from strangers' files: they are shortened, and shown without reading what is nested in them.
"""

from __future__ import annotations

import difflib
import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from comfywatch.model_folders import PLACES
from comfywatch.problems import MissingClass, MissingModel, Problem

LONGEST = 120
EXPORT = "In ComfyUI use Workflow > Export (API), and put the exported file here."


def called(node_id: str, node: Any) -> str:
    """``KSampler 'My sampler' (node 3)``."""
    class_type = class_of(node)
    title = _title(node)
    name = shortened(class_type) or "The node"
    named = f"{name} '{shortened(title)}'" if title and title != class_type else name
    return f"{named} (node {shortened(node_id)})"


def class_of(node: Any) -> str:
    """Its ``class_type``, or nothing."""
    class_type = node.get("class_type") if isinstance(node, dict) else None
    return class_type if isinstance(class_type, str) else ""


def shown(value: Any) -> str:
    """A value as a sentence names it."""
    if isinstance(value, str):
        return f"'{shortened(value)}'"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float) or (isinstance(value, int) and value.bit_length() < 256):
        return str(value)
    return {list: "a list", dict: "an object", int: "a huge number"}.get(type(value), "something else")


def shortened(text: str, *, to: int = LONGEST) -> str:
    """One line of at most ``to`` characters, without any that would steer a terminal."""
    line = " ".join(text[: 10 * to].split())
    line = line if line.isprintable() else "".join(letter if letter.isprintable() else "�" for letter in line)
    return line if len(line) <= to else f"{line[: to - 1]}…"


@dataclass(slots=True)
class NearNames:
    """Looks for what a wrong name may be meant to be; a few times only: that takes milliseconds, and few are read."""

    left: int = 20

    def of(self, word: str, names: Iterable[str]) -> str | None:
        """The nearest of ``names``, if one is near; letters in another case count as the same."""
        if self.left <= 0 or len(word) > LONGEST:
            return None
        self.left -= 1
        sought = word.casefold()
        parts = _threes(sought)
        folded = {name.casefold(): name for name in names}
        begun = [name for name in folded if name.startswith(sought)] if len(sought) > 3 else []
        if begun:
            return folded[min(begun, key=len)]
        likely = heapq.nlargest(10, folded, key=lambda name: len(parts & _threes(name)))
        found = difflib.get_close_matches(sought, likely, n=1, cutoff=0.7)
        return folded[found[0]] if found else None

    def of_model(self, word: str, names: Iterable[str]) -> str | None:
        """The same for files: by the name without folder and suffix."""
        stems = {_stem(name): name for name in names} if self.left > 0 else {}
        found = self.of(_stem(word), stems)
        return None if found is None else stems[found]


def class_missing(
    node_id: str,
    node: Any,
    class_type: str,
    *,
    now: str | None = None,
    same: str | None = None,
    near: str | None = None,
) -> Problem:
    """``now`` is the class that took its place, ``same`` the one that people see under this name, ``near`` one that
    is called nearly so.
    """
    missing = Problem(
        code="missing_node_type",
        message=f"{called(node_id, node)} is not installed in this ComfyUI.",
        fix=class_fix("Install the package that has it (ComfyUI-Manager finds it by this name)", near=near or ""),
        node=node_id,
        class_type=class_type,
        lacks=MissingClass(near=near or ""),
    )
    if now is not None:
        return _class_replaced(missing, called(node_id, node), now)
    return missing if same is None else class_misnamed(missing, same)


def class_misnamed(problem: Problem, same: str) -> Problem:
    """A missing class that is none: people see the class ``same`` under this name."""
    return replace(
        problem,
        message=f"'{shortened(problem.class_type)}' is called {same} in workflow files.",
        fix=f"Write {same} as the class_type of node {shortened(problem.node)}.",
        lacks=None,
    )


def _class_replaced(problem: Problem, node: str, now: str) -> Problem:
    return replace(
        problem,
        message=f"{node} is not in this ComfyUI any more; {now} has taken its place.",
        fix=f"Put {now} in its place in ComfyUI, and export the workflow again.",
        lacks=None,
    )


def class_fix(how: str, *, near: str = "") -> str:
    """``how`` the class is to be had, as the beginning of a sentence."""
    return f"{how}, and restart ComfyUI." + (f" Or did you mean {near}?" if near else "")


def model_missing(
    node_id: str, node: Any, input_name: str, wanted: str, folder: str, *, near: str | None = None, alias_of: str = ""
) -> Problem:
    """``near`` is one that is installed; ``alias_of`` the name in the workflow, if the config put ``wanted`` for it."""
    stands_for = f", which config.yaml puts for '{shortened(alias_of)}'," if alias_of else ""
    lacks = MissingModel(name=wanted, folder=folder, near=near or "", alias_of=alias_of)
    return Problem(
        code="value_not_in_list",
        message=f"Model '{shortened(wanted)}'{stands_for} is not installed in {folder}.",
        fix=model_fix(lacks, f"put it into {place_of(folder)} of ComfyUI"),
        node=node_id,
        class_type=class_of(node),
        input=input_name,
        lacks=lacks,
    )


def model_fix(lacks: MissingModel, how: str) -> str:
    """A name to copy, where one that is installed is near; else, or also, ``how`` the model is to be had."""
    wanted = lacks.alias_of or lacks.name
    if not lacks.near or len(wanted + lacks.near) > 2 * LONGEST:
        return f"{how[0].upper()}{how[1:]}."
    pair = json.dumps({wanted: lacks.near}, ensure_ascii=not (wanted + lacks.near).isprintable())
    return f"Use '{lacks.near}', which is installed (models: {pair} in config.yaml), or {how}."


def place_of(folder: str, below: str = "") -> str:
    """Where a folder of models lies in ComfyUI; ``below`` are folders in it, each with its slash."""
    return f"models/{PLACES.get(folder, folder)}/{below}"


def no_prompt() -> Problem:
    """Something that is no map of nodes."""
    return Problem(code="invalid_prompt", message="This is no workflow: it is not a map of nodes.", fix=EXPORT)


def no_outputs() -> Problem:
    """Nothing would be kept."""
    return Problem(
        code="prompt_no_outputs",
        message="Nothing in the workflow is an output, so there is nothing to run.",
        fix="Add a node that saves or previews something, such as SaveImage, and export the workflow again.",
    )


def no_class(node_id: str) -> Problem:
    """An entry that is no node."""
    return Problem(
        code="invalid_prompt",
        message=f"Entry '{shortened(node_id)}' is no node: it has no class_type.",
        fix=EXPORT,
        node=node_id,
    )


def no_inputs(node_id: str, node: Any) -> Problem:
    """A node that lacks even an empty ``inputs``."""
    return Problem(
        code="invalid_prompt",
        message=f"{called(node_id, node)} has no inputs.",
        fix=EXPORT,
        node=node_id,
        class_type=class_of(node),
    )


def bad_link(node_id: str, node: Any, input_name: str, what: str, *, code: str = "bad_linked_input") -> Problem:
    """``what`` goes on after the input's name."""
    return Problem(
        code=code,
        message=f"{called(node_id, node)}: {shortened(input_name)} {what}.",
        fix=f"Connect {shortened(input_name)} again in ComfyUI, and export the workflow anew.",
        node=node_id,
        class_type=class_of(node),
        input=input_name,
    )


def dangling(node_id: str, node: Any, input_name: str, source: str) -> Problem:
    """A link to a node that is not there."""
    return bad_link(node_id, node, input_name, f"is linked to node {shortened(source)}, which is not in the workflow")


def no_such_slot(node_id: str, node: Any, input_name: str, slot: int, source: str) -> Problem:
    """A link to an output that the other node does not have; ``source`` is how that node is called."""
    what = f"is linked to output {shown(slot)} of {source}, which has no such output"
    return bad_link(node_id, node, input_name, what, code="exception_during_validation")


def cycles(nodes: Mapping[str, Any], circles: Iterable[tuple[str, ...]]) -> Iterator[Problem]:
    """One for each node that is on a circle, however many circles it is on."""
    named: set[str] = set()
    for ids in circles:
        yield from (problem for problem in cycle(nodes, ids) if problem.node not in named)
        named.update(ids)


def cycle(nodes: Mapping[str, Any], ids: tuple[str, ...]) -> Iterator[Problem]:
    """One for each node of the circle; ``ids`` in the order in which each needs the next, and the last the first."""
    way = [shortened(node_id) for node_id in (*ids[:20], *(["…"] if len(ids) > 20 else []), ids[0])]
    for node_id in ids[:20]:
        yield Problem(
            code="dependency_cycle",
            message=f"These nodes wait for each other in a circle: {' → '.join(way)}.",
            fix="Disconnect one of these links in ComfyUI, and export the workflow again.",
            node=node_id,
            class_type=class_of(nodes.get(node_id)),
        )


def _title(node: Any) -> str:
    meta = node.get("_meta") if isinstance(node, Mapping) else None
    title = meta.get("title") if isinstance(meta, Mapping) else None
    return title.strip() if isinstance(title, str) else ""


def _threes(word: str) -> set[str]:
    """All that is three letters long in ``word``: what two names share of it is cheap to count."""
    return {word[at : at + 3] for at in range(len(word) - 2)}


def _stem(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or name
