"""Streaming updates: credits, waiting for them, and being harmless."""

import unittest

from driver import WorkerTest

COUNTING = """
    def request(self, data, context):
        for number in range(data):
            context["streaming_update"]("update %d" % number)
        return {"y": 1}
"""


class Updates(WorkerTest):
    def test_updates_arrive_in_order_before_the_result(self):
        worker = self.serving(COUNTING)
        worker.call(4, 16)
        expected = [("STARTED", 4)] + [("UPDATE", 4, "update %d" % n) for n in range(16)] + [("RESULT", 4, {"y": 1})]
        self.assertEqual([worker.frame() for _ in expected], expected)

    def test_without_credits_it_waits_and_reads_what_comes(self):
        worker = self.serving(COUNTING)
        worker.call(1, 20)
        for number in range(16):
            self.assertEqual(worker.until("UPDATE"), ("UPDATE", 1, "update %d" % number))
        worker.socket.settimeout(0.2)
        with self.assertRaises(OSError):
            worker.frame()
        worker.socket.settimeout(60)
        worker.call(2, 0)
        worker.call(3, 0)
        worker.cancel(2)
        worker.credit(2, 99)
        worker.credit(1, 1)
        self.assertEqual(worker.frame(), ("UPDATE", 1, "update 16"))
        worker.credit(1, 5)
        for number in range(17, 20):
            self.assertEqual(worker.frame(), ("UPDATE", 1, "update %d" % number))
        self.assertEqual(worker.frame(), ("RESULT", 1, {"y": 1}))
        name, call, error = worker.frame()
        self.assertEqual((name, call, error["kind"]), ("ERROR", 2, "cancelled"))
        self.assertEqual([worker.frame(), worker.frame()], [("STARTED", 3), ("RESULT", 3, {"y": 1})])

    def test_each_call_has_credits_of_its_own(self):
        worker = self.serving(COUNTING)
        for call in (1, 2, 3):
            worker.call(call, 16)
            self.assertEqual(worker.answer(call), ("RESULT", {"y": 1}))

    def test_a_call_waiting_for_credits_can_be_cancelled(self):
        worker = self.serving(COUNTING)
        worker.call(1, 17)
        for _ in range(16):
            worker.until("UPDATE")
        worker.cancel_running(1)
        name, error = worker.answer(1)
        self.assertEqual((name, error["kind"]), ("ERROR", "cancelled"))
        self.assertEqual(worker.ask(2, 16), ("RESULT", {"y": 1}))

    def test_lines_of_log_are_not_held_while_it_waits(self):
        worker = self.serving(
            """
            def request(self, data, context):
                print("before")
                for number in range(17):
                    context["streaming_update"]("x")
                return {"y": 1}
            """
        )
        worker.call(1)
        names = []
        while names.count("UPDATE") < 16 or "LOG" not in names:
            names.append(worker.raw_frame()[0])
        worker.credit(1, 1)
        self.assertEqual(worker.answer(1)[0], "RESULT")

    def test_other_values_become_text_and_too_much_is_refused(self):
        worker = self.serving(
            """
            def request(self, data, context):
                update = context["streaming_update"]
                update(5), update({"a": 1}), update("")
                try:
                    update("é" * 600000)
                except ValueError as error:
                    update(str(error))
                return {"y": 1}
            """
        )
        worker.call(1)
        seen = [worker.until("UPDATE")[2] for _ in range(4)]
        self.assertEqual(seen, ["5", "{'a': 1}", "", "a streaming update holds at most 1 MiB of text"])

    def test_after_its_call_it_does_nothing(self):
        worker = self.serving(
            """
            def request(self, data, context):
                if data:
                    self.kept = context["streaming_update"]
                self.kept("from %d" % data)
                return {"y": 1}
            """
        )
        worker.call(1, 1)
        self.assertEqual([worker.frame()[0] for _ in range(3)], ["STARTED", "UPDATE", "RESULT"])
        worker.call(2, 0)
        self.assertEqual([worker.frame()[0] for _ in range(2)], ["STARTED", "RESULT"])

    def test_threads_may_send_updates_and_be_cancelled_while_waiting(self):
        worker = self.serving(
            """
            def request(self, data, context):
                import threading
                def work():
                    for number in range(25):
                        context["streaming_update"]("x")
                threads = [threading.Thread(target=work) for _ in range(4)]
                [t.start() for t in threads]
                [t.join() for t in threads]
                return {"y": 1}
            """
        )
        worker.call(1)
        for _ in range(100):
            worker.until("UPDATE")
            worker.credit(1, 1)
        self.assertEqual(worker.answer(1), ("RESULT", {"y": 1}))
        worker.call(2)
        for _ in range(16):
            worker.until("UPDATE")
        worker.cancel_running(2)
        self.assertEqual(worker.answer(2)[1]["kind"], "cancelled")
        worker.call(3)
        for _ in range(100):
            worker.until("UPDATE")
            worker.credit(3, 1)
        self.assertEqual(worker.answer(3), ("RESULT", {"y": 1}))


if __name__ == "__main__":
    unittest.main()
