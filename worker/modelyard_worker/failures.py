"""Says what went wrong in user code: the traceback for the log, one sentence for the caller."""

from __future__ import annotations

import os
import traceback

from .frames import SENTENCE_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Set

OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep


def traceback_text(error: BaseException) -> str:
    """The traceback as Python prints it, without the worker's own frames."""
    try:
        shown = traceback.TracebackException(type(error), error, error.__traceback__)
        _strip(shown, set())
        return "".join(shown.format()).rstrip("\n")
    except Exception:
        return _plain_traceback(error)


def _strip(shown: Optional[traceback.TracebackException], seen: Set[int]) -> None:
    while shown is not None and id(shown) not in seen:
        seen.add(id(shown))
        kept = [frame for frame in shown.stack if not _is_ours(frame.filename)]
        if kept or not shown.stack:
            shown.stack[:] = kept
        _strip(shown.__cause__, seen)
        shown = shown.__context__


def _is_ours(filename: str) -> bool:
    return filename.startswith(OURS) or filename.startswith("<frozen importlib")


def _plain_traceback(error: BaseException) -> str:
    """For exceptions so odd, or memory so short, that the standard library cannot show them."""
    lines = ["Traceback (most recent call last):"]
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if not _is_ours(code.co_filename):
            lines.append('  File "%s", line %d, in %s' % (code.co_filename, step.tb_lineno, code.co_name))
        step = step.tb_next
    return "\n".join(lines + [type(error).__name__])


def public_message(error: BaseException) -> Optional[str]:
    """What the exception wants its caller to read, if anything."""
    try:
        text = getattr(error, "public_error_message", None)
        return None if text is None else str(text)[:SENTENCE_MAX]
    except Exception:
        return None


def place_in(error: BaseException, folder: str) -> str:
    """`file.py line 3` of the last line of the package that took part; "" when none did."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return "%s line %d" % (_relative(error.filename, folder), error.lineno)
    found = ""
    step = error.__traceback__
    while step is not None:
        filename = step.tb_frame.f_code.co_filename
        if filename.startswith(folder + os.sep):
            found = "%s line %d" % (_relative(filename, folder), step.tb_lineno)
        step = step.tb_next
    return found


def _relative(filename: str, folder: str) -> str:
    return filename[len(folder) + 1 :] if filename.startswith(folder + os.sep) else filename


def sentence(error: BaseException) -> str:
    """An exception in one line."""
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:
        text = ""
    if isinstance(error, (SyntaxError, ImportError)) and text:
        return text[:SENTENCE_MAX]
    name = type(error).__name__
    return ("%s: %s" % (name, text) if text else name)[:SENTENCE_MAX]
