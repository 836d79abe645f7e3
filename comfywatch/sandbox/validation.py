"""``POST /prompt``'s verdict by ComfyUI's rules: only what the output nodes need is looked at.

Whatever validation itself trips over (a link to nowhere, a slot that is not there) is reported as an exception, with
the words that Python has for it, because that is what the real server answers.
"""

from __future__ import annotations

import traceback
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from comfywatch.sandbox.files import find_annotated
from comfywatch.sandbox.installation import Installation

Json = dict[str, Any]
STUMBLES = (LookupError, TypeError, ValueError, AttributeError, RecursionError, AssertionError)
LONG_LIST = 20
CASTS = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``error`` is ``None`` when at least one output can run; ``outputs`` are those that can."""

    error: Json | None = None
    outputs: tuple[str, ...] = ()
    node_errors: Json = field(default_factory=dict)


@dataclass(slots=True)
class _Checked:
    """What is known of one node: whether it can run, and its own errors (not those of the nodes before it)."""

    good: bool
    errors: list[Json]


def validate(prompt: Any, installation: Installation, *, only: Collection[str] | None = None) -> Verdict:
    """Judge a prompt; values are converted in place, as ComfyUI does.

    ``only`` are the output nodes that are wanted; ``None``: all. What is no prompt at all raises what Python raises
    for it, as on the real server.
    """
    outputs, error = _find_outputs(prompt, installation, only)
    if error:
        return Verdict(error=error)
    return _Validation(prompt, installation).judge(outputs)


def _find_outputs(
    prompt: Any, installation: Installation, only: Collection[str] | None
) -> tuple[list[str], Json | None]:
    if installation.newer:
        _look_for_old_names(prompt)
    outputs = []
    for node_id in prompt:
        if "class_type" not in prompt[node_id]:
            return [], _no_class(node_id, prompt[node_id], installation)
        class_type = prompt[node_id]["class_type"]
        if not installation.knows(class_type):
            return [], _missing_class(node_id, prompt[node_id], installation)
        if installation.is_output(class_type) and (only is None or node_id in only):
            outputs.append(node_id)
    return outputs, None if outputs else _error("prompt_no_outputs", "Prompt has no outputs", "")


def _look_for_old_names(prompt: Any) -> None:
    """The newer server replaces old node names before anything else, and trips over odd shapes while it looks."""
    for node in prompt.values():
        if "class_type" in node and "inputs" in node:
            node["inputs"].items()


def _no_class(node_id: str, node: Any, installation: Installation) -> Json:
    details = f"Node ID '#{node_id}'"
    if not installation.newer:
        return _error("invalid_prompt", "Cannot execute because a node is missing the class_type property.", details)
    title = node.get("_meta", {}).get("title")
    name = title or f"ID #{node_id}"
    text = f"Node '{name}' has no class_type. The workflow may be corrupted or a custom node is missing."
    return _error("missing_node_type", text, details, node_id=node_id, class_type=None, node_title=title)


def _missing_class(node_id: str, node: Any, installation: Installation) -> Json:
    class_type, details = node["class_type"], f"Node ID '#{node_id}'"
    if not installation.newer:
        return _error("invalid_prompt", f"Cannot execute because node {class_type} does not exist.", details)
    title = node.get("_meta", {}).get("title", class_type)
    text = f"Node '{title}' not found. The custom node may not be installed."
    return _error("missing_node_type", text, details, node_id=node_id, class_type=class_type, node_title=title)


def _error(code: str, message: str, details: str, **extra_info: Any) -> Json:
    return {"type": code, "message": message, "details": details, "extra_info": extra_info}


def _stumbled(code: str, message: str, error: Exception, **extra_info: Any) -> Json:
    exception = {"exception_type": type(error).__qualname__, "traceback": traceback.format_tb(error.__traceback__)}
    return _error(code, message, str(error), **extra_info, **exception)


class _Validation:
    """One walk over one prompt."""

    def __init__(self, prompt: dict[str, Any], installation: Installation) -> None:
        self._prompt = prompt
        self._installation = installation
        self._checked: dict[str, _Checked] = {}
        self._visiting: list[str] = []

    def judge(self, outputs: list[str]) -> Verdict:
        good: list[str] = []
        details: list[str] = []
        node_errors: Json = {}
        for output in outputs:
            result = self._check_output(output)
            if result.good:
                good.append(output)
                continue
            details += [f"{error['message']}: {error['details']}" for error in result.errors]
            self._collect(output, node_errors)
        if good:
            return Verdict(outputs=tuple(good), node_errors=node_errors)
        text = "Prompt outputs failed validation"
        error = _error("prompt_outputs_failed_validation", text, "\n".join(details))
        return Verdict(error=error, node_errors=node_errors)

    def _check_output(self, output: str) -> _Checked:
        try:
            return self._check(output)
        except STUMBLES as error:
            self._visiting.clear()
            reason = _stumbled("exception_during_validation", "Exception when validating node", error)
            self._checked[output] = _Checked(False, [reason])
            return self._checked[output]

    def _collect(self, output: str, node_errors: Json) -> None:
        for node_id, checked in self._checked.items():
            if checked.good or not checked.errors:
                continue
            class_type = self._prompt[node_id]["class_type"]
            entry = {"errors": checked.errors, "dependent_outputs": [], "class_type": class_type}
            node_errors.setdefault(node_id, entry)["dependent_outputs"].append(output)

    def _check(self, node_id: str) -> _Checked:
        if node_id in self._checked:
            return self._checked[node_id]
        if node_id in self._visiting:
            return self._cycle(node_id)
        node = self._prompt[node_id]
        inputs = node["inputs"]
        schema = self._installation.schema(node["class_type"])
        errors: list[Json] = []
        good = True
        for name, spec, required in _specs(schema):
            if name not in inputs:
                if required:
                    text = "Required input is missing"
                    errors.append(_error("required_input_missing", text, name, input_name=name))
            elif isinstance(inputs[name], list):
                good = self._check_link(node_id, name, spec, inputs[name], errors) and good
            else:
                self._check_value(node["class_type"], name, spec, inputs, errors)
        errors += self._check_file(node["class_type"], inputs)
        before = self._checked.get(node_id, _Checked(True, []))  # a cycle through this node has been told already
        errors = before.errors + [error for error in errors if error not in before.errors]
        self._checked[node_id] = _Checked(before.good and good and not errors, errors)
        return self._checked[node_id]

    def _cycle(self, node_id: str) -> _Checked:
        if not self._installation.newer:
            return _Checked(False, [])  # the old one runs out of stack, and says nothing
        path = [*self._visiting[self._visiting.index(node_id) :], node_id]
        told = " -> ".join(f"{each} ({self._prompt[each]['class_type']})" for each in path)
        members = list(dict.fromkeys(path))
        for each in members:
            extra = {"node_id": each, "cycle_nodes": members}
            error = _error("dependency_cycle", "Dependency cycle detected", told, **extra)
            self._checked[each] = _Checked(False, [error])
        return self._checked[node_id]

    def _check_link(self, node_id: str, name: str, spec: list[Any], link: list[Any], errors: list[Json]) -> bool:
        """Whether what is linked can run; what is wrong with the link itself is added to ``errors``."""
        config = _config(spec)
        if not _is_link(link):
            text = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            extra = {"input_name": name, "input_config": config, "received_value": link}
            errors.append(_error("bad_linked_input", text, name, **extra))
            return True
        source = link[0]
        received = self._installation.outputs(self._prompt[source]["class_type"])[link[1]]
        if not _fits(received, spec[0]):
            text = f"{name}, received_type({received}) mismatch input_type({spec[0]})"
            extra = {"input_name": name, "input_config": config, "received_type": received, "linked_node": link}
            errors.append(_error("return_type_mismatch", "Return type mismatch between linked nodes", text, **extra))
            return True
        self._visiting.append(node_id)
        try:
            return self._check(source).good
        except STUMBLES as error:
            self._checked[source] = _Checked(False, [_inner(error, name, config, link)])
            return False
        finally:
            self._visiting.pop()

    def _check_value(self, class_type: str, name: str, spec: list[Any], inputs: Json, errors: list[Json]) -> None:
        config = _config(spec)
        value = inputs[name]
        if isinstance(value, dict) and "__value__" in value:
            value = inputs[name] = value["__value__"]
        cast = CASTS.get(spec[0]) if isinstance(spec[0], str) else None
        try:
            value = inputs[name] = cast(value) if cast else value
        except (TypeError, ValueError, OverflowError) as error:
            extra = {"input_name": name, "input_config": config, "received_value": value}
            text = f"Failed to convert an input value to a {spec[0]} value"
            told = _error(
                "invalid_input_type", text, f"{name}, {value}, {error}", **extra, exception_message=str(error)
            )
            errors.append(told)
            return
        if not _is_input_file(class_type, name):
            errors += self._check_limits(name, config, value)

    def _check_limits(self, name: str, config: list[Any], value: Any) -> list[Json]:
        extra = {"input_name": name, "input_config": config, "received_value": value}
        limits = config[1]
        if "min" in limits and value < limits["min"]:
            text = f"Value {value} smaller than min of {limits['min']}"
            return [_error("value_smaller_than_min", text, name, **extra)]
        if "max" in limits and value > limits["max"]:
            return [_error("value_bigger_than_max", f"Value {value} bigger than max of {limits['max']}", name, **extra)]
        options = self._options(config)
        if options is None or value in options:
            return []
        shown = f"(list of length {len(options)})" if len(options) > LONG_LIST else str(options)
        extra["input_config"] = None if len(options) > LONG_LIST else config
        told = repr(value) if self._installation.newer else f"'{value}'"
        return [_error("value_not_in_list", "Value not in list", f"{name}: {told} not in {shown}", **extra)]

    def _options(self, config: list[Any]) -> list[Any] | None:
        """What a value must be one of; the older server does not look into the newer kind of list."""
        if isinstance(config[0], list):
            return config[0]
        if config[0] == "COMBO" and self._installation.newer:
            return list(config[1].get("options", ()))
        return None

    def _check_file(self, class_type: str, inputs: Json) -> list[Json]:
        if not _is_input_file(class_type, "image"):
            return []
        if "image" not in inputs:
            raise TypeError(f"{class_type}.VALIDATE_INPUTS() missing 1 required positional argument: 'image'")
        name = None if _is_link(inputs["image"]) else inputs["image"]  # what a link brings is not known yet
        if find_annotated(name, self._installation).exists():
            return []
        text = "Custom validation failed for node"
        return [_error("custom_validation_failed", text, f"image - Invalid image file: {name}", input_name="image")]


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _is_input_file(class_type: str, name: str) -> bool:
    return name == "image" and class_type in {"LoadImage", "LoadImageMask"}


def _specs(schema: Json) -> list[tuple[str, list[Any], bool]]:
    groups = schema["input"]
    required = [(name, spec, True) for name, spec in groups.get("required", {}).items()]
    return required + [(name, spec, False) for name, spec in groups.get("optional", {}).items()]


def _config(spec: list[Any]) -> list[Any]:
    return [spec[0], spec[1] if len(spec) > 1 else {}]


def _fits(received: Any, wanted: Any) -> bool:
    if received == wanted or "*" in (received, wanted):
        return True
    if isinstance(received, list) and wanted == "COMBO":
        return True
    if not isinstance(received, str) or not isinstance(wanted, str):
        return False
    return not {part.strip() for part in received.split(",")}.isdisjoint(part.strip() for part in wanted.split(","))


def _inner(error: Exception, name: str, config: list[Any], link: list[Any]) -> Json:
    extra = {"input_name": name, "input_config": config, "exception_message": str(error), "linked_node": link}
    return _stumbled("exception_during_inner_validation", "Exception when validating inner node", error, **extra)
