"""Where word and figures leave comfywatch; the engine's thread hands both over and never waits.

Each setting needs an extra package, which is imported here when it is first used: comfywatch works without them, and
says what to install.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING

from loguru import logger

from comfywatch.figures import Figures
from comfywatch.gathering import Gathering, News
from comfywatch.settings import Settings

if TYPE_CHECKING:
    from comfywatch.notifier import Notifier
    from comfywatch.publisher import Publisher


def lacking(settings: Settings) -> Iterator[str]:
    """What the settings ask for and is not installed, each as a sentence with its mend."""
    if settings.notify and find_spec("apprise") is None:
        yield _needs("notify", "notify", "apprise")
    for name, value in (("metrics_file", settings.metrics_file), ("metrics_port", settings.metrics_port)):
        if value is not None and find_spec("prometheus_client") is None:
            yield _needs(name, "metrics", "prometheus-client")


def _needs(setting: str, extra: str, package: str) -> str:
    return f"{setting} needs one more package: pip install 'comfywatch[{extra}]', or pipx inject comfywatch {package}"


class Outlets:
    """Nothing, where the settings ask for nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._notifiers: list[Notifier] = []
        self._publisher: Publisher | None = None
        self._one_at_a_time = Lock()

    def start(self) -> None:
        """Have everything ready that can be, and say what cannot."""
        for sentence in lacking(self._settings):
            logger.warning("{}", sentence)
        if self._settings.notify and find_spec("apprise") is not None:
            from comfywatch.notifier import Notifier

            for entry in self._settings.notify:
                gathering = Gathering(on=entry.on, projects=entry.projects, host=self._settings.owner)
                self._notifiers.append(Notifier(entry.urls_file, gathering, projects=self._settings.projects))
        for notifier in self._notifiers:
            notifier.start()

    def tell(self, news: News) -> None:
        """Something has happened that people may want to know."""
        for notifier in self._notifiers:
            notifier.tell(news)

    def show(self, figures: Figures) -> None:
        """Publish these figures; to be done by a worker, for it takes as long as the disk does."""
        if find_spec("prometheus_client") is None:
            return
        from comfywatch.publisher import Publisher

        with self._one_at_a_time:
            if self._publisher is None:
                self._publisher = Publisher(self._settings.metrics_file, self._settings.metrics_port)
            self._publisher.show(figures)

    def stop(self, *, timeout: float) -> None:
        """What is still to be said is said now, for ``timeout`` seconds at most."""
        for notifier in self._notifiers:
            notifier.stop(timeout=timeout / len(self._notifiers))
        if self._publisher is not None:
            self._publisher.stop()
