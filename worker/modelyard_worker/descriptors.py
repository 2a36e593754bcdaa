"""Descriptors on the socket: each comes, and goes, with the first byte of its file's frame."""

from __future__ import annotations

from _io import FileIO
from struct import Struct

from .inbox import BrokenProtocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Tuple

DESCRIPTOR = Struct("i")


class Descriptors:
    """The socket of a version with files. Made before user code is loaded, which may have a module `_socket` of its own."""

    __slots__ = ("_socket", "_within_a_frame", "_space", "_rights", "_flags", "_truncated", "_came", "_at_hand", "_due")

    def __init__(self, fd: int, within_a_frame: Callable[[], bool]) -> None:
        from _socket import CMSG_SPACE, MSG_CMSG_CLOEXEC, MSG_CTRUNC, SCM_RIGHTS, SOL_SOCKET, socket

        self._socket = socket(fileno=fd)
        self._within_a_frame = within_a_frame
        self._space = CMSG_SPACE(DESCRIPTOR.size)
        self._rights = (SOL_SOCKET, SCM_RIGHTS)
        self._flags, self._truncated = MSG_CMSG_CLOEXEC, MSG_CTRUNC
        #: Whether one came with the frame that is being read, and that one; None when there was no room for it.
        self._came = False
        self._at_hand: Optional[FileIO] = None
        #: Whether it came with an earlier read, so that the next frame must be its own.
        self._due = False

    def send(self, frame: bytes, descriptor: int) -> int:
        """Sends a frame with a descriptor; how many bytes were taken."""
        sent: int = self._socket.sendmsg((frame,), ((*self._rights, DESCRIPTOR.pack(descriptor)),))
        return sent

    def read(self, _fd: int, size: int) -> bytes:
        """Stands in for `os.read`."""
        if self._came:
            if not self._within_a_frame():
                raise BrokenProtocol("a descriptor came without a frame")
            self._due = True
        data, beside, flags, _ = self._socket.recvmsg(size, self._space, self._flags)
        self._keep(beside, flags)
        return bytes(data)

    def readv(self, _fd: int, views: Tuple[memoryview]) -> int:
        """Stands in for `os.readv`, within a frame."""
        count, beside, flags, _ = self._socket.recvmsg_into(views, self._space, self._flags)
        self._keep(beside, flags)
        return int(count)

    def take(self) -> Optional[FileIO]:
        """What came with the frame of a file that has just been read; None when this process had no room for it."""
        if not self._came:
            raise BrokenProtocol("a frame of a file came without a descriptor")
        file = self._at_hand
        self.forget()
        return file

    def expect_none(self) -> None:
        """To be called when a frame has been read that is no file's."""
        if self._due:
            raise BrokenProtocol("a descriptor came with a frame that is no file's")

    def forget(self) -> None:
        """Lets go of what came; in a forked child that closes its copy."""
        self._at_hand, self._came, self._due = None, False, False

    def _keep(self, beside: Any, flags: int) -> None:
        files = []
        for level, kind, data in beside:
            if (level, kind) == self._rights:
                files += [_file(number) for (number,) in DESCRIPTOR.iter_unpack(data)]
        lost = bool(flags & self._truncated)
        if not files and not lost:
            return
        if self._came or len(files) + lost > 1:
            raise BrokenProtocol("several descriptors came with one frame")
        self._came, self._at_hand = True, files[0] if files else None


def _file(descriptor: int) -> FileIO:
    try:
        return FileIO(descriptor, "rb")
    except OSError as error:
        raise BrokenProtocol("a descriptor is no file's: " + str(error)) from None
