"""``references/models.md``, as people write it, and as nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfywatch.model_links import ModelLink
from comfywatch.references import References

PAGE = """\
# Models

```
ComfyUI/models/checkpoints/not-a-model.safetensors
wget https://example.org/fetched/by_hand.safetensors
```

## Checkpoints

### Harbour XL V5.0 (fast)
- **Download**: https://example.org/models/139562/harbour
- **File**: `HarbourXL_V5.0.safetensors` (6.9 GB)
- **Path**: `models/checkpoints/`
- **Notes**: better than `other.safetensors`

### LAMP.1-dev
- **Download**: https://example.org/lab/LAMP.1-dev
- **Files**: `lamp1-dev.safetensors` (23.8GB)
- **Path**: `models/checkpoints/`
- **Also requires**:
  - T5 encoder: `t5xxl_lamp.safetensors` → `models/clip/`
  - VAE: `lamp_ae.safetensors` → `models/vae/` (https://example.org/lab/lamp_ae)

### Lamp Kontext (editing)
- **Download**: https://example.org/lab/LAMP-Kontext
- **Path**: `models/checkpoints/`

### Lantern XL Ragtime
- **Download**: https://example.org/models/133005

## Faces

### FaceKeeper
- **IP-Adapter**: https://example.org/face/FaceKeeper
  - File: `ip-adapter.bin` → `models/instantid/`
- **ControlNet**: Same repo
  - File: `ControlNetModel/diffusion_pytorch_model.safetensors` → `models/controlnet/`
  - Rename to: `facekeeper_controlnet.safetensors`
- **Requires**: the `antelope` model

### LAMP ControlNet (Union)
- **Download**: https://example.org/face/Lamp-Union
- **File**: `diffusion_pytorch_model.safetensors`
- **Path**: `models/controlnet/`

## Video

### Tide 2.1
- **14B T2V**: `tide2.1_t2v_14B.safetensors`
- **1.3B T2V** (small): `tide2.1_t2v_1.3B.safetensors`
- **Download**: https://example.org/tide/2.1
- **Path**: `models/diffusion_models/`
- **VAE**: `tide_2.1_vae.safetensors` → `models/vae/`

### Tide 2.2
- **Inpaint model**: `tide2.2_inpaint.safetensors`
  - Download: https://example.org/tide/2.2
  - Path: `models/diffusion_models/`
- **VAE**: `tide_2.1_vae.safetensors` (the same)

### Motion
- **Download**: https://example.org/motion/tree/main
- **Files**:
  - `zoom_in.ckpt`, `pan left.ckpt`
  - second.ckpt
- **Path**: `custom_nodes/Motion/models/`

## A table

| File | Where | Folder |
|---|---|---|
| `rain.safetensors` | <https://example.org/rain> | `models/loras/` |
| snow.safetensors | [here](https://example.org/files/snow.safetensors) | |
"""
READ = References.read(PAGE.encode())


def urls(name: str, folder: str = "") -> list[str]:
    return [link.url.removeprefix("https://example.org/") for link in READ.of(name, folder)]


@pytest.mark.parametrize(
    ("name", "folder", "found"),
    [
        ("HarbourXL_V5.0.safetensors", "checkpoints", ["models/139562/harbour"]),
        ("harbourxl_v5.0.SAFETENSORS", "checkpoints", ["models/139562/harbour"]),
        ("sdxl\\HarbourXL_V5.0.safetensors", "checkpoints", ["models/139562/harbour"]),
        ("lamp1-dev.safetensors", "checkpoints", ["lab/LAMP.1-dev"]),
        ("lamp1-dev.safetensors", "diffusion_models", ["lab/LAMP.1-dev"]),
        ("tide2.1_t2v_1.3B.safetensors", "diffusion_models", ["tide/2.1"]),
        ("tide2.2_inpaint.safetensors", "diffusion_models", ["tide/2.2"]),
        ("ip-adapter.bin", "instantid", ["face/FaceKeeper"]),
        ("zoom_in.ckpt", "", ["motion/tree/main"]),
        ("pan left.ckpt", "", ["motion/tree/main"]),
        ("second.ckpt", "", ["motion/tree/main"]),
        ("rain.safetensors", "loras", ["rain"]),
        ("snow.safetensors", "loras", ["files/snow.safetensors"]),
        ("by_hand.safetensors", "", ["fetched/by_hand.safetensors"]),
    ],
)
def test_a_file_is_found_with_the_link_of_its_heading_or_its_own(name: str, folder: str, found: list[str]) -> None:
    assert urls(name, folder) == found


def test_what_is_only_required_has_no_link_from_the_heading() -> None:
    assert urls("t5xxl_lamp.safetensors", "text_encoders") == []
    assert urls("lamp_ae.safetensors", "vae") == ["lab/lamp_ae"]


def test_one_name_under_two_headings_lists_both() -> None:
    assert urls("diffusion_pytorch_model.safetensors", "controlnet") == ["face/FaceKeeper", "face/Lamp-Union"]
    assert urls("tide_2.1_vae.safetensors", "vae") == ["tide/2.1", "tide/2.2"]


def test_a_file_that_is_to_be_renamed_is_known_by_both_names() -> None:
    link = ModelLink(
        name="facekeeper_controlnet.safetensors",
        original="ControlNetModel/diffusion_pytorch_model.safetensors",
        url="https://example.org/face/FaceKeeper",
        folder="controlnet",
    )
    assert READ.of("facekeeper_controlnet.safetensors", "controlnet") == (link,)
    assert link in READ.of("diffusion_pytorch_model.safetensors", "controlnet")


@pytest.mark.parametrize(
    ("name", "folder"),
    [("lamp1-kontext-dev.safetensors", "diffusion_models"), ("lampKontext_fp8.safetensors", "checkpoints")],
)
def test_a_heading_without_a_file_stands_for_what_is_called_like_it(name: str, folder: str) -> None:
    assert urls(name, folder) == ["lab/LAMP-Kontext"]


def test_a_heading_stands_for_no_model_of_another_kind() -> None:
    assert urls("lamp_kontext.safetensors", "loras") == []
    assert urls("lanternXL_ragtimeBy.safetensors", "loras") == ["models/133005"]


@pytest.mark.parametrize(
    "name", ["other.safetensors", "not-a-model.safetensors", "unheard-of.ckpt", "lamp.safetensors"]
)
def test_what_is_only_talked_of_is_not_found(name: str) -> None:
    assert urls(name) == []


@pytest.mark.parametrize(("name", "folder"), [("ip-adapter.bin", "instantid"), ("tide_2.1_vae.safetensors", "vae")])
def test_the_folder_is_read_from_path_and_arrow(name: str, folder: str) -> None:
    assert READ.of(name, "")[0].folder == folder


def test_a_folder_that_leads_out_is_none() -> None:
    read = References.read(b"# X\n- **Download**: https://example.org/x\n- `x.bin` -> `models/../../etc/`\n")
    assert read.of("x.bin", "")[0].folder == ""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_every_way_of_saving_it_is_read(encoding: str, ends: str) -> None:
    read = References.read(PAGE.replace("\n", ends).encode(encoding))
    assert read == READ


@pytest.mark.parametrize(
    "url", ["ftp://example.org/x", "file:///etc/passwd", "javascript:alert(1)", "https://a:b@example.org/x", "https://"]
)
def test_what_is_no_plain_web_address_is_no_link(url: str) -> None:
    assert References.read(f"# X\n- **Download**: {url}\n- **File**: `x.bin`\n".encode()).of("x.bin", "") == ()


def test_a_key_in_an_address_is_not_shown() -> None:
    (link,) = References.read(b"# X\n- `x.bin`: https://example.org/api/1?type=Model&token=secret\n").of("x.bin", "")
    assert link.url == "https://example.org/api/1"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\xff\xfe\x80" * 1000,
        b"\xff\xfe\x00",
        b"# " * 300_000,
        b"- " * 300_000,
        b"`" * 500_000,
        b"a:" * 500_000,
        ("- x\n" + "  " * 400 + "- y\n").encode() * 500,
        b"# X\n" + b"".join(b"%s- y: `z%d.bin`\n" % (b" " * n, n) for n in range(1500)),
    ],
)
def test_nothing_makes_it_raise_or_take_long(data: bytes) -> None:
    References.read(data).of("x.bin", "vae")


@given(st.binary(max_size=300) | st.text(alphabet="# -*`:→|()[]https://x.bin\n\t", max_size=300).map(str.encode))
def test_whatever_is_in_it_links_are_plain_web_addresses(data: bytes) -> None:
    read = References.read(data)
    for link in (*read.links, *read.headings):
        assert link.url.startswith(("http://", "https://"))
        assert (link.name + link.url + link.folder).isprintable()
