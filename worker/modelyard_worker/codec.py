"""JSON by the interpreter's C core alone: the `json` package loads slowly and builds an encoder per call."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Tuple

WHITESPACE = " \t\n\r"


class NotJson(ValueError):
    """The text is not JSON."""


def _refuse_constant(name: str) -> Any:
    raise NotJson(name + " is not JSON")


class _Settings:
    """What the C scanner reads from the object it is made of."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse_constant)


def _c_core() -> Tuple[Callable[[str, int], Tuple[Any, int]], Callable[[Any], Callable[[Any, int], Any]]]:
    from _json import encode_basestring, make_encoder, make_scanner

    def encoder(default: Callable[[Any], Any]) -> Callable[[Any, int], Any]:
        return make_encoder(None, default, encode_basestring, None, ":", ",", False, False, False)

    settings: Any = _Settings
    scanner = make_scanner(settings)
    if scanner('{"a":[1]}', 0) != ({"a": [1]}, 9) or "".join(encoder(repr)({"a": [1]}, 0)) != '{"a":[1]}':
        raise ImportError("the C core of json has another interface")
    return scanner, encoder


def _portable_core() -> Tuple[Callable[[str, int], Tuple[Any, int]], Callable[[Any], Callable[[Any, int], Any]]]:
    import json

    def encoder(default: Callable[[Any], Any]) -> Callable[[Any, int], Any]:
        made = json.JSONEncoder(
            default=default, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
        )
        return lambda value, _indent: made.iterencode(value)

    decoder: Any = json.JSONDecoder(parse_constant=_refuse_constant)
    return decoder.scan_once, encoder


try:
    scan, make_encode = _c_core()
except Exception:  # another interpreter, or a later one with another C interface
    scan, make_encode = _portable_core()


def loads(text: str) -> Any:
    """The value of a JSON text; a `ValueError` when it is none."""
    try:
        value, end = scan(text, len(text) - len(text.lstrip(WHITESPACE)))
    except StopIteration:
        raise NotJson("no JSON value was found") from None
    except SystemError:  # the C core's own error class is in the package that nobody has loaded
        raise NotJson("it cannot be parsed") from None
    if end != len(text) and text[end:].strip(WHITESPACE):
        raise NotJson("there is text after the JSON value")
    return value


def _unknown(value: Any) -> Any:
    raise TypeError("not a JSON value: " + type(value).__name__)


_encode = make_encode(_unknown)


def dumps(value: Any) -> bytes:
    """JSON of the worker's own plain values; what UTF-8 cannot hold is replaced."""
    return "".join(_encode(value, 0)).encode("utf-8", "replace")
