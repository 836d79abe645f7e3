"""A file on its way to ComfyUI: a ``multipart/form-data`` body read while it is sent, never whole into memory."""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import BinaryIO
from urllib.parse import quote

from comfywatch.comfy_errors import Truncated

FORM_BYTES = 4096
"""At most, of what stands around a file when it is sent."""
_CHUNK_BYTES = 256 * 1024
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_. ()+,@=-]+")


class Unreadable(Exception):
    """Our own file could not be read while it was sent; ``error`` says why.

    Not an ``OSError`` itself, for ``urllib3`` takes those for the network's.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class FileForm:
    """``fields`` and then all of ``source``, which can seek, as the file ``name`` in the field ``image``.

    Its length is fixed at the start: raises ``Truncated`` in the middle if ``source`` has become shorter.
    """

    def __init__(self, source: BinaryIO, *, name: str, fields: Mapping[str, str]) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._source = source
        self._size = source.seek(0, io.SEEK_END)
        texts = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in fields.items()
        )
        opening = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; {_filename(name)}\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self._head = (texts + opening).encode("utf-8", "replace")
        self._tail = f"\r\n--{boundary}--\r\n".encode("ascii")

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        yield from self._file()
        yield self._tail

    def _file(self) -> Iterator[bytes]:
        left = self._size
        try:
            self._source.seek(0)
            while left:
                chunk = self._source.read(min(left, _CHUNK_BYTES))
                if not chunk:
                    raise Truncated("the file became shorter while it was sent to ComfyUI")
                left -= len(chunk)
                yield chunk
        except OSError as error:
            raise Unreadable(error) from error


def _filename(name: str) -> str:
    """The name as a header's parameter.

    Quotes, semicolons and line ends would break the header, and servers differ in what they take back from an escaped
    one: such a name goes percent-encoded, which ComfyUI prefers, beside a plain stand-in.
    """
    if _PLAIN_NAME.fullmatch(name):
        return f'filename="{name}"'
    stand_in = re.sub(r"[^A-Za-z0-9_. ()+,@=-]", "_", name)
    return f"filename=\"{stand_in}\"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
