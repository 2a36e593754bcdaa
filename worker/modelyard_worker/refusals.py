"""The frames that end a call without a result."""

from __future__ import annotations

from . import frames
from .codec import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

CANCELLED = "The request was cancelled"


def error(call: int, kind: str, message: str, public: Optional[str] = None) -> bytes:
    """Says why a call has no result."""
    body = {"kind": kind, "message": message[: frames.SENTENCE_MAX], "public_error_message": public}
    return frames.call_frame(frames.ERROR, call, dumps(body))


def given_up(call: int) -> bytes:
    """Says that a call was broken off, or never started because the server wanted it so."""
    return error(call, "cancelled", CANCELLED)
