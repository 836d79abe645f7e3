"""Figures as Prometheus reads them: a text for the node exporter's file, or a port of this machine.

The one importer of ``prometheus_client``, which is only there with the extra ``metrics``. What is shown is a function
of one ``Figures``; nothing is counted here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TypeAlias

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from comfywatch.figures import BOUNDS, Figures, ServerFigures, Spread

LOOPBACK = "127.0.0.1"
Labels: TypeAlias = tuple[str, ...]
Values: TypeAlias = dict[Labels, float]


class _Snapshot(Collector):
    def __init__(self, figures: Callable[[], Figures | None]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        figures = self._figures()
        return () if figures is None else metrics(figures)


def text(figures: Figures) -> bytes:
    """What belongs into the file."""
    return generate_latest(_registry(lambda: figures))


def serve(port: int, figures: Callable[[], Figures | None]) -> Callable[[], None]:
    """Answer on ``port`` of this machine alone; what is returned ends it. Raises an ``OSError`` if it is taken."""
    server, thread = start_http_server(port, addr=LOOPBACK, registry=_registry(figures))

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def metrics(figures: Figures) -> Iterator[Metric]:
    """Every metric, with its help; docs/metrics.md has the same list."""
    yield _gauge("comfywatch_info", "Which comfywatch this is.", ("version",), {(figures.version,): 1})
    yield _gauge("comfywatch_up", "Whether comfywatch is running.", (), {(): figures.is_running})
    at = figures.at.timestamp()
    yield _gauge("comfywatch_written_timestamp_seconds", "When these figures were true.", (), {(): at})
    yield from _of_jobs(figures)
    yield from _of_servers(figures.servers)
    errors = CounterMetricFamily("comfywatch_errors", "What went wrong and was tried again.", labels=("source", "kind"))
    for labels, count in sorted(figures.errors.items()):
        errors.add_metric(labels, count)
    yield errors


def _of_jobs(figures: Figures) -> Iterator[Metric]:
    jobs: Values = {(_name(project), state.value): count for (project, state), count in figures.jobs.items()}
    yield _gauge("comfywatch_jobs", "Jobs that are not at their end.", ("project", "state"), jobs)
    ended = CounterMetricFamily("comfywatch_jobs_ended", "Jobs that came to their end.", labels=("project", "state"))
    for (project, state), count in sorted(figures.ended.items()):
        ended.add_metric((_name(project), state.value), count)
    yield ended
    yield _spread("comfywatch_job_waiting_seconds", "From the drop to ComfyUI's beginning.", figures.waited)
    yield _spread("comfywatch_job_running_seconds", "From ComfyUI's beginning to its end.", figures.ran)
    for name, longest in (("waiting", figures.longest_waiting), ("running", figures.longest_running)):
        help_text = f"How long the job that has been {name} longest has been so."
        values: Values = {(_name(project),): seconds for project, seconds in longest.items()}
        yield _gauge(f"comfywatch_longest_{name}_seconds", help_text, ("project",), values)
    fetched = CounterMetricFamily("comfywatch_fetched_bytes", "Bytes of outputs fetched.", labels=("project",))
    for project, count in sorted(figures.fetched.items()):
        fetched.add_metric((_name(project),), count)
    yield fetched


def _of_servers(servers: Iterable[ServerFigures]) -> Iterator[Metric]:
    queue: Values = {}
    updated: Values = {}
    for server in servers:
        for state, count in (("running", server.running), ("pending", server.waiting)):
            if count is not None:
                queue[server.url, state] = count
        if server.inventory_updated is not None:
            updated[(server.url,)] = server.inventory_updated.timestamp()
    up: Values = {(server.url,): float(server.is_up) for server in servers}
    yield _gauge("comfywatch_comfyui_up", "Whether ComfyUI answers and works.", ("url",), up)
    yield _gauge("comfywatch_comfyui_queue", "Prompts in ComfyUI's queue, whoever's.", ("url", "state"), queue)
    help_text = "When it was last known what ComfyUI has installed."
    yield _gauge("comfywatch_inventory_updated_timestamp_seconds", help_text, ("url",), updated)


def _gauge(name: str, help_text: str, labels: Labels, values: Mapping[Labels, float]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, float(value))
    return family


def _spread(name: str, help_text: str, spreads: Mapping[str, Spread]) -> Metric:
    family = HistogramMetricFamily(name, help_text, labels=("project",))
    for project, spread in sorted(spreads.items()):
        bounds = ("+Inf" if bound == BOUNDS[-1] else str(bound) for bound in BOUNDS)
        buckets = [(bound, float(count)) for bound, count in zip(bounds, accumulate(spread.counts), strict=True)]
        family.add_metric((_name(project),), buckets, spread.total)
    return family


def _registry(figures: Callable[[], Figures | None]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Snapshot(figures))
    return registry


def _name(project: str) -> str:
    """A name that can be written as UTF-8, whatever the folder is called."""
    return project.encode("utf-8", "replace").decode("utf-8")
