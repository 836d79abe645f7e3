"""Node classes from sources: what can be known is found, what cannot is not guessed, and nothing stops the rest."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfywatch.scan.node_classes import Found, node_classes
from tests.node_packages import NODE, PACKAGES

SHARED = Path(__file__).parents[2] / "shared"
CORE = f"""
class KSampler:{NODE}
NODE_CLASS_MAPPINGS = {{"KSampler": KSampler}}
"""


def comfyui(root: Path) -> Path:
    """The least that is a ComfyUI; returns its ``custom_nodes``."""
    (root / "custom_nodes").mkdir(parents=True)
    (root / "nodes.py").write_text(CORE, encoding="utf-8")
    (root / "requirements.txt").write_text("torch\nnumpy>=1.25\nPillow\n", encoding="utf-8")
    return root / "custom_nodes"


def found_in(root: Path) -> Found:
    return node_classes(root, [root / "custom_nodes"])


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_read_however_it_names_its_classes(name: str, tmp_path: Path) -> None:
    PACKAGES[name].write(comfyui(tmp_path) / name)
    found = found_in(tmp_path)
    assert found.classes - {"KSampler"} == PACKAGES[name].classes - PACKAGES[name].unknowable
    assert found.packages == (name,)


def test_packages_that_fail_are_said_and_do_not_stop_the_others(tmp_path: Path) -> None:
    folder = comfyui(tmp_path)
    for name in ("broken", "failing", "raising", "literal"):
        PACKAGES[name].write(folder / name)
    (folder / "no_init").mkdir()
    found = found_in(tmp_path)
    assert found.classes == {"KSampler", "LitA", "LitB"}
    said = "\n".join(found.notices)
    assert len(found.notices) == 4
    for sentence in (
        "custom_nodes/broken cannot be imported: __init__.py is no Python",
        "custom_nodes/failing cannot be imported: there is no module",
        "custom_nodes/raising cannot be imported: line",
        "custom_nodes/no_init cannot be imported: no_init has no __init__.py",
    ):
        assert sentence in said


def test_what_is_switched_off_is_left_out(tmp_path: Path) -> None:
    folder = comfyui(tmp_path)
    for name in ("a.disabled", ".disabled", "__pycache__", "on", "has-dash", ".hidden"):
        PACKAGES["literal"].write(folder / name)
    (folder / "single.py").write_text(PACKAGES["loop"].files["__init__.py"], encoding="utf-8")
    (folder / "off.py.disabled").write_text(PACKAGES["registered"].files["nodes.py"], encoding="utf-8")
    (folder / "example.py.example").write_text("", encoding="utf-8")
    found = found_in(tmp_path)
    assert found.packages == (".hidden", "has-dash", "on", "single")
    assert found.classes == {"KSampler", "LitA", "LitB", "LoopA", "LoopB"}


def test_of_the_files_beside_it_those_are_read_that_comfyui_loads(tmp_path: Path) -> None:
    comfyui(tmp_path)
    (tmp_path / "nodes.py").write_text(
        CORE
        + """
def load_extras():
    folder, files = "comfy_extras", ["nodes_a.py", "nodes_gone.py"]
async def load_api():
    return sorted(glob("comfy_api_nodes", "nodes_*.py"))
""",
        encoding="utf-8",
    )
    for path in ("comfy_extras/nodes_a", "comfy_extras/nodes_b", "comfy_api_nodes/nodes_c", "comfy_api_nodes/other"):
        name = path.rpartition("_")[2]
        file = tmp_path / f"{path}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"class X:{NODE}\nNODE_CLASS_MAPPINGS = {{'In_{name}': X}}\n", encoding="utf-8")
    assert found_in(tmp_path).classes == {"KSampler", "In_a", "In_c"}


def test_nothing_of_it_is_run(tmp_path: Path) -> None:
    folder = comfyui(tmp_path)
    trap = tmp_path / "sprung"
    (folder / "trap").mkdir()
    (folder / "trap" / "__init__.py").write_text(
        f"""
import os, pathlib, subprocess
open({str(trap)!r}, "w").write("x")
pathlib.Path({str(trap)!r}).write_text("x")
os.system("touch {trap}")
subprocess.run(["touch", {str(trap)!r}])
os.mkdir({str(trap)!r})
NODE_CLASS_MAPPINGS = {{"Trap": object}}
""",
        encoding="utf-8",
    )
    assert "Trap" in found_in(tmp_path).classes
    assert not trap.exists()


def test_folders_elsewhere_are_not_listed(tmp_path: Path) -> None:
    folder = comfyui(tmp_path / "comfy")
    (tmp_path / "secret_name").mkdir()
    (folder / "nosy").mkdir()
    (folder / "nosy" / "__init__.py").write_text(
        f"import os\nNODE_CLASS_MAPPINGS = {{name: 1 for name in os.listdir({str(tmp_path)!r})}}\n", encoding="utf-8"
    )
    assert found_in(tmp_path / "comfy").classes == {"KSampler"}


@pytest.mark.parametrize(
    "text",
    [
        "while True:\n    x = 1\n",
        "def f(n):\n    return f(n + 1)\nf(0)\n",
        "x = 'a' * 10**9\nfor a in range(10**9):\n    pass\n",
        "x = '{:>1000000000}'.format('a')\ny = '%1000000000d' % 1\n",
        "x = 'a'\nfor i in range(60):\n    x = x + x\n",
        "x = [0]\nfor i in range(60):\n    x = x + x\n",
        "x = " + "(" * 150 + "1" + ")" * 150,
        "x = " + "[" * 5000 + "]" * 5000,
        "x = " + " + ".join(["1"] * 20_000),
        "import a.b.c\nfrom . import *\nfrom .. import y\nfrom ..... import z\n",
        "\x00",
        "# coding: no-such-coding\n",
    ],
)
def test_a_source_that_leads_nowhere_does_not_stop_the_rest(text: str, tmp_path: Path) -> None:
    folder = comfyui(tmp_path)
    (folder / "a_trap").mkdir()
    (folder / "a_trap" / "__init__.py").write_text(text, encoding="utf-8")
    PACKAGES["literal"].write(folder / "literal")
    assert found_in(tmp_path).classes == {"KSampler", "LitA", "LitB"}


def test_modules_that_import_each_other_are_read_once(tmp_path: Path) -> None:
    folder = comfyui(tmp_path) / "circle"
    folder.mkdir()
    (folder / "__init__.py").write_text("from .a import NODE_CLASS_MAPPINGS\n", encoding="utf-8")
    (folder / "a.py").write_text("from . import b\nNODE_CLASS_MAPPINGS = {'Circle': b.B}\n", encoding="utf-8")
    (folder / "b.py").write_text(f"from . import a\nclass B:{NODE}\n", encoding="utf-8")
    assert "Circle" in found_in(tmp_path).classes


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_source_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    folder = comfyui(tmp_path)
    PACKAGES["literal"].write(folder / "literal")
    (folder / "literal" / "__init__.py").chmod(0)
    assert "custom_nodes/literal cannot be imported: __init__.py cannot be read" in found_in(tmp_path).notices[0]


names = st.sampled_from(["A", "B", "C"])
statements = st.recursive(
    st.one_of(
        st.builds("M['{}'] = X".format, names),
        st.builds("M.pop('{}', None)".format, names),
        st.builds("M.update({{'{}': X}})".format, names),
        st.builds("M = {{**M, '{}': X}}".format, names),
        st.just("return"),
    ),
    lambda inner: st.builds(
        "if {}:\n{}\nelse:\n{}".format,
        st.sampled_from(["True", "False", "UNSURE"]),
        st.lists(inner, min_size=1, max_size=3).map(lambda body: indented("\n".join(body))),
        st.lists(inner, min_size=1, max_size=3).map(lambda body: indented("\n".join(body))),
    ),
    max_leaves=12,
)


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))


@settings(deadline=None, max_examples=150)  # the machine may be busy
@given(st.lists(statements, min_size=1, max_size=5))
def test_what_is_found_is_there_however_the_unsure_turns_out(
    tmp_path_factory: pytest.TempPathFactory, body: list[str]
) -> None:
    """The body is run twice by Python itself, with the condition that cannot be known true, and false."""
    text = f"X = 1\ndef fill(M):\n{indented(chr(10).join(body))}\n    return M\n"
    text = text.replace("return\n", "return M\n")
    root = tmp_path_factory.mktemp("comfy")
    folder = comfyui(root) / "p"
    folder.mkdir()
    source = f"import os\nUNSURE = os.environ.get('X')\n{text}NODE_CLASS_MAPPINGS = fill({{}})\n"
    (folder / "__init__.py").write_text(source, encoding="utf-8")
    found = found_in(root).classes - {"KSampler"}
    for unsure in (True, False):
        scope = {"UNSURE": unsure}
        exec(text, scope)  # our own text
        assert found <= set(scope["fill"]({}))  # type: ignore[operator]


@pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])
def test_a_checkout_has_the_classes_that_its_server_lists(version: str) -> None:
    """Of the checkout in ``COMFYUI_CHECKOUTS/VERSION``, beside what a server that ran from it said."""
    checkouts = os.environ.get("COMFYUI_CHECKOUTS")
    if not checkouts or not (Path(checkouts) / version).is_dir():
        pytest.skip("COMFYUI_CHECKOUTS names no folder with ComfyUI's sources")
    recorded = SHARED / f"comfyui-{version}" / "object_info.json"
    if not recorded.is_file():
        pytest.skip("there is no recording to compare with")
    listed = {
        name
        for name, schema in json.loads(recorded.read_bytes()).items()
        if not schema["python_module"].startswith("custom_nodes")
    }
    found = node_classes(Path(checkouts) / version, [])
    assert found.notices == ()
    assert len(listed & found.classes) >= 0.95 * len(listed)
    assert found.classes <= listed
