"""Checks what user code returned against the output fields and turns it into the body of the result."""

from __future__ import annotations

from .codec import make_encode
from .fields import Mismatch, NoFile, converter, exact_types
from .packed import packer
from .values import NoJson, as_object, at, plain, simplify, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    from .handing import Handing

    #: Its name, its data type, its name as a JSON key, and what converts a value for it.
    Field = Tuple[str, str, bytes, Callable[[Any], Any]]


class OutputError(Exception):
    """What user code returned is not what the deployment promises; the text is for its caller."""


encode = make_encode(simplify)


def encoded(value: Any) -> bytes:
    """The JSON of a value, straight from the C encoder."""
    return "".join(encode(value, 0)).encode()


def _field_of(name: str, data_type: str, files: Optional[Handing]) -> Field:
    return name, data_type, encoded(name) + b":", converter(data_type, files.value if files else _no_files)


def _no_files(value: Any) -> Any:
    raise Mismatch(type_name(value))


def _certain(subject: str, value: Any) -> bytes:
    """The JSON of any value, or an `OutputError` that says where it has none."""
    try:
        return encoded(value)
    except Exception:
        pass  # the encoder does not say where: look again, slowly
    try:
        return encoded(plain(value))
    except NoJson as error:
        raise OutputError("%s %s" % (subject, error)) from None
    except RecursionError:
        raise OutputError(subject + " is nested too deeply or contains itself") from None
    except Exception as error:
        raise OutputError("%s could not be converted: %s" % (subject, error)) from None


def _joined(items: List[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]"


class Outputs:
    """The output side of one deployment, prepared once."""

    def __init__(
        self,
        output_type: str,
        fields: List[Dict[str, str]],
        note: Callable[[str], None],
        files: Optional[Handing] = None,
    ) -> None:
        self._files = files
        self._fields = [_field_of(field["name"], field["data_type"], files) for field in fields]
        self._names = frozenset(field["name"] for field in fields)
        self._note = note
        self._structured = output_type != "plain"
        self.fits = _make_fits(fields) if self._structured else _fits_plain
        #: What packs a value that fits, and is large.
        self.pack = packer({field["name"]: field["data_type"] for field in fields} if self._structured else {})

    def body(self, value: Any, many: bool) -> bytes:
        """The result body of a value that did not fit as it was, after its files were sent; raises `OutputError`."""
        if self._files is not None:
            self._files.begin()
        if not self._structured:
            return _certain("The output", value)
        if many and isinstance(value, (list, tuple)):
            return _joined([self._one_or_list(item) for item in value])
        return self._one_or_list(value)

    def _one_or_list(self, value: Any) -> bytes:
        if isinstance(value, (list, tuple)):
            return _joined([self._object(item) for item in value])
        return self._object(value)

    def _object(self, value: Any) -> bytes:
        if value is None and not self._fields:
            return b"{}"
        try:
            value = as_object(value)
        except NoJson:
            text = "The request must return a dictionary with the output fields, but returned " + type_name(value)
            raise OutputError(text) from None
        if len(value) != len(self._fields) or not self._names.issuperset(value):
            self._drop_extra(value)
        return b"{" + b",".join([self._field(field, value) for field in self._fields]) + b"}"

    def _field(self, field: Field, value: Dict[Any, Any]) -> bytes:
        name, kind, key, convert = field
        try:
            found = value[name]
        except KeyError:
            raise OutputError("The output field '%s' is missing in what the request returned" % name) from None
        if found is None:
            return key + b"null"
        try:
            converted = convert(found)
        except Mismatch as error:
            where = "'%s'%s" % (name, at(error.place))
            raise OutputError("The output field %s must be of type %s, not %s" % (where, kind, error.found)) from None
        except NoFile as error:
            raise OutputError("The output field '%s' %s" % (name, error)) from None
        except Exception as error:
            raise OutputError("The output field '%s' could not be converted: %s" % (name, error)) from None
        return key + _certain("The output field '%s'" % name, converted)

    def _drop_extra(self, value: Dict[Any, Any]) -> None:
        extra = sorted(str(key) for key in value if key not in self._names)
        if extra:
            self._note("Output that is not a field of the deployment was dropped: " + ", ".join(extra[:20]))


def _make_fits(fields: List[Dict[str, str]]) -> Callable[[Any], bool]:
    """A quick look whether a dictionary can be encoded as it is; False only means to look closer."""
    checks: List[Tuple[str, Any, Any]] = [(field["name"], *exact_types(field["data_type"])) for field in fields]
    count = len(checks)

    def fits(value: Any) -> bool:
        if type(value) is not dict or len(value) != count:
            return False
        try:
            for name, types, items in checks:
                found = value[name]
                if type(found) not in types:
                    return False
                if items is not None and found is not None and not items.issuperset(map(type, found)):
                    return False
        except KeyError:
            return False
        return True

    return fits


def _fits_plain(value: Any) -> bool:
    return type(value) is str or type(value) is dict
