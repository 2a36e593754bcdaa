"""What stands in for `sys.stdout` and `sys.stderr`: text streams that write whole lines to the logbook."""

from __future__ import annotations

import io

from .levels import stderr_lines
from .logbook import INFO, Logbook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

#: A line longer than this is broken.
LINE_MAX = 32 << 10


class LogStream(io.TextIOBase):
    """A text stream whose lines become log lines of the call in work."""

    def __init__(self, book: Logbook, descriptor: int, after: Callable[[], None]) -> None:
        super().__init__()
        self._book = book
        self._descriptor = descriptor
        self._after = after
        self._tail = ""
        self._level = INFO
        self._buffer: Any = None
        self.mode = "w"
        self.name = "<stderr>" if descriptor == 2 else "<stdout>"

    encoding = "utf-8"
    errors = "backslashreplace"
    line_buffering = True
    write_through = False

    def write(self, text: str) -> int:
        """Takes text; what lacks its newline waits for it."""
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not " + type(text).__name__)
        book = self._book
        with book.wire.lock:
            if "\n" in text:
                lines, _, rest = text.rpartition("\n")
                lines, self._tail = self._tail + lines, rest
                self._add(lines)
            else:
                self._tail += text
                book.dirty = True
            if len(self._tail) > LINE_MAX:
                self.finish_line()
            book.settle()
        self._after()
        return len(text)

    def finish_line(self) -> None:
        """Ends the line that has no newline yet. Under the wire's lock."""
        if self._tail:
            tail, self._tail = self._tail, ""
            self._add(tail)

    def _add(self, lines: str) -> None:
        if "\r" in lines:
            # As on a terminal: a progress bar leaves its last state.
            lines = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines.split("\n"))
        if self._descriptor == 1:
            self._book.add(INFO, lines)
            return
        for level, some in stderr_lines(lines, self._level):
            self._level = level
            self._book.add(level, some)

    def forget(self) -> None:
        """In a forked child: the parent ends its line itself."""
        self._tail = ""

    @property
    def buffer(self) -> Any:
        """The same stream for bytes, as code that writes UTF-8 expects it."""
        if self._buffer is None:
            self._buffer = _Bytes(self)
        return self._buffer

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def flush(self) -> None:
        """Does nothing: lines are sent soon, and always before the result."""

    def close(self) -> None:
        """Does nothing: the next request prints as well."""

    def reconfigure(self, **_settings: Any) -> None:
        """Does nothing: encoding and buffering are the worker's."""


class _Bytes(io.BufferedIOBase):
    """Bytes written to `sys.stdout.buffer`, decoded as UTF-8."""

    def __init__(self, stream: LogStream) -> None:
        super().__init__()
        import codecs

        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self.raw = self

    def write(self, data: Any) -> int:
        self._stream.write(self._decoder.decode(bytes(data)))
        return len(data)

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        """Does nothing, as the stream's."""

    def close(self) -> None:
        """Does nothing, as the stream's."""
