"""Copies one open file into another, by the kernel where it does that."""

from __future__ import annotations

import os
from errno import EBADF, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, EXDEV

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _io import FileIO

#: Bytes at once: a cancelled call is not to copy on for long.
PIECE = 16 << 20
SMALL_PIECE = 256 << 10
#: How the kernel says that it does not copy these two files in this way.
NOT_SO = frozenset((EBADF, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, EXDEV))


def copy(source: FileIO, target: FileIO) -> None:
    """Copies from the beginning of the source, wherever somebody else may be reading it, to an empty target."""
    at = 0
    for way in (_shared, _sent):
        try:
            while True:
                count = way(source.fileno(), target.fileno(), at)
                if not count:
                    break
                at += count
        except OSError as error:
            if error.errno not in NOT_SO:
                raise
    _by_hand(source, target, at)


def _shared(source: int, target: int, at: int) -> int:
    """File systems that can share the blocks."""
    way = getattr(os, "copy_file_range", None)
    return way(source, target, PIECE, offset_src=at) if way else 0


def _sent(source: int, target: int, at: int) -> int:
    return os.sendfile(target, source, at, PIECE)


def _by_hand(source: FileIO, target: FileIO, at: int) -> None:
    """What is left: the end, or all of it."""
    while True:
        rest = os.pread(source.fileno(), SMALL_PIECE, at)
        if not rest:
            return
        at += len(rest)
        while rest:
            rest = rest[target.write(rest) :]
