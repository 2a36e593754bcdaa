"""The hot loop: takes calls in their order, runs user code, sends one write per result."""

from __future__ import annotations

import os

from . import frames
from .awaiting import settled
from .cancelled import Cancelled
from .codec import loads, scan
from .dispatch import Dispatch, NoMethod
from .inbox import Inbox
from .inputs import InputError, parsed, payload
from .interrupts import Interrupts
from .logbook import ERROR, Logbook
from .outputs import OutputError, Outputs, encode
from .refusals import error as error_frame
from .refusals import given_up
from .updates import StreamingUpdate
from .wire import HIGH, Wire, move_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Union

    from .inbox import Entry
    from .placing import Placing

EXCEPTION = "An exception occurred in the request. See the logs for details."
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
        #: Where the files of calls are put, if an input field is for files.
        self.placing: Optional[Placing] = None

    def serve(self, dispatch: Dispatch, outputs: Outputs, plain_input: bool) -> None:
        """Answers calls until the server says stop."""
        book, queue, popleft = self.book, self.inbox.queue, self.inbox.queue.popleft
        lock, write, cancelled = self.wire.lock, self.wire.write, self.inbox.cancelled
        pack, kind = frames.STARTED_FRAME.pack, frames.STARTED
        answer = self._tidying(self._answering(dispatch, outputs, plain_input))
        entry = self._next()
        while entry is not None:
            frame = answer(*entry)
            with lock:
                if type(frame) is list:
                    entry = self._end_large(frame)
                    if entry:
                        continue
                else:
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

    def _end_large(self, parts: List[bytes]) -> Optional[Entry]:
        """Sends what ends a call, in parts, and begins with the next, if there is one; under the lock."""
        book, inbox, entry = self.book, self.inbox, None
        if book.dirty:
            parts.insert(0, book.take())
        if inbox.queue and not inbox.cancelled:
            entry = inbox.queue.popleft()
            parts.append(frames.started(entry[0]))
        book.current = entry[0] if entry else 0
        self.wire.write_parts(parts)
        return entry

    def _next(self) -> Optional[Entry]:
        """The next call, waiting for it and saying that it has started; None when there is none any more."""
        inbox = self.inbox
        while True:
            if inbox.queue:
                entry = inbox.queue.popleft()
                call = entry[0]
                if call in inbox.cancelled:
                    inbox.cancelled.discard(call)
                    if inbox.files is not None:
                        inbox.files.take(call)
                    self.wire.send(given_up(call))
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

    def _tidying(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        """The same, with the files of a call gone before its answer is sent."""
        placing, book = self.placing, self.book
        if placing is None:
            return answer

        def tidying(call: int, *rest: Any) -> Any:
            try:
                return answer(call, *rest)
            finally:
                if not book.detached:
                    placing.tidy(call)

        return tidying

    def _answering(self, dispatch: Dispatch, outputs: Outputs, plain_input: bool) -> Callable[..., Any]:
        """The function from a call to its last frame, in parts if it is large. What it needs is looked up here, once."""
        inbox, interrupts, pack = self.inbox, self.interrupts, frames.RESULT_HEAD.pack
        kind, most, joined = frames.RESULT, frames.RESULT_MAX, "".join
        direct = None if plain_input or self.placing is not None else dispatch.direct
        fits, slow_body, failure, many_flag = outputs.fits, outputs.body, self._failure, frames.LIST_BODY
        pack_value, json, packed = outputs.pack, frames.JSON, frames.PACKED
        go_home, home = os.fchdir, move_up(os.open(".", os.O_RDONLY), HIGH + 1)

        def answer(call: int, flags: int, context: Any, data: Any) -> Union[bytes, List[bytes]]:
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
                    parts = pack_value(value)
                    if parts:
                        return [pack(10 + sum(map(len, parts)), kind, call, packed), *parts]
                    try:
                        body = joined(encode(value, 0)).encode()
                    except Exception:
                        pass  # NaN, a value inside that is not JSON: the slow way says which
                if not body:
                    body = slow_body(value, bool(flags & many_flag))
                if len(body) > most:
                    raise OutputError(TOO_LARGE)
                return pack(10 + len(body), kind, call, json) + body
            except BaseException as error:
                return failure(call, error)

        return answer

    def _invoke(self, dispatch: Dispatch, plain: bool, call: int, flags: int, context: Any, data: Any) -> Any:
        """The general way from a call to what the user's method returns."""
        value = payload(data, flags, plain)
        if self.placing is not None:
            self.placing.place(call, value, bool(flags & frames.LIST_BODY))
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
            return given_up(call)
        kind = _KINDS.get(type(error))
        if kind is not None:
            return error_frame(call, kind, str(error))
        if self.book.detached and isinstance(error, SystemExit):
            os._exit(error.code if isinstance(error.code, int) else 1)
        from .failures import public_message, traceback_text

        with self.wire.lock:
            self.book.add(ERROR, traceback_text(error))
        return error_frame(call, "exception", EXCEPTION, public_message(error))
