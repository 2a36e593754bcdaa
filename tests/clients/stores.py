"""Stores of files as providers have them, beside the server: a program of ours that serves them for as long as it is wanted."""

import contextlib
import json
import pathlib
import select
import subprocess
import tempfile
import typing

PATIENCE = 180.0


class Stores(typing.NamedTuple):
    """Running stores."""

    # What a server is set to, so that it reaches them.
    settings: typing.Dict[str, str]
    # What buckets are told of each, by the name of its provider.
    told: typing.Dict[str, typing.Any]


@contextlib.contextmanager
def running(program: pathlib.Path) -> typing.Iterator[Stores]:
    """Runs the program; it ends by itself when nobody holds its input."""
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile() as log, subprocess.Popen([str(program)], stdin=pipe, stdout=pipe, stderr=log) as process:
        assert process.stdout
        try:
            # It may have to install something first; what it says is one line.
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
            line = process.stdout.readline() if ready else b""
            if not line:
                log.seek(0)
                raise SystemExit(f"the stores do not start:\n{log.read().decode(errors='replace')}")
            said = json.loads(line)
            yield Stores(said["settings"], said["stores"])
        finally:
            assert process.stdin
            process.stdin.close()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
