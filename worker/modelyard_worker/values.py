"""Turns what data code returns (numpy, pandas, dates, decimals) into JSON values, without importing any of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

PLAIN = frozenset((str, int, float, bool, type(None), dict, list))
#: Conversions in a row before a value counts as one that never becomes plain.
STEPS = 8


class NoJson(TypeError):
    """A value JSON has no form for; the text says what and what to do instead."""


def type_name(value: Any) -> str:
    """A type as its user knows it: `str`, `numpy.ndarray`, `null`."""
    if value is None:
        return "null"
    kind = type(value)
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", "__main__") else module.split(".")[0] + "." + kind.__qualname__


def simplify(value: Any) -> Any:
    """One step towards JSON for a value the encoder does not know; raises `NoJson` for what has no form."""
    kind = type(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise NoJson(type_name(value) + "; decode it to text, or return it as a file")
    if isinstance(value, (set, frozenset)):
        raise NoJson(type_name(value) + ", which has no order; return a list")
    dtype_kind = getattr(getattr(value, "dtype", None), "kind", "")
    if isinstance(dtype_kind, str) and dtype_kind and dtype_kind in "mMSV" and hasattr(value, "astype"):
        return _special_array(value, dtype_kind)
    if hasattr(kind, "isoformat"):
        if value != value:
            raise NoJson("a date that is no date (NaT)")
        return value.isoformat()
    if hasattr(kind, "tolist"):
        return value.tolist()
    if hasattr(kind, "to_dict"):
        return value.to_dict("list") if hasattr(kind, "iterrows") else value.to_dict()
    if hasattr(kind, "__fspath__"):
        return str(value.__fspath__())
    module = kind.__module__
    if module in ("decimal", "_decimal", "_pydecimal", "fractions"):
        return float(value)
    if module == "uuid":
        return str(value)
    if hasattr(kind, "keys") and hasattr(kind, "__getitem__"):
        return {key: value[key] for key in value.keys()}
    if hasattr(kind, "item"):
        return value.item()
    raise NoJson(type_name(value) + ", which JSON has no form for")


def _special_array(value: Any, kind: str) -> Any:
    """numpy's times become ISO text; its raw bytes are refused."""
    if kind in "SV":
        raise NoJson(type_name(value) + " of bytes; decode it to text")
    if kind == "m":
        raise NoJson(type_name(value) + ", a time span; return a number of seconds")
    texts = value.astype("str").tolist()
    if "NaT" in str(texts):
        raise NoJson("a date that is no date (NaT)")
    return texts


def plain(value: Any, place: str = "") -> Any:
    """A value made of JSON's own types alone, or `NoJson` with the place inside of what does not fit."""
    for _ in range(STEPS):
        if type(value) in PLAIN:
            break
        if isinstance(value, (str, float, int)):
            value = _base(value)
        elif isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, dict):
            value = dict(value)
        else:
            value = _simplify_at(value, place)
    else:
        raise NoJson("holds %s%s, which JSON has no form for" % (type_name(value), at(place)))
    if type(value) is dict:
        return {_key(key, place): plain(item, place + "[%r]" % (key,)) for key, item in value.items()}
    if type(value) is list:
        return [plain(item, place + "[%d]" % index) for index, item in enumerate(value)]
    if type(value) is float and (value != value or value in (float("inf"), float("-inf"))):
        raise NoJson("holds %s%s, which JSON cannot express" % (_number_name(value), at(place)))
    if type(value) is str and not value.isascii():
        _check_text(value, place)
    return value


def at(place: str) -> str:
    """The place inside a value, for a message."""
    return " at " + place if place else ""


def _simplify_at(value: Any, place: str) -> Any:
    try:
        return simplify(value)
    except NoJson as error:
        raise NoJson("holds %s%s" % (error, at(place))) from None
    except Exception as error:
        raise NoJson("holds %s%s that could not be converted: %s" % (type_name(value), at(place), error)) from None


def _base(value: Any) -> Any:
    """A str, float or int that a subclass (numpy's, an enumeration's) dressed up."""
    if isinstance(value, str):
        return str.__str__(value)
    return float.__float__(value) if isinstance(value, float) else int.__int__(value)


def _key(key: Any, place: str) -> Any:
    found = plain(key, place)
    if found is None or isinstance(found, (str, int, float)):
        return found
    raise NoJson("holds the key %r%s, which is not text" % (key, at(place)))


def _check_text(value: str, place: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NoJson("holds text%s that is not valid Unicode (a lone surrogate)" % at(place)) from None


def _number_name(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def as_object(value: Any) -> Dict[Any, Any]:
    """A dictionary out of any mapping, pandas Series or DataFrame; `NoJson` for all else."""
    while not isinstance(value, dict):
        kind = type(value)
        if hasattr(kind, "to_dict"):
            value = value.to_dict("list") if hasattr(kind, "iterrows") else value.to_dict()
        elif hasattr(kind, "keys") and hasattr(kind, "__getitem__"):
            value = {key: value[key] for key in value.keys()}
        else:
            raise NoJson(type_name(value))
    return value
