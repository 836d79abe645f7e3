"""Modules of an installation: where their files lie, and what following each of them gives.

A module that no file of the installation holds is taken for a library that is there; whether it is, the files of
ComfyUI do not say.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from comfywatch import files
from comfywatch.scan.statements import Statements, module_scope
from comfywatch.scan.values import MISSING, UNKNOWN, External, Failed, Items, Module, Scope, TooLong

MAX_SOURCE = 16 * 2**20
_OWN = frozenset({"nodes", "comfy_extras", "comfy_api_nodes", "custom_nodes"})
"""What of ComfyUI's own modules is followed; the others hold no node classes, and are many."""
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_IMPORTED_AS = {
    "opencv_contrib_python": "cv2",
    "opencv_python": "cv2",
    "opencv_python_headless": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit_image": "skimage",
    "scikit_learn": "sklearn",
}


class Sources(Statements):
    """Every module is followed once, as Python imports it once; ``root`` is ComfyUI's folder."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root
        self._modules: dict[Path, Module | Failed] = {}
        self._paths: list[Path] = []
        self._packages: dict[str, Path] = {}
        self._libraries = sys.stdlib_module_names | required(root / "requirements.txt")

    def package(self, name: str, place: Path) -> Module:
        """A package, or a module by itself, at ``place``; raises ``Failed`` and ``TooLong``."""
        dotted = f"custom_nodes.{name.replace('.', '_')}"
        self._packages[dotted] = place
        self.steps = 0
        self._paths.clear()
        module = self._at(dotted, place)
        if module is MISSING:
            raise Failed("ImportError", f"{place.name} has no __init__.py")
        if not isinstance(module, Module):
            raise Failed("ImportError", f"{place.name} is compiled")
        return module

    def load(self, name: str) -> Any:
        top = name.partition(".")[0]
        if not name:
            return UNKNOWN
        if top in _OWN or self._is_beside(top):
            return self._own(name)
        return External(name)

    def load_file(self, file: Path) -> Any:
        if not self.may_look(file):
            return UNKNOWN
        known = self._modules.get(file)
        if isinstance(known, Module):
            return known
        return self._followed(f"{file.parent.name}.{file.stem}", file, package=self._package_of(file))

    def submodule(self, module: Module, name: str) -> Any:
        if module.file.name != "__init__.py":
            return MISSING
        known = self._modules.get(module.file.parent / f"{name}.py")
        known = known or self._modules.get(module.file.parent / name / "__init__.py")
        return known if isinstance(known, Module) else MISSING

    def may_look(self, path: Path) -> bool:
        return path.is_relative_to(self._root) or any(path.is_relative_to(place) for place in self._packages.values())

    def add_path(self, path: str) -> None:
        if self.may_look(Path(path)) and Path(path) not in self._paths:
            self._paths.append(Path(path))

    def import_names(self, node: ast.Import, scope: Scope) -> bool:
        is_there = True
        for alias in node.names:
            module = self.load(alias.name)
            is_there = self._is_there(module, scope.module) and is_there
            top = module if alias.asname or "." not in alias.name else self.load(alias.name.partition(".")[0])
            scope.bind(alias.asname or alias.name.partition(".")[0], top, doubt=self.doubt)
        return is_there

    def import_from(self, node: ast.ImportFrom, scope: Scope) -> bool:
        name = self._absolute(node, scope.module)
        module = self.load(name)
        for alias in node.names:
            if alias.name == "*":
                self._take_all(module, scope)
            else:
                scope.bind(alias.asname or alias.name, self._member(module, alias.name), doubt=self.doubt)
        return self._is_there(module, scope.module)

    # --- finding

    def _is_there(self, module: Any, importer: Module) -> bool:
        """Whether all that a module needs is known to be there; if not, its importer needs it as well."""
        if isinstance(module, External):
            top = module.name.partition(".")[0]
            missing = set() if top in self._libraries or _exists(self._root / top) else {top}
        else:
            missing = module.leans_on if isinstance(module, Module) else set()
        if not self.guards and not self.doubt:
            importer.leans_on |= missing
        return not missing

    def _absolute(self, node: ast.ImportFrom, module: Module) -> str:
        if not node.level:
            return node.module or ""
        parts = module.package.split(".")
        above = parts[: len(parts) - node.level + 1]
        return ".".join([*above, *([node.module] if node.module else [])])

    def _own(self, name: str) -> Any:
        """A module of the installation, its packages first; raises ``Failed`` if it is not there."""
        found: Any = MISSING
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            dotted = ".".join(parts[:count])
            found = self._at(dotted, self._place_of(dotted))
            if found is MISSING:
                raise Failed("ModuleNotFoundError", f"there is no module {dotted}")
            if found is UNKNOWN:
                return UNKNOWN
        return found

    def _place_of(self, dotted: str) -> Path:
        for package, place in self._packages.items():
            if dotted == package or dotted.startswith(f"{package}."):
                return place.joinpath(*dotted.removeprefix(package).strip(".").split("."))
        bases = [self._root, *self._paths]
        parts = dotted.split(".")
        return next((base.joinpath(*parts) for base in bases if _exists(base.joinpath(*parts))), self._root / parts[0])

    def _is_beside(self, top: str) -> bool:
        return any(_exists(base / top) for base in self._paths)

    def _at(self, name: str, place: Path) -> Any:
        """The module at a path without ending, ``MISSING`` if there is none."""
        if place.suffix == ".py" and place.is_file():
            return self._followed(name, place, package=name.rpartition(".")[0])
        if (init := place / "__init__.py").is_file():
            return self._followed(name, init, package=name)
        if (file := place.with_name(f"{place.name}.py")).is_file():
            return self._followed(name, file, package=name.rpartition(".")[0])
        if place.is_dir():
            return self._folder(name, place)
        compiled = place.parent.is_dir() and any(place.parent.glob(f"{place.name}.*.so"))
        return UNKNOWN if compiled or place.with_suffix(".pyd").exists() else MISSING

    def _folder(self, name: str, place: Path) -> Any:
        """A folder without ``__init__.py`` is a package too, unless it is to be one of nodes."""
        if name in self._packages:
            return MISSING
        file = place / "__init__.py"
        if file not in self._modules:
            self._modules[file] = Module(name, file, name)
        return self._modules[file]

    def _package_of(self, file: Path) -> str:
        for package, place in self._packages.items():
            if file.is_relative_to(place):
                return ".".join([package, *file.parent.relative_to(place).parts])
        return ""

    # --- following

    def _followed(self, name: str, file: Path, *, package: str) -> Module:
        known = self._modules.get(file)
        if isinstance(known, Failed):
            raise known
        if known is None:
            known = self._modules[file] = Module(name, file, package)
            try:
                self._run(known)
            except Failed as failed:
                self._modules[file] = failed
                raise
        return known

    def _run(self, module: Module) -> None:
        """Follow a module's statements; whether it is imported may be in doubt, what it then does is not."""
        tree = parsed(module.file)
        is_package = module.file.name == "__init__.py"
        module.names |= {"__name__": module.name, "__file__": str(module.file), "__package__": module.package}
        if is_package:
            module.names["__path__"] = Items([str(module.file.parent)])
        doubt, guards = self.doubt, self.guards
        self.doubt = self.guards = 0
        try:
            self.follow(tree.body, module_scope(module))
        except RecursionError as error:
            raise TooLong from error
        finally:
            self.doubt, self.guards = doubt, guards

    def _member(self, module: Any, name: str) -> Any:
        if not isinstance(module, Module):
            return self.attribute(module, name)
        found = self.attribute(module, name)
        if found is not MISSING:
            return found
        if module.file.name == "__init__.py":
            below = self._at(f"{module.name}.{name}", module.file.parent / name)
            return UNKNOWN if below is MISSING else below
        return UNKNOWN

    def _take_all(self, module: Any, scope: Scope) -> None:
        names = module.names if isinstance(module, Module) else None
        if names is None:
            scope.names.is_whole = False
            return
        chosen = names.get("__all__")
        for name in list(names):
            if name in chosen if isinstance(chosen, Items) else not name.startswith("_"):
                scope.bind(name, names[name], doubt=self.doubt)
        scope.names.is_whole = scope.names.is_whole and names.is_whole


def parsed(file: Path) -> ast.Module:
    """The statements of a source; raises ``Failed`` with a sentence for one that cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(files.read_all(file.open("rb"), max_bytes=MAX_SOURCE)[0])
    except files.TooBig as error:
        raise Failed("SyntaxError", f"{file.name} is too large to be read") from error
    except OSError as error:
        raise Failed("OSError", f"{file.name} cannot be read: {error.strerror or error}") from error
    except SyntaxError as error:
        python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        raise Failed("SyntaxError", f"{file.name} is no {python}: line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise Failed("SyntaxError", f"{file.name} cannot be read as Python: {error}") from error


def required(file: Path) -> frozenset[str]:
    """The libraries that a list of requirements names, by the names under which they are imported."""
    try:
        lines = files.read_all(file.open("rb"), max_bytes=MAX_SOURCE)[0].decode("utf-8", "replace").splitlines()
    except OSError:
        return frozenset()
    names = (_REQUIREMENT.match(line) for line in lines)
    plain = [found[0].replace("-", "_").casefold() for found in names if found]
    return frozenset(_IMPORTED_AS.get(name, name) for name in plain)


def constants(tree: ast.AST) -> Iterable[str]:
    """Every text in a part of a source."""
    return (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _exists(place: Path) -> bool:
    return place.is_dir() or place.with_name(f"{place.name}.py").is_file()
