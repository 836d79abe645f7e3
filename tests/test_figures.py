"""Figures: what is counted, that Prometheus takes it, and that the dashboard asks for what there is."""

from __future__ import annotations

import json
import math
import re
import shutil
import socket
import subprocess
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from comfywatch import exposition, newsroom
from comfywatch.figures import BOUNDS, MAX_PROJECTS, OTHERS, Figures, ServerFigures, Spread, Tally
from comfywatch.jobs import Job, JobState
from comfywatch.publisher import Publisher
from tests.documents import DOCS, first_words
from tests.world import World, picture, text_to_image

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
FULL = Figures(
    version="1.2.3",
    at=AT,
    jobs={("film", JobState.PENDING): 2, ('a "quoted"\n\\ name', JobState.RUNNING): 1},
    longest_waiting={"film": 30.0},
    longest_running={"film": 4.5},
    ended={("film", JobState.COMPLETED): 3, ("film", JobState.FAILED): 1},
    waited={"film": Spread().plus(2.0)},
    ran={"film": Spread().plus(7.0).plus(70.0)},
    fetched={"film": 12345},
    errors={("comfyui", "Unreachable"): 4},
    servers=(
        ServerFigures(url="http://127.0.0.1:8188", is_up=True, running=1, waiting=2, inventory_updated=AT),
        ServerFigures(url="http://gpu", is_up=False),
    ),
)


def samples(text: bytes) -> dict[str, float]:
    """Each line that has a value, by its name and labels."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_what_is_shown_is_what_was_counted() -> None:
    shown = samples(exposition.text(FULL))
    assert shown["comfywatch_up"] == 1
    assert shown["comfywatch_jobs{project=film,state=pending}"] == 2
    assert shown["comfywatch_jobs_ended_total{project=film,state=completed}"] == 3
    assert shown["comfywatch_job_running_seconds_count{project=film}"] == 2
    assert shown["comfywatch_job_running_seconds_sum{project=film}"] == 77
    assert shown["comfywatch_job_running_seconds_bucket{le=15.0,project=film}"] == 1
    assert shown["comfywatch_job_running_seconds_bucket{le=+Inf,project=film}"] == 2
    assert shown["comfywatch_fetched_bytes_total{project=film}"] == 12345
    assert shown["comfywatch_comfyui_up{url=http://gpu}"] == 0
    assert shown["comfywatch_comfyui_queue{state=pending,url=http://127.0.0.1:8188}"] == 2
    assert shown["comfywatch_inventory_updated_timestamp_seconds{url=http://127.0.0.1:8188}"] == AT.timestamp()
    assert shown["comfywatch_errors_total{kind=Unreachable,source=comfyui}"] == 4


@pytest.mark.parametrize("figures", [FULL, Figures(version="", at=AT, is_running=False)], ids=["full", "empty"])
def test_prometheus_takes_it_without_a_complaint(figures: Figures) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not there (Debian's package prometheus has it)")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=exposition.text(figures), capture_output=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@given(st.text(), st.text())
def test_any_name_can_be_a_label(project: str, url: str) -> None:
    figures = Figures(
        version="x", at=AT, jobs={(project, JobState.PENDING): 1}, servers=(ServerFigures(url=url, is_up=True),)
    )
    assert b"comfywatch_jobs{" in exposition.text(figures)


@given(st.lists(st.floats(-10, 1e6)))
def test_each_time_is_counted_once(times: list[float]) -> None:
    spread = Spread()
    for seconds in times:
        spread = spread.plus(seconds)
    assert sum(spread.counts) == len(times)
    assert len(spread.counts) == len(BOUNDS)
    assert math.isclose(spread.total, math.fsum(max(0.0, seconds) for seconds in times), abs_tol=1e-3)


def job(project: str = "film", **more: Any) -> Job:
    started = AT + timedelta(seconds=5)
    plain = {"state": JobState.COMPLETED, "started": started, "finished": started + timedelta(seconds=9), **more}
    return Job(id=1, project=project, path="a.json", digest="d", first_seen=AT, **plain)


def test_the_time_of_comfyui_counts_where_it_says_it() -> None:
    tally = Tally()
    tally.has_ended(job())
    tally.has_ended(job(outcome={"seconds": 7.5}))
    tally.has_ended(job(started=None, state=JobState.CANCELLED))
    assert tally.ended == {("film", JobState.COMPLETED): 2, ("film", JobState.CANCELLED): 1}
    assert tally.waited["film"].total == 10
    assert tally.ran["film"].total == 16.5


def test_thousands_of_projects_make_no_thousands_of_series() -> None:
    tally = Tally()
    for number in range(MAX_PROJECTS + 50):
        tally.has_ended(job(f"project-{number}"))
    assert len(tally.ended) == MAX_PROJECTS + 1
    assert tally.ended[OTHERS, JobState.COMPLETED] == 50
    assert tally.label("project-3") == "project-3"


# --- where they go


def test_the_file_is_whole_and_says_at_the_end_that_nobody_is_at_work(tmp_path: Path) -> None:
    file = tmp_path / "comfywatch.prom"
    publisher = Publisher(file, None)
    publisher.show(FULL)
    assert samples(file.read_bytes())["comfywatch_up"] == 1
    publisher.stop()
    assert samples(file.read_bytes())["comfywatch_up"] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["comfywatch.prom"]


def test_a_file_that_cannot_be_written_is_no_trouble(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "gone" / "x.prom", None)
    publisher.show(FULL)
    publisher.show(FULL)
    publisher.stop()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_the_port_is_of_this_machine_alone_and_has_the_newest_figures() -> None:
    port = free_port()
    publisher = Publisher(None, port)
    publisher.show(FULL)
    publisher.show(replace(FULL, version="2.0"))
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert samples(answer.read())["comfywatch_info{version=2.0}"] == 1
        with socket.socket() as other, pytest.raises(OSError, match="refused"):
            other.connect(("127.0.0.2", port))
    finally:
        publisher.stop()


def test_a_port_that_is_taken_is_no_trouble_and_tried_again() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        publisher = Publisher(None, int(other.getsockname()[1]))
        publisher.show(FULL)
    publisher.show(FULL)
    publisher.stop()


def test_a_daemon_at_work_writes_what_it_does(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newsroom, "FIGURES_SECONDS", 0.05)
    file = world.root / "comfywatch.prom"
    measured = World(world.root, world.sandbox, metrics_file=file)
    measured.start()
    try:
        measured.drop("a.json", picture(1))
        measured.drop("b.json", text_to_image("nowhere.safetensors"))
        measured.until_state("a.json", "completed")
        measured.until_state("b.json", "blocked")
        measured.until(
            lambda: "comfywatch_jobs_ended_total{project=film,state=completed}" in samples(file.read_bytes())
        )
        shown = samples(file.read_bytes())
        assert shown["comfywatch_jobs{project=film,state=blocked}"] == 1
        assert shown["comfywatch_jobs{project=film,state=pending}"] == 0
        assert shown["comfywatch_job_running_seconds_count{project=film}"] == 1
        size = sum((world.projects / "film/outputs/a/001" / name).stat().st_size for name in measured.outputs("a.json"))
        assert shown["comfywatch_fetched_bytes_total{project=film}"] == size
        assert shown[f"comfywatch_comfyui_up{{url={world.sandbox.url}}}"] == 1
        assert shown[f"comfywatch_inventory_updated_timestamp_seconds{{url={world.sandbox.url}}}"] > 0
        world.sandbox.stop()
        measured.until(lambda: samples(file.read_bytes())[f"comfywatch_comfyui_up{{url={world.sandbox.url}}}"] == 0)
        measured.until(lambda: "comfywatch_errors_total{kind=Unreachable,source=comfyui}" in samples(file.read_bytes()))
    finally:
        measured.stop()
    assert samples(file.read_bytes())["comfywatch_up"] == 0


# --- what asks for them


def names() -> set[str]:
    """Every series that there can be."""
    return {name.partition("{")[0] for name in samples(exposition.text(FULL))}


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    asked += [variable["query"]["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    assert len(asked) >= 10
    named = {name for query in asked for name in re.findall(r"comfywatch_\w+", query)}
    assert named <= names()
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in names()}
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named}
    assert families - shown <= {"comfywatch_info", "comfywatch_written_timestamp_seconds"}


def test_the_queries_of_the_dashboard_can_be_read(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not there (Debian's package prometheus has it)")
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    rules: list[dict[str, str]] = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__rate_interval", "5m").replace("$__range", "1d")
            rules.append({"record": f"x:{len(rules)}", "expr": query})
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", "--lint=none", file], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_metric_is_explained_and_no_other() -> None:
    told = first_words((DOCS / "metrics.md").read_text(encoding="utf-8"))
    assert {word for word in told if word.startswith("comfywatch_")} == {
        re.sub(r"_(bucket|count|sum)$", "", name) for name in names()
    }
