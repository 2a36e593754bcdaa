"""bench.py [CALLS] [IN_FLIGHT]: processor time per call of the worker and of its floor, alternating.

The driver plays the server over a socketpair and keeps IN_FLIGHT calls handed over.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
WORKER = os.path.join(os.path.dirname(HERE), "modelyard_worker", "__main__.py")
CONTEXT = json.dumps({"id": "0" * 36, "request_mode": "express", "user_id": "1" * 36}).encode()


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


class Peer:
    """One process on the other end of a socketpair."""

    def __init__(self, arguments: list) -> None:
        self.socket, theirs = socket.socketpair()
        command = [sys.executable] + [str(theirs.fileno()) if a == "FD" else a for a in arguments]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()

    def cpu(self) -> float:
        """Seconds this process has been on a processor."""
        with open("/proc/%d/schedstat" % self.process.pid) as file:
            return int(file.read().split()[0]) / 1e9

    def drive(self, call: bytes, answer_size: int, calls: int, in_flight: int) -> float:
        """Microseconds of processor time per call."""
        before, sent, received, done = self.cpu(), 0, 0, 0
        while done < calls:
            more = min(calls, done + in_flight) - sent
            if more:
                self.socket.sendall(call * more)
                sent += more
            received += len(self.socket.recv(1 << 16))
            done = received // answer_size
        return (self.cpu() - before) / calls * 1e6

    def close(self) -> None:
        self.socket.close()
        self.process.wait()


def floor() -> tuple:
    body = frame(b'\0{"x": 21}')
    return Peer([os.path.join(HERE, "floor.py"), "FD"]), body, len(frame(b'{"y":42}'))


def worker() -> tuple:
    names = ["--instance", "0" * 36, "--epoch", "1", "--process", "0"]
    peer = Peer([WORKER, "--fd", "FD"] + names)
    start = {
        "protocol": 1,
        "base_directory": os.path.join(HERE, "echo"),
        "main_file": "deployment",
        "context": {},
        "input_type": "structured",
        "output_type": "structured",
        "output_fields": [{"name": "y", "data_type": "double"}],
    }
    peer.socket.sendall(frame(b"\x40" + json.dumps(start).encode()))
    received = b""
    while b'{"has_request"' not in received:
        received += peer.socket.recv(1 << 16)
    head = b"\x41" + (7).to_bytes(8, "big") + b"\0" + len(CONTEXT).to_bytes(4, "big")
    return peer, frame(head + CONTEXT + b'{"x": 21}'), 13 + 14 + len(b'{"y":42}')


def main() -> None:
    calls, in_flight = [int(a) for a in sys.argv[1:3] + ["200000", "64"][len(sys.argv) - 1 :]]
    ratios = []
    for _ in range(5):
        costs = []
        for make in (floor, worker):
            peer, call, size = make()
            peer.drive(call, size, 2000, in_flight)
            costs.append(peer.drive(call, size, calls, in_flight))
            peer.close()
        ratios.append(costs[1] / costs[0])
        print("floor %.2f us, worker %.2f us per call, ratio %.2f" % (costs[0], costs[1], ratios[-1]))
    print("median ratio %.2f with %d in flight" % (sorted(ratios)[2], in_flight))


if __name__ == "__main__":
    main()
