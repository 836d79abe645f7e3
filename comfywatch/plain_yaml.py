"""YAML as people write it: plain values in, plain values out.

What makes a small file costly or ambiguous is refused: aliases, unknown tags, a key that is there twice, deep nesting.
The caller bounds the size. Nothing but ``NotYaml`` leaves ``load``, whatever the text.
"""

from __future__ import annotations

import codecs
import json
import re
import secrets
from collections.abc import Hashable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import yaml

try:
    from yaml import CSafeDumper as _SafeDumper
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # a PyYAML that was built without libyaml: the same results, slower
    from yaml import SafeDumper as _SafeDumper  # type: ignore[assignment]  # it stands in for the C class
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]  # likewise

WIDTH = 120
MAX_DEPTH = 64  # far below what composing, which recurses, can take
MAX_PARTS = 100_000  # takes about half a second to read, and is more than a status.yaml can have
MAX_LINE_KEY = 120  # YAML ends a simple key after 1024 characters, escapes included
MAX_DIGITS = 128  # turning digits into a number takes quadratic time

_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_TEXT = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Line breaks that not every version of YAML agrees on, or that fold badly: double quotes write them as escapes.
_BREAK = re.compile("[\n\r\x85\u2028\u2029]")


_TOO_DEEP = f"nested more than {MAX_DEPTH} deep"


class NotYaml(ValueError):
    """The text is no YAML that comfywatch takes; ``line`` counts from 1 and is ``None`` where there is none to name."""

    def __init__(self, sentence: str, *, line: int | None = None) -> None:
        super().__init__(sentence if line is None else f"line {line}: {sentence}")
        self.sentence = sentence
        self.line = line


class Flow(dict[str, Any]):
    """A map that is dumped on one line: ``{host: gpu-box, state: running}``."""


def load(text: str | bytes) -> Any:
    """The one document in ``text``; ``None`` if there is nothing in it. Raises ``NotYaml``."""
    if isinstance(text, bytes):
        text = _decoded(text)
    _refuse_characters(text)
    try:
        _refuse_structure(text)
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error) from error
    except yaml.YAMLError as error:
        raise NotYaml(str(error)) from error


def dump(value: Any, *, header: str = "") -> bytes:
    """``value`` as UTF-8, keys in their order; ``header`` becomes comment lines above it.

    Takes ``datetime`` (written in UTC, whole seconds) and ``StrEnum``; a lone surrogate becomes U+FFFD.
    """
    try:
        text = "".join(_block(value, ""))
    except _Intricate:
        text = yaml.dump(
            value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=False
        )
    return ("".join(f"# {line}\n" for line in _clean(header).splitlines()) + _TIME.sub(r"\1:\2:\3Z", text)).encode()


def line(key: str, value: Flow) -> str | None:
    """``key: {…}`` on one line of a block: reads as what ``dump`` makes, and takes a tenth of the time.

    Its own keys are plain words, its values text, numbers, times, and more of its kind. ``None`` for what does not go
    on one line.
    """
    if len(key) > MAX_LINE_KEY:  # longer ones need a form of their own
        return None
    whole = f"{_scalar(key)}: {_scalar(value)}"
    return None if "\n" in whole else f"{whole}\n"


def shown(value: Any) -> str:
    """``value`` as it reads in a sentence ("got 'high'"): short, on one line, only the kind of what is large."""
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, datetime):
        return f"the time {value.isoformat()}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}…{text[0] if isinstance(value, str) else ''}"


class _Intricate(Exception):
    """Something is among it that is left to PyYAML."""


def _block(value: Any, indent: str) -> Iterator[str]:
    """The lines of a map as ``dump`` shows it, in a tenth of PyYAML's time: most of what is written is plain."""
    if not value or not isinstance(value, dict) or isinstance(value, Flow):  # PyYAML folds the long ones of these
        raise _Intricate
    for name, item in value.items():
        if not isinstance(name, str) or len(name) > MAX_LINE_KEY:
            raise _Intricate
        key = _text(name)
        if isinstance(item, dict) and item:
            yield f"{indent}{key}:\n"
            yield from _block(item, f"{indent}  ")
        elif isinstance(item, list) and item:
            yield f"{indent}{key}:\n"
            for part in item:
                yield from _part(part, indent)
        else:
            yield f"{indent}{key}: {_on_one_line(item)}\n"


def _part(value: Any, indent: str) -> Iterator[str]:
    """The lines of a part of a list."""
    if isinstance(value, dict) and value:
        first, *rest = _block(value, f"{indent}  ")
        yield f"{indent}- {first.removeprefix(f'{indent}  ')}"
        yield from rest
    else:
        yield f"{indent}- {_on_one_line(value)}\n"


def _on_one_line(value: Any) -> str:
    """A value that has a line for itself."""
    match value:
        case str():
            return _text(value)
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case [] | {} if not value:
            return "{}" if isinstance(value, dict) else "[]"
        case int() | float() | datetime():
            return _scalar(value)
    raise _Intricate


def _text(value: str) -> str:
    text = str.__str__(value)
    if _is_plain(text):
        return text
    if not text.isprintable():
        raise _Intricate
    return "'" + text.replace("'", "''") + "'"


def _is_plain(text: str) -> bool:
    """Whether no parser takes it for anything but text, on a line of its own."""
    is_plain = _LINE_WORDS.fullmatch(text) is not None and text.isprintable()
    return is_plain and ": " not in text and text.lower() not in _NO_WORDS


def _scalar(value: str | float | datetime | Flow) -> str:
    """One value within a line; what is not plainly safe there, ``dump`` writes."""
    if isinstance(value, Flow):
        return f"{{{', '.join(f'{_scalar(name)}: {_scalar(item)}' for name, item in value.items())}}}"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"
    if isinstance(value, str):
        text = str.__str__(value)
        if _WORDS.fullmatch(text) and text.lower() not in _NO_WORDS:
            return text
        if text.isprintable():
            return json.dumps(text, ensure_ascii=False)
    elif isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    elif isinstance(value, float) and _DECIMAL.fullmatch(repr(value)):
        return repr(value)
    return dump([Flow(x=value)]).decode().removeprefix("- {x: ").removesuffix("}\n")


def _decoded(data: bytes) -> str:
    """UTF-8, or UTF-16 that says so; a byte order mark is taken off."""
    utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = None if utf_16 else data.count(b"\n", 0, error.start) + 1
        raise NotYaml("this is not UTF-8 text; save the file as UTF-8", line=line) from error


def _refuse_characters(text: str) -> None:
    if found := _NO_TEXT.search(text.removeprefix("\ufeff")):
        line = text.count("\n", 0, found.start() + 1) + 1
        raise NotYaml(f"the character U+{ord(found[0]):04X} does not belong in a text file", line=line)


def _refuse_structure(text: str) -> None:
    """Stop at aliases, depth and great numbers before anything is composed: that recurses, and follows aliases."""
    depth = documents = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if count > MAX_PARTS:
            raise NotYaml(f"more than {MAX_PARTS} entries", line=_line(event.start_mark))
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            raise NotYaml("a second document begins here; only one is read", line=_line(event.start_mark))
        if getattr(event, "anchor", None) is not None:
            why = "anchors (&) and aliases (*) are not taken here; put text that begins with one in quotes"
            raise NotYaml(why, line=_line(event.start_mark))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise NotYaml(_TOO_DEEP, line=_line(event.start_mark))


def _not_yaml(error: yaml.MarkedYAMLError) -> NotYaml:
    mark = error.problem_mark or error.context_mark
    sentence = error.problem or error.context or "this is not YAML"
    if "nesting depth" in sentence:  # the parser's own limit, which some builds of it reach before ours
        sentence = _TOO_DEEP
    if "cannot start any token" in sentence:
        sentence += " (indent with spaces, not tabs; put text that begins with @, ` or % in quotes)"
    if "alphabetic or numeric" in sentence:
        sentence += " (put text that begins with & or * in quotes)"
    return NotYaml(sentence, line=_line(mark))


def _line(mark: Any) -> int | None:
    """PyYAML's two kinds of marks count lines from 0."""
    return None if mark is None else mark.line + 1


class _Loader(_SafeLoader):
    """PyYAML's, and stricter; what its constructors trip over is told with the line."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            kind = str(node.tag).rpartition(":")[2]
            problem = f"{shown(node.value)} is no valid {kind}; put text in quotes"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[tuple[str, str], int] = {}
        pairs = node.value if isinstance(node, yaml.MappingNode) else []  # "!!set x" brings a scalar here
        for key in (key for key, _ in pairs if isinstance(key, yaml.ScalarNode)):
            if before := lines.get((key.tag, key.value)):
                problem = f"the key {shown(key.value)} is there already (line {before})"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            lines[key.tag, key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > MAX_DIGITS:
            problem = f"a number of more than {MAX_DIGITS} digits; put text in quotes"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_yaml_int(node)


def _refuse_tag(_: _Loader, node: yaml.Node) -> None:
    tag = "a lone =" if node.tag.endswith(":value") else f"the tag {shown(node.tag)}"
    raise yaml.constructor.ConstructorError(None, None, f"{tag} is not taken here; put text in quotes", node.start_mark)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_constructor(None, _refuse_tag)  # every tag that has no constructor


class _Dumper(_SafeDumper):
    """PyYAML's, without aliases, and with quotes also where a YAML 1.2 parser would not see text."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # PyYAML's signature
        return True


def _represent_text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    text = _clean(value)
    return dumper.represent_scalar(_TEXT, text, style='"' if _BREAK.search(text) else None)


def _represent_map(dumper: _Dumper, value: dict[Any, Any]) -> yaml.MappingNode:
    return dumper.represent_mapping(_MAP, _with_clean_keys(value), flow_style=isinstance(value, Flow))


def _represent_time(dumper: _Dumper, value: datetime) -> yaml.ScalarNode:
    """A word that stands for the time until the text is made: libyaml quotes what has a colon within a flow map."""
    utc = value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    return dumper.represent_scalar(_TEXT, _TIME_MARK + utc.replace(":", "_"))


def _clean(text: str) -> str:
    """An exact ``str`` (not an enum's member) that UTF-8 can hold."""
    return _SURROGATE.sub("\ufffd", str.__str__(text))


def _with_clean_keys(value: dict[Any, Any]) -> dict[Any, Any]:
    """File names that no encoding fits stay apart: each replacement that is taken already grows by one U+FFFD."""
    if not any(isinstance(key, str) and _SURROGATE.search(key) for key in value):
        return value
    clean: dict[Any, Any] = {}
    for key, item in value.items():
        name = _clean(key) if isinstance(key, str) else key
        while name != key and (name in value or name in clean):
            name += "\ufffd"
        clean[name] = item
    return clean


_WORDS = re.compile(
    r"[A-Za-z](?:[A-Za-z0-9_./ -]*[A-Za-z0-9_./])?|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)
_LINE_WORDS = re.compile(
    rf"{_WORDS.pattern}"
    r"|(?:[A-Za-z_\x80-\U0010ffff]|[0-9](?=.*[g-np-su-wyG-NP-SU-WY\x80-\U0010ffff]))"  # else it may be a number
    r"(?:[A-Za-z0-9_./ :,+@=()\x80-\U0010ffff-]*[A-Za-z0-9_./)\x80-\U0010ffff])?"
    r"|(?!0b)(?=[0-9e]*[a-df])[0-9a-f]{8,}|[0-9]+\.[0-9]+\.[0-9][0-9A-Za-z.+-]*"
)
_NO_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+")

_TEXT = "tag:yaml.org,2002:str"
_MAP = "tag:yaml.org,2002:map"
_TIME_MARK = f"time-{secrets.token_hex(8)}-"  # random, so that no text can hold it
_TIME = re.compile(rf"{_TIME_MARK}(\d{{4}}-\d\d-\d\dT\d\d)_(\d\d)_(\d\d)")
_NUMBER_ELSEWHERE = re.compile(r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+)$")

_Dumper.add_representer(str, _represent_text)
_Dumper.add_multi_representer(str, _represent_text)
_Dumper.add_representer(dict, _represent_map)
_Dumper.add_representer(Flow, _represent_map)
_Dumper.add_representer(datetime, _represent_time)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER_ELSEWHERE, list("-+.0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^[yYnN]$"), list("yYnN"))
