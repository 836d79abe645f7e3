"""What usually lies behind a failure at run time, and what mends it: a table, read from the top."""

from __future__ import annotations

import re
from collections.abc import Iterable

from comfywatch.problems import Problem

HINTS: tuple[tuple[str, str], ...] = (
    (
        r"out of memory|OutOfMemory|CUBLAS_STATUS_ALLOC_FAILED|not enough memory",
        "The graphics card ran out of memory. Make the picture or the batch smaller, use a smaller (fp8, GGUF) model, "
        "close other programs that use the card, or run 'comfywatch free' and then 'comfywatch retry'.",
    ),
    (
        r"No space left on device|Errno 28",
        "The disk of the machine that runs ComfyUI is full. Make room there, then run 'comfywatch retry'.",
    ),
    (
        r"must have the same dtype|expected scalar type|BFloat16.*not|Half.*not implemented",
        "Two parts of the model have different precision. Use the text encoder, VAE and model that belong together, "
        "or start ComfyUI without a precision flag.",
    ),
    (
        r"size mismatch|mat1 and mat2 shapes|Error\(s\) in loading state_dict|Could not detect model type",
        "The model does not fit its loader or the other models. Check that model, text encoder, VAE and LoRA are of "
        "one family.",
    ),
    (
        r"incomplete metadata|HeaderTooLarge|InvalidHeader|invalid load key|UnpicklingError|file not fully covered",
        "A model file is damaged or empty. Download it again.",
    ),
    (
        r"cannot identify image|UnidentifiedImageError|truncated|image file is truncated",
        "An input picture is damaged. Save it again as PNG, and put it into the project's inputs/.",
    ),
    (
        r"No such file or directory|FileNotFoundError|Errno 2\b",
        "A file that the workflow names is not on the machine that runs ComfyUI.",
    ),
    (
        r"api[_ ]key|Unauthorized|Please login",
        "A partner node needs an account. Log in to ComfyUI's own window, or use another node.",
    ),
)
"""Pattern (searched in exception type and message, case does not count) and what to say."""

_COMPILED = tuple((re.compile(pattern, re.IGNORECASE), hint) for pattern, hint in HINTS)


def hint_for(problems: Iterable[Problem]) -> str:
    """The hint for the first problem that has one, else an empty text."""
    for problem in problems:
        if problem.code != "execution_error":
            continue
        text = problem.message + (problem.traceback[-1] if problem.traceback else "")
        for pattern, hint in _COMPILED:
            if pattern.search(text):
                return hint
    return ""
