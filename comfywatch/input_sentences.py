"""What is said about one input of a node: by our own check and, where ComfyUI refused it, in the same words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfywatch.problems import Problem
from comfywatch.sentences import called, class_of, shortened, shown

_KINDS = {"INT": "a whole number", "FLOAT": "a number", "BOOLEAN": "true or false", "STRING": "a text"}
_MOST_NAMED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An input of a node; ``input`` may be empty, for the node as such."""

    node_id: str
    node: Mapping[str, Any]
    input: str

    @property
    def called(self) -> str:
        """To begin a sentence with."""
        node = called(self.node_id, self.node)
        return f"{node}: {shortened(self.input)}" if self.input else node

    def problem(self, code: str, message: str, fix: str) -> Problem:
        """A problem in this place."""
        return Problem(
            code=code,
            message=message,
            fix=fix,
            node=self.node_id,
            class_type=class_of(self.node),
            input=self.input,
        )


def kind_of(type_name: Any) -> str:
    """An input's type in words; empty if it has none."""
    return _KINDS.get(type_name, "") if isinstance(type_name, str) else ""


def not_given(at: Place) -> Problem:
    """A required input that is not there."""
    fix = f"Connect {shortened(at.input)} or set it in ComfyUI, and export the workflow again."
    return at.problem("required_input_missing", f"{at.called} is not given.", fix)


def wrong_kind(at: Place, value: Any, kind: str) -> Problem:
    """``kind`` is what would do, as ``a whole number``."""
    return at.problem(
        "invalid_input_type", f"{at.called} is {shown(value)}, which is not {kind}.", f"Set it to {kind}."
    )


def too_small(at: Place, value: Any, bound: str) -> Problem:
    """``bound`` is the smallest that does."""
    message = f"{at.called} is {shown(value)}, smallest is {bound}."
    return at.problem("value_smaller_than_min", message, f"Set it to {bound} or more.")


def too_big(at: Place, value: Any, bound: str) -> Problem:
    """``bound`` is the largest that does."""
    message = f"{at.called} is {shown(value)}, largest is {bound}."
    return at.problem("value_bigger_than_max", message, f"Set it to {bound} or less.")


def not_offered(at: Place, value: Any, choices: Sequence[Any], *, near: str | None = None) -> Problem:
    """``near`` is a choice that may be meant."""
    guess = f"; did you mean {shown(near)}?" if near else "."
    where = called(at.node_id, at.node)
    message = f"{where}: {shown(value)} is no {shortened(at.input) or 'choice'} here{guess}"
    return at.problem("value_not_in_list", message, _offer(choices))


def wrong_output(at: Place, wanted: str, received: str, source: str) -> Problem:
    """A link that brings what the input does not take; ``source`` is how the other node is called, if it is known."""
    giver = f" from {source}" if source else ""
    return at.problem(
        "return_type_mismatch",
        f"{at.called} takes {shortened(wanted)}, and gets {shortened(received)}{giver}.",
        f"Connect it to an output of type {shortened(wanted)} in ComfyUI, and export the workflow again.",
    )


def no_such_file(at: Place, name: str, kind: str) -> Problem:
    """``kind`` is the input's name, as a rule: an image, an audio."""
    return at.problem(
        "custom_validation_failed",
        f"{at.called}: the {shortened(kind)} file {shown(name)} is not in ComfyUI's input folder.",
        f"Put {shown(name)} into the project's inputs/ folder.",
    )


def no_file(at: Place, found: str) -> Problem:
    """What is there instead of a file's name."""
    return at.problem(
        "custom_validation_failed",
        f"{at.called} is {found}, where the node takes the name of a file.",
        "Choose a file in ComfyUI, and export the workflow again.",
    )


def no_ratio(at: Place, found: str) -> Problem:
    """What is there instead of a ratio that the node takes."""
    return refused_by_node(at, found, "a ratio from 1:4 to 4:1, such as 16:9")


def refused_by_node(at: Place, found: str, wanted: str) -> Problem:
    """``wanted`` is what the node asks for, ``found`` what is there instead."""
    message = f"{at.called} is {found}, and the node takes only {wanted}."
    return at.problem("custom_validation_failed", message, f"Set it to {wanted}.")


def _offer(choices: Sequence[Any]) -> str:
    if not choices:
        return "Choose one in ComfyUI, and export the workflow again."
    named = ", ".join(map(shown, choices[:_MOST_NAMED]))
    more = f" … ({len(choices)} in all)" if len(choices) > _MOST_NAMED else ""
    return f"It takes {named}{more}."
