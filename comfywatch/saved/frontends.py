"""The frontends that comfywatch converts for, and all in which they differ, each difference by its name.

ComfyUI brings its frontend along, so the server's schemas tell which one it is. What is not named here is the same in
both.
"""

from __future__ import annotations

from dataclasses import dataclass

from comfywatch.schemas import Generation, Schemas

_FILLED_IN = frozenset(
    {"CLIPSave", "LoraSave", "ModelSave", "SaveAnimatedPNG", "SaveAnimatedWEBP", "SaveAudio"}
    | {"SaveGLB", "SaveImage", "SaveLatent", "SaveWEBM", "VAESave"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontend:
    """How one generation of the frontend reads a saved workflow."""

    name: str
    numbers_nodes_once: bool
    """A node in a subgraph whose number another node has already is given a new one."""
    instance_can_be_off: bool
    """A muted or bypassed instance takes its inner nodes along; else only their own modes count."""
    reads_proxies: bool
    """What an instance has for widgets that are no inputs of it (``proxyWidgets``) counts."""
    keeps_value_under_link: bool
    """An instance's value for an input counts where a link to it brings nothing; else that of the node inside."""
    keeps_value_of_muted: bool
    """A widget that is linked to a muted node keeps its own value; else the input is left out."""
    muted_reroute_stops: bool
    """A muted reroute gives nothing; else it passes on as any other."""
    primitives_enter: bool
    """A primitive's value reaches into a subgraph."""
    texts_are_texts: bool
    """Whatever a text box holds is sent as text; else only ``null`` is."""
    fills_in_prefix_of: frozenset[str]
    """Classes in whose ``filename_prefix`` tokens (``%date:yyyy%``) are replaced."""


FRONTEND_1_27 = Frontend(
    name="1.27",
    numbers_nodes_once=False,
    instance_can_be_off=False,
    reads_proxies=False,
    keeps_value_under_link=True,
    keeps_value_of_muted=False,
    muted_reroute_stops=False,
    primitives_enter=True,
    texts_are_texts=True,
    fills_in_prefix_of=_FILLED_IN,
)
"""As it came with ComfyUI 0.3.64."""

FRONTEND_1_49 = Frontend(
    name="1.49",
    numbers_nodes_once=True,
    instance_can_be_off=True,
    reads_proxies=True,
    keeps_value_under_link=False,
    keeps_value_of_muted=True,
    muted_reroute_stops=True,
    primitives_enter=False,
    texts_are_texts=False,
    fills_in_prefix_of=_FILLED_IN
    | {"Save3DAdvanced", "SaveAudioAdvanced", "SaveAudioMP3", "SaveAudioOpus", "SaveGaussianSplat"}
    | {"SaveImageAdvanced", "SavePointCloud", "SaveSVGNode", "SaveVideo"},
)
"""As it comes with ComfyUI 0.33."""

_OF_SERVER = {Generation.OLDER: FRONTEND_1_27, Generation.NEWER: FRONTEND_1_49}


def frontend_of(schemas: Schemas) -> Frontend:
    """The one that the server of these schemas has."""
    return _OF_SERVER[schemas.version_hint]
