"""What is wrong with a prompt, found before ComfyUI sees it: all of it at once, with the mend.

Two rules. As ComfyUI does, only what an output needs is looked at, and of a node only the inputs that its class has; a
class that is missing refuses the whole. And what is not known is not guessed: without schemas or inventory little is
said, and nothing that a server could contradict.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from comfywatch import sentences
from comfywatch.case import Case
from comfywatch.input_rules import input_problems
from comfywatch.inventory import Inventory, normalised
from comfywatch.model_folders import ModelInputs
from comfywatch.model_names import missing_models, respell
from comfywatch.problems import Problem, Severity, errors
from comfywatch.prompt_graph import PromptGraph
from comfywatch.replacements import put_in_place
from comfywatch.schemas import Generation, Schemas
from comfywatch.sentences import called, class_of
from comfywatch.value_rules import ValueRules

__all__ = ["Partial", "Verdict", "as_answered", "is_invalid", "partial_outputs", "respell", "validate", "verdict_of"]

INVALID_CODES = frozenset(
    {"invalid_prompt", "bad_linked_input", "dependency_cycle", "prompt_no_outputs", "no_prompt"}
    | {"not_json", "not_a_workflow", "ui_format", "workflow_cycle"}
    | {"group_node", "no_subgraph", "rendered_in_browser", "endless"}
)
"""Faults of the workflow itself: no server could run it, whatever is installed there."""

_NO_ALIASES: Mapping[str, str] = MappingProxyType({})


class Verdict(StrEnum):
    """What ``POST /prompt`` would come to; ``PARTIAL`` is accepted, and some outputs are dropped."""

    OK = "ok"
    PARTIAL = "partial"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """The output nodes that would run, and those that ComfyUI would leave out."""

    runs: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def validate(
    prompt: Any,
    *,
    schemas: Schemas | None = None,
    inventory: Inventory | None = None,
    aliases: Mapping[str, str] = _NO_ALIASES,
    deny_nodes: Collection[str] = (),
    uploaded: Collection[str] | None = None,
) -> tuple[Problem, ...]:
    """Every problem of ``prompt``, which may be any JSON value; what is new comes before what repeats.

    ``aliases`` are model names of the config (wanted: installed); ``uploaded`` are names of files that will be in the
    server's input folder by then, ``None`` if whoever asks sees to the files that are not there.
    """
    if not isinstance(prompt, Mapping):
        return (sentences.no_prompt(),)
    if not prompt:
        return (sentences.no_outputs(),)
    case = Case.of(as_looked_at(prompt, schemas), schemas, inventory)
    models = ModelInputs(schemas=case.schemas, inventory=inventory)
    rules = _value_rules(case, models, aliases, uploaded)
    return _news_first(
        (
            *(sentences.no_class(node_id) for node_id in prompt if node_id not in case.graph.nodes),
            *_denied(case, prompt, deny_nodes),
            *_missing_classes(case),
            *_no_outputs(case),
            *input_problems(case, rules),
            *_cycles(case),
            *missing_models(_with_models(case), models, aliases, case.near),
        )
    )


def is_invalid(problems: Iterable[Problem]) -> bool:
    """Whether the fault is the workflow's own (``invalid``), and not the server's or the project's (``blocked``).

    Some outputs may run nevertheless: where ``verdict_of`` says ``partial``, a server could run it.
    """
    return any(problem.code in INVALID_CODES for problem in errors(problems))


def verdict_of(prompt: Any, problems: Iterable[Problem], schemas: Schemas | None) -> Verdict:
    """ComfyUI's answer, foreseen from the ``problems`` that ``validate`` found; unknown without schemas."""
    if not schemas:
        return Verdict.UNKNOWN
    found = tuple(problems)
    parts = partial_outputs(prompt, found, schemas)
    if not parts.runs:
        return Verdict.REJECTED if parts.dropped or errors(found) else Verdict.UNKNOWN
    return Verdict.PARTIAL if parts.dropped else Verdict.OK


def partial_outputs(prompt: Any, problems: Iterable[Problem], schemas: Schemas) -> Partial:
    """ComfyUI's rule: an output runs if nothing that it needs is wrong, unless a class is missing, be it elsewhere."""
    if not isinstance(prompt, Mapping):
        return Partial()
    graph = PromptGraph.of(as_looked_at(prompt, schemas), schemas)
    refused = [problem for problem in errors(as_answered(problems, schemas)) if problem.code != "node_denied"]
    if len(graph.nodes) < len(prompt) or any(problem.code == "missing_node_type" for problem in refused):
        return Partial(dropped=graph.outputs)
    broken = graph.downstream(_places(problem for problem in refused))
    return Partial(
        runs=tuple(node_id for node_id in graph.outputs if node_id not in broken),
        dropped=tuple(node_id for node_id in graph.outputs if node_id in broken),
    )


def as_looked_at(prompt: Mapping[str, Any], schemas: Schemas | None) -> Mapping[str, Any]:
    """``prompt`` with the classes in it that this server puts in the place of others."""
    return put_in_place(prompt, schemas.replacements, schemas) if schemas else prompt


def as_answered(problems: Iterable[Problem], schemas: Schemas) -> tuple[Problem, ...]:
    """The same, with warnings for what this server would find out only at run time."""
    return tuple(
        changed(problem, severity=Severity.WARNING) if _is_found_late(problem, schemas) else problem
        for problem in problems
    )


def _is_found_late(problem: Problem, schemas: Schemas) -> bool:
    if problem.code != "value_not_in_list" or schemas.version_hint is not Generation.OLDER:
        return False
    spec = schemas.input(problem.class_type, problem.input)
    return spec is not None and not spec.is_v1_list


def _value_rules(
    case: Case, models: ModelInputs, aliases: Mapping[str, str], uploaded: Collection[str] | None
) -> ValueRules | None:
    if case.schemas is None:
        return None
    return ValueRules(
        generation=case.schemas.version_hint,
        models=models,
        aliases={normalised(wanted): installed for wanted, installed in aliases.items()},
        uploaded=uploaded,
        near=case.near,
    )


def _denied(case: Case, dropped: Mapping[str, Any], deny_nodes: Collection[str]) -> Iterator[Problem]:
    """Neither what was dropped nor what the server puts in its place may be denied."""
    for node_id, node in case.graph.nodes.items() if deny_nodes else ():
        if class_of(node) in deny_nodes or class_of(dropped[node_id]) in deny_nodes:
            yield Problem(
                code="node_denied",
                message=f"{called(node_id, node)} is not allowed here (deny_nodes in config.yaml).",
                fix="Leave it out, or ask whoever runs comfywatch to allow it.",
                node=node_id,
                class_type=class_of(node),
            )


def _missing_classes(case: Case) -> Iterator[Problem]:
    hints: dict[str, dict[str, str | None]] = {}
    for node_id, node in case.graph.nodes.items():
        class_type = class_of(node)
        if not case.is_missing(class_type):
            continue
        if class_type not in hints:
            hints[class_type] = _hints(case, class_type)
        yield sentences.class_missing(node_id, node, class_type, **hints[class_type])


def _hints(case: Case, class_type: str) -> dict[str, str | None]:
    if case.schemas is None:
        installed = (case.inventory and case.inventory.node_classes) or frozenset()
        return {"near": case.near.of(class_type, sorted(installed))}
    replacement = case.schemas.replacements.get(class_type)
    if replacement is not None and replacement.new in case.schemas:
        return {"now": replacement.new}
    same = case.schemas.shown_as(class_type)
    return {"same": same} if same else {"near": case.near.of(class_type, case.schemas)}


def _no_outputs(case: Case) -> Iterator[Problem]:
    everything_known = all(case.knows(class_of(node)) for node in case.graph.nodes.values())
    if not case.graph.outputs and everything_known and len(case.graph.nodes) == len(case.prompt):
        yield sentences.no_outputs()


def _cycles(case: Case) -> Iterator[Problem]:
    in_order = (node_id for node_id in case.graph.nodes if node_id in case.needed)
    yield from sentences.cycles(case.graph.nodes, case.graph.circles(in_order))


def _with_models(case: Case) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Nodes whose models count: needed ones, and what hangs on a missing class, which may be an output."""
    nodes = case.graph.nodes
    if case.schemas is None:
        looked_at: Collection[str] = case.needed if case.graph.outputs else nodes
    else:
        missing = (node_id for node_id, node in nodes.items() if not case.knows(class_of(node)))
        looked_at = case.needed | case.graph.upstream(missing)
    return ((node_id, node) for node_id, node in nodes.items() if node_id in looked_at)


def _places(problems: Iterable[Problem]) -> frozenset[str]:
    return frozenset(problem.node for problem in problems if problem.node)


def _news_first(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Readers see the first few: what says something new goes before the same about yet another node."""
    news: list[Problem] = []
    repeats: list[Problem] = []
    seen: set[tuple[str, str]] = set()
    for problem in problems:
        about = problem.class_type if problem.code == "missing_node_type" else problem.message
        (repeats if (problem.code, about) in seen else news).append(problem)
        seen.add((problem.code, about))
    return (*news, *repeats)
