"""What a method gets from the body of a call, structured and plain."""

import unittest

from driver import WorkerTest

SEEN = "def request(self, data):\n    return {'y': repr(data)}"
SEEN_MANY = "def requests(self, data):\n    return {'y': repr(data)}"
STRING = (("y", "string"),)


class Structured(WorkerTest):
    def test_json_becomes_python(self):
        worker = self.serving(SEEN, fields=STRING)
        data = {"a": [1, 2.5, None, True], "b": {"c": "é😀"}, "big": 10**30}
        self.assertEqual(worker.ask(1, data), ("RESULT", {"y": repr(data)}))
        self.assertEqual(worker.ask(2, body=b' \n{"a": 1}\t '), ("RESULT", {"y": "{'a': 1}"}))

    def test_what_is_not_json_is_refused_without_running(self):
        worker = self.serving(SEEN, fields=STRING)
        wrong = [b"", b" ", b"{", b"{}x", b"nul", b"[NaN]", b"-Infinity", b"{'a': 1}", b"\xff", b'"a']
        for number, body in enumerate(wrong + [b"[" * 200000], 1):
            name, error = worker.ask(number, body=body)
            self.assertEqual((name, error["kind"]), ("ERROR", "input"), body[:20])
            self.assertIn("The request data is", error["message"])
        self.assertEqual(worker.ask(99, 1), ("RESULT", {"y": "1"}))
        self.assertEqual(worker.logs, [])

    def test_a_list_payload_must_be_a_list(self):
        worker = self.serving(SEEN_MANY, fields=STRING)
        name, error = worker.ask(1, {"a": 1}, many=True)
        self.assertEqual((name, error["message"]), ("ERROR", "The request data is not a list"))


class Plain(WorkerTest):
    def test_text_goes_in_unchanged(self):
        worker = self.serving(SEEN, fields=STRING, input_type="plain")
        self.assertEqual(worker.ask(1, text='{"a": é}\n'), ("RESULT", {"y": repr('{"a": é}\n')}))
        self.assertEqual(worker.ask(2, text=""), ("RESULT", {"y": "''"}))

    def test_json_is_unwrapped_or_stays_text(self):
        worker = self.serving(SEEN, fields=STRING, input_type="plain")
        self.assertEqual(worker.ask(1, "a text"), ("RESULT", {"y": "'a text'"}))
        self.assertEqual(worker.ask(2, {"a": [1]}), ("RESULT", {"y": repr('{"a":[1]}')}))

    def test_a_list_is_a_list_of_strings(self):
        worker = self.serving(SEEN_MANY, fields=STRING, input_type="plain")
        self.assertEqual(worker.ask(1, ["a", {"b": 1}], many=True), ("RESULT", {"y": repr(["a", '{"b":1}'])}))

    def test_text_that_is_not_utf8_is_refused(self):
        worker = self.serving(SEEN, fields=STRING, input_type="plain")
        worker.send(0x41, b"\0" * 7 + b"\1\1\0\0\0\0\xff\xfe")
        name, error = worker.answer(1)
        self.assertEqual(error["message"], "The request data is not valid UTF-8")


if __name__ == "__main__":
    unittest.main()
