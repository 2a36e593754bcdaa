"""How the worker's process ends: its exit codes, and leaving without the interpreter's long farewell."""

from __future__ import annotations

import os

#: The process the server started; a forked child has another number.
OWN_PID = os.getpid()


class Exit:
    """Exit codes; docs/worker-protocol.md explains them."""

    STOPPED = 0
    FATAL = 1
    USAGE = 64
    PROTOCOL = 70
    SOCKET_GONE = 71
    INTERNAL = 72


def leave(code: int, message: str = "") -> None:
    """Ends the process now, with a sentence on the real stderr; a forked child goes quietly."""
    if os.getpid() != OWN_PID:
        os._exit(0)
    if message:
        try:
            os.write(2, ("modelyard worker: " + message + "\n").encode("utf-8", "replace"))
        except OSError:
            pass
    os._exit(code)


def run_exit_functions() -> None:
    """Runs what user code registered with `atexit`, for `leave` does not."""
    import atexit

    try:
        atexit._run_exitfuncs()
    except BaseException:
        pass  # it has shown its traceback on stderr
