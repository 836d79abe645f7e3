"""Names that are safe on every system, names that ComfyUI keeps, and the order in which people expect names.

The rules for file names are those of Windows, the strictest of the three: reserved device names, the nine reserved
characters, no trailing dot or space. And no ``~`` at either end, which sync tools take for a temporary file.
"""

from __future__ import annotations

import re
import unicodedata

MAX_NAME_BYTES = 200
"""Most file systems allow 255 bytes; sync tools add up to 50 of their own for conflicts and scratch files."""

_RESERVED = re.compile(r"^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)$", re.IGNORECASE)
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]')
_SCRATCH = re.compile(r"^~|~$")
_DIGITS = re.compile(r"(\d+)")


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key by which ``shot-2`` comes before ``shot-10``."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in _DIGITS.split(name) if part]


def slug(name: str) -> str:
    """At most 40 ASCII letters, digits, ``.``, ``_`` and ``-``; never empty: for names that ComfyUI keeps."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    short = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:40].strip("-.") or "x"
    return f"_{short}"[:40] if _is_reserved(short) else short


def safe_name(name: str) -> str:
    """``name`` as every system and sync tool takes it; what stands before the last ``/`` or ``\\`` is left out."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    cleaned = shortened(_SCRATCH.sub("_", _UNSAFE.sub("_", last).strip(". ")) or "file")
    return shortened(f"_{cleaned}") if _is_reserved(cleaned) else cleaned


def is_portable(name: str) -> bool:
    """Whether every system takes a file or folder of this name as it is."""
    return not (_UNSAFE.search(name) or name.endswith((".", " ")) or name.startswith(" ") or _is_reserved(name))


def shortened(name: str, *, to_bytes: int = MAX_NAME_BYTES) -> str:
    """``name`` cut to ``to_bytes`` bytes of UTF-8, its ending kept."""
    if len(name.encode("utf-8", "replace")) <= to_bytes:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or not stem or len(ending.encode("utf-8", "replace")) > 20:
        stem, ending = name, ""
    tail = f".{ending}" if ending else ""
    room = to_bytes - len(tail.encode("utf-8", "replace"))
    return stem.encode("utf-8", "replace")[:room].decode("utf-8", "ignore").rstrip(". ") + tail


def distinct(name: str, taken: set[str]) -> str:
    """``name``, or ``name-2``, ``name-3``, … if it is taken; twins in upper and lower case count as the same."""
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""
    candidate, number = name, 1
    while folded(candidate) in taken:
        number += 1
        candidate = f"{stem}-{number}{dot}{ending}"
    taken.add(folded(candidate))
    return candidate


def folded(name: str) -> str:
    """What is the same for names that some system takes for one: upper and lower case, and ways to write an accent."""
    return unicodedata.normalize("NFC", name).casefold()


def _is_reserved(name: str) -> bool:
    """Whether Windows takes it for a device, whatever its ending."""
    return _RESERVED.match(name.partition(".")[0].strip()) is not None
