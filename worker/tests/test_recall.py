"""Giving calls back that have not started, while user code runs and does not notice."""

import os
import signal
import threading
import unittest

from driver import WorkerTest

GONE = {"kind": "cancelled", "message": "The request was cancelled", "public_error_message": None}
#: Runs until a file exists; `%s` is done again and again.
BUSY = """
    import os, time
    class Deployment:
        def request(self, data):
            while data and not os.path.exists(data):
                %s
            return {"y": 1}
"""
WAYS = {
    "sleeping": "time.sleep(1)",
    "computing": "pass",
    "printing": "print('line', flush=True)",
    "waiting for a lock": "__import__('threading').Event().wait(0.05)",
}


class Recall(WorkerTest):
    def busy(self, code):
        worker = self.ready(BUSY % code)
        gate = os.path.join(worker.folder, "gate")
        worker.call(1, gate)
        self.assertEqual(worker.until("STARTED"), ("STARTED", 1))
        return worker, gate

    def test_calls_come_back_at_once_whatever_the_running_one_does(self):
        for way, code in WAYS.items():
            with self.subTest(way):
                worker, gate = self.busy(code)
                worker.send_raw(b"".join(worker.call_bytes(number, "") for number in (2, 3, 4)))
                for number in (2, 4):
                    worker.recall(number)
                    self.assertEqual(worker.until("ERROR"), ("ERROR", number, GONE))
                open(gate, "w").close()
                self.assertEqual(worker.answer(1), ("RESULT", {"y": 1}))
                self.assertEqual(worker.answer(3), ("RESULT", {"y": 1}))
                worker.close()

    def test_a_cancelled_call_that_waits_is_given_up_as_soon_as_it_is_read(self):
        worker, gate = self.busy("time.sleep(0.01)")
        worker.call(2, "")
        worker.cancel(2)
        worker.process.send_signal(signal.SIGURG)
        self.assertEqual(worker.until("ERROR"), ("ERROR", 2, GONE))
        open(gate, "w").close()
        self.assertEqual(worker.answer(1), ("RESULT", {"y": 1}))

    def test_a_large_call_comes_back_too(self):
        worker, gate = self.busy("time.sleep(0.01)")
        calls = worker.call_bytes(2, "x" * (3 << 20)) + worker.call_bytes(3, "")
        sending = threading.Thread(target=worker.send_raw, args=(calls,))
        sending.start()
        while sending.is_alive():
            worker.process.send_signal(signal.SIGURG)
            sending.join(0.01)
        worker.recall(2)
        self.assertEqual(worker.until("ERROR"), ("ERROR", 2, GONE))
        open(gate, "w").close()
        self.assertEqual(worker.answer(1), ("RESULT", {"y": 1}))
        self.assertEqual(worker.answer(3), ("RESULT", {"y": 1}))

    def test_the_running_call_and_what_is_unknown_go_on(self):
        worker, gate = self.busy("time.sleep(0.01)")
        worker.recall(1)
        worker.recall(77)
        worker.call(2, "")
        worker.recall(2)
        self.assertEqual(worker.until("ERROR"), ("ERROR", 2, GONE))
        open(gate, "w").close()
        self.assertEqual(worker.answer(1), ("RESULT", {"y": 1}))
        worker.recall(1)
        self.assertEqual(worker.ask(5, ""), ("RESULT", {"y": 1}))

    def test_a_blocking_system_call_is_not_disturbed(self):
        worker = self.serving(
            """
            def request(self, data):
                import ctypes, os
                if not data:
                    return {"y": 1}
                # What does not go through the interpreter would see an interruption.
                libc, buffer = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(1)
                pipe = os.open(data, os.O_RDONLY)
                print("reading", flush=True)
                got = libc.read(pipe, buffer, 1)
                return {"y": got if got == 1 else -ctypes.get_errno()}
            """
        )
        fifo = os.path.join(worker.folder, "fifo")
        os.mkfifo(fifo)
        worker.call(1, fifo)
        writer = os.open(fifo, os.O_WRONLY)
        while worker.raw_frame()[0] != "LOG":
            pass
        worker.call(2, "")
        for _ in range(20):
            worker.recall(2)
        os.write(writer, b"x")
        os.close(writer)
        # The other comes back as soon as the interpreter has its turn.
        self.assertEqual(worker.answer(2), ("ERROR", GONE))
        self.assertEqual(worker.answer(1), ("RESULT", {"y": 1}))

    def test_a_recall_and_a_cancel_at_once(self):
        worker = self.ready(BUSY % "time.sleep(0.01)")
        for number in range(1, 60, 2):
            worker.call(number, "/nowhere")
            worker.until("STARTED")
            worker.call(number + 1, "")
            worker.recall(number + 1)
            worker.cancel_running(number)
            self.assertEqual(sorted(worker.until("ERROR")[1] for _ in range(2)), [number, number + 1])


if __name__ == "__main__":
    unittest.main()
