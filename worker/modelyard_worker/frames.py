"""The frames of the protocol: their kinds, their maxima and how the worker's own are built."""

from __future__ import annotations

from struct import Struct

PROTOCOL = 1

HELLO, PHASE, READY, STARTED, LOG = 0x01, 0x02, 0x03, 0x04, 0x05
UPDATE, RESULT, ERROR, FATAL, STOPPED = 0x06, 0x07, 0x08, 0x09, 0x0A
OUTPUT_FILE = 0x0B
START, CALL, CANCEL, CREDIT, STOP, RECALL, INPUT_FILE = 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46

#: The least and the greatest length (kind and payload) of each frame the server may send.
INCOMING = {
    START: (2, 16 << 20),
    CALL: (14, 1 << 30),
    CANCEL: (9, 9),
    CREDIT: (13, 13),
    STOP: (1, 1),
    RECALL: (9, 9),
    INPUT_FILE: (13, 13 + (4 << 10)),
}

#: The greatest payload of the frames whose size user code decides.
LOG_TEXT_MAX = 60 << 10
UPDATE_MAX = 1 << 20
RESULT_MAX = 512 << 20
#: Sentences in `error` and `fatal` are cut here, so that even escaped they stay below 64 KiB.
SENTENCE_MAX = 4000

#: Files a call may have, and an answer.
FILES_MAX = 1000

#: Updates a call may send before the server grants more.
FIRST_CREDITS = 16

#: Flags of a call, and the combinations there are.
TEXT_BODY, LIST_BODY, PACKED_BODY = 1, 2, 4
FLAGS = frozenset((0, TEXT_BODY, LIST_BODY, TEXT_BODY | LIST_BODY, PACKED_BODY, PACKED_BODY | LIST_BODY))
#: Shapes of a result.
JSON, PACKED = 0, 1

HEAD = Struct(">IB")
CALL_HEAD = Struct(">IBQBI")
CALL_NUMBER = Struct(">Q")
CREDIT_BODY = Struct(">QI")
FILE_HEAD = Struct(">QI")
OUTPUT_FILE_FRAME = Struct(">IBQI")
STARTED_FRAME = Struct(">IBQ")
LOG_HEAD = Struct(">IBQB")
RESULT_HEAD = Struct(">IBQB")


def frame(kind: int, payload: bytes = b"") -> bytes:
    """A frame without a call number."""
    return HEAD.pack(1 + len(payload), kind) + payload


def call_frame(kind: int, call: int, payload: bytes) -> bytes:
    """A frame that belongs to one call."""
    return STARTED_FRAME.pack(9 + len(payload), kind, call) + payload


def started(call: int) -> bytes:
    """Says that user code begins with this call."""
    return STARTED_FRAME.pack(9, STARTED, call)


def output_file(call: int, index: int) -> bytes:
    """A file of the answer to a call; its descriptor goes with the frame."""
    return OUTPUT_FILE_FRAME.pack(13, OUTPUT_FILE, call, index)


def log(call: int, level: int, text: bytes) -> bytes:
    """Whole lines of log, without the last newline."""
    return LOG_HEAD.pack(10 + len(text), LOG, call, level) + text
