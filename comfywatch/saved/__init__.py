"""Saved workflows, as ComfyUI's *Save* writes them, and the prompts that they become.

Begin at ``convert``; it says which way it goes. ``frontends`` has all in which versions differ.
"""

from comfywatch.saved.convert import Converted, convert, is_saved_workflow
from comfywatch.saved.filling import Drawn
from comfywatch.saved.frontends import FRONTEND_1_27, FRONTEND_1_49, Frontend, frontend_of
from comfywatch.saved.seeds import Seed, with_seeds
from comfywatch.saved.widgets import Control

__all__ = [
    "FRONTEND_1_27",
    "FRONTEND_1_49",
    "Control",
    "Converted",
    "Drawn",
    "Frontend",
    "Seed",
    "convert",
    "frontend_of",
    "is_saved_workflow",
    "with_seeds",
]
