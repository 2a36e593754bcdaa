"""Turns the body of a call into what the user's method gets."""

from __future__ import annotations

from .codec import NotJson, dumps, loads
from .frames import LIST_BODY, PACKED_BODY, TEXT_BODY
from .packed import unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class InputError(Exception):
    """The body of a call cannot be read."""


def parsed(body: Any) -> Any:
    """The JSON of a body."""
    try:
        return loads(str(body, "utf-8"))
    except UnicodeDecodeError:
        raise InputError("The request data is not valid UTF-8") from None
    except RecursionError:
        raise InputError("The request data is nested too deeply") from None
    except NotJson as error:
        raise InputError("The request data is not valid JSON: " + str(error)) from None
    except Exception as error:
        raise InputError("The request data is not valid JSON: %s" % error) from None


def payload(body: Any, flags: int, plain: bool) -> Any:
    """What the method gets: structured data as it is, plain data as text."""
    if flags & TEXT_BODY:
        try:
            return str(body, "utf-8")
        except UnicodeDecodeError:
            raise InputError("The request data is not valid UTF-8") from None
    value = _unpacked(body) if flags & PACKED_BODY else parsed(body)
    many = flags & LIST_BODY
    if many and not isinstance(value, list):
        raise InputError("The request data is not a list")
    if not plain:
        return value
    return [_text(item) for item in value] if many else _text(value)


def _unpacked(body: Any) -> Any:
    try:
        return unpack(body)
    except Exception as error:
        raise InputError("The request data cannot be read: %s" % error) from None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value).decode()
