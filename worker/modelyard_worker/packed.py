"""Large values in the interpreter's own format: numbers are read and written several times faster than as JSON."""

from __future__ import annotations

from itertools import chain
from marshal import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Set, Tuple

#: `unpack` reads what the server packed; `dumps` writes in a format without references and abbreviations.
unpack = loads
FORMAT = 2

PLAIN = frozenset((str, int, float, bool, type(None), dict, list, tuple))
CONTAINERS = frozenset((dict, list, tuple))

#: A value that holds fewer than these, texts not counted, is JSON sooner.
LEAST = 256
#: Of texts so many bytes count as much as a number: of short ones JSON is written as fast.
BYTES_AS_NUMBER = 64
LEAST_TEXT = LEAST * BYTES_AS_NUMBER
SURPLUS = 4096
#: More values, or more levels, than are looked at.
MOST = 1 << 24
LEVELS = 120
#: Larger ones stay JSON, because the server holds a packed one twice while it reads it.
MOST_BYTES = 16 << 20
#: The server reads integers below this.
LIMIT = 1 << 120


class Unfit(Exception):
    """JSON is as good, or the value may hold what JSON would change or refuse."""


def packer(data_types: Dict[str, str]) -> Callable[[Any], List[bytes]]:
    """What packs a value that fits output fields of these types: gives its parts, and none where it is left to JSON.

    Values are looked at by their exact types, so that nothing in here runs code of the user's.
    """

    def pack(value: Any) -> List[bytes]:
        kind = type(value)
        if kind is dict:
            for found in value.values():
                kind = type(found)
                if kind in CONTAINERS or kind is str:
                    if _may_be_worth_it(kind, found):
                        break
            else:
                return []
        elif kind is not str or len(value) < LEAST_TEXT:
            return []
        try:
            parts = _dict(value, data_types) if type(value) is dict else _value(value, "")[1]
            return parts if sum(map(len, parts)) <= MOST_BYTES else []
        except Exception:
            return []  # or a lone surrogate, or another thread that changes the value: JSON's way has the words for it

    return pack


def _may_be_worth_it(kind: Any, value: Any) -> bool:
    """A glance at what stands in a field."""
    if kind is str:
        return len(value) >= LEAST_TEXT
    if not value:
        return False
    if kind is dict:
        return len(value) >= LEAST or any(type(item) in CONTAINERS or type(item) is str for item in value.values())
    first = type(value[0])
    if first is str:
        return len(value[0]) >= BYTES_AS_NUMBER and len(value[0]) * len(value) >= LEAST_TEXT
    return first in CONTAINERS or len(value) >= LEAST


def _dict(value: Dict[str, Any], data_types: Dict[str, str]) -> List[bytes]:
    parts, worth = [b"{"], 0
    for name, found in value.items():
        more, packed = _value(found, data_types.get(name, ""))
        worth += more
        parts += _text(name)
        parts += packed
    parts.append(b"0")
    if worth < LEAST:
        raise Unfit
    return parts


def _value(value: Any, data_type: str) -> Tuple[int, List[bytes]]:
    """How much a value is worth packing, and its parts."""
    kind = type(value)
    if kind is str:
        return len(value) // BYTES_AS_NUMBER - 1, _text(value)
    if kind is list and data_type == "array_int":
        packed = dumps(value, FORMAT)
        if len(packed) != _size_of_small(value):
            _check_ints(value)
        return len(value), [packed]
    return _worth(value), [dumps(value, FORMAT)]


def _text(text: str) -> List[bytes]:
    """As `dumps` has it, with less copying."""
    if len(text) > MOST_BYTES:
        raise Unfit
    data = text.encode()
    return [b"u" + len(data).to_bytes(4, "little", signed=True), data]


def _size_of_small(ints: List[int]) -> int:
    """How long a packed list is if all its integers have 32 bits; a larger one takes more than 5 bytes."""
    return 5 + 5 * len(ints)


def _check_ints(ints: List[int]) -> None:
    if sum(map(abs, ints)) >= LIMIT:
        raise Unfit


def _worth(value: Any) -> int:
    """How much a value is worth packing, if it is made of JSON's own types alone.

    Looked at level by level, all values of one at a time: nothing here is done for each value but by the interpreter's core.
    """
    level, worth, size = [value], 0, 0
    for _ in range(LEVELS):
        kinds = {*map(type, level)}
        if not PLAIN.issuperset(kinds):
            raise Unfit
        size += len(level)
        worth += len(level)
        if str in kinds:
            texts = _of(str, level, kinds)
            worth += _check_texts("".join(texts)) // BYTES_AS_NUMBER - 2 * len(texts)
            if worth < -SURPLUS:
                raise Unfit
        if float in kinds:
            floats = _of(float, level, kinds)
            worth += len(floats)  # their texts are the slowest to write
            total = sum(floats)
            if total - total != 0.0:  # one is not finite, or the sum is not
                raise Unfit
        if int in kinds:
            _check_ints(_of(int, level, kinds))
        if kinds.isdisjoint(CONTAINERS):
            return worth
        containers = [item for item in level if type(item) in CONTAINERS]
        dicts = _of(dict, containers, kinds) if dict in kinds else []
        worth -= sum(map(len, dicts))  # keys are texts
        if worth < -SURPLUS or size + sum(map(len, containers)) > MOST:
            raise Unfit
        level = _inner(containers, dicts)
    raise Unfit


def _inner(containers: List[Any], dicts: List[Any]) -> List[Any]:
    """The values of the next level."""
    if not dicts:
        return list(chain.from_iterable(containers))
    _check_texts("".join(chain.from_iterable(dicts)))
    inner = list(chain.from_iterable(map(dict.values, dicts)))
    if len(dicts) < len(containers):
        inner.extend(chain.from_iterable(item for item in containers if type(item) is not dict))
    return inner


def _check_texts(joined: str) -> int:
    """How long text is, all of which has to have a form in UTF-8."""
    return len(joined) if joined.isascii() else len(joined.encode())


def _of(kind: Any, level: List[Any], kinds: Set[Any]) -> List[Any]:
    """The values of one type."""
    return level if len(kinds) == 1 else [value for value in level if type(value) is kind]
