"""Which level a line of stderr has: logging-style lines below ERROR are information, the rest is an error."""

from __future__ import annotations

from .logbook import ERROR, INFO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Tuple

#: A level name counts only near the beginning of a line.
HEAD = 100
MILD = ("DEBUG", "INFO", "WARNING", "WARN")
SEVERE = ("ERROR", "CRITICAL", "FATAL")


def level_of(line: str, before: int) -> int:
    """The level of one line, given that of the line before it."""
    if not line or line[0] in " \t":
        return before
    first, found = len(line), ERROR
    head = line[:HEAD]
    for names, level in ((MILD, INFO), (SEVERE, ERROR)):
        for name in names:
            at = _word(head, name)
            if 0 <= at < first:
                first, found = at, level
    return found


def stderr_lines(text: str, before: int) -> Iterator[Tuple[int, str]]:
    """Runs of lines of one level each; an indented line has the level of the line before it."""
    run: List[str] = []
    level = before
    for line in text.split("\n"):
        this = level_of(line, level)
        if this != level and run:
            yield level, "\n".join(run)
            run = []
        level = this
        run.append(line)
    yield level, "\n".join(run)


def _word(head: str, name: str) -> int:
    """Where `name` stands as a word of its own; -1 when it does not."""
    at = head.find(name)
    while at >= 0:
        end = at + len(name)
        if not (at and head[at - 1].isalnum()) and not (end < len(head) and head[end].isalnum()):
            return at
        at = head.find(name, end)
    return -1
