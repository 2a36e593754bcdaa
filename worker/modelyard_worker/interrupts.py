"""What the server's signals do: SIGUSR1 breaks off the running call, SIGURG has calls given back that wait behind it."""

from __future__ import annotations

from _signal import (  # type: ignore[import-not-found]  # `signal` loads slowly
    SIGINT,
    SIGURG,
    SIGUSR1,
    pthread_kill,
    siginterrupt,
    signal,
)
from _thread import get_ident
from select import POLLIN, poll

from .awaiting import deflect
from .cancelled import Cancelled
from .inbox import Inbox
from .logbook import Logbook
from .refusals import given_up
from .wire import Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Interrupts:
    """A signal tells that a cancel or recall frame has been sent; the frame tells which call it is for.

    The handlers run in the main thread between any two steps of it. While that thread
    holds a lock of ours the work is put off to `after`, so that no frame is torn.
    """

    __slots__ = ("_wire", "_inbox", "_book", "_main", "_poll", "deferred")

    def __init__(self, wire: Wire, inbox: Inbox, book: Logbook) -> None:
        self._wire = wire
        self._inbox = inbox
        self._book = book
        self._main = get_ident()
        self._poll = poll()
        self._poll.register(inbox.fd, POLLIN)
        self.deferred = False

    def listen(self) -> None:
        """Installs the handlers; in the main thread."""
        signal(SIGUSR1, self._on_signal)
        signal(SIGURG, self._on_signal)
        siginterrupt(SIGURG, False)  # the running call is not to notice
        signal(SIGINT, _do_nothing)

    def after(self) -> None:
        """To be called by whoever has just released a lock of ours within user code."""
        if self.deferred:
            self.deferred = False
            if get_ident() == self._main:
                self._on_signal(SIGUSR1, None)
            else:
                pthread_kill(self._main, SIGUSR1)

    def interrupt(self) -> None:
        """To be called by the thread of user code that has just read that the running call is cancelled."""
        self.deferred = True
        self.after()

    def _on_signal(self, _signal: int, _frame: Any) -> None:
        inbox = self._inbox
        if self._book.detached:
            return
        self.deferred = True
        if not inbox.running:
            return  # between `started` and the call itself: the call looks when it begins
        if self._wire.lock._is_owned() or inbox.lock._is_owned():  # type: ignore[attr-defined]
            return
        while self.deferred:
            self.deferred = False
            if inbox.lock.acquire(False):
                try:
                    while inbox.wanted != inbox.running and self._poll.poll(0):
                        inbox.read()
                    back = inbox.take_given_up() if inbox.cancelled else []
                finally:
                    inbox.lock.release()
                if back:  # a signal that comes in here is put off to the next round
                    self._wire.send(b"".join(map(given_up, back)))
            elif inbox.wanted != inbox.running:
                self.deferred = True
                return
        if inbox.wanted == inbox.running:
            inbox.wanted = 0
            if not deflect():
                raise Cancelled


def _do_nothing(_signal: int, _frame: Any) -> None:
    """Ctrl-C in the server's terminal is the server's to hear; it stops us in its own way."""
