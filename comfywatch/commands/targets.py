"""From what a person typed to a project or a workflow that is known, or to the nearest names.

Taken are ``my-film``, ``my-film/shot-01``, ``my-film/shot-01.json``, and the path that a shell completes,
``projects/my-film/workflows/shot-01.json``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import PurePosixPath

from comfywatch.jobs import workflow_name
from comfywatch.logs import one_line

NEAREST = 3


class UnknownName(ValueError):
    """Nothing is called so; the message has the nearest names."""


def find_target(word: str, known: Mapping[str, Collection[str]]) -> str:
    """``PROJECT`` or ``PROJECT/PATH`` for ``word``; ``known`` maps projects to paths of workflows.

    Raises ``UnknownName``.
    """
    for plain in _readings(word):
        project, _, path = plain.partition("/")
        if project in known and not path:
            return project
        for candidate in sorted(known.get(project, ())):
            if path in {candidate, workflow_name(candidate)}:
                return f"{project}/{candidate}"
    raise UnknownName(_sentence(word, known))


def _readings(word: str) -> Iterator[str]:
    """What ``word`` may mean, the likeliest first."""
    plain = word.replace("\\", "/").strip("/").removeprefix("./")
    yield plain
    parts = PurePosixPath(plain).parts
    if "projects" in parts:
        after = parts[len(parts) - parts[::-1].index("projects") :]
        yield "/".join((*after[:1], *after[2:]) if after[1:2] == ("workflows",) else after)


def _sentence(word: str, known: Mapping[str, Collection[str]]) -> str:
    names = [*known, *(f"{project}/{workflow_name(path)}" for project, paths in known.items() for path in paths)]
    folded = {name.casefold(): name for name in names}
    near = [folded[name] for name in get_close_matches(word.casefold(), folded, n=NEAREST, cutoff=0.5)]
    if not known:
        return "There is no project yet; make one with: comfywatch new my-film"
    meant = ", ".join(near) if near else ", ".join(sorted(known)[:NEAREST])
    return one_line(f"There is no '{word}'. {'Near are' if near else 'Projects are'}: {meant}.")
