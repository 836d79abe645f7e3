"""The inputs of all nodes that an output needs, beside what their classes take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from comfywatch import sentences
from comfywatch.case import Case
from comfywatch.dynamic_inputs import inputs_in
from comfywatch.input_sentences import Place, not_given
from comfywatch.link_rules import link_problem
from comfywatch.problems import Problem
from comfywatch.prompt_graph import inputs_of, links
from comfywatch.sentences import class_of
from comfywatch.value_rules import ValueRules


def input_problems(case: Case, rules: ValueRules | None) -> Iterator[Problem]:
    """Links first, as far as they tell; without ``rules`` there are no schemas, and links are all that is known."""
    for node_id, node in case.looked_into():
        if not isinstance(node.get("inputs"), Mapping):
            yield sentences.no_inputs(node_id, node)
        elif rules is None or not case.knows(class_of(node)):
            yield from _links_alone(case, node_id, node)
        else:
            yield from _all_inputs(case, node_id, node, rules)


def _links_alone(case: Case, node_id: str, node: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in links(node, case.schemas):
        problem = link_problem(case, Place(node_id=node_id, node=node, input=name), value, None)
        if problem is not None:
            yield problem


def _all_inputs(case: Case, node_id: str, node: Mapping[str, Any], rules: ValueRules) -> Iterator[Problem]:
    """Inputs that the class does not have, and hidden ones, are not looked at."""
    given = inputs_of(node)
    for name, spec in inputs_in(case.schemas, class_of(node), given).items() if case.schemas else ():
        at = Place(node_id=node_id, node=node, input=name)
        if name not in given:
            problem = not_given(at) if spec.required else None
        elif isinstance(given[name], list):
            problem = link_problem(case, at, given[name], spec)
        else:
            problem = rules.problem(at, spec, given[name])
        if problem is not None:
            yield problem
