"""What the caller and the log see when user code fails, and that the next request is not disturbed."""

import unittest

from driver import WorkerTest

GENERAL = "An exception occurred in the request. See the logs for details."


class Failures(WorkerTest):
    def failed(self, method, **settings):
        """The error of a call of this method, once a second call has worked."""
        source = "def request(self, data):\n    if data: return {'y': 1}\n" + method
        worker = self.serving(source, **settings)
        name, error = worker.ask(1, 0)
        self.assertEqual(name, "ERROR", error)
        self.assertEqual(worker.ask(2, 1), ("RESULT", {"y": 1}))
        self.assertEqual({call for call, _, _ in worker.logs} - {1}, set())
        return error, worker

    def test_an_exception_is_general_to_the_caller_and_whole_in_the_log(self):
        error, worker = self.failed("    self.helper()\ndef helper(self):\n    raise KeyError('secret')\n")
        self.assertEqual(error, {"kind": "exception", "message": GENERAL, "public_error_message": None})
        lines = worker.lines(1)
        self.assertEqual(lines[0], "Traceback (most recent call last):")
        self.assertEqual(lines[-1], "KeyError: 'secret'")
        self.assertEqual({level for _, level, _ in worker.logs}, {1})
        self.assertTrue(any("in helper" in line for line in lines))
        self.assertTrue(any("raise KeyError('secret')" in line for line in lines))
        self.assertEqual([line for line in lines if "modelyard_worker" in line], [])

    def test_causes_are_shown_without_frames_of_ours(self):
        error, worker = self.failed("    try: print(1 / 0)\n    except Exception as e: raise OSError('x') from e\n")
        text = "\n".join(worker.lines(1))
        self.assertIn("ZeroDivisionError", text)
        self.assertIn("direct cause", text)
        error, worker = self.failed("    import sys\n    sys.stdout.write(5)\n")
        text = "\n".join(worker.lines(1))
        self.assertIn("TypeError: write() argument must be str, not int", text)
        self.assertNotIn("modelyard_worker", text)

    def test_a_public_message_reaches_the_caller(self):
        error, _ = self.failed("    e = ValueError('x'); e.public_error_message = 'Choose another'; raise e\n")
        self.assertEqual((error["message"], error["public_error_message"]), (GENERAL, "Choose another"))
        error, _ = self.failed("    e = ValueError('x'); e.public_error_message = 404; raise e\n")
        self.assertEqual(error["public_error_message"], "404")

    def test_a_public_message_is_cut_so_that_its_frame_stays_allowed(self):
        error, _ = self.failed("    e = ValueError('x'); e.public_error_message = chr(1) * 10**6; raise e\n")
        self.assertEqual(error["public_error_message"], "\1" * 4000)

    def test_a_public_message_that_fails_is_none(self):
        method = "    class E(Exception):\n        public_error_message = property(lambda self: 1 / 0)\n    raise E()\n"
        error, _ = self.failed(method)
        self.assertIsNone(error["public_error_message"])

    def test_exits_and_other_base_exceptions_fail_the_request_only(self):
        for statement in ("import sys; sys.exit(3)", "raise KeyboardInterrupt", "raise GeneratorExit", "exit()"):
            error, worker = self.failed("    %s\n" % statement)
            self.assertEqual((error["kind"], error["message"]), ("exception", GENERAL), statement)

    def test_exceptions_that_cannot_be_shown_are_reported(self):
        for method in (
            "    class E(Exception):\n        def __str__(self): raise E()\n    raise E()\n",
            "    class E(Exception):\n        __cause__ = property(lambda self: 1 / 0)\n    raise E()\n",
            "    def f(): f()\n    f()\n",
            "    raise MemoryError()\n",
            "    raise UnicodeEncodeError('utf-8', '\\ud800', 0, 1, 'x\\ud800')\n",
        ):
            error, worker = self.failed(method)
            self.assertEqual(error["message"], GENERAL)
            self.assertEqual(worker.lines(1)[0], "Traceback (most recent call last):")

    def test_an_async_exception_is_reported_alike(self):
        worker = self.serving("async def request(self, data):\n    raise ValueError('later')")
        self.assertEqual(worker.ask(1)[1]["message"], GENERAL)
        self.assertEqual(worker.lines(1)[-1], "ValueError: later")

    def test_wrong_output_says_so_and_is_no_exception(self):
        worker = self.serving("def request(self, data):\n    return {'y': data}", fields=(("y", "int"),))
        name, error = worker.ask(1, "3")
        self.assertEqual((name, error["kind"]), ("ERROR", "output"))
        self.assertEqual(error["message"], "The output field 'y' must be of type int, not str")
        self.assertEqual(worker.ask(2, 3), ("RESULT", {"y": 3}))

    def test_extra_output_is_dropped_with_a_line_in_the_log(self):
        worker = self.serving("def request(self, data):\n    return {'y': 1, 'z': 2}")
        self.assertEqual(worker.ask(7), ("RESULT", {"y": 1}))
        self.assertEqual(worker.logs, [(7, 0, "Output that is not a field of the deployment was dropped: z")])


if __name__ == "__main__":
    unittest.main()
