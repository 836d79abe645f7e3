"""What is told of a finished run: the settings that made it, and what usually lies behind a failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from comfywatch import shipped
from comfywatch.hardware import hardware
from comfywatch.hints import hint_for, known_hints
from comfywatch.history import read_outcome
from comfywatch.problems import Problem
from comfywatch.recipe import recipe
from tests.world import picture, text_to_image

RECORDINGS = Path(__file__).parent / "recordings"


def failure(message: str, *traceback: str) -> Problem:
    return Problem(code="execution_error", message=message, traceback=traceback)


# ---- the recipe


def test_the_classic_chain_is_told_as_people_speak_of_it() -> None:
    told = recipe(text_to_image("sdxl/harborXL.safetensors", seed=7, steps=20))
    nodes = told.pop("nodes")
    assert told == {
        "checkpoint": "sdxl/harborXL.safetensors",
        "sampler": "euler",
        "scheduler": "normal",
        "steps": 20,
        "cfg": 8,
        "denoise": 1,
        "seeds": {"3": 7},
        "models": ["sdxl/harborXL.safetensors"],
    }
    assert nodes["3"]["class_type"] == "KSampler"
    assert nodes["5"] == {"class_type": "EmptyLatentImage", "width": 64, "height": 64, "batch_size": 1}
    assert nodes["4"] == {"class_type": "CheckpointLoaderSimple", "ckpt_name": "sdxl/harborXL.safetensors"}


def test_every_seed_and_every_model_is_told_once() -> None:
    prompt = {
        "1": {"class_type": "KSampler", "inputs": {"seed": 1}},
        "2": {"class_type": "RandomNoise", "inputs": {"noise_seed": 2}},
        "3": {"class_type": "LoraLoader", "inputs": {"lora_name": "b.safetensors"}},
        "4": {"class_type": "LoraLoader", "inputs": {"lora_name": "B.GGUF"}},
        "5": {"class_type": "LoraLoader", "inputs": {"lora_name": "b.safetensors"}},
    }
    told = recipe(prompt)
    assert told["seeds"] == {"1": 1, "2": 2}
    assert told["models"] == ["B.GGUF", "b.safetensors"]


def test_a_diffusion_model_is_a_checkpoint_too() -> None:
    prompt = {"1": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors"}}}
    assert recipe(prompt)["checkpoint"] == "flux1-dev.safetensors"


def test_linked_inputs_are_left_out() -> None:
    assert recipe({"1": {"class_type": "KSampler", "inputs": {"seed": ["2", 0], "steps": ["3", 0]}}}) == {}


def test_keys_are_there_only_where_the_prompt_says_something() -> None:
    assert recipe({}) == {}
    assert recipe({"1": {"class_type": "X"}}) == {}
    assert recipe(picture()).keys() == {"nodes"}


# ---- hints


@pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])
@pytest.mark.parametrize(("name", "said"), [("oom", "memory"), ("corrupt_image", "picture is damaged")])
def test_recorded_failures_have_their_hints(version: str, name: str, said: str) -> None:
    recording = json.loads((RECORDINGS / f"comfyui-{version}" / f"history_error_{name}.json").read_bytes())
    (entry,) = recording["response"]["body"].values()
    assert said in hint_for(read_outcome(entry).problems)


DISK, RAM, CARD_MEMORY = "disk", "main memory", "comfywatch free"
FFMPEG, ATTENTION, COMPILE, REQUIREMENTS = "Install ffmpeg", "sdpa", "torch.compile", "Try Fix"
TERMS, ACCOUNT, CREDITS, NETWORK = "terms", "Log in", "credits", "network"
NO_MODEL_FILE, OLD_KIND, DAMAGED, PICTURE, VIDEO = "pointer", ".safetensors", "again", "PNG", "MP4"
RIGHTS, NOT_INSTALLED, NO_FILE = "rights", "where it looks", "not on the machine"
NO_ENCODER, NO_VAE, LOADER, DEVICES = "CLIPLoader", "VAELoader", "UNETLoader", "different devices"
PRECISION, FAMILY, SIZES, NUMBERS = "precision", "one family", "different sizes", "(NaN)"
CARD, BUILD, DRIVER, VERSION, FACE = "gave up", "built for", "driver of", "does not fit this version", "face"

SAID_IN_THE_FIELD = [
    ("KSampler failed with OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", CARD_MEMORY),
    (
        "KSampler failed with OutOfMemoryError: Allocation on device 0 would exceed allowed memory. (out of memory)",
        CARD_MEMORY,
    ),
    ("KSampler failed with OutOfMemoryError: Allocation on device ", CARD_MEMORY),
    ("VAEDecode failed with OutOfMemoryError: HIP out of memory. Tried to allocate 9.00 GiB.", CARD_MEMORY),
    ("KSampler failed with RuntimeError: MPS backend out of memory (MPS allocated: 17.71 GB)", CARD_MEMORY),
    ("VAEDecode failed with RuntimeError: Invalid buffer size: 15.82 GiB", CARD_MEMORY),
    (
        "KSampler failed with RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`",
        CARD_MEMORY,
    ),
    (
        "KSampler failed with RuntimeError: Could not allocate tensor with 1310720000 bytes. There is not "
        "enough GPU video memory available!",
        CARD_MEMORY,
    ),
    ("X failed with RuntimeError: [enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: not enough memory", RAM),
    (
        "UNETLoader failed with OSError: The paging file is too small for this operation to complete. (os error 1455)",
        RAM,
    ),
    ("X failed with ArrayMemoryError: Unable to allocate 5.93 GiB for an array with shape (81, 1280, 720, 3)", RAM),
    ("SaveImage failed with OSError: [Errno 28] No space left on device", DISK),
    ("SaveImage failed with OSError: [WinError 112] There is not enough space on the disk", DISK),
    ("SaveVideo failed with OSError: [Errno 122] Disk quota exceeded", DISK),
    ("KSampler failed with RuntimeError: CUDA error: no kernel image is available for execution on the device", BUILD),
    ("X failed with AssertionError: Torch not compiled with CUDA enabled", BUILD),
    ("X failed with RuntimeError: Found no NVIDIA driver on your system.", DRIVER),
    ("X failed with RuntimeError: CUDA driver version is insufficient for CUDA runtime version", DRIVER),
    ("VHS_VideoCombine failed with FileNotFoundError: [Errno 2] No such file or directory: 'ffmpeg'", FFMPEG),
    (
        "VHS_VideoCombine failed with ProcessLookupError: ffmpeg is required for video outputs and could not be found.",
        FFMPEG,
    ),
    (
        "VHS_VideoCombine failed with Exception: An error occurred in the ffmpeg subprocess:\n[libx264] "
        "width not divisible by 2",
        "codec",
    ),
    ("X failed with ModuleNotFoundError: No module named 'sageattention'", ATTENTION),
    ("X failed with ImportError: flash_attn is not installed", ATTENTION),
    ("X failed with ValueError: Can't import SageAttention: No module named 'sageattention'", ATTENTION),
    (
        "KSampler failed with NotImplementedError: No operator found for "
        "`memory_efficient_attention_forward` with inputs:",
        ATTENTION,
    ),
    ("X failed with ModuleNotFoundError: No module named 'xformers'", ATTENTION),
    ("X failed with TritonMissing: Cannot find a working triton installation.", COMPILE),
    ("KSampler failed with BackendCompilerFailed: backend='inductor' raised:", COMPILE),
    ("X failed with ModuleNotFoundError: No module named 'insightface'", REQUIREMENTS),
    ("X failed with ImportError: cannot import name 'cached_download' from 'huggingface_hub'", REQUIREMENTS),
    ("X failed with ImportError: DLL load failed while importing onnxruntime_pybind11_state", REQUIREMENTS),
    ("X failed with GatedRepoError: 401 Client Error. (Request ID: Root=1) Cannot access gated repo for url", TERMS),
    ("OpenAIDalle3 failed with Exception: Unauthorized: Please login first to use this node.", ACCOUNT),
    ("X failed with ValueError: API key is missing", ACCOUNT),
    ("X failed with Exception: Payment Required: Please add credits to your account to use this node.", CREDITS),
    ("X failed with Exception: Rate Limit Exceeded: Please try again later.", "patience"),
    ("X failed with Exception: Your request was rejected as a result of our safety system.", "filter"),
    (
        "X failed with ConnectionError: HTTPSConnectionPool(host='huggingface.co', port=443): Max retries "
        "exceeded with url",
        NETWORK,
    ),
    ("X failed with LocalEntryNotFoundError: An error happened while trying to locate the file on the Hub", NETWORK),
    ("X failed with ClientConnectorError: Cannot connect to host api.example.org:443 ssl:default", NETWORK),
    ("X failed with UnpicklingError: invalid load key, '<'.", NO_MODEL_FILE),
    ("X failed with UnpicklingError: invalid load key, 'v'.", NO_MODEL_FILE),
    ("X failed with ValueError: GGUF magic invalid", NO_MODEL_FILE),
    (
        "X failed with UnpicklingError: Weights only load failed. This file can still be loaded, to do so "
        "you have two options",
        OLD_KIND,
    ),
    ("CheckpointLoaderSimple failed with SafetensorError: Error while deserializing header: HeaderTooLarge", DAMAGED),
    (
        "CheckpointLoaderSimple failed with SafetensorError: Error while deserializing header: "
        "MetadataIncompleteBuffer",
        DAMAGED,
    ),
    (
        "CheckpointLoaderSimple failed with SafetensorError: Error while deserializing header: incomplete "
        "metadata, file not fully covered",
        DAMAGED,
    ),
    ("CheckpointLoaderSimple failed with SafetensorError: Error while deserializing header: header too small", DAMAGED),
    (
        "X failed with RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory",
        DAMAGED,
    ),
    ("X failed with EOFError: Ran out of input", DAMAGED),
    (
        "LoadImage failed with UnidentifiedImageError: cannot identify image file '/opt/ComfyUI/input/corrupt.png'",
        PICTURE,
    ),
    ("LoadImage failed with OSError: image file is truncated (12 bytes not processed)", PICTURE),
    (
        "LoadVideo failed with InvalidDataError: [Errno 1094995529] Invalid data found when processing input: 'x.mp4'",
        VIDEO,
    ),
    ("SaveImage failed with PermissionError: [Errno 13] Permission denied: '/opt/ComfyUI/output/x'", RIGHTS),
    (
        "CheckpointLoaderSimple failed with FileNotFoundError: Model in folder 'checkpoints' with filename "
        "'x.safetensors' not found.",
        NOT_INSTALLED,
    ),
    ("IPAdapterUnifiedLoader failed with Exception: IPAdapter model not found.", NOT_INSTALLED),
    ("IPAdapterUnifiedLoader failed with Exception: ClipVision model not found.", NOT_INSTALLED),
    ("LoraLoader failed with AttributeError: 'NoneType' object has no attribute 'lower'", NOT_INSTALLED),
    ("LoadImage failed with FileNotFoundError: [Errno 2] No such file or directory: 'x.png'", NO_FILE),
    ("CLIPTextEncode failed with RuntimeError: ERROR: clip input is invalid: None", NO_ENCODER),
    ("VAEDecode failed with RuntimeError: ERROR: VAE is invalid: None", NO_VAE),
    (
        "CheckpointLoaderSimple failed with RuntimeError: ERROR: Could not detect model type of: "
        "/opt/ComfyUI/models/checkpoints/flux1-dev.safetensors",
        LOADER,
    ),
    ("UNETLoader failed with RuntimeError: ERROR: Could not detect model type of: x.safetensors", LOADER),
    ("UnetLoaderGGUF failed with ValueError: Unexpected architecture type in GGUF file: 'clip'", LOADER),
    (
        "ControlNetLoader failed with RuntimeError: ERROR: controlnet file is invalid and does not contain a "
        "valid controlnet model.",
        LOADER,
    ),
    (
        "KSampler failed with RuntimeError: Expected all tensors to be on the same device, but found at "
        "least two devices, cuda:0 and cpu!",
        DEVICES,
    ),
    (
        "X failed with RuntimeError: Input type (torch.cuda.FloatTensor) and weight type (torch.FloatTensor) "
        "should be the same",
        DEVICES,
    ),
    ("X failed with RuntimeError: expected scalar type Half but found Float", PRECISION),
    ("X failed with RuntimeError: mat1 and mat2 must have the same dtype, but got Half and BFloat16", PRECISION),
    ("X failed with RuntimeError: Input type (float) and bias type (c10::Half) should be the same", PRECISION),
    ("X failed with RuntimeError: \"addmm_impl_cpu_\" not implemented for 'Half'", PRECISION),
    (
        "X failed with TypeError: Trying to convert Float8_e4m3fn to the MPS backend but it does not have "
        "support for that dtype.",
        PRECISION,
    ),
    ("X failed with TypeError: Got unsupported ScalarType BFloat16", PRECISION),
    ("KSampler failed with RuntimeError: mat1 and mat2 shapes cannot be multiplied (77x2048 and 768x320)", FAMILY),
    (
        "VAELoader failed with RuntimeError: Error(s) in loading state_dict for AutoencoderKL:\n size "
        "mismatch for decoder",
        FAMILY,
    ),
    (
        "KSampler failed with RuntimeError: Given groups=1, weight of size [320, 4, 3, 3], expected input[2, "
        "16, 128, 128] to have 4 channels, but got 16 channels instead",
        FAMILY,
    ),
    ("ApplyInstantID failed with Exception: Reference Image: No face detected.", FACE),
    ("IPAdapterFaceID failed with Exception: InsightFace: No face detected.", FACE),
    (
        "ImageBatch failed with RuntimeError: Sizes of tensors must match except in dimension 0. Expected "
        "size 512 but got size 768",
        SIZES,
    ),
    (
        "X failed with RuntimeError: The size of tensor a (64) must match the size of tensor b (96) at "
        "non-singleton dimension 3",
        SIZES,
    ),
    ("X failed with NansException: A tensor with all NaNs was produced in VAE.", NUMBERS),
    ("KSampler failed with RuntimeError: CUDA error: an illegal memory access was encountered", CARD),
    ("KSampler failed with AcceleratorError: CUDA error: unspecified launch failure", CARD),
    ("X failed with TypeError: forward() got an unexpected keyword argument 'transformer_options'", VERSION),
    ("X failed with AttributeError: module 'comfy.samplers' has no attribute 'KSAMPLER_NAMES'", VERSION),
    ("X failed with HTTPError: 429 Client Error: Too Many Requests for url", "patience"),
    ("X failed with HTTPError: 503 Server Error: Service Unavailable for url", NETWORK),
    ("X failed with RuntimeError: Sizes of tensors must match except in dimension 1. Expected size 429", SIZES),
    ("TestFail failed with RuntimeError: 502 of 503 frames, an error in frame 504", ""),
    ("TestFail failed with RuntimeError: test failure at run time", ""),
    ("TestFail failed with ValueError: das ging schief: ☃ 😀", ""),
]


@pytest.mark.parametrize(("message", "said"), SAID_IN_THE_FIELD)
def test_a_failure_is_explained_where_it_is_known(message: str, said: str) -> None:
    hint = hint_for([failure(message)])
    assert said in hint
    assert bool(hint) == bool(said)


def test_the_last_line_of_the_traceback_counts_too() -> None:
    assert hint_for([failure("X failed with an error: no message", "File x", "torch.OutOfMemoryError: …")])


def test_the_first_problem_with_a_hint_has_the_word() -> None:
    assert "disk" in hint_for([failure("?"), failure("No space left on device"), failure("out of memory")])


def test_only_failures_at_run_time_have_hints() -> None:
    assert hint_for([Problem(code="value_not_in_list", message="out of memory.safetensors is not installed")]) == ""
    assert hint_for([]) == ""


def test_every_hint_says_cause_and_mend_in_sentences() -> None:
    for row in shipped.load("hints.json")["hints"]:
        assert row.keys() == {"cause", "mend", "signs"}
        assert row["cause"].endswith(".")
        assert row["mend"].endswith(".")
        assert row["signs"]
        assert len(row["cause"] + row["mend"]) < 400


def test_every_hint_is_the_answer_to_something_from_the_field() -> None:
    told = {hint_for([failure(message)]) for message, _ in SAID_IN_THE_FIELD}
    assert {hint.text for hint in known_hints()} <= told


def test_a_nodes_own_failure_names_its_package() -> None:
    inside = '  File "/opt/ComfyUI/custom_nodes/Tint Pack/nodes.py", line 3, in tint\n    raise ValueError("no tint")'
    core = '  File "/opt/ComfyUI/execution.py", line 545, in execute'
    assert "a package of nodes, Tint Pack." in hint_for(
        [failure("TintIt failed with ValueError: no tint", core, inside)]
    )
    windows = inside.replace("/", "\\")
    assert "Tint Pack" in hint_for([failure("TintIt failed with ValueError: no tint", core, windows)])
    assert "memory" in hint_for([failure("TintIt failed with RuntimeError: out of memory", inside)])


def test_a_huge_message_is_searched_in_no_time() -> None:
    for part in ("a" * 10, "model ", "Errno ", "not ", "image ", "<", "ffmpeg "):
        hint_for([failure(part * 200_000, part * 200_000)])


@pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])
def test_every_failure_that_was_recorded_is_read_without_a_wrong_hint(version: str) -> None:
    folder = Path(__file__).parent.parent.parent / "shared" / f"comfyui-{version}"
    if not folder.is_dir():
        pytest.skip("there are no recordings beside this folder")
    for name, said in (("bad_model_file", "Download it again"), ("runtime", ""), ("unicode", ""), ("oom", "memory")):
        recording = json.loads((folder / f"history_error_{name}.json").read_bytes())
        (entry,) = recording["response"]["body"].values()
        found = hint_for(read_outcome(entry).problems)
        assert said in found
        assert found if said else not found or "package of nodes" in found


# ---- the machine


@pytest.mark.parametrize(("version", "system"), [("0.3.64", "posix"), ("0.33.0", "linux")])
def test_the_machine_is_told_with_the_card_and_what_it_runs_on(version: str, system: str) -> None:
    recording = json.loads((RECORDINGS / f"comfyui-{version}" / "system_stats.json").read_bytes())
    told = hardware(recording["response"]["body"], {"gpu": "A card", "vram_total_gb": 24.0})
    assert (told["gpu"], told["os"]) == ("A card", system)
    assert told["ram_total_gb"] > 1
    assert told["python"].count(".") == 2
    assert told["pytorch"]


@pytest.mark.parametrize(
    "stats", [{}, {"system": None}, {"system": {"ram_total": "x", "python_version": " ", "os": 7}}]
)
def test_what_the_server_does_not_say_is_left_out(stats: dict[str, object]) -> None:
    assert hardware(stats, {}) == {}
