"""The hot loop: takes calls in their order, runs user code, sends one write per result."""

from __future__ import annotations

import os

from . import frames
from .awaiting import settled
from .cancelled import Cancelled
from .codec import dumps, loads, scan
from .dispatch import Dispatch, NoMethod
from .inbox import Inbox
from .inputs import InputError, parsed, payload
from .interrupts import Interrupts
from .logbook import ERROR, Logbook
from .outputs import OutputError, Outputs, encode
from .updates import StreamingUpdate
from .wire import HIGH, Wire, move_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

    from .inbox import Entry

EXCEPTION = "An exception occurred in the request. See the logs for details."
CANCELLED = "The request was cancelled"
TOO_LARGE = "The result is larger than 512 MiB; return large data as a file"


class InternalError(Exception):
    """The server or the worker is to blame, not the user's code."""


#: Our own exceptions, whose text is for the caller; any other came from user code.
_KINDS: Dict[Any, str] = {
    InputError: "input",
    OutputError: "output",
    NoMethod: "exception",
    InternalError: "internal",
}


class Serving:
    """Everything a running worker consists of."""

    def __init__(self, wire: Wire, inbox: Inbox, book: Logbook, interrupts: Interrupts) -> None:
        self.wire = wire
        self.inbox = inbox
        self.book = book
        self.interrupts = interrupts

    def serve(self, dispatch: Dispatch, outputs: Outputs, plain_input: bool) -> None:
        """Answers calls until the server says stop."""
        book, queue, popleft = self.book, self.inbox.queue, self.inbox.queue.popleft
        lock, write, cancelled = self.wire.lock, self.wire.write, self.inbox.cancelled
        pack, kind = frames.STARTED_FRAME.pack, frames.STARTED
        answer = self._answering(dispatch, outputs, plain_input)
        entry = self._next()
        while entry is not None:
            frame = answer(*entry)
            with lock:
                if book.dirty:
                    frame = book.take() + frame
                if queue and not cancelled:
                    entry = popleft()
                    book.current = entry[0]
                    write(frame + pack(9, kind, entry[0]))
                    continue
                book.current = 0
                write(frame)
            entry, frame = None, b""  # while it waits it keeps no large payload alive
            entry = self._next()

    def _next(self) -> Optional[Entry]:
        """The next call, waiting for it and saying that it has started; None when there is none any more."""
        inbox = self.inbox
        while True:
            if inbox.queue:
                entry = inbox.queue.popleft()
                call = entry[0]
                if call in inbox.cancelled:
                    inbox.cancelled.discard(call)
                    self.wire.send(_error(call, "cancelled", CANCELLED))
                    continue
                with self.wire.lock:
                    self.book.current = call
                    self.wire.send(frames.started(call))
                return entry
            if inbox.stopping:
                return None
            with inbox.lock:
                if not inbox.queue and not inbox.stopping:
                    inbox.read()

    def _answering(self, dispatch: Dispatch, outputs: Outputs, plain_input: bool) -> Callable[..., bytes]:
        """The function from a call to its last frame. What it needs is looked up here, once."""
        inbox, interrupts, pack = self.inbox, self.interrupts, frames.RESULT_HEAD.pack
        kind, most, joined = frames.RESULT, frames.RESULT_MAX, "".join
        direct = None if plain_input else dispatch.direct
        fits, slow_body, failure, many_flag = outputs.fits, outputs.body, self._failure, frames.LIST_BODY
        go_home, home = os.fchdir, move_up(os.open(".", os.O_RDONLY), HIGH + 1)

        def answer(call: int, flags: int, context: Any, data: Any) -> bytes:
            try:
                try:
                    inbox.running = call
                    if interrupts.deferred:
                        interrupts.after()
                    try:
                        go_home(home)
                    except OSError:
                        pass  # user code closed our descriptor: it stays where it is
                    if flags or direct is None:
                        value = self._invoke(dispatch, plain_input, call, flags, context, data)
                    else:
                        try:
                            text = data.decode()
                            value, end = scan(text, 0)
                            if end != len(text):
                                value = loads(text)
                        except Exception:
                            value = parsed(data)
                        value = direct(value)
                        if type(value) is not dict:
                            value = settled(value)
                    inbox.running = 0
                except BaseException as error:
                    inbox.running = 0
                    return failure(call, error)
            except Cancelled as error:  # the signal came while the other handler began
                inbox.running = 0
                return failure(call, error)
            try:
                body = b""
                if fits(value):
                    try:
                        body = joined(encode(value, 0)).encode()
                    except Exception:
                        pass  # NaN, a value inside that is not JSON: the slow way says which
                if not body:
                    body = slow_body(value, bool(flags & many_flag))
                if len(body) > most:
                    raise OutputError(TOO_LARGE)
                return pack(10 + len(body), kind, call, 0) + body
            except BaseException as error:
                return failure(call, error)

        return answer

    def _invoke(self, dispatch: Dispatch, plain: bool, call: int, flags: int, context: Any, data: Any) -> Any:
        """The general way from a call to what the user's method returns."""
        value = payload(data, flags, plain)
        given = self._context(call, context) if dispatch.wants_context else None
        return (dispatch.many if flags & frames.LIST_BODY else dispatch.single)(value, given)

    def _context(self, call: int, text: Any) -> Dict[str, Any]:
        try:
            context: Dict[str, Any] = loads(str(text, "utf-8"))
            context["streaming_update"] = StreamingUpdate(self, call)
        except Exception as error:
            raise InternalError("The context of the request cannot be read: %s" % error) from None
        self.inbox.credits = frames.FIRST_CREDITS
        return context

    def _failure(self, call: int, error: BaseException) -> bytes:
        """The error frame for whatever kept a call from its result; what concerns the user's code is logged."""
        if isinstance(error, Cancelled):
            return _error(call, "cancelled", CANCELLED)
        kind = _KINDS.get(type(error))
        if kind is not None:
            return _error(call, kind, str(error))
        if self.book.detached and isinstance(error, SystemExit):
            os._exit(error.code if isinstance(error.code, int) else 1)
        from .failures import public_message, traceback_text

        with self.wire.lock:
            self.book.add(ERROR, traceback_text(error))
        return _error(call, "exception", EXCEPTION, public_message(error))


def _error(call: int, kind: str, message: str, public: Optional[str] = None) -> bytes:
    body = {"kind": kind, "message": message[: frames.SENTENCE_MAX], "public_error_message": public}
    return frames.call_frame(frames.ERROR, call, dumps(body))
