"""Messages to the services that people read: the one importer of ``apprise``, which the extra ``notify`` brings.

The rule it keeps: an address holds secrets, so none is ever said. A service is called by its line in the file and its
kind, and what apprise itself would log is not let through.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apprise
from apprise.attachment.memory import AttachMemory
from apprise.exception import AppriseException

from comfywatch.album import Picture
from comfywatch.bulletin import Bulletin
from comfywatch.files import read_all

MAX_BYTES = 64 * 1024
MAX_ADDRESSES = 50

logging.getLogger("apprise").addHandler(logging.NullHandler())
logging.getLogger("apprise").propagate = False


class BadAddresses(ValueError):
    """The file with the addresses cannot be used; the sentence has no address."""


class Service:
    """One address; ``name`` says which, without saying it."""

    def __init__(self, place: str, plugin: Any) -> None:
        self.name = f"{place} ({plugin.service_name})"
        self.takes_pictures = bool(plugin.attachment_support)
        self._apprise = apprise.Apprise()
        self._apprise.add(plugin)

    def send(self, message: Bulletin, pictures: Sequence[Picture] = ()) -> bool:
        """Whether it was taken; apprise gives up by itself after some seconds."""
        kind = apprise.NotifyType.WARNING if message.is_bad else apprise.NotifyType.SUCCESS
        attached = [_attached(picture) for picture in pictures] if self.takes_pictures else []
        try:
            return bool(
                self._apprise.notify(
                    body=message.text,
                    title=message.title,
                    notify_type=kind,
                    body_format=apprise.NotifyFormat.TEXT,
                    attach=attached or None,
                )
            )
        except (AppriseException, OSError, ValueError, TypeError):  # some of its services raise for odd answers
            return False


def services(file: Path) -> list[Service]:
    """All that the file names, an address a line. Raises ``BadAddresses``, with the line that is none."""
    asset = apprise.AppriseAsset(app_id="comfywatch", app_desc="comfywatch", app_url="", storage_mode="memory")
    found = []
    for number, address in _addresses(file):
        plugin = apprise.Apprise.instantiate(address, asset=asset)
        if plugin is None:
            raise BadAddresses(f"{file}: line {number} is no address that apprise knows")
        found.append(Service(f"line {number} of {file.name}", plugin))
    if not found:
        raise BadAddresses(f"{file}: there is no address in it; write one a line")
    if len(found) > MAX_ADDRESSES:
        raise BadAddresses(f"{file}: there are more than {MAX_ADDRESSES} addresses in it")
    return found


def _addresses(file: Path) -> Iterator[tuple[int, str]]:
    try:
        data, _ = read_all(file.open("rb"), max_bytes=MAX_BYTES)
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:  # not chained: it holds the whole file
        raise BadAddresses(f"{file} is not UTF-8 text") from None
    except OSError as error:
        raise BadAddresses(f"{file} cannot be read ({error.strerror})") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if (address := line.strip()) and not address.startswith("#"):
            yield number, address


def _attached(picture: Picture) -> Any:
    memory: Any = AttachMemory  # it has no types
    return memory(content=picture.data, name=picture.name, mimetype=picture.mime_type)
