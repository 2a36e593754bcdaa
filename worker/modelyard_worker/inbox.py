"""The reading end of the socket: takes whatever has come apart into frames and keeps what they ask for."""

from __future__ import annotations

import os
from _collections import deque  # type: ignore[import-not-found]  # `collections` loads slowly
from _thread import RLock

from .exits import Exit, leave
from .frames import (
    CALL,
    CALL_HEAD,
    CALL_NUMBER,
    CANCEL,
    CREDIT,
    CREDIT_BODY,
    FLAGS,
    HEAD,
    INCOMING,
    INPUT_FILE,
    RECALL,
    START,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Deque, List, Optional, Set, Tuple, Union

    from .arriving import Arriving
    from .descriptors import Descriptors

    Entry = Tuple[int, int, Any, Any]

READ_SIZE = 64 << 10


class BrokenProtocol(Exception):
    """The server sent what the contract does not allow."""


class Inbox:
    """Frames that have arrived: calls in order, cancels, credits, start and stop."""

    __slots__ = (
        *("fd", "lock", "queue", "cancelled", "running", "wanted", "credits", "start", "stopping", "files"),
        *("_rest", "_read", "_readv", "_append"),
    )

    def __init__(self, fd: int) -> None:
        self.fd = fd
        #: Held while reading: the main thread reads between calls, any thread of user code for credits.
        self.lock = RLock()
        self.queue: Deque[Entry] = deque()
        #: Calls in the queue that were cancelled or asked back before their turn.
        self.cancelled: Set[int] = set()
        #: The call user code is in, 0 between calls.
        self.running = 0
        #: The running call, once the server wants it cancelled.
        self.wanted = 0
        self.credits = 0
        self.start: Any = None
        self.stopping = False
        #: The files of the calls in the queue, where there may be any.
        self.files: Optional[Arriving] = None
        self._rest = b""
        self._read: Any = os.read
        self._readv: Any = os.readv
        self._append: Any = self.queue.append

    def expect_files(self, descriptors: Descriptors, files: Arriving) -> None:
        """From now on descriptors are looked for, and calls may have files."""
        self.files = files
        self._read, self._readv, self._append = descriptors.read, descriptors.readv, files.call

    def within_a_frame(self) -> bool:
        """Whether a part of a frame has been read."""
        return bool(self._rest)

    def read(self) -> None:
        """Reads once, waiting if nothing is there, and handles every whole frame."""
        try:
            data = self._read(self.fd, READ_SIZE)
            if not data:
                leave(Exit.SOCKET_GONE, "the server closed the socket")
            if self._rest:
                data = self._rest + data
            self._rest = data[self._take(data) :]
            if len(self._rest) >= 5:
                self._read_large()
        except OSError as error:
            leave(Exit.SOCKET_GONE, "the socket to the server cannot be read: " + str(error))
        except BrokenProtocol as error:
            leave(Exit.PROTOCOL, "the server broke the protocol: " + str(error))

    def _take(self, data: Union[bytes, memoryview]) -> int:
        """Handles the whole frames at the beginning of `data`; returns where the first incomplete one begins."""
        position, end = 0, len(data)
        unpack, append = CALL_HEAD.unpack_from, self._append
        while end - position >= 5:
            if end - position >= 18:
                size, kind, call, flags, context_size = unpack(data, position)
                following = position + 4 + size
                if kind == CALL and following <= end:
                    split = position + 18 + context_size
                    if split > following or not call or self.start is None or size < 14 or flags not in FLAGS:
                        raise BrokenProtocol("a call frame contradicts itself or came at the wrong time")
                    append((call, flags, data[position + 18 : split], data[split:following]))
                    position = following
                    continue
            size, kind = HEAD.unpack_from(data, position)
            least, most = INCOMING.get(kind, (0, 0))
            if not least <= size <= most or not most:
                raise BrokenProtocol("a frame of kind 0x%02x and length %d" % (kind, size))
            following = position + 4 + size
            if following > end:
                break
            self._control(kind, data[position + 5 : following])
            position = following
        return position

    def _read_large(self) -> None:
        """Reads the rest of a frame that is larger than a read, into the place where it stays."""
        size = 4 + HEAD.unpack_from(self._rest)[0]
        if size <= READ_SIZE:
            return
        whole = bytearray(size)
        have = len(self._rest)
        whole[:have] = self._rest
        self._rest = b""
        view = memoryview(whole)
        while have < size:
            got = self._readv(self.fd, (view[have:],))
            if not got:
                leave(Exit.SOCKET_GONE, "the server closed the socket within a frame")
            have += got
        self._take(view)

    def _control(self, kind: int, payload: Union[bytes, memoryview]) -> None:
        if kind == INPUT_FILE:
            if self.files is None:
                raise BrokenProtocol("a file came, and no input field is for files")
            self.files.file(payload)
            return
        if self.files is not None:
            self.files.other()
        if kind == CANCEL:
            self._cancel(CALL_NUMBER.unpack(payload)[0])
        elif kind == RECALL:
            self._give_up(CALL_NUMBER.unpack(payload)[0])
        elif kind == CREDIT:
            call, updates = CREDIT_BODY.unpack(payload)
            if call == self.running:
                self.credits += updates
        elif kind == START:
            if self.start is not None:
                raise BrokenProtocol("a second start frame")
            self.start = payload
        else:
            self.stopping = True

    def _cancel(self, call: int) -> None:
        if call == self.running:
            self.wanted = call
        else:
            self._give_up(call)

    def _give_up(self, call: int) -> None:
        """Remembers that a call shall not start. Copied, because the main thread takes calls out without the lock."""
        if any(entry[0] == call for entry in tuple(self.queue)):
            self.cancelled.add(call)

    def take_given_up(self) -> List[int]:
        """Takes the calls out of the queue that shall not start; in the main thread, under the lock."""
        found = [entry[0] for entry in self.queue if entry[0] in self.cancelled]
        kept = [entry for entry in self.queue if entry[0] not in self.cancelled]
        self.queue.clear()
        self.queue.extend(kept)
        self.cancelled.clear()
        if self.files is not None:
            for call in found:
                self.files.take(call)
        return found

    def become_child(self) -> None:
        """In a forked child: the parent's calls are not the child's to run."""
        self.lock = RLock()
        self.queue.clear()
        self.cancelled.clear()
        self.running = 0
        self.stopping = False
        self._rest = b""
        if self.files is not None:
            self.files.become_child()
