"""Removes a folder with what is in it, and follows no link on the way."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional


def remove(folder: str) -> None:
    """Removes a folder, if it is there. Fails at what cannot be removed, and leaves the rest."""
    try:
        _empty(folder, None)
        os.rmdir(folder)
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        os.unlink(folder)  # a link, or whatever somebody has put there


def _empty(folder: str, within: Optional[int]) -> None:
    inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=within)
    try:
        with os.scandir(inside) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in found:
            if is_folder:
                _empty(name, inside)
                os.rmdir(name, dir_fd=inside)
            else:
                os.unlink(name, dir_fd=inside)
    finally:
        os.close(inside)
