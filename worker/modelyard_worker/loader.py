"""Brings the user's package in: search path, main module, class, instance."""

from __future__ import annotations

import os
import sys

from . import mainfile, signatures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, FrozenSet, List, Optional, Set


class Fatal(Exception):
    """The deployment cannot become ready."""

    def __init__(self, kind: str, message: str, cause: Optional[BaseException] = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.cause = cause


def enter(folder: str, loaded_before: FrozenSet[str]) -> None:
    """Makes the package the working directory and the first place modules are looked for in."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise Fatal("missing", "The package folder cannot be entered: " + str(error)) from None
    libraries = os.path.join(folder, "libraries")
    first = [folder, libraries]
    if sys.flags.ignore_environment:
        first += [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    _yield_names(first, loaded_before)
    sys.path[:] = first + [entry for entry in sys.path if entry not in first]


def _yield_names(folders: List[str], loaded_before: FrozenSet[str]) -> None:
    """Lets the user's modules have names of the standard library, as in any program.

    What the worker itself has loaded is taken out of the list of loaded modules, so
    that the user's import finds the user's file; the worker keeps its own.
    """
    taken = _own_modules(folders) & _standard_names()
    if not taken:
        return
    # What the worker needs from the standard library later, it must load while the names still mean that.
    import inspect  # noqa: F401

    from . import failures  # noqa: F401

    for name in set(sys.modules) - loaded_before:
        if name.partition(".")[0] in taken:
            del sys.modules[name]


def _own_modules(folders: List[str]) -> Set[str]:
    names: Set[str] = set()
    for folder in folders:
        try:
            entries = os.listdir(folder)
        except OSError:
            continue
        for entry in entries:
            stem, extension = os.path.splitext(entry)
            if extension == ".py" or os.path.isfile(os.path.join(folder, entry, "__init__.py")):
                names.add(stem)
    return names


def _standard_names() -> Set[str]:
    known = getattr(sys, "stdlib_module_names", None)
    if known is not None:
        return set(known)
    pure = os.path.dirname(os.__file__)
    folders = (folder for folder in (pure, os.path.join(pure, "lib-dynload")) if os.path.isdir(folder))
    return {entry.partition(".")[0] for folder in folders for entry in os.listdir(folder)}


def load(folder: str, main_file: str) -> Any:
    """Imports the main file and returns its class `Deployment`."""
    path = mainfile.find(folder, main_file)
    if path is None:
        raise Fatal("missing", "The package has no file '%s'" % mainfile.shown(main_file))
    try:
        module = _run(path)
    except BaseException as error:
        raise Fatal("import", _import_message(error, folder, path), error) from None
    kind = getattr(module, "Deployment", None)
    if not callable(kind):
        raise Fatal("missing", "%s has no class 'Deployment'" % mainfile.shown(main_file))
    return kind


def _run(path: str) -> Any:
    # The frozen importers: `importlib.util` would say the same and load slowly.
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import spec_from_file_location

    name = os.path.splitext(os.path.basename(path))[0]
    sys.argv[:] = [path]
    spec: Any = spec_from_file_location(name, path)
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return sys.modules.get(name, module)


def _import_message(error: BaseException, folder: str, path: str) -> str:
    from .failures import place_in, sentence

    place = place_in(error, folder) or os.path.basename(path)
    return "%s: %s" % (place, sentence(error))


def construct(kind: Any, folder: str, context: Dict[str, Any]) -> Any:
    """Makes the instance; the constructor gets what its signature asks for."""
    try:
        given = {"base_directory": folder, "context": context}
        return kind(**{name: given[name] for name in signatures.constructor_names(kind)})
    except BaseException as error:
        message = "Failed to initialise the deployment. See the logs for details."
        raise Fatal("init", message, error) from None
