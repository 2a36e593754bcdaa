"""Collects lines of log for the call in work and sends them in few frames, in order with its result."""

from __future__ import annotations

import os
from _thread import allocate_lock, start_new_thread
from time import monotonic, sleep

from . import frames
from .wire import Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Tuple

INFO, ERROR = 0, 1

#: Lines wait for company until there are this many characters or seconds.
ENOUGH = 8 << 10
PATIENCE = 0.05


class Logbook:
    """Lines not sent yet. Everything here happens under the wire's lock."""

    __slots__ = ("wire", "current", "dirty", "streams", "detached", "_waiting", "_size", "_flushed", "_alarm", "_armed")

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        #: The call whose lines these are; 0 outside of calls.
        self.current = 0
        #: Whether anything is held here or in a stream's unfinished line.
        self.dirty = False
        #: The streams whose unfinished lines belong to the call as well.
        self.streams: List[Any] = []
        #: In a forked child lines go to its descriptors, which the server reads as well.
        self.detached = False
        self._waiting: List[Tuple[int, int, List[str]]] = []
        self._size = 0
        self._flushed = 0.0
        self._alarm: Any = None
        self._armed = False

    def add(self, level: int, text: str) -> None:
        """Takes whole lines, without the last newline."""
        if self.detached:
            os.write(2 if level else 1, text.encode("utf-8", "backslashreplace") + b"\n")
            return
        self.dirty = True
        waiting = self._waiting
        if waiting and waiting[-1][0] == self.current and waiting[-1][1] == level:
            waiting[-1][2].append(text)
        else:
            waiting.append((self.current, level, [text]))
        self._size += len(text) + 1

    def settle(self) -> None:
        """Sends what has grown large or old, and sees to it that the rest is not forgotten."""
        if not self._waiting:
            return
        if self._size > ENOUGH or monotonic() - self._flushed > PATIENCE or not self._arm():
            self.flush()

    def flush(self) -> None:
        """Sends the whole lines held."""
        self._flushed = monotonic()
        if self._waiting:
            self.wire.send(self._frames())

    def take(self) -> bytes:
        """The frames of all that is held, unfinished lines too: the call they belong to ends."""
        for stream in self.streams:
            stream.finish_line()
        self.dirty = False
        return self._frames()

    def become_child(self) -> None:
        """In a forked child: what the parent held is the parent's to send."""
        self.detached = True
        self.dirty = False
        self._waiting = []

    def _frames(self) -> bytes:
        waiting, self._waiting, self._size = self._waiting, [], 0
        parts: List[bytes] = []
        for call, level, texts in waiting:
            text = "\n".join(texts).encode("utf-8", "backslashreplace")
            while len(text) > frames.LOG_TEXT_MAX:
                cut, skip = _cut(text)
                parts.append(frames.log(call, level, text[:cut]))
                text = text[cut + skip :]
            parts.append(frames.log(call, level, text))
        return b"".join(parts)

    def _arm(self) -> bool:
        """Has a thread flush soon; False when the host does not give us one."""
        if self._armed:
            return True
        if self._alarm is None:
            self._alarm = allocate_lock()
            self._alarm.acquire()
            try:
                start_new_thread(self._tick, ())
            except RuntimeError:
                self._alarm = None
                return False
        self._armed = True
        self._alarm.release()
        return True

    def _tick(self) -> None:
        while True:
            self._alarm.acquire()
            sleep(PATIENCE)
            with self.wire.lock:
                self._armed = False
                self.flush()


def _cut(text: bytes) -> Tuple[int, int]:
    """Where to end a frame, and how much to leave out there: at a newline, else between two characters."""
    newline = text.rfind(b"\n", 0, frames.LOG_TEXT_MAX + 1)
    if newline > 0:
        return newline, 1
    cut = frames.LOG_TEXT_MAX
    while text[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut, 0
