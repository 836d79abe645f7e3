"""What mends a missing node or model: problems in, the same problems with the package or the link in their ``fix``.

The one place in which that is put together, for the daemon and for ``comfywatch check``. What the workflow itself says
counts most, then what is known on the spot (the Manager, ``references/models.md``), then what comes with comfywatch.
Nothing is opened or fetched: links are shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from comfywatch import core_nodes, model_links, packages, sentences
from comfywatch.inventory import Inventory
from comfywatch.model_folders import ModelInputs, looks_like_model
from comfywatch.model_links import ModelLink
from comfywatch.packages import Package, PackageMap
from comfywatch.problems import MissingClass, MissingModel, Problem, Severity
from comfywatch.prompt_graph import inputs_of
from comfywatch.references import References
from comfywatch.schemas import Schemas
from comfywatch.sentences import called, class_of, shortened
from comfywatch.versions import is_older
from comfywatch.wanted import Wanted

LATER = "model_not_confirmed"
MAX_PACKAGES = 4
MAX_LINKS = 3
MAX_LATER = 5
MAX_MENDED = 200
"""Problems of one workflow for which something is looked up; it can have thousands, and few are shown."""
_ROOM = 700
"""Characters for the links of one model: a ``fix`` in ``status.yaml`` is cut at 1000."""

_NO_CLASSES: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is known beside the workflow. ``manager`` is a Manager's map, the server's or this machine's.

    ``classes`` and ``installed`` are the server's classes and the folders of its packages; empty if not known.
    """

    manager: PackageMap | None = None
    references: References = field(default_factory=References)
    comfyui_version: str = ""
    classes: Collection[str] = _NO_CLASSES
    installed: Collection[str] = _NO_CLASSES

    @classmethod
    def of(
        cls,
        schemas: Schemas | None,
        inventory: Inventory | None,
        *,
        references: References,
        manager: PackageMap | None = None,
    ) -> Sources:
        """Beside what a server has."""
        listed = (inventory and inventory.node_classes) or _NO_CLASSES
        folders = frozenset((inventory and inventory.custom_nodes) or ())
        return cls(
            manager=manager,
            references=references,
            comfyui_version=(inventory and inventory.comfyui_version) or "",
            classes=schemas if schemas is not None else listed,
            installed=folders if schemas is None else folders | schemas.packages,
        )


def lacks_something(problems: Iterable[Problem]) -> bool:
    """Whether ``mended`` has anything to say."""
    return any(problem.lacks is not None for problem in problems)


def mended(problems: Iterable[Problem], sources: Sources, *, saved: Any = None) -> tuple[Problem, ...]:
    """The problems with what mends them; ``saved`` is the workflow as ComfyUI's window saved it, where there is one."""
    wanted = Wanted.of(saved)
    left = MAX_MENDED
    found = []
    for problem in problems:
        left -= problem.lacks is not None
        found.append(_mended(problem, sources, wanted) if left >= 0 else problem)
    return tuple(found)


def needed_later(
    prompt: Mapping[str, Any], problems: Iterable[Problem], models: ModelInputs, sources: Sources, *, saved: Any = None
) -> Iterator[Problem]:
    """Models of nodes that are missing themselves: ComfyUI lists those only once the package is there.

    Each is a warning with its mend, so that everything can be fetched in one go.
    """
    told = list(problems)
    lacking = dict.fromkeys(problem.node for problem in told if isinstance(problem.lacks, MissingClass))
    known = {problem.lacks.name for problem in told if isinstance(problem.lacks, MissingModel)}
    wanted = Wanted.of(saved) if lacking else Wanted()
    found = (
        (node_id, node, name, value)
        for node_id in lacking
        if isinstance(node := prompt.get(node_id), Mapping)
        for name, value in inputs_of(node).items()
        if isinstance(value, str) and looks_like_model(value) and value not in known and not _is_listed(models, value)
    )
    for node_id, node, name, value in islice(found, MAX_LATER):
        folder = next(iter(models.folders(class_of(node), name)), "")
        lacks = MissingModel(name=value, folder=folder)
        yield Problem(
            code=LATER,
            message=f"{called(node_id, node)} needs the model '{shortened(value)}', which ComfyUI does not list yet.",
            fix=_model_fix(lacks, sources, wanted),
            node=node_id,
            class_type=class_of(node),
            input=name,
            severity=Severity.WARNING,
            lacks=lacks,
        )


def _is_listed(models: ModelInputs, name: str) -> bool:
    if models.inventory is None:
        return False
    return any(models.inventory.spelling(folder, name) is not None for folder in models.inventory.models)


def _mended(problem: Problem, sources: Sources, wanted: Wanted) -> Problem:
    match problem.lacks:
        case MissingModel() as lacks:
            return replace(problem, fix=_model_fix(lacks, sources, wanted))
        case MissingClass() as lacks:
            return _with_class(problem, lacks, sources, wanted)
        case None:
            return problem


# --- models


def _model_fix(lacks: MissingModel, sources: Sources, wanted: Wanted) -> str:
    links = tuple(dict.fromkeys(_links(lacks, sources, wanted)))
    folder = lacks.folder or next((link.folder for link in links if link.folder), "")
    place = _place(folder, model_links.below(lacks.name))
    name = model_links.base_name(lacks.name)
    ways, is_renamed = _ways(name, links)
    if not ways:
        return sentences.model_fix(lacks, f"put it into {place} of ComfyUI")
    call_it = f", under the name {shortened(name)}" if is_renamed else ""
    return sentences.model_fix(lacks, f"download {' or '.join(ways)} into {place} of ComfyUI{call_it}")


def _place(folder: str, below: str) -> str:
    """``below`` are the folders before a model's name, which a folder that was written down may have in it already."""
    if not folder:
        return "its folder below models/"
    return shortened(sentences.place_of(folder, "" if f"{folder}/".endswith(f"/{below}") else below))


def _links(lacks: MissingModel, sources: Sources, wanted: Wanted) -> Iterator[ModelLink]:
    """All that is said, the workflow's own first; the catalogue's where none of them leads to the file itself."""
    names = dict.fromkeys(filter(None, (lacks.name, lacks.alias_of)))
    said = [
        link
        for name in names
        for links in (
            wanted.models.of(name, lacks.folder) or wanted.models.named(name),
            sources.references.of(name, lacks.folder),
        )
        for link in links
    ]
    yield from said
    if not any(link.is_file for link in said):
        for name in names:
            yield from model_links.catalogue().of(name, lacks.folder)


def _ways(name: str, links: Iterable[ModelLink]) -> tuple[list[str], bool]:
    """Each link in words, as far as there is room; and whether what one loads has another name than it needs."""
    ways: dict[str, None] = {}
    is_renamed = False
    for link in links:
        original = model_links.file_in(link.url) if link.is_file else link.original or name
        way = link.url if link.is_file else f"{shortened(original)} from {link.url}"
        if len(ways) == MAX_LINKS or sum(map(len, ways)) + len(way) > _ROOM:
            break
        is_renamed = is_renamed or model_links.base_name(original).casefold() != name.casefold()
        ways[way] = None
    return list(ways), is_renamed


# --- classes


def _with_class(problem: Problem, lacks: MissingClass, sources: Sources, wanted: Wanted) -> Problem:
    class_type = problem.class_type
    same = core_nodes.shown_as(class_type)
    if same is not None and same != class_type and same in sources.classes and class_type not in wanted.packages:
        return sentences.class_misnamed(problem, same)
    candidates = _candidates(class_type, sources, wanted)
    core = None if candidates else _core_fix(class_type, sources, wanted)
    if core is None:
        return replace(problem, fix=sentences.class_fix(_install(candidates, sources)))
    return replace(problem, fix=sentences.class_fix(core, near=lacks.near)) if core else problem


def _candidates(class_type: str, sources: Sources, wanted: Wanted) -> tuple[Package, ...]:
    """From the first source that knows the class."""
    if class_type in wanted.packages:
        return (packages.completed(wanted.packages[class_type]),)
    if class_type in wanted.core or core_nodes.is_core(class_type) or core_nodes.is_partner(class_type):
        return ()
    maps = (known for known in (sources.manager, packages.well_known()) if known is not None)
    return next(filter(None, (known.having(class_type) for known in maps)), ())


def _core_fix(class_type: str, sources: Sources, wanted: Wanted) -> str:
    """The beginning of what mends that a class of ComfyUI's own is missing; empty if it is none."""
    here = shortened(sources.comfyui_version)
    saved_with = shortened(wanted.core.get(class_type, ""))
    in_table = core_nodes.is_core(class_type) or core_nodes.is_partner(class_type)
    if not saved_with and not in_table and class_type not in wanted.core:
        return ""
    known = saved_with or core_nodes.version()
    if here and is_older(here, known):
        seen = f"the workflow was saved with {known}" if saved_with else f"{known} has it"
        return f"This needs a newer ComfyUI: {seen}, and this is {here}. Update it"
    if core_nodes.is_partner(class_type):
        return "It is a partner node of ComfyUI itself: start ComfyUI without --disable-api-nodes, or update it"
    return "It is a node of ComfyUI itself: update ComfyUI, or see in its log why it did not load"


def _install(candidates: tuple[Package, ...], sources: Sources) -> str:
    if len(candidates) > 1:
        shown = [_named(package) for package in candidates[:MAX_PACKAGES]]
        more = f" and {len(candidates) - MAX_PACKAGES} more" if len(candidates) > MAX_PACKAGES else ""
        return f"Several packages have it: {', '.join(shown)}{more}. Install one of them"
    (package,) = candidates
    if any(package.is_called(folder) for folder in sources.installed):
        to_version = f" to {package.version} or later" if is_older("0", package.version) else ""
        update = f" (comfy node update {package.id})" if package.id else ""
        return (
            f"{package.name} is installed without it: update it{to_version}{update}, "
            "or see in ComfyUI's log why it did not load"
        )
    if not package.id:
        where = f" ({package.repository})" if package.repository else ""
        return f"Install {package.name}{where} with ComfyUI-Manager"
    return f"Install {package.name}: comfy node install {package.id}, or ComfyUI-Manager under that name"


def _named(package: Package) -> str:
    how = f"comfy node install {package.id}" if package.id else package.repository
    return f"{package.name} ({how})" if how else package.name
