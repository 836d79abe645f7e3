"""A value beside what its input takes, by ComfyUI's rules: converted as Python does it, then range, then choices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from comfywatch import input_sentences as said
from comfywatch.input_sentences import Place
from comfywatch.inventory import Mode, normalised
from comfywatch.model_folders import ModelInputs, looks_like_model
from comfywatch.own_checks import OwnCheck, own_check
from comfywatch.problems import Problem, Severity
from comfywatch.prompt_graph import unwrapped
from comfywatch.schemas import Generation, InputSpec
from comfywatch.sentences import NearNames, class_of, shown

_FARTHEST_RATIO = 4

_CONVERT: Mapping[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "BOOLEAN": bool}
"""A ``STRING`` takes anything: it becomes text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """Where versions of ComfyUI treat values differently."""

    checks_v3_choices: bool
    """It compares with the options of ``COMBO`` too, and not only with lists."""
    takes_several: bool
    """Where several may be chosen, each of them is compared, and not the whole."""


DIFFERENCES: Mapping[Generation, Differences] = {
    Generation.OLDER: Differences(checks_v3_choices=False, takes_several=False),
    Generation.NEWER: Differences(checks_v3_choices=True, takes_several=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRules:
    """The rules of one server.

    ``uploaded`` are names of files that will be in its input folder by then; ``None`` leaves files to the caller.
    """

    generation: Generation
    models: ModelInputs
    aliases: Mapping[str, str]
    """Wanted to installed, by ``normalised`` names."""
    uploaded: Collection[str] | None
    near: NearNames = field(default_factory=NearNames)

    def problem(self, at: Place, spec: InputSpec, value: Any) -> Problem | None:
        """What is wrong with ``value``, which is no link."""
        value = unwrapped(value)
        try:
            converted = _CONVERT[spec.type](value) if spec.type in _CONVERT else value
        except (TypeError, ValueError, OverflowError):
            return said.wrong_kind(at, value, said.kind_of(spec.type))
        own = own_check(self.generation, class_of(at.node), spec)
        if own is not None:
            return self._own(own, at, spec, value)
        return _out_of_range(at, spec, converted) or self._not_offered(at, spec, value)

    def _own(self, own: OwnCheck, at: Place, spec: InputSpec, value: Any) -> Problem | None:
        match own:
            case OwnCheck.FILE:
                return self._file(at, spec, value)
            case OwnCheck.UNLISTED_FILE if value and not isinstance(value, str):
                return said.no_file(at, shown(value))
            case OwnCheck.LISTED if not self._may_be_uploaded(value):
                return self._not_offered(at, spec, value)
            case OwnCheck.LINK:
                return said.refused_by_node(at, shown(value), f"an output of type {spec.type}")
            case OwnCheck.RATIO if not _is_ratio(value):
                return said.no_ratio(at, shown(value))
            case _:
                return None

    def _file(self, at: Place, spec: InputSpec, value: Any) -> Problem | None:
        """Files in subfolders and those of other folders are not in the list: they may be there."""
        if not isinstance(value, str):
            return said.no_file(at, shown(value))
        if self._may_be_uploaded(value) or spec.choices is None or value in spec.choices:
            return None
        if value in ("", ".", "..") or value.endswith("]") or any(sign in value for sign in "/\\:"):
            return None
        return said.no_such_file(at, value, spec.name)

    def _may_be_uploaded(self, value: Any) -> bool:
        return isinstance(value, str) and (self.uploaded is None or value in self.uploaded)

    def _not_offered(self, at: Place, spec: InputSpec, value: Any) -> Problem | None:
        if spec.choices is None or (spec.is_remote and not spec.is_v1_list):
            return None
        differences = DIFFERENCES[self.generation]
        several = differences.takes_several and bool(spec.options.get("multiselect")) and isinstance(value, list)
        for one in value if several else (value,):
            if one not in spec.choices and not self._is_judged_as_model(at, spec, one):
                near = self.near.of(one, _names(spec)) if isinstance(one, str) else None
                problem = said.not_offered(at, one, spec.choices, near=near)
                is_checked = spec.is_v1_list or differences.checks_v3_choices
                return problem if is_checked else replace(problem, severity=Severity.WARNING)
        return None

    def _is_judged_as_model(self, at: Place, spec: InputSpec, value: Any) -> bool:
        """Missing models have a check of their own; names of models may be spelled otherwise, and have aliases."""
        if not isinstance(value, str) or not value:
            return False
        class_type, inventory = class_of(at.node), self.models.inventory
        if self.models.takes(class_type, spec.name, value):
            return True
        if inventory is not None and inventory.mode is not Mode.ONLINE and looks_like_model(value):
            return True  # such an inventory denies nothing
        wanted = self.aliases.get(normalised(value), value)
        offered = self.models.choices(class_type, spec.name) or ()
        return looks_like_model(wanted) and normalised(wanted) in offered


def _out_of_range(at: Place, spec: InputSpec, value: Any) -> Problem | None:
    for bound, say in ((spec.options.get("min"), said.too_small), (spec.options.get("max"), said.too_big)):
        if not isinstance(bound, int | float) or spec.type == "STRING":
            continue
        if not isinstance(value, int | float):
            return said.wrong_kind(at, value, "a number")
        if value < bound if say is said.too_small else value > bound:
            return say(at, value, shown(bound))
    return None


def _is_ratio(value: Any) -> bool:
    parts = value.split(":") if isinstance(value, str) else ()
    try:
        wide, high = map(float, parts)
    except ValueError:
        return False
    return not (wide > _FARTHEST_RATIO * high or high > _FARTHEST_RATIO * wide)


def _names(spec: InputSpec) -> list[str]:
    return [choice for choice in spec.choices or () if isinstance(choice, str)]
