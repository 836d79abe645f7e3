"""The workflow that a picture carries: ComfyUI writes it into PNG and WEBP, and people share workflows that way.

PNG has texts called ``prompt`` (what ran) and ``workflow`` (as it was saved), WEBP the same in its EXIF, each behind
its name and a colon. ``prompt`` counts, for it gives the same picture again; ``workflow`` stands in where it is
missing. Only the metadata is read, however large the picture is.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

PNG, WEBP = ".png", ".webp"
KINDS = ("prompt", "workflow")
MAX_CHUNKS = 100_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_ASCII = 2
_IS_CHANGED = "is_changed"
"""A key that ComfyUI leaves in the nodes of a prompt that has run: nothing of the workflow, and often no JSON."""


class NoWorkflow(ValueError):
    """A picture, or what is called like one, that carries no workflow."""


def is_picture(name: str) -> bool:
    """Whether a file of this name can carry a workflow."""
    return name.lower().endswith((PNG, WEBP))


def carried(picture: BinaryIO, *, max_bytes: int) -> bytes:
    """The workflow in a picture, as JSON: a saved one, or the body of a ``POST /prompt`` with it. Can seek.

    Raises ``NoWorkflow``, also for a picture that ends in the middle of its metadata, or holds more than ``max_bytes``.
    """
    found: dict[str, dict[str, Any]] = {}
    try:
        for kind, text in _metadata(picture, max_bytes):
            if kind in KINDS and kind not in found and (content := _content(text)):
                found[kind] = content
    except (struct.error, zlib.error, IndexError, ValueError) as error:
        raise NoWorkflow("its metadata cannot be read") from error
    if "prompt" in found:
        png_info = {"workflow": found["workflow"]} if "workflow" in found else {}
        return json.dumps({"prompt": _as_dropped(found["prompt"]), "extra_data": {"extra_pnginfo": png_info}}).encode()
    if "workflow" in found:
        return json.dumps(found["workflow"]).encode()
    raise NoWorkflow("it carries none")


def _metadata(picture: BinaryIO, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    head = picture.read(12)
    if head.startswith(_SIGNATURE):
        picture.seek(len(_SIGNATURE))
        return _png_texts(picture, max_bytes)
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return _webp_texts(picture, max_bytes)
    return iter(())


def _content(text: bytes) -> dict[str, Any]:
    """The map that the text says, empty if it says none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _as_dropped(prompt: Mapping[str, Any]) -> dict[str, Any]:
    return {
        node_id: {key: value for key, value in node.items() if key != _IS_CHANGED} if isinstance(node, dict) else node
        for node_id, node in prompt.items()
    }


# --- PNG


def _png_texts(picture: BinaryIO, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Keyword and content of each text chunk; raises what ``carried`` takes for no workflow."""
    for _ in range(MAX_CHUNKS):
        head = picture.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        if kind in _TEXTS and length <= max_bytes:
            yield _png_text(kind, picture.read(length), max_bytes)
            picture.seek(4, 1)
        else:
            picture.seek(length + 4, 1)


def _png_text(kind: bytes, chunk: bytes, max_bytes: int) -> tuple[str, bytes]:
    keyword, _, rest = chunk.partition(b"\0")
    name = keyword.decode("latin-1")
    if kind == b"tEXt":
        return name, rest
    if kind == b"zTXt":
        return name, _inflated(rest[1:], max_bytes)
    is_compressed = rest[0] == 1
    content = rest[2:].split(b"\0", 2)[2]  # behind two texts, language and translated keyword
    return name, _inflated(content, max_bytes) if is_compressed else content


def _inflated(content: bytes, max_bytes: int) -> bytes:
    inflater = zlib.decompressobj()
    plain = inflater.decompress(content, max_bytes)
    if inflater.unconsumed_tail:
        raise NoWorkflow(f"its metadata has more than {max_bytes} bytes")
    return plain


# --- WEBP


def _webp_texts(picture: BinaryIO, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    for _ in range(MAX_CHUNKS):
        head = picture.read(8)
        if len(head) < 8:
            return
        kind, length = struct.unpack("<4sI", head)
        if kind == b"EXIF" and length <= max_bytes:
            yield from _exif_texts(picture.read(length).removeprefix(b"Exif\0\0"))
            picture.seek(length % 2, 1)
        else:
            picture.seek(length + length % 2, 1)


def _exif_texts(exif: bytes) -> Iterator[tuple[str, bytes]]:
    """Each text in the first directory that says ``name:content``."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2], "<")
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        _, kind, size = struct.unpack_from(f"{order}HHI", exif, at)
        if kind != _ASCII or size <= 4:
            continue
        (where,) = struct.unpack_from(f"{order}I", exif, at + 8)
        name, colon, content = exif[where : where + size].rstrip(b"\0").partition(b":")
        if colon:
            yield name.decode("latin-1").lower(), content
