"""The life of a worker: says hello, loads the deployment, serves, stops."""

from __future__ import annotations

import os
import sys
from time import monotonic

from . import frames
from .awaiting import settled
from .codec import dumps
from .dispatch import Dispatch
from .exits import Exit, leave, run_exit_functions
from .inbox import Inbox
from .interrupts import Interrupts
from .loader import Fatal, construct, enter, load
from .logbook import ERROR, INFO, Logbook
from .outputs import Outputs
from .serving import Serving
from .start import Arguments, Start
from .streams import LogStream
from .wire import HIGH, Wire, move_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, FrozenSet, List


def main(argv: List[str], loaded_before: FrozenSet[str]) -> None:
    """Runs the worker; never returns."""
    try:
        _live(Arguments(argv), loaded_before)
    except BaseException as error:
        from .failures import traceback_text

        leave(Exit.INTERNAL, "an error of the worker itself\n" + traceback_text(error))


def _live(arguments: Arguments, loaded_before: FrozenSet[str]) -> None:
    descriptor = move_up(arguments.fd, HIGH)
    os.set_blocking(descriptor, True)
    wire, inbox = Wire(descriptor), Inbox(descriptor)
    wire.send(frames.frame(frames.HELLO, dumps(arguments.hello())) + _phase("interpreter", arguments.age()))
    book = Logbook(wire)
    interrupts = Interrupts(wire, inbox, book)
    interrupts.listen()
    while inbox.start is None:
        inbox.read()
    start = Start(inbox.start)
    _replace_streams(book, interrupts)
    _mind_forks(wire, inbox, book)
    serving = Serving(wire, inbox, book, interrupts)
    outputs = _with_files(serving, start, arguments.process)
    deployment = None
    try:
        deployment, dispatch = _load(book, wire, start, loaded_before)
    except Fatal as fatal:
        _report_fatal(book, wire, fatal)
    serving.serve(dispatch, outputs, start.input_type == "plain")
    _stop(deployment, book, wire)


def _load(book: Logbook, wire: Wire, start: Start, loaded_before: FrozenSet[str]) -> Any:
    enter(start.base_directory, loaded_before)
    began = monotonic()
    kind = load(start.base_directory, start.main_file)
    imported = monotonic()
    wire.send(_phase("import", imported - began))
    deployment = construct(kind, start.base_directory, start.context)
    dispatch = Dispatch(deployment)
    ready = {"has_request": dispatch.has_request, "has_requests": dispatch.has_requests}
    with wire.lock:
        wire.send(book.take() + _phase("init", monotonic() - imported) + frames.frame(frames.READY, dumps(ready)))
    return deployment, dispatch


def _phase(name: str, seconds: float) -> bytes:
    return frames.frame(frames.PHASE, dumps({"phase": name, "micros": max(0, int(seconds * 1e6))}))


def _with_files(serving: Serving, start: Start, process: int) -> Outputs:
    """Prepares the output side, and what files need if a field is for files: before user code, whose modules may have any name."""
    wire, inbox, book = serving.wire, serving.inbox, serving.book

    def note(text: str) -> None:
        with wire.lock:
            book.add(INFO, text)

    handing = None
    output_files = any(field["data_type"] in ("file", "array_file") for field in start.output_fields)
    if start.input_files or output_files:
        from .descriptors import Descriptors

        wire.descriptors = Descriptors(wire.fd, inbox.within_a_frame)
    if start.input_files and wire.descriptors:
        from .arriving import Arriving
        from .placing import Placing

        arriving = Arriving(wire.descriptors, inbox.queue)
        inbox.expect_files(wire.descriptors, arriving)
        serving.placing = Placing(arriving, start.input_files, process, note)
    if output_files:
        from .handing import Handing

        handing = Handing(lambda index, file: wire.send_file(frames.output_file(book.current, index), file))
    return Outputs(start.output_type, start.output_fields, note, handing)


def _replace_streams(book: Logbook, interrupts: Interrupts) -> None:
    sys.stdout = LogStream(book, 1, interrupts.after)
    sys.stderr = LogStream(book, 2, interrupts.after)
    book.streams = [sys.stdout, sys.stderr]


def _mind_forks(wire: Wire, inbox: Inbox, book: Logbook) -> None:
    """A forked child of user code has our memory, but must neither talk to the server nor go on with its calls."""

    def in_child() -> None:
        for stream in book.streams:
            stream.forget()
        book.become_child()
        inbox.become_child()
        wire.become_child()
        wire.lock.release()

    os.register_at_fork(before=wire.lock.acquire, after_in_parent=wire.lock.release, after_in_child=in_child)


def _report_fatal(book: Logbook, wire: Wire, fatal: Fatal) -> None:
    from .failures import public_message, traceback_text

    public = None
    if fatal.cause is not None:
        public = public_message(fatal.cause)
        with wire.lock:
            book.add(ERROR, traceback_text(fatal.cause))
    body = {"kind": fatal.kind, "message": fatal.message[: frames.SENTENCE_MAX], "public_error_message": public}
    with wire.lock:
        wire.send(book.take() + frames.frame(frames.FATAL, dumps(body)))
    leave(Exit.FATAL)


def _stop(deployment: Any, book: Logbook, wire: Wire) -> None:
    """Runs the user's `stop`, if there is one, and goes."""
    try:
        stop = getattr(deployment, "stop", None)
        if callable(stop):
            settled(stop())
    except BaseException as error:
        from .failures import traceback_text

        with wire.lock:
            book.add(ERROR, traceback_text(error))
    run_exit_functions()
    with wire.lock:
        wire.send(book.take() + frames.frame(frames.STOPPED))
    leave(Exit.STOPPED)
