"""The frontends that comfywatch converts for, and all in which they differ, each difference by its name.

ComfyUI brings its frontend along, so the server's schemas tell which one it is. What is not named here is the same in
both.
"""

from __future__ import annotations

from dataclasses import dataclass

from comfywatch.schemas import Generation

_PREFIX_WITH_TOKENS = frozenset(
    {"SaveAnimatedPNG", "SaveAnimatedWEBP", "SaveAudio", "SaveGLB", "SaveImage", "SaveLatent", "SaveWEBM"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontend:
    """How one generation of the frontend reads a saved workflow."""

    name: str
    numbers_nodes_once: bool
    """A node in a subgraph whose number another node has already is given a new one."""
    instance_can_be_off: bool
    """A muted or bypassed instance of a subgraph is left out whole; else only its inner nodes' own modes count."""
    keeps_value_of_muted: bool
    """A widget that is linked to a muted node keeps its own value; else the input is left out."""
    muted_reroute_stops: bool
    """A muted reroute gives nothing; else it passes on as any other."""
    reads_proxies: bool
    """What an instance says of its inner nodes' widgets counts (``proxyWidgets``), and takes a place among values."""
    lists_become_text: bool
    """A list in a text widget is sent as text; all other lists are wrapped, so that they are not taken for links."""
    prefix_with_tokens: frozenset[str]
    """Classes in whose ``filename_prefix`` the tokens (``%date:yyyy%``) are replaced."""


FRONTEND_1_27 = Frontend(
    name="1.27",
    numbers_nodes_once=False,
    instance_can_be_off=False,
    keeps_value_of_muted=False,
    muted_reroute_stops=False,
    reads_proxies=False,
    lists_become_text=True,
    prefix_with_tokens=_PREFIX_WITH_TOKENS,
)
"""As it came with ComfyUI 0.3.64."""

FRONTEND_1_49 = Frontend(
    name="1.49",
    numbers_nodes_once=True,
    instance_can_be_off=True,
    keeps_value_of_muted=True,
    muted_reroute_stops=True,
    reads_proxies=True,
    lists_become_text=False,
    prefix_with_tokens=_PREFIX_WITH_TOKENS | {"SaveAudioMP3", "SaveVideo"},
)
"""As it comes with ComfyUI 0.33."""

FRONTENDS = {Generation.OLDER: FRONTEND_1_27, Generation.NEWER: FRONTEND_1_49}
"""Which one a server has."""
