"""check.py DIR MAIN_FILE: looks at a package without importing it and prints one JSON line.

`{"ok": true, "has_request": ..., "has_requests": ...}`, where a method that may come from
elsewhere counts as there, or `{"ok": false, "message": ..., "line": number or null}`.
"""

from __future__ import annotations

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [os.path.dirname(HERE)] + [entry for entry in sys.path if entry != HERE]

import ast  # noqa: E402
import json  # noqa: E402

from modelyard_worker import mainfile  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Set, Union

    Known = Dict[str, Optional[ast.ClassDef]]

SIZE_MAX = 16 << 20
METHODS = ("request", "requests")


class Refused(Exception):
    """The package cannot be served; the text says why."""

    def __init__(self, message: str, line: Optional[int] = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def check(folder: str, main_file: str) -> Dict[str, bool]:
    """Which methods the class `Deployment` has."""
    name = mainfile.shown(main_file)
    path = mainfile.find(folder, main_file)
    if path is None:
        raise Refused("The package has no file '%s'" % name)
    names = _bound_names(_tree(path, name).body)
    if "Deployment" not in names:
        if "*" in names or "__getattr__" in names:
            return dict.fromkeys(METHODS, True)
        raise Refused("%s has no class 'Deployment'" % name)
    methods = _methods(names["Deployment"], names, set())
    return {method: methods is None or method in methods for method in METHODS}


def _tree(path: str, name: str) -> ast.Module:
    try:
        if os.path.getsize(path) > SIZE_MAX:
            raise Refused("%s is larger than 16 MiB" % name)
        with open(path, "rb") as file:
            source = file.read()
        tree: Any = compile(source, name, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        compile(tree, name, "exec", dont_inherit=True)  # what only the compiler notices: `return` outside a function
        module: ast.Module = tree
        return module
    except SyntaxError as error:
        if error.lineno:
            raise Refused("%s line %d: %s" % (name, error.lineno, error.msg), error.lineno) from None
        raise Refused("%s: %s" % (name, error.msg)) from None
    except (RecursionError, MemoryError):
        raise Refused("%s is nested too deeply" % name) from None
    except UnicodeDecodeError as error:
        raise Refused("%s is not valid %s" % (name, error.encoding)) from None
    except ValueError as error:
        raise Refused("%s: %s" % (name, error)) from None
    except OSError as error:
        raise Refused("%s cannot be read: %s" % (name, error.strerror)) from None


def _bound_names(body: List[ast.stmt]) -> Known:
    """The names a module binds, the last one counting: a class it defines, or None for what comes from elsewhere."""
    names: Known = {}
    for statement in _flat(body):
        if isinstance(statement, ast.ClassDef):
            names[statement.name] = statement
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names[statement.name] = None
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            for alias in statement.names:
                names[alias.asname or alias.name.partition(".")[0]] = None
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            for name in _targets(statement):
                names[name] = None
    return names


def _flat(body: List[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body and of the `if`, `try` and `with` blocks in it."""
    waiting = list(reversed(body))
    while waiting:
        statement = waiting.pop()
        yield statement
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        blocks: List[Any] = [getattr(statement, field, []) for field in ("body", "orelse", "finalbody")]
        blocks[1:1] = [handler.body for handler in getattr(statement, "handlers", [])]
        blocks += [case.body for case in getattr(statement, "cases", [])]
        for block in reversed(blocks):
            waiting.extend(reversed(block))


def _targets(statement: Union[ast.Assign, ast.AnnAssign]) -> Iterator[str]:
    for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _methods(kind: Optional[ast.ClassDef], names: Known, seen: Set[str]) -> Optional[Set[str]]:
    """The names a class has by itself and by its bases; None when that cannot be known from here."""
    if kind is None or kind.name in seen or kind.decorator_list or kind.keywords:
        return None
    found = set(_bound_names(kind.body)) | _set_on_self(kind)
    if "*" in found or "__getattr__" in found:
        return None
    for base in kind.bases:
        if isinstance(base, ast.Name) and base.id == "object" and "object" not in names:
            continue
        inherited = _methods(names.get(base.id), names, seen | {kind.name}) if isinstance(base, ast.Name) else None
        if inherited is None:
            return None
        found |= inherited
    return found


def _set_on_self(kind: ast.ClassDef) -> Set[str]:
    """Attributes some method sets on its instance, such as `self.request = self.predict`."""
    stored = (node for node in ast.walk(kind) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    return {node.attr for node in stored if isinstance(node.value, ast.Name) and node.value.id == "self"}


def main(argv: List[str]) -> int:
    """Prints the finding; 2 when called wrongly, else 0."""
    if len(argv) != 2:
        print("usage: check.py DIR MAIN_FILE", file=sys.stderr)
        return 2
    try:
        methods = check(argv[0], argv[1])
        finding: Dict[str, Any] = {"ok": True, **{"has_" + name: there for name, there in methods.items()}}
    except Refused as refused:
        finding = {"ok": False, "message": refused.message, "line": refused.line}
    except (RecursionError, MemoryError):
        finding = {"ok": False, "message": mainfile.shown(argv[1]) + " is nested too deeply", "line": None}
    print(json.dumps(finding))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
