"""Packages of nodes in the ways in which people write them, and the classes that ComfyUI has of each.

``NODE`` stands for the body of a class that ComfyUI takes. The real servers register exactly the classes named here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

NODE = """
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}
    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    CATEGORY = "test"
    def run(self):
        return (1,)
"""


@dataclass(frozen=True, slots=True)
class Package:
    """``files`` by path; ``classes`` are what is registered, ``unknowable`` of them what no source tells."""

    files: dict[str, str]
    classes: frozenset[str]
    unknowable: frozenset[str] = frozenset()

    def write(self, folder: Path) -> None:
        """Put the package's files into a folder."""
        for name, text in self.files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


def package(classes: str, *, unknowable: str = "", **files: str) -> Package:
    """``a__b`` is the file ``a/b.py``, ``init`` is ``__init__.py``; ``class X(NODE)`` becomes a whole class."""
    texts = {}
    for name, text in files.items():
        path = name.replace("__", "/").replace("init", "__init__") + ".py"
        texts[path] = dedent(text).replace("(NODE): pass", f":{NODE}")
    return Package(texts, frozenset(classes.split()), frozenset(unknowable.split()))


PACKAGES = {
    "literal": package(
        "LitA LitB",
        init="""
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"LitA": A, 'LitB': A}
        NODE_DISPLAY_NAME_MAPPINGS = {"LitA": "A"}
    """,
    ),
    "reexport": package(
        "ReA",
        init="from .a import NODE_CLASS_MAPPINGS, WEB",
        a="""
        class A(NODE): pass
        WEB = "./js"
        NODE_CLASS_MAPPINGS: dict = {"ReA": A}
    """,
    ),
    "star": package(
        "StarA",
        init="from .nodes.a import *",
        nodes__a="""
        class A(NODE): pass
        _hidden = {}
        NODE_CLASS_MAPPINGS = dict(StarA=A)
    """,
    ),
    "spreads": package(
        "SpA SpB SpC SpD",
        init="""
        from . import a, b
        from .c import NODE_CLASS_MAPPINGS as C
        class D(NODE): pass
        NODE_CLASS_MAPPINGS = {**a.NODE_CLASS_MAPPINGS, **b.NODE_CLASS_MAPPINGS} | C
        NODE_CLASS_MAPPINGS |= {"SpD": D}
    """,
        a="""
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"SpA": A}
    """,
        b="""
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"SpB": A}
    """,
        c="""
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"SpC": A}
    """,
    ),
    "updates": package(
        "UpA UpB UpC UpD",
        init="""
        NODE_CLASS_MAPPINGS = {}
        class A(NODE): pass
        NODE_CLASS_MAPPINGS["UpA"] = A
        NODE_CLASS_MAPPINGS.update({"UpB": A, "UpGone": A})
        NODE_CLASS_MAPPINGS.update(UpC=A)
        NODE_CLASS_MAPPINGS.setdefault("UpD", A)
        del NODE_CLASS_MAPPINGS["UpGone"]
    """,
    ),
    "loop": package(
        "LoopA LoopB",
        init="""
        class LoopA(NODE): pass
        class LoopB(NODE): pass
        NODE_CLASS_MAPPINGS = {}
        for cls in [LoopA, LoopB]:
            NODE_CLASS_MAPPINGS[cls.__name__] = cls
    """,
    ),
    "comprehension": package(
        "CompNode_A CompNode_B",
        init="""
        class A(NODE): pass
        class B(NODE): pass
        class C(NODE): pass
        NODE_CLASS_MAPPINGS = {f"CompNode_{c.__name__}": c for c in (A, B, C) if c.__name__ != "C"}
    """,
    ),
    "config_table": package(
        "CfgA CfgB",
        init="""
        class A(NODE): pass
        NODE_CONFIG = {"CfgA": {"class": A, "name": "A node"}, "CfgB": {"class": A}}
        def generate(config):
            classes, names = {}, {}
            for key, info in config.items():
                classes[key] = info["class"]
                names[key] = info.get("name", info["class"].__name__)
            return classes, names
        NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS = generate(NODE_CONFIG)
    """,
    ),
    "own_names": package(
        "Seed_(own) Other_(own)",
        init="""
        from .constants import get_name
        class A(NODE): pass
        class B(NODE): pass
        A.NAME = get_name("Seed")
        B.NAME = get_name("Other")
        NODE_CLASS_MAPPINGS = {A.NAME: A, B.NAME: B}
    """,
        constants="""
        NAMESPACE = "own"
        def get_name(name):
            return "{}_({})".format(name, NAMESPACE)
    """,
    ),
    "registered": package(
        "RegA RegB",
        init="""
        from .registry import NODE_CLASS_MAPPINGS
        from . import nodes
    """,
        registry="""
        NODE_CLASS_MAPPINGS = {}
        NODE_DISPLAY_NAME_MAPPINGS = {}
        def register(name, display=None):
            def decorate(cls):
                NODE_CLASS_MAPPINGS[name] = cls
                NODE_DISPLAY_NAME_MAPPINGS[name] = display or name
                return cls
            return decorate
    """,
        nodes="""
        from .registry import register
        @register("RegA", "A")
        class A(NODE): pass
        @register(name="RegB")
        class B(NODE): pass
    """,
    ),
    "by_name": package(
        "NameA NameB",
        init="""
        import importlib
        node_list = ["one", "two"]
        NODE_CLASS_MAPPINGS = {}
        for module_name in node_list:
            imported = importlib.import_module(".py.{}".format(module_name), __name__)
            NODE_CLASS_MAPPINGS = {**NODE_CLASS_MAPPINGS, **imported.NODE_CLASS_MAPPINGS}
    """,
        py__one="""
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"NameA": A}
    """,
        py__two="""
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"NameB": A}
    """,
    ),
    "by_folder": package(
        "FoldA FoldB",
        init="""
        import importlib.util, os
        NODE_CLASS_MAPPINGS = {}
        here = os.path.dirname(os.path.abspath(__file__))
        folder = os.path.join(here, "nodes")
        for file in sorted(os.listdir(folder)):
            if not file.endswith(".py") or file.startswith("_"):
                continue
            name = os.path.splitext(file)[0]
            spec = importlib.util.spec_from_file_location(name, os.path.join(folder, file))
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            if hasattr(module, "NODE_CLASS_MAPPINGS") and getattr(module, "NODE_CLASS_MAPPINGS") is not None:
                NODE_CLASS_MAPPINGS.update(module.NODE_CLASS_MAPPINGS)
    """,
        nodes__a="""
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"FoldA": A}
    """,
        nodes__b="""
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"FoldB": A}
    """,
        nodes___left_out="""
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"FoldC": A}
    """,
        nodes__none="NODE_CLASS_MAPPINGS = None",
    ),
    "by_path": package(
        "PathA PathB",
        init="""
        import importlib, inspect
        from pathlib import Path
        NODE_CLASS_MAPPINGS = {}
        for file in Path(__file__).parent.joinpath("nodes").glob("*.py"):
            module = importlib.import_module(f".nodes.{file.stem}", package=__package__)
            for name, obj in inspect.getmembers(module, inspect.isclass):
                if hasattr(obj, "INPUT_TYPES") and obj.__name__ != "Base":
                    NODE_CLASS_MAPPINGS["Path" + name] = obj
    """,
        nodes__a="""
        class Base(NODE): pass
        class A(Base): pass
        class B(Base): pass
        class Helper: pass
    """,
    ),
    "by_glob": package(
        "GlobA",
        init="""
        import glob, os, importlib, sys
        root = os.path.dirname(os.path.realpath(__file__))
        NODE_CLASS_MAPPINGS = {}
        def load():
            for path in glob.glob(os.path.join(root, "parts", "node_*.py")):
                name = os.path.basename(path)[:-3]
                module = importlib.import_module("." + name, __name__ + ".parts")
                for key, value in module.NODE_CLASS_MAPPINGS.items():
                    if key not in NODE_CLASS_MAPPINGS:
                        NODE_CLASS_MAPPINGS[key] = value
        load()
    """,
        parts__node_a="""
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"GlobA": A}
    """,
        parts__other="""
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"GlobOther": A}
    """,
    ),
    "on_path": package(
        "OnPathA",
        init="""
        import os, sys
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
        from onpath_nodes import *
        NODE_CLASS_MAPPINGS = {"OnPathA": OnPathNode}
    """,
        onpath_nodes="""
        class OnPathNode(NODE): pass
    """,
    ),
    "guarded": package(
        "GuardA GuardB",
        init="""
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"GuardA": A}
        try:
            import a_library_that_is_nowhere
            from .extra import MORE
            NODE_CLASS_MAPPINGS.update(MORE)
        except ImportError:
            print("no extra")
        try:
            from .lean import LEAN
            NODE_CLASS_MAPPINGS.update(LEAN)
        except Exception:
            pass
        try:
            import json, torch
            from .plain import PLAIN
            NODE_CLASS_MAPPINGS.update(PLAIN)
        except ImportError:
            pass
        try:
            from . import not_there
        except ImportError:
            not_there = None
        if not_there:
            NODE_CLASS_MAPPINGS["GuardNever"] = A
    """,
        extra="""
        class A(NODE): pass
        MORE = {"GuardExtra": A}
    """,
        lean="""
        import a_library_that_is_nowhere
        class A(NODE): pass
        LEAN = {"GuardLean": A}
    """,
        plain="""
        class A(NODE): pass
        PLAIN = {"GuardB": A}
    """,
    ),
    "conditions": package(
        "CondA CondKnown CondElse",
        unknowable="CondElse",
        init="""
        import os, sys, time
        from typing import TYPE_CHECKING
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"CondA": A, "CondMaybeGone": A}
        DEBUG = False
        if DEBUG:
            NODE_CLASS_MAPPINGS["CondDebug"] = A
        if TYPE_CHECKING:
            NODE_CLASS_MAPPINGS["CondTypes"] = A
        if not DEBUG and len(NODE_CLASS_MAPPINGS) == 2:
            NODE_CLASS_MAPPINGS["CondKnown"] = A
        if os.environ.get("COMFYWATCH_NEVER_SET"):
            NODE_CLASS_MAPPINGS["CondEnv"] = A
        else:
            NODE_CLASS_MAPPINGS["CondElse"] = A
            del NODE_CLASS_MAPPINGS["CondMaybeGone"]
        if __name__ == "__main__":
            NODE_CLASS_MAPPINGS["CondMain"] = A
    """,
    ),
    "computed": package(
        "DynA DynX_1",
        unknowable="DynX_1",
        init="""
        import time
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"DynA": A}
        NODE_CLASS_MAPPINGS["DynX_%d" % (1 if time.time() > 0 else 2)] = A
    """,
    ),
    "enums": package(
        "EnumA",
        init="""
        from enum import Enum
        class Names(Enum):
            A = "EnumA"
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {Names.A.value: A}
    """,
    ),
    "early_return": package(
        "EarlyA",
        init="""
        import os
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"EarlyA": A}
        def more():
            if os.environ.get("COMFYWATCH_NEVER_SET") is None:
                return
            NODE_CLASS_MAPPINGS["EarlyMore"] = A
        more()
        for name in ("EarlyB", "EarlyC"):
            if os.environ.get("COMFYWATCH_NEVER_SET") is None:
                break
            NODE_CLASS_MAPPINGS[name] = A
    """,
    ),
    "no_classes": package("", init="WEB_DIRECTORY = './js'\nNODE_CLASS_MAPPINGS = {}"),
    "classless": package("", init="print('nothing here')"),
    "none_for_a_class": package(
        "NoneA",
        init="""
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"NoneA": A, "NoneB": None}
    """,
    ),
    "broken": package("", init="def broken(:\n"),
    "failing": package("", init="from .gone import NODE_CLASS_MAPPINGS"),
    "raising": package(
        "",
        init="""
        class A(NODE): pass
        NODE_CLASS_MAPPINGS = {"RaisingA": A}
        raise RuntimeError("no GPU")
    """,
    ),
    "extends_core": package(
        "ExtA ExtHidden",
        init="""
        import nodes
        from nodes import KSampler, NODE_CLASS_MAPPINGS as ALL
        class A(KSampler): pass
        NODE_CLASS_MAPPINGS = {"ExtA": A}
        if "KSampler" in ALL:
            ALL["ExtHidden"] = A
    """,
    ),
    "v3": package(
        "V3A V3B V3Made V3Sub",
        init="""
        from comfy_api.latest import ComfyExtension, io
        PREFIX = "V3"
        class A(io.ComfyNode):
            @classmethod
            def define_schema(cls) -> io.Schema:
                return io.Schema(node_id="V3A", display_name="A", category="t", inputs=[], outputs=[])
            @classmethod
            def execute(cls) -> io.NodeOutput:
                return io.NodeOutput()
        class B(A):
            @classmethod
            def define_schema(cls):
                schema = super().define_schema()
                schema.node_id = f"{PREFIX}B"
                return schema
        class Base(io.ComfyNode):
            NODE_ID = None
            @classmethod
            def define_schema(cls):
                return io.Schema(node_id=cls.NODE_ID, category="t", inputs=[], outputs=[])
            @classmethod
            def execute(cls):
                return io.NodeOutput()
        class Sub(Base):
            NODE_ID = "V3Sub"
        def make(name):
            class Made(Base):
                NODE_ID = name
            return Made
        class Extension(ComfyExtension):
            async def get_node_list(self) -> list[type[io.ComfyNode]]:
                nodes = [A, B]
                nodes += [make(PREFIX + "Made")]
                nodes.append(Sub)
                return nodes
        async def comfy_entrypoint() -> ComfyExtension:
            return Extension()
    """,
    ),
}
