"""A stand-in for ComfyUI that needs no GPU and no model: for the demo, the tests and the benchmarks.

It imports nothing else of comfywatch, so that it is a fair judge, and it is held to recordings of real servers.
"""

from comfywatch.sandbox.faults import Faults, NoSuchFault
from comfywatch.sandbox.record import Post, Record
from comfywatch.sandbox.sandbox import Sandbox, serve
from comfywatch.sandbox.settings import VERSIONS, SandboxSettings, UnknownVersion

__all__ = [
    "VERSIONS",
    "Faults",
    "NoSuchFault",
    "Post",
    "Record",
    "Sandbox",
    "SandboxSettings",
    "UnknownVersion",
    "serve",
]
