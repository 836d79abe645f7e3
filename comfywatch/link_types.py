"""Whether an output fits an input, as ComfyUI compares their types.

A type with commas stands for each of its words, and one word in common is enough. ``*`` fits anything; so does what
takes after another input. A list of choices fits the same list, and for newer ones every input that is a choice in V3's
notation.
"""

from __future__ import annotations

from comfywatch.schemas import COMBO, MATCH_TYPE, Generation, SlotType

ANYTHING = "*"


def fits(received: SlotType, wanted: SlotType, generation: Generation) -> bool:
    """Whether ComfyUI lets an output of type ``received`` into an input of type ``wanted``.

    Older ones let ``*`` through or not as the package's author wrote it, which schemas do not tell: it passes.
    """
    if received == wanted or {ANYTHING, MATCH_TYPE}.intersection((received, wanted)):
        return True
    if not isinstance(received, str) or not isinstance(wanted, str):
        return wanted == COMBO and generation is Generation.NEWER
    if not received or not wanted:
        return True  # not the name of a type: nothing is known
    theirs, ours = _words(received), _words(wanted)
    return bool(theirs & ours) or ANYTHING in theirs or ANYTHING in ours


def named(slot_type: SlotType) -> str:
    """The type for a sentence."""
    return slot_type if isinstance(slot_type, str) else COMBO


def _words(slot_type: str) -> set[str]:
    return {word.strip() for word in slot_type.split(",")}
