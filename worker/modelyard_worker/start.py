"""What the worker is told: its arguments, and the server's start frame."""

from __future__ import annotations

import sys
from time import monotonic, process_time

from .codec import loads
from .exits import Exit, leave
from .frames import PROTOCOL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

USAGE = "usage: __main__.py --fd N --instance UUID --epoch N --process N [--spawned MICROSECONDS]"


class Arguments:
    """The command line: `--spawned` is the monotonic clock of the moment the server spawned us."""

    def __init__(self, argv: List[str]) -> None:
        try:
            given = dict(zip(argv[::2], argv[1::2]))
            if len(argv) % 2:
                raise ValueError(argv[-1])
            self.fd = int(given.pop("--fd"))
            self.instance = given.pop("--instance")
            self.epoch = int(given.pop("--epoch"))
            self.process = int(given.pop("--process"))
            spawned = given.pop("--spawned", None)
            self.spawned = None if spawned is None else int(spawned) / 1e6
            if given:
                raise ValueError(", ".join(given))
        except (KeyError, ValueError) as error:
            leave(Exit.USAGE, "%s\n%s" % (error, USAGE))

    def hello(self) -> Dict[str, Any]:
        """The first frame's content."""
        python = "%d.%d.%d" % sys.version_info[:3]
        who = {"instance": self.instance, "epoch": self.epoch, "process": self.process}
        return {"protocol": PROTOCOL, **who, "python": python}

    def age(self) -> float:
        """Seconds from the spawn to now; processor time when nobody said when that was."""
        return process_time() if self.spawned is None else monotonic() - self.spawned


class Start:
    """The start frame, checked."""

    def __init__(self, payload: Any) -> None:
        try:
            told = loads(str(payload, "utf-8"))
            if told["protocol"] != PROTOCOL:
                raise ValueError("protocol %r is not spoken here" % (told["protocol"],))
            self.base_directory: str = _typed(told, "base_directory", str).rstrip("/") or "/"
            self.main_file: str = _typed(told, "main_file", str)
            self.context: Dict[str, Any] = _typed(told, "context", dict)
            self.input_type: str = _kind(told, "input_type")
            self.output_type: str = _kind(told, "output_type")
            self.output_fields: List[Dict[str, str]] = _typed(told, "output_fields", list)
            for field in self.output_fields:
                _typed(field, "name", str)
                _typed(field, "data_type", str)
            self.input_files: List[Dict[str, str]] = _typed({"input_files": [], **told}, "input_files", list)
            for field in self.input_files:
                _typed(field, "name", str)
                _typed(field, "data_type", str)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            leave(Exit.PROTOCOL, "the server broke the protocol: its start frame is wrong: %s" % error)


def _typed(told: Dict[str, Any], name: str, kind: Any) -> Any:
    value = told[name]
    if not isinstance(value, kind):
        raise ValueError("'%s' is not of type %s" % (name, kind.__name__))
    return value


def _kind(told: Dict[str, Any], name: str) -> str:
    value: str = _typed(told, name, str)
    if value not in ("structured", "plain"):
        raise ValueError("'%s' is '%s'" % (name, value))
    return value
