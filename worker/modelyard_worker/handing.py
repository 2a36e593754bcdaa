"""Hands the files of an answer to the server: opened here, with the rights of user code, and sent as descriptors."""

from __future__ import annotations

import os
from _io import FileIO
from errno import ETOOMANYREFS
from stat import S_ISREG
from time import sleep

from .fields import URI, Mismatch, NoFile
from .frames import FILES_MAX
from .values import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

    #: Sends the frame of a file, by its place in the answer, with a descriptor.
    Send = Callable[[int, int], None]

#: How often, and with which pause in seconds, a file is sent again when too many of this user's are on their way.
TRIES, PAUSE = 1000, 0.01


class Handing:
    """The files of one answer after the other."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._count = 0
        self._kernel = {device for device in map(_device, ("/proc", "/sys")) if device is not None}

    def begin(self) -> None:
        """Another answer begins."""
        self._count = 0

    def value(self, value: Any) -> Any:
        """What stands for a value of a file field in the result: a URI as it is, else which file was sent, and where it goes."""
        place: Dict[str, Any] = {}
        path = value
        if isinstance(value, dict):
            path, place = value.get("file"), value
            if not isinstance(path, str) and not hasattr(type(path), "__fspath__"):
                raise Mismatch("a dict without a path in 'file'")
        elif not isinstance(value, str) and not hasattr(type(value), "__fspath__"):
            raise Mismatch(type_name(value))
        path = os.fspath(path)
        if not isinstance(path, str):
            raise Mismatch(type_name(path))
        path = str.__str__(path)
        if path.startswith(URI):
            if place:
                raise Mismatch("a dict with a URI in 'file'")
            return path
        bucket, bucket_file = _text(place, "bucket"), _text(place, "bucket_file")
        index = self._hand(path)
        return {"descriptor": index, "name": os.path.basename(path), "bucket": bucket, "bucket_file": bucket_file}

    def _hand(self, path: str) -> int:
        index = self._count
        if index >= FILES_MAX:
            raise NoFile("names one file more than the %d an answer may have" % FILES_MAX)
        try:
            with FileIO(path, "rb", opener=_open) as file:
                self._check(path, os.fstat(file.fileno()))
                self._insist(index, file.fileno())
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise NoFile("names the file '%s', which cannot be read: %s" % (path, why)) from None
        self._count += 1
        return index

    def _check(self, path: str, found: os.stat_result) -> None:
        if not S_ISREG(found.st_mode) or found.st_dev in self._kernel:
            raise NoFile("names '%s', which is no ordinary file" % path)

    def _insist(self, index: int, descriptor: int) -> None:
        """Sends, and waits a little while the host lets no more descriptors be on their way."""
        for tries in range(TRIES, 0, -1):
            try:
                return self._send(index, descriptor)
            except OSError as error:
                if error.errno != ETOOMANYREFS or tries == 1:
                    raise
            sleep(PAUSE)


def _open(path: str, flags: int) -> int:
    """Never waits: a pipe without a writer is opened, and refused then."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _text(place: Dict[str, Any], key: str) -> Optional[str]:
    found = place.get(key)
    if found is not None and not isinstance(found, str):
        raise Mismatch("a dict whose '%s' is of type %s" % (key, type_name(found)))
    return found


def _device(folder: str) -> Optional[int]:
    try:
        return os.stat(folder).st_dev
    except OSError:
        return None
