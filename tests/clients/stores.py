"""Stores of files as providers have them, beside the server: a program of ours that serves them for as long as it is wanted."""

import json
import pathlib
import select
import subprocess
import tempfile
import types
import typing

PATIENCE = 180.0


class Stores:
    """`with Stores(program) as stores:` has the `settings` a server needs to reach them, and what is `told` of each."""

    def __init__(self, program: pathlib.Path) -> None:
        self.program = program
        self.settings: typing.Dict[str, str] = {}
        self.told: typing.Dict[str, typing.Any] = {}
        self.process: typing.Optional["subprocess.Popen[bytes]"] = None
        self.log = tempfile.TemporaryFile()

    def __enter__(self) -> "Stores":
        command, pipe = [str(self.program)], subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.log)
        assert self.process.stdout
        # It may have to install something first; what it says is one line.
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            self.__exit__(None, None, None)
            self.log.seek(0)
            raise SystemExit(f"the stores do not start:\n{self.log.read().decode(errors='replace')}")
        said = json.loads(line)
        self.settings, self.told = said["settings"], said["stores"]
        return self

    def __exit__(
        self,
        kind: typing.Optional[typing.Type[BaseException]],
        error: typing.Optional[BaseException],
        trace: typing.Optional[types.TracebackType],
    ) -> None:
        if self.process is None:
            return
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
