"""Which inputs a node has where that hangs on what the prompt gives: dynamic inputs bring others along.

ComfyUI never looks at a dynamic input itself, be it missing, linked or of a value that it does not offer; it looks at
what that brings. A kind of dynamic input that is not known here brings nothing that could be judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from comfywatch.schemas import InputSpec, Schemas, input_spec, input_specs

CHOICE = "COMFY_DYNAMICCOMBO_V3"
"""``mode`` brings the inputs of the chosen option, as ``mode.another``."""
GROWING = "COMFY_AUTOGROW_V3"
"""``images`` brings one after the other of the same kind, as ``images.image0``, ``images.image1``, …"""

_MOST = 2000
"""Steps to take for one node: a package may nest what it likes."""


def inputs_in(schemas: Schemas, class_type: str, given: Mapping[str, Any]) -> Mapping[str, InputSpec]:
    """The inputs that ComfyUI looks at in a node of a known class, by their whole names."""
    specs = schemas.inputs(class_type)
    if not schemas.has_dynamic(class_type):
        return specs
    found: dict[str, InputSpec] = {}
    todo = list(specs.values())[::-1]
    for _ in range(_MOST):
        if not todo:
            break
        spec = todo.pop()
        if spec.is_dynamic:
            todo.extend(reversed(tuple(_brought(spec, given))))
        else:
            found[spec.name] = spec
    return found


def not_judged(schemas: Schemas, class_type: str) -> Iterator[str]:
    """The dynamic inputs of a class of which is not known what they bring."""
    for spec in schemas.inputs(class_type).values() if schemas.has_dynamic(class_type) else ():
        if spec.is_dynamic and spec.type not in (CHOICE, GROWING):
            yield spec.name


def _brought(spec: InputSpec, given: Mapping[str, Any]) -> Iterable[InputSpec]:
    if spec.type == CHOICE:
        return chosen(spec, given.get(spec.name))
    return _grown(spec, given) if spec.type == GROWING else ()


def chosen(spec: InputSpec, key: Any) -> Iterator[InputSpec]:
    offered = spec.options.get("options")
    for option in offered if isinstance(offered, list) and isinstance(key, str) else ():
        if isinstance(option, Mapping) and option.get("key") == key:
            yield from (nested for _, nested in input_specs(option.get("inputs"), under=f"{spec.name}."))
            return


def _grown(spec: InputSpec, given: Mapping[str, Any]) -> Iterator[InputSpec]:
    """The first few are required, whether the growing one is or not; of the others those that are given."""
    template = spec.options.get("template")
    kind = _kind(template)
    if not isinstance(template, Mapping) or kind is None:
        return
    plain, is_required = kind
    least = template.get("min")
    for at, name in enumerate(_names(template)):
        whole = f"{spec.name}.{name}"
        required = is_required and isinstance(least, int) and at < least
        if required or whole in given:
            yield input_spec(whole, plain, required=required)


def _kind(template: Any) -> tuple[Any, bool] | None:
    """What grows, and whether it is ever required."""
    sections = template.get("input") if isinstance(template, Mapping) else None
    for section in ("required", "optional"):
        specs = sections.get(section) if isinstance(sections, Mapping) else None
        if isinstance(specs, Mapping) and specs:
            return next(iter(specs.values())), section == "required"
    return None


def _names(template: Mapping[str, Any]) -> Iterator[str]:
    names, prefix, most = template.get("names"), template.get("prefix"), template.get("max")
    if isinstance(names, list):
        yield from (name for name in names[:_MOST] if isinstance(name, str))
    elif isinstance(prefix, str) and isinstance(most, int):
        yield from (f"{prefix}{number}" for number in range(min(most, _MOST)))
