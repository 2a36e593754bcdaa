"""The writing end of the socket, and the one lock that keeps frames whole and in order."""

from __future__ import annotations

import os
from _thread import RLock
from errno import ETOOMANYREFS

from .exits import Exit, leave

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

    from .descriptors import Descriptors

#: Descriptors of ours move up here, out of the way of code that closes the low ones.
HIGH = 700
#: More pieces than these are put together: the kernel takes 1,024 at once.
MOST_PARTS = 1000


def move_up(descriptor: int, wanted: int) -> int:
    """Moves a descriptor to a high number, closed on exec; keeps the old one where that is not possible."""
    try:
        moved = os.dup2(descriptor, wanted, inheritable=False)
    except OSError:
        os.set_inheritable(descriptor, False)
        return descriptor
    os.close(descriptor)
    return moved


class Wire:
    """Sends frames; every thread of the process may, so each send is under `lock`."""

    __slots__ = ("fd", "lock", "descriptors")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.lock = RLock()
        #: The same socket, where an answer may have files.
        self.descriptors: Optional[Descriptors] = None

    def send(self, data: bytes) -> None:
        """Sends whole frames, or ends the process when the socket is gone."""
        with self.lock:
            self.write(data)

    def write(self, data: bytes) -> None:
        """As `send`, for a caller that holds the lock."""
        try:
            sent = os.write(self.fd, data)
            if sent != len(data):
                self._send_rest(memoryview(data)[sent:])
        except OSError as error:
            leave(Exit.SOCKET_GONE, "the socket to the server cannot be written: " + str(error))

    def send_file(self, frame: bytes, descriptor: int) -> None:
        """Sends a frame with a descriptor; an `OSError` when too many are on their way."""
        with self.lock:
            try:
                assert self.descriptors is not None
                sent = self.descriptors.send(frame, descriptor)
                self._send_rest(memoryview(frame)[sent:])
            except OSError as error:
                if error.errno == ETOOMANYREFS:
                    raise
                leave(Exit.SOCKET_GONE, "the socket to the server cannot be written: " + str(error))

    def write_parts(self, parts: List[bytes]) -> None:
        """As `write`, of one or several large frames in pieces that need not be put together."""
        try:
            if len(parts) > MOST_PARTS:
                parts = [b"".join(parts)]
            sent, size = os.writev(self.fd, parts), sum(map(len, parts))
            if sent != size:
                self._send_rest(memoryview(b"".join(parts))[sent:])
        except OSError as error:
            leave(Exit.SOCKET_GONE, "the socket to the server cannot be written: " + str(error))

    def _send_rest(self, rest: memoryview) -> None:
        while rest:
            rest = rest[os.write(self.fd, rest) :]

    def become_child(self) -> None:
        """In a forked child: the number leads nowhere from now on, for a child must not talk for its parent."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, self.fd, inheritable=False)
        os.close(nowhere)
