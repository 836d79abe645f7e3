r"""``references/models.md``: where models can be had, as people write it down for themselves.

A heading is a model, or a family of them; what stands below, up to the next heading, belongs to it:

    ### RealVisXL V5.0
    - **Download**: https://civitai.com/models/139562/realvisxl-v50
    - **File**: `RealVisXL_V5.0.safetensors`
    - **Path**: `models/checkpoints/`

A file's link is the one on its own line, else that of the point under which it stands, else the heading's. What is only
required besides (``**Also requires**:``) does not come from the heading's link. A heading without a single file stands
for the files that are called like it. Nothing that a file can hold makes this raise.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from comfywatch.model_folders import looks_like_model
from comfywatch.model_links import Links, ModelLink, base_name, file_in, fits
from comfywatch.urls import shown_link

MAX_BYTES = 512 * 1024
MAX_LINES = 20_000
_LONGEST_LINE = 2_000
_LONGEST_NAME = 200

_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(?P<title>.+)")
_BULLET = re.compile(r"(?P<indent>[ \t]*)(?:[-*+•]|\d{1,3}[.)])[ \t]+(?P<text>.*)")
_LABEL = re.compile(
    r"(?:\*\*)?(?P<label>[^*`|:]{1,60})(?:\*\*)?[ \t]*(?:\([^)]{0,80}\))?[ \t]*:(?!//)(?:\*\*)?(?P<rest>.*)"
)
_URL = re.compile(r"https?://[^\s<>\"'`|\])}]+")
_QUOTED = re.compile(r"`([^`]{1,200})`")
_WORD = re.compile(r"[^\s`|,;()\[\]<>\"'*→]+")
_ARROW = re.compile(r"→|-+>|=+>")
_FOLDER = re.compile(r"(?:ComfyUI/)?models/(?P<folder>[\w .-]+(?:/[\w .-]+)*)/?")
_IN_BRACKETS = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_PARTS = re.compile(r"[a-z]+|\d+")

_DOWNLOAD = frozenset({"download", "downloads", "link", "links", "url", "source", "get it", "where"})
_PATH = frozenset({"path", "folder", "directory", "location", "place", "put in", "save to", "install to"})
_RENAME = frozenset({"rename to", "rename", "rename as", "save as"})
_REQUIRES = re.compile(r"\b(?:also )?(?:requires?|required|needs?|dependenc(?:y|ies)|prerequisites?)\b")
_TALK = re.compile(r"\b(?:notes?|use case|best for|example|strength|vram|licen[cs]e|template|key node|triggers?)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """``links`` of files that are named; ``headings`` that stand for themselves, each as the name of a link."""

    links: tuple[ModelLink, ...] = ()
    headings: tuple[ModelLink, ...] = ()
    _by_name: Links = field(init=False, repr=False, compare=False)
    _words: tuple[tuple[str, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", Links(self.links))
        object.__setattr__(self, "_words", tuple(_words(_IN_BRACKETS.sub(" ", head.name)) for head in self.headings))

    @classmethod
    def read(cls, data: bytes) -> References:
        """From the bytes of the file, of which at most ``MAX_BYTES`` are looked at."""
        links: dict[ModelLink, None] = {}
        headings: dict[ModelLink, None] = {}
        for entry in _entries(_text(data[:MAX_BYTES])):
            links |= dict.fromkeys(entry.links())
            headings |= dict.fromkeys(entry.heading_alone())
        return cls(links=tuple(links), headings=tuple(headings))

    def of(self, name: str, folder: str) -> tuple[ModelLink, ...]:
        """Where the file ``name``, which ``folder`` lacks, can be had: all that is said of it, else of its like."""
        named = self._by_name.named(name)
        if named:
            return self._by_name.of(name, folder) or named
        letters = "".join(_words(base_name(name).rpartition(".")[0]))
        return tuple(
            replace(head, name=base_name(name))
            for head, words in zip(self.headings, self._words, strict=True)
            if fits(head.folder, folder) and _is_called_like(letters, words)
        )


@dataclass(slots=True)
class _Point:
    """One line of a list, with what stands under it."""

    indent: int
    under: _Point | None
    label: str = ""
    url: str = ""
    folder: str = ""
    is_required: bool = False

    def chain(self) -> Iterator[_Point]:
        point: _Point | None = self
        while point is not None:
            yield point
            point = point.under


@dataclass(slots=True)
class _File:
    name: str
    at: _Point
    url: str = ""
    folder: str = ""
    renamed: str = ""


@dataclass(slots=True)
class _Entry:
    """A heading and its lines."""

    title: str = ""
    url: str = ""
    any_url: str = ""
    folder: str = ""
    files: list[_File] = field(default_factory=list)
    point: _Point = field(default_factory=lambda: _Point(indent=-1, under=None))

    def take(self, line: str) -> None:
        """Note what a line says."""
        bullet = _BULLET.fullmatch(line)
        indent = len(bullet["indent"].expandtabs(4)) if bullet else 0
        text = bullet["text"] if bullet else line.strip()
        above = self.point
        while above.under is not None and (above.indent >= indent or not bullet):
            above = above.under
        labelled = _LABEL.match(text)
        label = " ".join(labelled["label"].casefold().split()) if labelled else ""
        self.point = _Point(indent=indent, under=above, label=label, is_required=bool(_REQUIRES.search(label)))
        if not label or not _TALK.search(label):
            self._note(label, labelled["rest"] if labelled else text)

    def _note(self, label: str, text: str) -> None:
        urls = [url for url in (shown_link(found.rstrip(".,;:!*_")) for found in _URL.findall(text)) if url]
        words = _URL.sub(" ", text)
        if label in _PATH:
            self._note_folder(_folder(words))
        elif label in _RENAME:
            self._note_rename(words)
        else:
            self._note_files(label, words, urls)

    def _note_folder(self, folder: str) -> None:
        parent = self.point.under
        if parent is not None and parent.under is not None and parent.label:
            parent.folder = parent.folder or folder
        else:
            self.folder = self.folder or folder

    def _note_rename(self, words: str) -> None:
        name = next(_file_names(words), "")
        if self.files and name:
            self.files[-1].renamed = base_name(name)

    def _note_files(self, label: str, words: str, urls: list[str]) -> None:
        before, *after = _ARROW.split(words, maxsplit=1)
        folder = _folder(after[0]) if after else ""
        names = list(_file_names(before))
        renamed = base_name(next(_file_names(after[0]), "")) if after and len(names) == 1 else ""
        own = urls[0] if urls else ""
        self.files += [_File(name=name, at=self.point, url=own, folder=folder, renamed=renamed) for name in names]
        for url in urls:
            self._note_url(label, url, is_of_a_file=bool(names))

    def _note_url(self, label: str, url: str, *, is_of_a_file: bool) -> None:
        self.any_url = self.any_url or ("" if self._is_required() else url)
        parent = self.point.under
        if label in _DOWNLOAD:
            if parent is not None and parent.under is not None and parent.label:
                parent.url = parent.url or url
            else:
                self.url = self.url or url
        elif not is_of_a_file:
            self.point.url = self.point.url or url
        if looks_like_model(file_in(url)) and not is_of_a_file:
            self.files.append(_File(name=file_in(url), at=self.point, url=url))

    def _is_required(self) -> bool:
        return any(point.is_required for point in self.point.chain())

    def links(self) -> Iterator[ModelLink]:
        """Of every file that has one."""
        for file in self.files:
            url = file.url or self._url_above(file.at)
            if url:
                folder = file.folder or next((point.folder for point in file.at.chain() if point.folder), self.folder)
                name = base_name(file.name)
                yield ModelLink(
                    name=file.renamed or name, url=url, folder=folder, original=file.name if file.renamed else ""
                )

    def _url_above(self, at: _Point) -> str:
        for point in at.chain():
            if point.url or point.is_required:
                return point.url
        return self.url or self.any_url

    def heading_alone(self) -> Iterator[ModelLink]:
        """The heading, if no file is named below it."""
        url = self.url or self.any_url
        if url and not self.files and self.title:
            yield ModelLink(name=self.title, url=url, folder=self.folder)


def _text(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")


def _entries(text: str) -> Iterator[_Entry]:
    entry = _Entry()
    is_code = False
    for line in text.splitlines()[:MAX_LINES]:
        line = line[:_LONGEST_LINE]
        if line.lstrip().startswith(("```", "~~~")):
            is_code = not is_code
        elif heading := None if is_code else _HEADING.fullmatch(line):
            yield entry
            entry = _Entry(title=heading["title"].strip("# \t*")[:_LONGEST_NAME])
        elif line.strip() and not line.lstrip().startswith("<!--") and (not is_code or "://" in line):
            entry.take(line)
    yield entry


def _file_names(words: str) -> Iterator[str]:
    """Names of model files: in quotes, where they may have blanks, or bare."""
    for quoted in _QUOTED.findall(words):
        if looks_like_model(quoted.strip()) and quoted.isprintable():
            yield quoted.strip()
    for word in _WORD.findall(_QUOTED.sub(" ", words)):
        bare = word.strip(".:")
        if looks_like_model(bare) and not bare.startswith((".", "*")) and bare.isprintable():
            yield bare[-_LONGEST_NAME:]


def _folder(words: str) -> str:
    found = _FOLDER.search(words)
    steps = found["folder"].strip().split("/") if found else []
    if steps and looks_like_model(steps[-1]):
        steps.pop()
    return "" if {".", ".."} & set(steps) else "/".join(steps)


def _words(title: str) -> tuple[str, ...]:
    return tuple(_PARTS.findall(title.casefold()))


def _is_called_like(letters: str, words: tuple[str, ...]) -> bool:
    """Whether a heading speaks of a file: all its words are in the name, or it is little more than the name."""
    heading = "".join(words)
    if min(len(heading), len(letters)) < 4:
        return False
    if letters.startswith(heading) or (letters in heading and 2 * len(letters) > len(heading)):
        return True
    return len(words) > 1 and len(heading) > 5 and all(word in letters for word in words)
