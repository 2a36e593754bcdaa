"""Frames the contract does not allow: the worker says so on stderr and ends, and never hangs."""

import json
import random
import struct
import unittest

from driver import Closed, WorkerTest

from modelyard_worker import frames

ECHO = "class Deployment:\n    def request(self, data, context):\n        return {'y': 1}\n"
START = {
    "protocol": 1,
    "main_file": "deployment",
    "context": {},
    "input_type": "structured",
    "output_type": "structured",
    "output_fields": [{"name": "y", "data_type": "int"}],
}


def frame(kind, payload=b"", size=None):
    return struct.pack(">IB", 1 + len(payload) if size is None else size, kind) + payload


class Malformed(WorkerTest):
    def broken(self, data, ready=True):
        """What the worker says when it gets these bytes."""
        worker = self.worker(self.package(ECHO))
        if ready:
            worker.start()
            worker.until("READY")
        try:
            worker.send_raw(data)
            while True:
                worker.frame()
        except (Closed, BrokenPipeError, ConnectionResetError):
            pass
        code, stderr = worker.end()
        self.assertEqual(code, 70, stderr)
        return worker, stderr

    def test_each_kind_of_wrong_frame_ends_it_with_a_sentence(self):
        for what, data in (
            ("an unknown kind", frame(0x99, b"abc")),
            ("a kind of ours", frame(frames.RESULT, b"\0" * 20)),
            ("no length", frame(frames.STOP, size=0)),
            ("a length beyond 1 GiB", frame(frames.CALL, b"\0" * 50, size=(1 << 30) + 1)),
            ("a stop with content", frame(frames.STOP, b"x")),
            ("a short cancel", frame(frames.CANCEL, b"\0" * 7)),
            ("a long credit", frame(frames.CREDIT, b"\0" * 13)),
            ("a short call", frame(frames.CALL, b"\0" * 12) + b"\0" * 20),
            ("call number 0", frame(frames.CALL, struct.pack(">QBI", 0, 0, 0) + b"{}")),
            ("unknown flags", frame(frames.CALL, struct.pack(">QBI", 1, 8, 0) + b"{}")),
            ("packed text", frame(frames.CALL, struct.pack(">QBI", 1, 5, 0) + b"{}")),
            ("a long recall", frame(frames.RECALL, b"\0" * 9)),
            ("a context longer than its frame", frame(frames.CALL, struct.pack(">QBI", 1, 0, 9) + b"{}")),
            ("a second start", frame(frames.START, json.dumps(START).encode())),
        ):
            with self.subTest(what):
                worker, stderr = self.broken(data)
                self.assertIn("the server broke the protocol: ", stderr)

    def test_a_wrong_start_ends_it_with_a_sentence(self):
        for change in (
            {"protocol": 2},
            {"base_directory": 5},
            {"main_file": None},
            {"context": []},
            {"input_type": "strange"},
            {"output_fields": [{"name": "y"}]},
            {"output_fields": ["y"]},
        ):
            told = dict(dict(START, base_directory="/tmp"), **change)
            worker, stderr = self.broken(frame(frames.START, json.dumps(told).encode()), ready=False)
            self.assertIn("its start frame is wrong", stderr)
        for body in (b"{}", b"[]", b"5", b"\xff\xff", b"{" * 100000, b"[" * 100000):
            worker, stderr = self.broken(frame(frames.START, body), ready=False)
            self.assertIn("its start frame is wrong", stderr)
        worker, stderr = self.broken(frame(frames.CALL, struct.pack(">QBI", 1, 0, 0) + b"{}"), ready=False)
        self.assertIn("wrong time", stderr)

    def test_a_socket_closed_within_a_frame_ends_it(self):
        worker = self.worker(self.package(ECHO))
        worker.start()
        worker.until("READY")
        for data in (b"\0\0", frame(frames.CALL, b"\0" * 5, size=100), frame(frames.CALL, b"\0" * 5, size=1 << 30)):
            worker = self.worker(self.package(ECHO))
            worker.start()
            worker.until("READY")
            worker.send_raw(data)
            worker.socket.close()
            code, stderr = worker.end()
            self.assertEqual(code, 71)
            self.assertIn("the server closed the socket", stderr)

    def test_a_context_that_is_not_json_fails_its_call_only(self):
        worker = self.worker(self.package(ECHO))
        worker.start()
        for number, context in enumerate((b"", b"[]", b"\xff", b"{"), 1):
            worker.send(frames.CALL, struct.pack(">QBI", number, 0, len(context)) + context + b"{}")
            name, error = worker.answer(number)
            self.assertEqual((name, error["kind"]), ("ERROR", "internal"))
        self.assertEqual(worker.ask(9, {}), ("RESULT", {"y": 1}))

    def test_random_frames_either_work_or_end_it(self):
        seeded = random.Random(20240501)
        folder = self.package(ECHO)
        kinds = [frames.START, frames.CALL, frames.CANCEL, frames.CREDIT, frames.STOP, frames.RECALL, frames.RESULT]
        kinds += [frames.INPUT_FILE, 0, 0xFF]
        for _ in range(40):
            worker = self.worker(folder)
            worker.start()
            data = b"".join(self._random_frame(seeded, kinds, worker) for _ in range(seeded.randrange(1, 30)))
            data = data[: len(data) - seeded.choice((0, 0, 1, 7))]
            try:
                for at in range(0, len(data), 50):
                    worker.send_raw(data[at : at + 50])
                worker.socket.shutdown(1)  # nothing more comes
                while True:
                    worker.frame()
            except (Closed, BrokenPipeError, ConnectionResetError, OSError):
                pass
            code, stderr = worker.end()
            self.assertIn(code, (0, 70, 71), stderr)
            self.assertNotIn("Traceback", stderr)
            self.assertTrue(code == 0 or "modelyard worker: " in stderr)
            worker.close()

    def _random_frame(self, seeded, kinds, worker):
        draw = seeded.random()
        if draw < 0.5:
            bodies = [b"{}", b"", b"\xff", b'{"x":', b"[1]", b"{0", b"[\1\0\0\0N", b"[\xff\xff\xff\x7f", b"r\0\0\0\0"]
            head = struct.pack(">QBI", seeded.randrange(1, 1 << 64), seeded.choice((0, 1, 2, 3, 4, 6, 6, 7)), 2)
            return frame(frames.CALL, head + b"{}" + seeded.choice(bodies))
        if draw < 0.7:
            return frame(seeded.choice((frames.CANCEL, frames.RECALL)), struct.pack(">Q", seeded.randrange(50)))
        if draw < 0.85:
            return frame(frames.CREDIT, struct.pack(">QI", seeded.randrange(50), seeded.randrange(1 << 32)))
        if draw < 0.9:
            return bytes(seeded.randrange(256) for _ in range(seeded.randrange(40)))
        payload = bytes(seeded.randrange(256) for _ in range(seeded.randrange(30)))
        return frame(seeded.choice(kinds), payload, seeded.choice((None, None, seeded.randrange(1 << 32))))


if __name__ == "__main__":
    unittest.main()
