"""Functions of Python's own library that sources use to put their node classes together, by dotted name."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from pathlib import Path

from comfywatch.scan import folders, looking, making
from comfywatch.scan.values import Known

LIBRARY: Mapping[str, Known] = {
    "builtins.__import__": folders.import_module,
    "builtins.bool": making.verdict,
    "builtins.dict": making.make_dict,
    "builtins.dir": looking.listed_names,
    "builtins.enumerate": making.make_enumerate,
    "builtins.filter": making.make_filter,
    "builtins.frozenset": making.make_list,
    "builtins.getattr": looking.get_attribute,
    "builtins.hasattr": looking.has_attribute,
    "builtins.isinstance": looking.is_instance,
    "builtins.issubclass": looking.is_subclass,
    "builtins.len": making.length,
    "builtins.list": making.make_list,
    "builtins.map": making.make_map,
    "builtins.range": making.make_range,
    "builtins.set": making.make_list,
    "builtins.setattr": looking.set_attribute,
    "builtins.sorted": making.make_sorted,
    "builtins.str": making.text,
    "builtins.tuple": making.make_list,
    "builtins.vars": looking.variables,
    "builtins.zip": making.make_zip,
    "asyncio.run": making.same,
    "collections.OrderedDict": making.make_dict,
    "copy.copy": making.same,
    "copy.deepcopy": making.same,
    "fnmatch.fnmatch": folders.matches,
    "functools.cache": looking.undecorated,
    "functools.lru_cache": looking.undecorated,
    "glob.glob": folders.glob,
    "glob.iglob": folders.glob,
    "importlib.import_module": folders.import_module,
    "importlib.util.module_from_spec": folders.module_of_spec,
    "importlib.util.spec_from_file_location": folders.spec,
    "inspect.getmembers": looking.members,
    "inspect.isclass": looking.is_class,
    "inspect.isfunction": looking.is_function,
    "os.fspath": making.text,
    "os.listdir": folders.names_in,
    "os.path.abspath": folders.on_text(os.path.normpath),
    "os.path.basename": folders.on_text(os.path.basename),
    "os.path.dirname": folders.on_text(os.path.dirname),
    "os.path.exists": folders.looks(Path.exists),
    "os.path.isdir": folders.looks(Path.is_dir),
    "os.path.isfile": folders.looks(Path.is_file),
    "os.path.join": folders.on_text(os.path.join),
    "os.path.normpath": folders.on_text(os.path.normpath),
    "os.path.realpath": folders.on_text(os.path.normpath),
    "os.path.splitext": folders.on_text(os.path.splitext),
    "os.scandir": folders.entries_in,
    "os.walk": folders.walk,
    "pathlib.Path": folders.make_path,
    "pathlib.PurePath": folders.make_path,
    "pkgutil.iter_modules": folders.modules_in,
    "sys.path.append": folders.add_path,
    "sys.path.insert": folders.add_path,
    "types.MappingProxyType": making.make_dict,
}
"""By dotted name; what is called with other arguments than are understood gives what cannot be known."""
