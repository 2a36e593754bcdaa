"""A server of our own for the run: in a temporary folder, on a free port, ended with the run."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import types
import typing
import urllib.error
import urllib.request

PATIENCE = 60.0


class Server:
    """`with Server(binary, settings) as server:` has a `url` and a `token`; what it wrote stands in `log`."""

    def __init__(self, binary: pathlib.Path, settings: typing.Dict[str, str]) -> None:
        self.binary = binary
        self.settings = settings
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="modelyard-clients-"))
        self.log = self.folder / "log"
        self.url = f"http://127.0.0.1:{free_port()}"
        self.token = ""
        self.process: typing.Optional["subprocess.Popen[bytes]"] = None

    def __enter__(self) -> "Server":
        try:
            self.start()
        except BaseException:
            self.__exit__(RuntimeError, None, None)
            raise
        return self

    def start(self) -> None:
        """Starts the process and waits until it is ready."""
        data = self.folder / "data"
        listen = self.url.split("//")[1]
        command = [str(self.binary), "serve", "--data", str(data), "--listen", listen]
        # The tables of the host that runs the tests are not the tests' to change.
        environment = dict(os.environ, MODELYARD_INSTANCE_EGRESS="all", **self.settings)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        until = time.monotonic() + PATIENCE
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"the server does not start:\n{self.log.read_text()}")
            time.sleep(0.05)
        self.token = (data / "admin-token").read_text().strip()

    def is_ready(self) -> bool:
        """Whether the server says that it is ready."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def __exit__(
        self,
        kind: typing.Optional[typing.Type[BaseException]],
        error: typing.Optional[BaseException],
        trace: typing.Optional[types.TracebackType],
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
