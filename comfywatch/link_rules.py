"""A link beside the output that it names: its shape, the other node, the number and the type of the output."""

from __future__ import annotations

from typing import Any

from comfywatch import input_sentences, sentences
from comfywatch.case import NUMBERED, Case
from comfywatch.input_sentences import Place
from comfywatch.link_types import ANYTHING, fits, named
from comfywatch.own_checks import OwnCheck, own_check, takes_any_link
from comfywatch.problems import Problem
from comfywatch.schemas import InputSpec
from comfywatch.sentences import called, class_of, shown


def link_problem(case: Case, at: Place, value: list[Any], spec: InputSpec | None) -> Problem | None:
    """What is wrong with a link; ``spec`` is ``None`` where the schemas do not tell what the input takes."""
    unlinkable = _unlinkable(case, at, spec)
    if unlinkable is not None:
        return unlinkable
    if len(value) != 2:
        what = f"is a list of {len(value)}; a link is a list of two, the other node's id and the number of its output"
        return sentences.bad_link(at.node_id, at.node, at.input, what)
    source, slot = value
    if not isinstance(source, str):
        what = f"is linked to {shown(source)}; a node's id is a text"
        return sentences.bad_link(at.node_id, at.node, at.input, what)
    if source not in case.prompt:
        sure = spec is not None or not case.ids_are_numbers or NUMBERED.fullmatch(source)
        return sentences.dangling(at.node_id, at.node, at.input, source) if sure else None
    if not isinstance(slot, int):
        what = f"asks for output {shown(slot)}; outputs are numbered 0, 1, 2, …"
        return sentences.bad_link(at.node_id, at.node, at.input, what)
    return _output_problem(case, at, spec, source, slot)


def _unlinkable(case: Case, at: Place, spec: InputSpec | None) -> Problem | None:
    """A node that looks at a value itself does so before there is anything from another node."""
    if spec is None or case.schemas is None:
        return None
    match own_check(case.schemas.version_hint, class_of(at.node), spec):
        case OwnCheck.FILE:
            return input_sentences.no_file(at, "a link")
        case OwnCheck.RATIO:
            return input_sentences.no_ratio(at, "a link")
        case _:
            return None


def _output_problem(case: Case, at: Place, spec: InputSpec | None, source: str, slot: int) -> Problem | None:
    """Outputs count from the end too, as in Python."""
    other = case.graph.nodes.get(source)
    if other is None or case.schemas is None or not case.knows(class_of(other)):
        return None
    giver = called(source, other)
    outputs = case.schemas.outputs(class_of(other))
    if not -len(outputs) <= slot < len(outputs):
        # a package whose output fits anything may well have as many of them as are asked for
        grows = ANYTHING in outputs
        return None if grows else sentences.no_such_slot(at.node_id, at.node, at.input, slot, giver)
    if spec is None or takes_any_link(class_of(at.node), spec):
        return None
    if fits(outputs[slot], spec.slot_type, case.schemas.version_hint):
        return None
    return input_sentences.wrong_output(at, named(spec.slot_type), named(outputs[slot]), giver)
