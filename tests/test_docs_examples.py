"""The examples of docs/projects.md are what the code writes, and each key in them is explained."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from comfywatch import collect, plain_yaml, sentences, status
from comfywatch.collect import Collection
from comfywatch.history import Outcome, OutputFile
from comfywatch.jobs import Job, JobState
from comfywatch.link import Link, ServerState
from comfywatch.manifest import read_manifest
from comfywatch.mends import Sources, mended
from comfywatch.problems import Problem
from comfywatch.references import References
from tests.documents import DOCS, blocks, first_words, rows, section, words
from tests.made import Listed
from tests.world import text_to_image

PAGE = DOCS / "projects.md"
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PROMPT_ID = "6613e2a1-7c0d-4c55-9d52-0f5f0a3f6a10"
FLUX = b"""
### FLUX.1-dev
- **Download**: https://huggingface.co/black-forest-labs/FLUX.1-dev
- **Files**: `flux1-dev.safetensors` (23.8 GB)
"""
PROMPT = text_to_image(seed=42, steps=20)
MISSING = sentences.model_missing("4", PROMPT["4"], "ckpt_name", "flux1-dev.safetensors", "checkpoints")
(PROBLEM,) = mended([MISSING], Sources(references=References.read(FLUX)))
OUTCOME = Outcome(
    state=JobState.COMPLETED,
    files=(OutputFile(node="9", key="images", filename="ComfyUI_00001_.png", subfolder="", kind="output"),),
    started=AT + timedelta(seconds=1),
    finished=AT + timedelta(seconds=9),
    seconds=8.421,
)


def test_the_example_of_status_yaml_is_what_is_written() -> None:
    text = _status_file().decode()
    assert text in blocks(PAGE, "yaml"), f"docs/projects.md should show:\n{text}"


def test_each_key_of_status_yaml_is_explained() -> None:
    text = section(PAGE, "status.yaml")
    of_file, of_workflow = text.split("Of each workflow")
    assert set(first_words(of_file)) == set(plain_yaml.load(_status_file()))
    written = [status.plain_entry(entry) for entry in (*_entries(), _wordy_entry())]
    assert set(first_words(of_workflow)) == {key for row in written for key in row}


def test_the_example_of_result_yaml_is_what_is_written() -> None:
    text = plain_yaml.dump(_result_document(), header=collect.HEADER).decode()
    assert text in blocks(PAGE, "yaml"), f"docs/projects.md should show:\n{text}"


def test_each_key_of_result_yaml_is_explained() -> None:
    assert set(first_words(section(PAGE, "Outputs"))) == {*_result_document(), "hint"}


def test_the_manifest_that_is_shown_can_be_read(tmp_path: Path) -> None:
    (shown,) = blocks(PAGE, "yaml")[:1]
    (tmp_path / "manifest.yaml").write_text(shown)
    reading = read_manifest(tmp_path)
    assert reading.notices == ()
    assert (reading.manifest.priority, reading.manifest.owner) == (10, "gpu-box")
    assert set(plain_yaml.load(shown.encode())) == {"status", "priority", "owner", "comfyui_url", "models"}


def test_a_problem_is_told_with_the_keys_that_are_explained() -> None:
    explained = next(words(cells[1]) for cells in rows(section(PAGE, "status.yaml")) if "`problems`" in cells[0])
    problem = Problem(code="c", message="m", fix="f", node="1", class_type="K", input="i")
    assert set(problem.as_dict()) <= set(explained)


# --- the examples


def _job(name: str, state: JobState, **changes: Any) -> Job:
    return Job(id=1, project="my-film", path=name, digest="6f1c9a…", first_seen=AT, state=state, **changes)


def _completed() -> Job:
    return _job(
        "shot-01.json",
        JobState.COMPLETED,
        run=1,
        prompt_id=PROMPT_ID,
        outcome=OUTCOME.as_dict(),
        submitted=AT,
        started=OUTCOME.started,
        finished=OUTCOME.finished,
    )


def _entries() -> tuple[status.Entry, ...]:
    waiting = _job("scene-2/shot-03.json", JobState.PENDING)
    return (
        status.Entry(path="shot-01.json", job=_completed()),
        status.Entry(path="shot-02.json", job=_job("shot-02.json", JobState.BLOCKED, problems=(PROBLEM,))),
        status.Entry(path=waiting.path, job=waiting, reason="waits for its turn"),
    )


def _wordy_entry() -> status.Entry:
    """A workflow of which all is said that the others do not need."""
    job = _job("many.json", JobState.FAILED, run=1, problems=(PROBLEM,) * 11, hint="Look into the log.")
    return status.Entry(path=job.path, job=job, note="unchanged since run 1", expected=AT)


def _status_file() -> bytes:
    project = status.Project(
        name="my-film",
        link=Link(url="http://127.0.0.1:8188", poll_seconds=5, state=ServerState.UP, version="0.3.64", message=""),
        host="gpu-box",
        notices=("workflows/shot.json.txt is not read; rename it to shot.json",),
    )
    return status.rendered(project, Listed(_entries()), at=AT + timedelta(seconds=10), next_within=timedelta(minutes=6))


def _result_document() -> dict[str, Any]:
    task = Collection(
        job=_completed(),
        outcome=OUTCOME,
        prompt=PROMPT,
        folder=Path("projects/my-film"),
        server="http://127.0.0.1:8188",
        comfyui_version="0.3.64",
        system={
            "gpu": "NVIDIA GeForce RTX 4090",
            "vram_total_gb": 24.0,
            "vram_free_gb": 21.3,
            "ram_total_gb": 63.9,
            "os": "linux",
            "python": "3.12.4",
            "pytorch": "2.8.0+cu128",
        },
    )
    (file, name), *_ = collect.names_of(task)
    output = {"path": name, "name": file.filename, "node": file.node, "kind": file.key, "bytes": 64738}
    return collect.result_document(task, [{**output, "sha256": "b13e9f…"}])
