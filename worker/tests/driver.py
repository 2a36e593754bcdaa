"""Plays the server for a test: starts a worker over a socketpair, sends it frames and expects others."""

from __future__ import annotations

import faulthandler
import json
import marshal
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from modelyard_worker import frames  # noqa: E402

MAIN = os.path.join(ROOT, "modelyard_worker", "__main__.py")
#: A test that waits this long has failed; none needs to.
PATIENCE = 60.0
KINDS = "HELLO PHASE READY STARTED LOG UPDATE RESULT ERROR FATAL STOPPED OUTPUT_FILE".split()
NAMES = {getattr(frames, n): n for n in KINDS}
REQUEST_CONTEXT = {
    "id": "a-request",
    "request_mode": "express",
    "user_id": "a-user",
    "pipeline_id": None,
    "pipeline_version_id": None,
    "pipeline_object_id": None,
    "pipeline_request_id": None,
}


class Closed(Exception):
    """The worker's end is closed."""


class Worker:
    """A running worker and the server's end of its socket."""

    def __init__(self, folder, environment=None, flags=("-I",)):
        self.folder = folder
        self.logs = []
        self.files = []
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        arguments = ["--fd", str(theirs.fileno()), "--instance", "an-instance", "--epoch", "3", "--process", "1"]
        self.process = subprocess.Popen(
            [sys.executable, *flags, MAIN, *arguments],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, **(environment or {})),
            cwd="/",
        )
        theirs.close()
        self._buffer = b""
        self._signalling = False

    def send(self, kind, payload=b""):
        self.send_raw(struct.pack(">IB", 1 + len(payload), kind) + payload)

    def send_raw(self, data):
        self.socket.sendall(data)

    def send_with(self, data, *descriptors):
        """Sends bytes with descriptors at the first of them."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("%di" % len(descriptors), *descriptors))]
        assert self.socket.sendmsg([data], rights) == len(data)

    def send_file(self, call, index, content, name="file.txt"):
        """Sends a file of a call that follows: bytes, or a descriptor."""
        with tempfile.TemporaryFile() as file:
            if isinstance(content, bytes):
                file.write(content)
                file.flush()
                content = file.fileno()
            self.send_with(self.file_bytes(call, index, name), content)

    @staticmethod
    def file_bytes(call, index, name="file.txt"):
        payload = struct.pack(">QI", call, index) + name.encode()
        return struct.pack(">IB", 1 + len(payload), frames.INPUT_FILE) + payload

    def start(self, main_file="deployment", fields=(("y", "double"),), **settings):
        start = {
            "protocol": 1,
            "base_directory": self.folder,
            "main_file": main_file,
            "context": {"deployment": "a-deployment", "process_id": 1},
            "input_type": "structured",
            "output_type": "structured",
            "output_fields": [{"name": name, "data_type": kind} for name, kind in fields],
        }
        start.update(settings)
        self.send(frames.START, json.dumps(start).encode())

    def call(self, number, data=None, many=False, text=None, body=None, context=None, packed=None):
        self.send_raw(self.call_bytes(number, data, many, text, body, context, packed))

    @staticmethod
    def call_bytes(number, data=None, many=False, text=None, body=None, context=None, packed=None):
        flags = (frames.TEXT_BODY if text is not None else 0) | (frames.LIST_BODY if many else 0)
        if packed is not None:
            flags, body = flags | frames.PACKED_BODY, marshal.dumps(packed)
        context_json = json.dumps(REQUEST_CONTEXT if context is None else context).encode()
        if body is None:
            body = json.dumps(data).encode() if text is None else text.encode()
        payload = struct.pack(">QBI", number, flags, len(context_json)) + context_json + body
        return struct.pack(">IB", 1 + len(payload), frames.CALL) + payload

    def cancel(self, number):
        self.send(frames.CANCEL, struct.pack(">Q", number))

    def recall(self, number):
        """Asks for a call back as the server does."""
        self.send(frames.RECALL, struct.pack(">Q", number))
        self.process.send_signal(signal.SIGURG)

    def cancel_running(self, number):
        """Cancels as the server does: the frame, then the signal, again and again until there is an answer."""
        self.cancel(number)
        self.process.send_signal(signal.SIGUSR1)
        self._signalling = True

    def credit(self, number, updates):
        self.send(frames.CREDIT, struct.pack(">QI", number, updates))

    def raw_frame(self):
        """The next frame as (name, payload)."""
        size, kind = struct.unpack(">IB", self._exactly(5))
        return NAMES[kind], self._exactly(size - 1)

    def frame(self):
        """The next frame that is no log, as a tuple that begins with its name; logs are kept."""
        while True:
            name, payload = self.raw_frame()
            if name == "LOG":
                call, level = struct.unpack_from(">QB", payload)
                self.logs += [(call, level, line) for line in payload[9:].decode().split("\n")]
                continue
            if name in ("HELLO", "PHASE", "READY", "FATAL"):
                return name, json.loads(payload)
            if name == "STOPPED":
                return (name,)
            call = struct.unpack_from(">Q", payload)[0]
            if name == "STARTED":
                return name, call
            if name == "OUTPUT_FILE":
                assert struct.unpack_from(">I", payload, 8)[0] < len(self.files)
                return (name, call, *struct.unpack_from(">I", payload, 8))
            if name == "UPDATE":
                return name, call, payload[8:].decode()
            if name == "ERROR":
                return name, call, json.loads(payload[8:])
            self.shape = payload[8]
            assert self.shape in (frames.JSON, frames.PACKED)
            return name, call, marshal.loads(payload[9:]) if self.shape else json.loads(payload[9:])

    def until(self, *names):
        """The next frame of one of these names."""
        while True:
            frame = self.frame()
            if frame[0] in names:
                return frame

    def answer(self, number):
        """What the call ended with, as (name, content)."""
        name, call, content = self.until("RESULT", "ERROR")
        self._signalling = False
        assert call == number, (call, number)
        return name, content

    def ask(self, number, data=None, **more):
        self.call(number, data, **more)
        return self.answer(number)

    def lines(self, call=None):
        return [line for number, _, line in self.logs if call is None or number == call]

    def end(self):
        """Waits for the process to end by itself: (exit code, stderr)."""
        stdout, stderr = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, stderr.decode()

    def _exactly(self, size):
        while len(self._buffer) < size:
            patient_until = time.monotonic() + PATIENCE
            while self._signalling and not select.select([self.socket], [], [], 0.1)[0]:
                if time.monotonic() > patient_until:
                    raise TimeoutError("no signal ends the call")
                self.process.send_signal(signal.SIGUSR1)
            try:
                data = self._receive()
            except ConnectionResetError:  # it left frames unread
                data = b""
            if not data:
                raise Closed(self.process.communicate(timeout=PATIENCE)[1].decode())
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _receive(self):
        data, beside, flags, _ = self.socket.recvmsg(1 << 20, 1024, socket.MSG_CMSG_CLOEXEC)
        assert not flags & socket.MSG_CTRUNC
        for _, _, numbers in beside:
            self.files += [os.fdopen(number, "rb") for (number,) in struct.iter_unpack("i", numbers)]
        return data

    def close(self):
        self.socket.close()
        for file in self.files:
            file.close()
        if self.process.poll() is None:
            self.process.kill()
        try:
            self.process.communicate(timeout=PATIENCE)
        finally:  # after a time-out a process that the worker started still holds its output
            self.process.stdout.close()
            self.process.stderr.close()


class WorkerTest(unittest.TestCase):
    """A test with packages in temporary folders and the workers that run them."""

    maxDiff = None

    def run(self, result=None):
        """Runs one test. One that waits forever ends the whole run, and shows where it waits."""
        faulthandler.dump_traceback_later(5 * PATIENCE, exit=True)
        try:
            return super().run(result)
        finally:
            faulthandler.cancel_dump_traceback_later()

    def package(self, source=None, **files):
        """A folder with `deployment.py` and other files (`__` in a keyword stands for a slash)."""
        folder = os.path.realpath(tempfile.mkdtemp(prefix="worker-test-"))
        self.addCleanup(shutil.rmtree, folder, True)
        contents = {name.replace("__", "/") + ".py": text for name, text in files.items()}
        if source is not None:
            contents["deployment.py"] = source
        for name, text in contents.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        return folder

    def worker(self, folder, **settings):
        """A worker that has not been told what to run."""
        worker = Worker(folder, **settings)
        self.addCleanup(worker.close)
        return worker

    def ready(self, source, environment=None, **settings):
        """A worker that is ready to serve this main file."""
        worker = self.worker(self.package(source), environment=environment)
        worker.start(**settings)
        frame = worker.until("READY", "FATAL")
        self.assertEqual(frame[0], "READY", frame)
        worker.methods = frame[1]
        return worker

    def serving(self, method, **settings):
        """A worker for a class with this one method."""
        return self.ready("class Deployment:\n" + textwrap.indent(textwrap.dedent(method), "    "), **settings)

    def fatal(self, folder, **settings):
        """The fatal frame of a package that cannot be served, and its worker after its end."""
        worker = self.worker(folder)
        worker.start(**settings)
        frame = worker.until("READY", "FATAL")
        self.assertEqual(frame[0], "FATAL", frame)
        self.assertEqual(worker.end()[0], 1)
        return frame[1], worker
