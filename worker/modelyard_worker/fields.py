"""The data types of output fields: which Python values each takes, and how they become JSON."""

from __future__ import annotations

from .values import NoJson, as_object, simplify, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, FrozenSet, List, Optional, Set, Tuple

NOTHING = type(None)
URI = "ubiops-file://"


class Mismatch(Exception):
    """A value of another type than its field; `found` names it, `place` says where inside."""

    def __init__(self, found: str, place: str = "") -> None:
        super().__init__(found)
        self.found = found
        self.place = place


class NoFile(Exception):
    """A path that leads to nothing the server takes; the text goes on after the name of the field."""


def exact_types(data_type: str) -> Tuple[FrozenSet[Any], Optional[FrozenSet[Any]]]:
    """The types that need no conversion, of the value and of its items; empty where there always is one."""
    if data_type.startswith("array_"):
        items = exact_types(data_type[len("array_") :])[0] - {NOTHING}
        return frozenset((list, NOTHING)) if items else frozenset(), items
    whole: Dict[str, Set[Any]]
    whole = {"int": {int}, "double": {float, int}, "string": {str}, "bool": {bool}, "dict": {dict}}
    return frozenset(whole[data_type] | {NOTHING} if data_type in whole else ()), None


def converter(data_type: str, file: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What turns a value into that of a field of this type, or raises `Mismatch` or `NoJson`; `file` does it for files."""
    kinds = {**_ONE, "file": file}
    if data_type.startswith("array_"):
        return _array(kinds.get(data_type[len("array_") :], _anything), exact_types(data_type)[1])
    return kinds.get(data_type, _anything)


def _step(value: Any) -> Any:
    """The value as plain Python, where that is another one."""
    try:
        return simplify(value)
    except NoJson:
        raise Mismatch(type_name(value)) from None


def _int(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__int__(value)
    return _again(value, int, _int)


def _double(value: Any) -> Any:
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__int__(value)
    return _again(value, float, _double)


def _string(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    return _again(value, str, _string)


def _bool(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    return _again(value, bool, _bool)


def _again(value: Any, wanted: Any, convert: Callable[[Any], Any]) -> Any:
    if value is None or isinstance(value, (str, int, float, list, tuple, dict)):
        raise Mismatch(type_name(value))
    simple = _step(value)
    if isinstance(simple, (list, dict)) or (wanted is not str and isinstance(simple, str)):
        raise Mismatch(type_name(value))
    if simple is value:
        raise Mismatch(type_name(value))
    try:
        return convert(simple)
    except Mismatch:
        raise Mismatch(_dressed(value)) from None


def _dressed(value: Any) -> str:
    """A numpy value's type, with that of its content where it is another."""
    dtype = getattr(value, "dtype", None)
    name = type_name(value)
    return name if dtype is None or name.endswith("." + str(dtype)) else "%s of %s" % (name, dtype)


def _dict(value: Any) -> Any:
    try:
        return as_object(value)
    except NoJson:
        raise Mismatch(type_name(value)) from None


def _anything(value: Any) -> Any:
    """A type this worker does not know: the server judges."""
    return value


_ONE = {"int": _int, "double": _double, "string": _string, "bool": _bool, "dict": _dict}


def _array(convert: Callable[[Any], Any], exact: Optional[FrozenSet[Any]]) -> Callable[[Any], List[Any]]:
    def array(value: Any) -> List[Any]:
        items = value
        if not isinstance(value, (list, tuple)):
            if isinstance(value, (str, int, float, dict)):
                raise Mismatch(type_name(value))
            items = _step(value)
            if not isinstance(items, list):
                raise Mismatch(type_name(value))
        if exact and exact.issuperset(map(type, items)):
            return list(items)
        converted = []
        for index, item in enumerate(items):
            try:
                converted.append(convert(item))
            except Mismatch as error:
                raise Mismatch(error.found, "[%d]" % index + error.place) from None
        return converted

    return array
