"""Puts the files of a call where user code finds them, and takes them away when the call has ended."""

from __future__ import annotations

import os
from _io import FileIO

from .copying import copy
from .exits import Exit, leave
from .inputs import InputError
from .removing import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    from .arriving import Arriving

    #: Where in the payload a path is to stand.
    Slot = Tuple[Any, Any]

FOLDER = "modelyard-requests"
NAME_MAX = 255
#: Of a name that is too long so much is kept at its end, where its extension is.
NAME_END = 32


class Placing:
    """The files of the call in work."""

    def __init__(
        self, arriving: Arriving, fields: List[Dict[str, str]], process: int, note: Callable[[str], None]
    ) -> None:
        self._arriving = arriving
        self._fields = [(field["name"], field["data_type"] == "array_file") for field in fields]
        self._note = note
        temporary = os.environ.get("TMPDIR") or "/tmp"
        self._parents = [os.path.join(temporary, FOLDER), os.path.join(temporary, FOLDER, str(process))]
        self._folder: Optional[str] = None
        self._remove(self._parents[1])  # of a process that was here before us

    def place(self, call: int, payload: Any, many: bool) -> None:
        """Writes the files of a call, and puts their paths where the payload names them."""
        files = self._arriving.take(call)
        slots = self._slots(payload if many else [payload])
        if len(slots) != len(files):
            found = "call %d names %d files, and %d came" % (call, len(slots), len(files))
            leave(Exit.PROTOCOL, "the server broke the protocol: " + found)
        for index, (holder, key) in enumerate(slots):
            name, file = files[index]
            files[index] = ("", None)  # closed as soon as it is copied
            holder[key] = self._placed(call, index, name, file)

    def tidy(self, call: int) -> None:
        """Removes what is left of the files of a call that has ended, also where it never got to run."""
        self._arriving.take(call)
        if self._folder is not None:
            folder, self._folder = self._folder, None
            self._remove(folder)

    def _slots(self, items: List[Any]) -> List[Slot]:
        """Where files are named, in the order in which the server sends them."""
        slots: List[Slot] = []
        for item in items:
            for name, many in self._fields if isinstance(item, dict) else ():
                value = item.get(name)
                if many and isinstance(value, list):
                    slots += [(value, index) for index, one in enumerate(value) if isinstance(one, str)]
                elif not many and isinstance(value, str):
                    slots.append((item, name))
        return slots

    def _placed(self, call: int, index: int, name: str, file: Optional[FileIO]) -> str:
        try:
            if file is None:
                raise OSError(0, "the process has too many open files")
            path = self._path(call, index, name)
            with file, FileIO(path, "xb") as target:
                copy(file, target)
        except OSError as error:
            raise InputError("The file '%s' cannot be given to the deployment: %s" % (name, error.strerror)) from None
        return os.fsdecode(path)

    def _path(self, call: int, index: int, name: str) -> bytes:
        """A place of its own for a file, in a folder that nobody has made before."""
        if self._folder is None:
            for parent in self._parents:
                try:
                    os.mkdir(parent, 0o700)
                except FileExistsError:
                    pass
            self._folder = os.path.join(self._parents[1], str(call))
            os.mkdir(self._folder, 0o700)
        folder = os.path.join(self._folder, str(index))
        os.mkdir(folder, 0o700)
        return os.fsencode(folder) + b"/" + safe(name)

    def _remove(self, folder: str) -> None:
        try:
            remove(folder)
        except Exception as error:
            self._note("The files of a request could not be removed: %s" % error)


def safe(name: str) -> bytes:
    """A name as a file may have it."""
    raw = name.replace("/", "_").replace("\0", "_").encode()
    if raw in (b"", b".", b".."):
        return b"file"
    if len(raw) <= NAME_MAX:
        return raw
    end = raw[-NAME_END:].decode("utf-8", "ignore").encode()
    return raw[: NAME_MAX - len(end)].decode("utf-8", "ignore").encode() + end
