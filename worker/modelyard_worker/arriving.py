"""The files of calls, from their arrival until their call runs."""

from __future__ import annotations

from .frames import FILE_HEAD, FILES_MAX
from .inbox import BrokenProtocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _io import FileIO
    from typing import Any, Deque, Dict, List, Optional, Tuple, Union

    from .descriptors import Descriptors
    from .inbox import Entry

    #: A name, and what the file is read from; None when this process had no room for the descriptor.
    Arrived = Tuple[str, Optional[FileIO]]


class Arriving:
    """Files whose calls wait. Everything but `take` happens under the inbox's lock."""

    __slots__ = ("_descriptors", "_queue", "_files", "_call")

    def __init__(self, descriptors: Descriptors, queue: Deque[Entry]) -> None:
        self._descriptors = descriptors
        self._queue = queue
        self._files: Dict[int, List[Arrived]] = {}
        #: The call that the next call frame must be of, because files of it have come.
        self._call = 0

    def file(self, payload: Union[bytes, memoryview]) -> None:
        """Takes the frame of a file."""
        file = self._descriptors.take()
        call, index = FILE_HEAD.unpack_from(payload)
        files = self._files.setdefault(call, [])
        if not call or self._call not in (0, call) or index != len(files) or index >= FILES_MAX:
            raise BrokenProtocol("file %d of call %d is not the next" % (index, call))
        try:
            name = str(payload[FILE_HEAD.size :], "utf-8")
        except UnicodeDecodeError:
            raise BrokenProtocol("the name of a file is not UTF-8") from None
        self._call = call
        files.append((name, file))

    def call(self, entry: Entry) -> None:
        """Takes a call, whose files have come."""
        self._call = self._call if self._call != entry[0] else 0
        self.other()
        self._queue.append(entry)

    def other(self) -> None:
        """Checks that a frame may come that is no file's."""
        self._descriptors.expect_none()
        if self._call:
            raise BrokenProtocol("files of call %d came without it" % self._call)

    def take(self, call: int) -> List[Arrived]:
        """The files of a call, which are the caller's from now on."""
        return self._files.pop(call, [])

    def become_child(self) -> None:
        """In a forked child: closes its copies."""
        self._files.clear()
        self._descriptors.forget()
        self._call = 0
