"""What ComfyUI says is wrong with single nodes, in a person's words: the input, what was found, and what would do.

Codes stay ComfyUI's own, except where it knows less than it could: of a link to nowhere, a node without inputs and, if
it is old, a circle it tells only the Python exception that it met; so the prompt is searched for the cause.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from comfywatch import input_sentences, sentences
from comfywatch.input_sentences import Place
from comfywatch.model_folders import folder_of, looks_like_model
from comfywatch.problems import Problem
from comfywatch.prompt_graph import PromptGraph, inputs_of
from comfywatch.sentences import NearNames, called, class_of, shortened, shown

LOOK = "Look into ComfyUI's log, or open the workflow in ComfyUI's window and queue it there."

_BOUND = re.compile(r"(?:min|max) of (?P<bound>\S+)")
_TYPE_PAIR = re.compile(r"received_type\((?P<received>.*?)\) mismatch input_type\((?P<wanted>.*?)\)")
_OWN_CHECK = re.compile(r"(?P<input>\S+) - (?P<why>.+)", re.DOTALL)
_NO_FILE = re.compile(r"Invalid (?P<kind>\w+) file: (?P<name>.+)", re.DOTALL)


def problems_from_node_errors(node_errors: Any, prompt: Any) -> tuple[Problem, ...]:
    """What is wrong with single nodes; beside a 200 these are the outputs that ComfyUI leaves out."""
    nodes = mapping(prompt)
    near = NearNames()
    found = [
        _READERS.get(one.code, _other)(one)
        for node_id, entry in _items(node_errors)
        for one in _node_errors(node_id, entry, nodes, near)
    ]
    return tuple(dict.fromkeys(found))


def circles(prompt: Any) -> tuple[Problem, ...]:
    """The circles in what the outputs need, as far as a prompt alone tells."""
    nodes = mapping(prompt)
    graph = PromptGraph.of(nodes, None)
    needed = graph.upstream(graph.outputs) or frozenset(graph.nodes)
    found = graph.circles(node_id for node_id in graph.nodes if node_id in needed)
    return tuple(sentences.cycles(nodes, found))


def mapping(value: Any) -> Mapping[str, Any]:
    """``value`` if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def text(value: Any) -> str:
    """``value`` if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _NodeError:
    """One error of one node, as the server tells it; ``nodes`` is the prompt."""

    code: str
    said: str
    details: str
    info: Mapping[str, Any]
    node_id: str
    node: Mapping[str, Any]
    nodes: Mapping[str, Any]
    near: NearNames

    @property
    def input(self) -> str:
        """The input's name, empty if the error is about none."""
        if self.code == "exception_during_inner_validation":
            return ""  # the name that is sent is one of the node to which this one is linked
        return text(self.info.get("input_name"))

    @property
    def at(self) -> Place:
        """Where it is."""
        return Place(node_id=self.node_id, node=self.node, input=self.input)

    @property
    def config(self) -> tuple[Any, Mapping[str, Any]]:
        """The input's type and options, if they were sent along."""
        config = self.info.get("input_config")
        parts = config if isinstance(config, list) else []
        return (parts[0] if parts else None), mapping(parts[1] if len(parts) > 1 else None)

    @property
    def received(self) -> Any:
        """The value at fault."""
        return self.info.get("received_value", inputs_of(self.node).get(self.input))


def _node_errors(node_id: str, entry: Any, nodes: Mapping[str, Any], near: NearNames) -> Iterator[_NodeError]:
    node = mapping(nodes.get(node_id)) or {"class_type": text(mapping(entry).get("class_type"))}
    told = mapping(entry).get("errors")
    for error in told if isinstance(told, list) else [told]:
        plain = mapping(error)
        yield _NodeError(
            code=text(plain.get("type")) or "validation_failed",
            said=text(plain.get("message")) or text(error),
            details=text(plain.get("details")),
            info=mapping(plain.get("extra_info")),
            node_id=node_id,
            node=node,
            nodes=nodes,
            near=near,
        )


def _not_in_list(one: _NodeError) -> Problem:
    choices = _choices(one.config)
    value = one.received
    folder = folder_of(class_of(one.node), one.input, str(value), None, None) if isinstance(value, str) else None
    if folder is not None and looks_like_model(value):
        near = one.near.of_model(value, choices)
        return sentences.model_missing(one.node_id, one.node, one.input, value, folder, near=near)
    near = one.near.of(value, choices) if isinstance(value, str) else None
    return input_sentences.not_offered(one.at, value, choices, near=near)


def _too_small(one: _NodeError) -> Problem:
    return input_sentences.too_small(one.at, one.received, _bound(one, "min"))


def _too_big(one: _NodeError) -> Problem:
    return input_sentences.too_big(one.at, one.received, _bound(one, "max"))


def _not_given(one: _NodeError) -> Problem:
    return input_sentences.not_given(replace(one.at, input=one.input or one.details))


def _bad_link(one: _NodeError) -> Problem:
    what = f"is {shown(one.received)}; a link is a list of two, the other node's id and the number of its output"
    return sentences.bad_link(one.node_id, one.node, one.input or one.details, what)


def _mismatch(one: _NodeError) -> Problem:
    pair = _TYPE_PAIR.search(one.details)
    wanted = pair["wanted"] if pair else shown(one.config[0])
    received = text(one.info.get("received_type")) or (pair["received"] if pair else "something else")
    link = one.info.get("linked_node")
    source = str(link[0]) if isinstance(link, list) and link and isinstance(link[0], str | int) else ""
    giver = called(source, one.nodes.get(source)) if source else ""
    return input_sentences.wrong_output(one.at, wanted, received, giver)


def _wrong_type(one: _NodeError) -> Problem:
    wanted = input_sentences.kind_of(one.config[0])
    return input_sentences.wrong_kind(one.at, one.received, wanted) if wanted else _other(one)


def _own_check(one: _NodeError) -> Problem:
    told = _OWN_CHECK.fullmatch(one.details)
    why = told["why"] if told else one.details
    file = _NO_FILE.fullmatch(why)
    if file is not None:
        return input_sentences.no_such_file(one.at, file["name"], file["kind"])
    message = f"{one.at.called}: {shortened(why) or 'the node does not take this'}."
    return one.at.problem(one.code, message, "Set it in ComfyUI anew.")


def _exception(one: _NodeError) -> Problem:
    """ComfyUI's check stumbled; its own words are a Python exception, so the prompt is searched for what it met."""
    key = one.details.strip().strip("'\"")
    if key == "inputs":
        return _node_without_inputs(one) or _other(one)
    if "index out of range" in key:
        return _no_such_slot(one) or _other(one)
    if "recursion" in key:
        return next(iter(circles(one.nodes)), None) or _other(one)
    return _dangling(one, key) or _other(one)


def _node_without_inputs(one: _NodeError) -> Problem | None:
    suspects = [one.node_id, *(source for _, source, _ in _links(one.node))]
    for node_id in suspects:
        node = one.nodes.get(node_id)
        if isinstance(node, Mapping) and not isinstance(node.get("inputs"), Mapping):
            return sentences.no_inputs(node_id, node)
    return None


def _no_such_slot(one: _NodeError) -> Problem | None:
    """The link with the highest number: which outputs the other node has, the refusal does not say."""
    numbered = [(slot, name, source) for name, source, slot in _links(one.node) if isinstance(slot, int)]
    if not numbered:
        return None
    slot, name, source = max(numbered)
    return sentences.no_such_slot(one.node_id, one.node, name, slot, called(source, one.nodes.get(source)))


def _dangling(one: _NodeError, key: str) -> Problem | None:
    if key in one.nodes:
        return None
    name = next((name for name, source, _ in _links(one.node) if source == key), None)
    return None if name is None else sentences.dangling(one.node_id, one.node, name, key)


def _cycle(one: _NodeError) -> Problem:
    ids = one.info.get("cycle_nodes")
    known = tuple(node_id for node_id in ids if isinstance(node_id, str)) if isinstance(ids, list) else ()
    circle = [problem for problem in sentences.cycle(one.nodes, known) if problem.node == one.node_id] if known else []
    return circle[0] if circle else _other(one)


def _other(one: _NodeError) -> Problem:
    what = ": ".join(shortened(part) for part in (one.said, one.details) if part) or "ComfyUI does not take it"
    return one.at.problem(one.code, f"{one.at.called}: {what}.", LOOK)


_READERS: Mapping[str, Callable[[_NodeError], Problem]] = {
    "bad_linked_input": _bad_link,
    "custom_validation_failed": _own_check,
    "dependency_cycle": _cycle,
    "exception_during_inner_validation": _exception,
    "exception_during_validation": _exception,
    "invalid_input_type": _wrong_type,
    "required_input_missing": _not_given,
    "return_type_mismatch": _mismatch,
    "value_bigger_than_max": _too_big,
    "value_not_in_list": _not_in_list,
    "value_smaller_than_min": _too_small,
}


def _links(node: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for name, value in inputs_of(node).items():
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int):
            yield name, str(value[0]), value[1]


def _choices(config: tuple[Any, Mapping[str, Any]]) -> Sequence[str]:
    kind, options = config
    listed = kind if isinstance(kind, list) else options.get("options")
    return [choice for choice in listed if isinstance(choice, str)] if isinstance(listed, list) else []


def _bound(one: _NodeError, word: str) -> str:
    bound = one.config[1].get(word)
    told = _BOUND.search(one.said)
    return shown(bound) if bound is not None else told["bound"] if told else "another"


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    for key, entry in mapping(value).items():
        yield str(key), entry
