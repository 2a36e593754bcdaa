"""Finds the main file of a package, whose name may come with or without its extension."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

EXTENSION = ".py"


def find(folder: str, name: str) -> Optional[str]:
    """The path of the main file inside the folder; None when there is none, or when it lies outside."""
    if not name or "\0" in name or os.path.isabs(name) or ".." in name.split("/"):
        return None
    for candidate in (name, name + EXTENSION):
        path = os.path.join(folder, candidate)
        if candidate.endswith(EXTENSION) and os.path.isfile(path):
            return path
    return None


def shown(name: str) -> str:
    """The main file's name for a message, with its extension."""
    return name if name.endswith(EXTENSION) else name + EXTENSION
