"""The `streaming_update` of a request's context: sends text while credits last, then waits for more."""

from __future__ import annotations

from . import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .serving import Serving


class StreamingUpdate:
    """Sends one piece of text to whoever follows the request; does nothing once the request has ended."""

    __slots__ = ("_serving", "_call")

    def __init__(self, serving: Serving, call: int) -> None:
        self._serving = serving
        self._call = call

    def __call__(self, text: Any) -> None:
        serving, call = self._serving, self._call
        data = (text if isinstance(text, str) else str(text)).encode("utf-8", "replace")
        if len(data) > frames.UPDATE_MAX:
            raise ValueError("a streaming update holds at most 1 MiB of text")
        if serving.book.detached or not self._take_credit():
            return
        with serving.wire.lock:
            if serving.book.current == call:
                serving.wire.send(frames.call_frame(frames.UPDATE, call, data))
        serving.interrupts.after()

    def _take_credit(self) -> bool:
        """Takes a credit, reading the socket for one if need be; False when the call has ended meanwhile."""
        serving, inbox, call = self._serving, self._serving.inbox, self._call
        while inbox.running == call:
            with inbox.lock:
                if inbox.running == call and inbox.credits > 0:
                    inbox.credits -= 1
                    return True
            with serving.wire.lock:
                serving.book.flush()
            with inbox.lock:
                if inbox.running == call and inbox.credits <= 0 and inbox.wanted != call:
                    inbox.read()
            if inbox.wanted == call:
                serving.interrupts.interrupt()
                return False
            serving.interrupts.after()
        return False
