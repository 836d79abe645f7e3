"""What is published of the inventory: names for people who write workflows elsewhere, and nothing of the machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from comfywatch import plain_yaml
from comfywatch.inventory import Inventory
from comfywatch.published import PUBLISHED, Publisher, document
from comfywatch.sandbox import Sandbox
from comfywatch.schemas import Schemas
from comfywatch.settings import Settings
from tests.world import World

SCHEMAS = Schemas.read(
    {
        "KSampler": {
            "input": {
                "required": {"sampler_name": [["euler", "dpmpp_2m"]], "scheduler": ["COMBO", {"options": ["normal"]}]}
            }
        }
    }
)
INVENTORY = Inventory(
    last_updated=datetime(2026, 11, 23, tzinfo=UTC),
    comfyui_version="0.3.64",
    comfyui_path="/home/anna/ComfyUI",
    system={"gpu": "RTX 4090", "vram_total_gb": 24.0, "vram_free_gb": 3.1},
    models={"checkpoints": ("sub/b.safetensors", "a.safetensors"), "loras": None, "vae": ("/mnt/x/c.safetensors",)},
    node_classes=frozenset({"KSampler", "SaveImage"}),
    extra={"note": "of another tool"},
)


def test_it_has_what_people_write_into_workflows_and_no_path() -> None:
    assert document(INVENTORY, SCHEMAS) == {
        "schema": 1,
        "comfyui_version": "0.3.64",
        "gpu": "RTX 4090",
        "vram_total_gb": 24.0,
        "samplers": ["euler", "dpmpp_2m"],
        "schedulers": ["normal"],
        "models": {"checkpoints": ["a.safetensors", "sub/b.safetensors"], "vae": []},
        "nodes": ["KSampler", "SaveImage"],
    }


def test_what_is_not_known_is_left_out() -> None:
    assert document(Inventory(), None) == {"schema": 1}


def publisher(root: Path, *, is_on: bool = True) -> Publisher:
    (root / "projects").mkdir(exist_ok=True)
    return Publisher(Settings(root=root, publish_inventory=is_on))


def test_it_is_due_only_when_it_says_something_else(tmp_path: Path) -> None:
    (due,) = publisher(tmp_path).due(INVENTORY, SCHEMAS)
    assert due.path == tmp_path / "projects" / PUBLISHED
    due.path.write_bytes(due.data)
    assert not list(publisher(tmp_path).due(INVENTORY, SCHEMAS))
    due.path.write_text("edited by hand")
    assert list(publisher(tmp_path).due(INVENTORY, SCHEMAS)) == [due]


def test_without_the_setting_or_without_a_place_it_is_never_due(tmp_path: Path) -> None:
    assert not list(publisher(tmp_path, is_on=False).due(INVENTORY, SCHEMAS))
    at_work = publisher(tmp_path)
    (tmp_path / "projects").rmdir()
    assert not list(at_work.due(INVENTORY, SCHEMAS))


def test_the_daemon_keeps_it(tmp_path: Path, sandbox: Sandbox) -> None:
    world = World(tmp_path, sandbox, publish_inventory=True)
    file = world.projects / PUBLISHED
    (world.projects / ".~comfywatch-1-x.tmp").write_text("left over")
    world.start()
    world.until(file.exists)
    plain = plain_yaml.load(file.read_bytes())
    world.stop()
    assert isinstance(plain, dict)
    assert "v1-5-pruned-emaonly-fp16.safetensors" in plain["models"]["checkpoints"]
    assert "euler" in plain["samplers"]
    assert "KSampler" in plain["nodes"]
    assert [path.name for path in world.projects.iterdir()] == [PUBLISHED]
