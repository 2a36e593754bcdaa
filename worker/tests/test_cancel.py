"""Cancelling calls: queued ones never start, the running one is broken off, nothing else is touched."""

import os
import signal
import unittest

from driver import WorkerTest

WAITING = """
    import os, time
    class Deployment:
        def request(self, data):
            if data == "quick":
                return {"y": 1}
            %s
"""
WAYS = {
    "sleeping": "time.sleep(600)",
    "computing": "while True: pass",
    "printing": "while True: print('line', flush=True)",
    "reading": "os.read(os.pipe()[0], 1)",
    "in a finally": "try: time.sleep(600)\n            finally: print('cleaned')",
    "catching Exception": "while True:\n                try: time.sleep(600)\n                except Exception: pass",
    "joining": "import threading; t = threading.Thread(target=time.sleep, args=(9e5,)); t.start(); t.join()",
    "locked": "import threading; threading.Event().wait()",
}
GONE = {"kind": "cancelled", "message": "The request was cancelled", "public_error_message": None}


class Cancel(WorkerTest):
    def test_the_running_call_is_broken_off_whatever_it_does(self):
        for way, code in WAYS.items():
            with self.subTest(way):
                worker = self.ready(WAITING % code)
                for number in (1, 3):
                    worker.call(number, "slow")
                    worker.call(number + 1, "quick")
                    self.assertEqual(worker.until("STARTED"), ("STARTED", number))
                    worker.cancel_running(number)
                    self.assertEqual(worker.answer(number), ("ERROR", GONE))
                    self.assertEqual(worker.answer(number + 1), ("RESULT", {"y": 1}))
                worker.close()

    def test_an_async_call_is_broken_off_and_cleans_up(self):
        worker = self.ready(
            """
            import asyncio
            class Deployment:
                async def request(self, data, context):
                    if data == "quick":
                        await asyncio.sleep(0)
                        return {"y": 1}
                    try:
                        context["streaming_update"]("begun")
                        await asyncio.sleep(600)
                    finally:
                        print("cleaned")
            """
        )
        for number in (1, 3, 5):
            worker.call(number, "slow")
            self.assertEqual(worker.until("UPDATE"), ("UPDATE", number, "begun"))
            worker.cancel_running(number)
            self.assertEqual(worker.answer(number), ("ERROR", GONE))
            self.assertEqual(worker.ask(number + 1, "quick"), ("RESULT", {"y": 1}))
            self.assertEqual(worker.lines(number), ["cleaned"])
        for number in range(10, 30, 2):  # whenever it comes, be the loop made or the module imported
            worker.call(number, "slow")
            worker.until("STARTED")
            worker.cancel_running(number)
            self.assertEqual(worker.answer(number), ("ERROR", GONE))
            self.assertEqual(worker.ask(number + 1, "quick"), ("RESULT", {"y": 1}))

    def test_queued_calls_are_answered_in_their_turn_without_starting(self):
        worker = self.serving(
            """
            def request(self, data):
                import os, time
                while data and not os.path.exists(data):
                    time.sleep(0.01)
                return {"y": 1}
            """
        )
        gate = os.path.join(worker.folder, "gate")
        worker.call(1, gate)
        self.assertEqual(worker.frame(), ("STARTED", 1))
        worker.send_raw(b"".join(worker.call_bytes(number, "") for number in (2, 3, 4, 5)))
        for number in (2, 4, 99):
            worker.cancel(number)
        open(gate, "w").close()
        self.assertEqual(worker.frame(), ("RESULT", 1, {"y": 1}))
        seen = [worker.frame() for _ in range(6)]
        self.assertEqual([(f[0], f[1]) for f in seen if f[1] in (2, 4)], [("ERROR", 2), ("ERROR", 4)])
        self.assertEqual([(f[0], f[1]) for f in seen if f[1] == 3], [("STARTED", 3), ("RESULT", 3)])

    def test_a_late_cancel_and_stray_signals_are_harmless(self):
        worker = self.ready(WAITING % "time.sleep(600)")
        for number in range(1, 40):
            worker.call(number, "quick")
            if number > 1:
                worker.cancel_running(number - 1)
            worker.process.send_signal(signal.SIGUSR1)
            self.assertEqual(worker.answer(number), ("RESULT", {"y": 1}))

    def test_cancels_at_any_moment_keep_frames_whole(self):
        worker = self.serving(
            """
            def request(self, data, context):
                print("line " * 200)
                for number in range(8):
                    context["streaming_update"]("u" * 5000)
                    print("more", file=__import__("sys").stderr)
                return {"y": 1}
            """
        )
        kinds = set()
        for number in range(1, 200):
            worker.call(number)
            worker.until("STARTED")
            for _ in range(number % 9):
                if worker.raw_frame()[0] == "RESULT":
                    break
            else:
                worker.cancel_running(number)
                name, content = worker.answer(number)
                kinds.add(name if name == "RESULT" else content["kind"])
        self.assertLessEqual(kinds, {"RESULT", "cancelled"})

    def test_user_code_may_swallow_it_and_answer(self):
        worker = self.serving(
            """
            def request(self, data, context):
                import time
                try:
                    context["streaming_update"]("begun")
                    time.sleep(600)
                except BaseException:
                    return {"y": 2}
            """
        )
        worker.call(1)
        worker.until("UPDATE")
        worker.cancel_running(1)
        self.assertEqual(worker.answer(1), ("RESULT", {"y": 2}))


if __name__ == "__main__":
    unittest.main()
