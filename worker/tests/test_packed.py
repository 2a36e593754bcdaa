"""Packed bodies: what large results are packed as, what is left to JSON, and calls whose body came packed."""

import marshal
import threading
import unittest

from driver import WorkerTest, frames

from modelyard_worker import packed
from modelyard_worker.packed import packer

NUMBERS = list(range(-1000, 1000))
FLOATS = [number / 7 for number in NUMBERS]


def parts(value, data_type="dict"):
    return b"".join(packer({"x": data_type})({"x": value}))


class Packer(unittest.TestCase):
    def test_large_values_come_out_as_they_went_in(self):
        for value, data_type in (
            (NUMBERS, "array_int"),
            (NUMBERS + [1 << 62, -(1 << 90)], "array_int"),
            (FLOATS, "array_double"),
            (FLOATS + NUMBERS + [1 << 80], "array_double"),
            ({"rows": [FLOATS[:5] for _ in range(200)], "names": ["a", "é"], "none": None, "yes": True}, "dict"),
            ({str(number): number for number in FLOATS}, ""),
            ("text " * 5000, "string"),
            ("é€😀" * 9000, "string"),
            ((tuple(NUMBERS), [[], {}, ()]), ""),
        ):
            body = parts(value, data_type)
            self.assertEqual(marshal.loads(body), {"x": value})

    def test_text_alone_is_packed_too(self):
        text = "a text of some length " * 2000
        self.assertEqual(marshal.loads(b"".join(packer({})(text))), text)
        self.assertEqual(packer({})("short"), [])

    def test_what_is_small_or_gains_nothing_is_left_to_json(self):
        for value in (1, None, "text", [], {}, NUMBERS[:200], ["word"] * 100000, [{"id": "a"}] * 10000, {"a": 1}, dict.fromkeys(map(str, NUMBERS), 1)):
            self.assertEqual(parts(value), b"", value)
        self.assertEqual(parts(["word"] * 10000, "array_string"), b"")
        self.assertEqual(packer({})({}), [])

    def test_what_is_too_large_is_left_to_json(self):
        self.assertTrue(packer({})("x" * ((16 << 20) - 5)))
        for text in ("x" * ((16 << 20) - 4), "é" * (8 << 20)):
            self.assertEqual(packer({})(text), [])
        self.assertEqual(parts(FLOATS * 1000, "array_double"), b"")

    def test_what_json_refuses_or_changes_is_left_to_it(self):
        class Text(str):
            pass

        class Number(int):
            pass

        loop = [NUMBERS]
        loop.append(loop)
        deep = NUMBERS
        for _ in range(150):
            deep = [deep]
        wide = NUMBERS
        for _ in range(50):
            wide = [wide, wide, wide]
        for odd in (
            float("nan"), float("inf"), -float("inf"), 1 << 120, -(1 << 200), "\ud800", b"bytes", bytearray(1), {1}, 1j, ...,
            {1: 2}, {None: 1}, {(1,): 1}, {"\udfff": 1}, Text("a"), Number(1), {Text("a"): 1}, object(), len, loop, deep, wide,
            {"a": {"b": [float("nan")]}}, [[1 << 121]], memoryview(b""), compile("1", "", "eval"), StopIteration,
        ):  # fmt: skip
            self.assertEqual(parts([odd] + NUMBERS), b"", type(odd))
            self.assertEqual(parts({"a": [NUMBERS, odd]}), b"", type(odd))
        self.assertEqual(parts([1 << 120] + NUMBERS, "array_int"), b"")
        self.assertEqual(parts([1 << 1100, -(1 << 1100), 0.5] + FLOATS, "array_double"), b"")
        self.assertEqual(parts([1e308, 1e308] + FLOATS, "array_double"), b"", "the sum says nothing")
        self.assertEqual(packer({})({"x" * 9: "\ud800" * 9999}), [])

    def test_no_code_of_a_value_is_run(self):
        class Loud(dict):
            def __getattribute__(self, name):
                raise AssertionError(name)

        self.assertEqual(parts([Loud()] + NUMBERS), b"")

    def test_the_format_has_no_references(self):
        same = FLOATS[:3]
        body = parts([same] * 300)
        self.assertEqual(body.count(marshal.dumps(same, packed.FORMAT)), 300)


class Calls(WorkerTest):
    ECHO = """
        def request(self, data):
            return {"y": data["x"]}
    """

    def echo(self, **settings):
        return self.serving(self.ECHO, **settings)

    def test_a_packed_body_is_what_json_would_have_been(self):
        worker = self.echo(fields=[("y", "dict")])
        value = {"é": [1, -2.5, None, True, 1 << 70, ""], "rows": [FLOATS]}
        worker.call(1, packed={"x": value})
        self.assertEqual(worker.answer(1), ("RESULT", {"y": value}))
        self.assertEqual(worker.shape, frames.PACKED)
        worker.call(2, packed={"x": {"a": 1}})
        self.assertEqual(worker.answer(2), ("RESULT", {"y": {"a": 1}}))
        self.assertEqual(worker.shape, frames.JSON)

    def test_results_in_many_pieces_and_larger_than_the_socket_arrive_whole(self):
        worker = self.echo(output_type="plain")
        many = {str(number): "word" for number in range(2000)}
        value = dict(many, rows=FLOATS * 100, text="text " * 50000)
        calls = b"".join(worker.call_bytes(number, {"x": value}) for number in (1, 2, 3))
        sending = threading.Thread(target=worker.send_raw, args=(calls,))
        sending.start()
        for number in (1, 2, 3):
            self.assertEqual(worker.answer(number), ("RESULT", {"y": value}))
            self.assertEqual(worker.shape, frames.PACKED)
        sending.join()

    def test_lines_come_before_a_large_result(self):
        worker = self.serving(
            """
            def request(self, data):
                print("said before")
                return {"y": [0.5] * 5000}
            """,
            fields=[("y", "array_double")],
        )
        self.assertEqual(worker.ask(1, {}), ("RESULT", {"y": [0.5] * 5000}))
        self.assertEqual(worker.shape, frames.PACKED)
        self.assertEqual(worker.lines(1), ["said before"])

    def test_a_packed_list_is_many_payloads(self):
        worker = self.echo(fields=[("y", "array_double")])
        worker.call(1, packed=[{"x": FLOATS}, {"x": []}], many=True)
        self.assertEqual(worker.answer(1), ("RESULT", [{"y": FLOATS}, {"y": []}]))
        self.assertEqual(worker.shape, frames.JSON)
        worker.call(2, packed={"x": FLOATS}, many=True)
        name, error = worker.answer(2)
        self.assertEqual((name, error["kind"]), ("ERROR", "input"))

    def test_a_packed_body_that_is_none_fails_its_call_only(self):
        worker = self.echo(fields=[("y", "array_double")])
        for number, body in enumerate((b"", b"[\x05\0\0\0N", b"?", b"r\0\0\0\0", b"{NN"), 1):
            worker.send_raw(self.packed_call(worker, number, body))
            name, error = worker.answer(number)
            self.assertEqual((name, error["kind"]), ("ERROR", "input"))
        self.assertEqual(worker.ask(9, {"x": [1.5]}), ("RESULT", {"y": [1.5]}))

    @staticmethod
    def packed_call(worker, number, body):
        call = bytearray(worker.call_bytes(number, body=body))
        call[13] |= frames.PACKED_BODY
        return bytes(call)

    def test_a_faulty_large_result_has_the_sentence_of_json(self):
        worker = self.serving(
            """
            def request(self, data):
                return {"y": [float(number) for number in range(5000)] + [float("nan")]}
            """,
            fields=[("y", "array_double")],
        )
        name, error = worker.ask(1, {})
        self.assertEqual((name, error["kind"]), ("ERROR", "output"))
        self.assertEqual(error["message"], "The output field 'y' holds NaN at [5000], which JSON cannot express")


if __name__ == "__main__":
    unittest.main()
