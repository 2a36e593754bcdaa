"""Which method gets which payload and context, and how calls follow one another."""

import unittest

from driver import REQUEST_CONTEXT, WorkerTest

BOTH = """
    class Deployment:
        def request(self, data):
            return {"y": ["request", data]}
        def requests(self, data):
            return [{"y": ["requests", item]} for item in data]
"""
ONE = """
    class Deployment:
        def request(self, data):
            return {"y": ["request", data]}
"""
MANY = """
    class Deployment:
        def requests(self, data):
            return [{"y": ["requests", len(data), item]} for item in data]
"""


class Matrix(WorkerTest):
    def ready(self, source, **settings):
        return super().ready(source, output_fields=[{"name": "y", "data_type": "a type of tomorrow"}], **settings)

    def test_a_single_payload_goes_to_request(self):
        worker = self.ready(BOTH)
        self.assertEqual(worker.methods, {"has_request": True, "has_requests": True})
        self.assertEqual(worker.ask(1, {"a": 1}), ("RESULT", {"y": ["request", {"a": 1}]}))

    def test_a_list_goes_to_requests_in_one_call(self):
        worker = self.ready(BOTH)
        expected = [{"y": ["requests", {"a": 1}]}, {"y": ["requests", {"a": 2}]}]
        self.assertEqual(worker.ask(1, [{"a": 1}, {"a": 2}], many=True), ("RESULT", expected))

    def test_a_single_payload_for_requests_alone_is_a_list_of_one(self):
        worker = self.ready(MANY)
        self.assertEqual(worker.methods, {"has_request": False, "has_requests": True})
        self.assertEqual(worker.ask(1, {"a": 1}), ("RESULT", {"y": ["requests", 1, {"a": 1}]}))

    def test_a_list_for_request_alone_is_a_call_for_each(self):
        worker = self.ready(ONE)
        expected = [{"y": ["request", 1]}, {"y": ["request", 2]}]
        self.assertEqual(worker.ask(1, [1, 2], many=True), ("RESULT", expected))
        self.assertEqual(worker.ask(2, [], many=True), ("RESULT", []))

    def test_neither_method_is_an_error_of_each_call(self):
        worker = self.ready("class Deployment:\n    request = 5\n")
        self.assertEqual(worker.methods, {"has_request": False, "has_requests": False})
        for many in (False, True):
            _, error = worker.ask(1, [], many=many)
            self.assertEqual(
                error["message"], "The class 'Deployment' has neither a method 'request' nor a method 'requests'"
            )

    def test_requests_may_answer_many_with_one(self):
        worker = self.ready("class Deployment:\n    def requests(self, data):\n        return {'y': len(data)}\n")
        self.assertEqual(worker.ask(1, [1, 2, 3], many=True), ("RESULT", {"y": 3}))
        self.assertEqual(worker.ask(2, 1), ("RESULT", {"y": 1}))

    def test_request_may_answer_one_with_many(self):
        worker = self.ready("class Deployment:\n    def request(self, data):\n        return [{'y': 1}, {'y': 2}]\n")
        self.assertEqual(worker.ask(1, {}), ("RESULT", [{"y": 1}, {"y": 2}]))

    def test_methods_may_be_set_by_the_constructor(self):
        worker = self.ready(
            "class Deployment:\n    def __init__(self):\n        self.request = lambda data: {'y': data}\n"
        )
        self.assertEqual(worker.ask(1, 7), ("RESULT", {"y": 7}))

    def test_async_methods_run_to_completion_on_one_loop(self):
        worker = self.ready(
            """
            import asyncio
            class Deployment:
                async def request(self, data):
                    await asyncio.sleep(0)
                    loop = id(asyncio.get_running_loop())
                    same = getattr(self, "loop", loop) == loop
                    self.loop = loop
                    return {"y": [data, same]}
                async def requests(self, data, context):
                    return [await self.request(context["id"])]
            """
        )
        self.assertEqual(worker.ask(1, 1), ("RESULT", {"y": [1, True]}))
        self.assertEqual(worker.ask(2, 2), ("RESULT", {"y": [2, True]}))
        self.assertEqual(worker.ask(3, [2], many=True), ("RESULT", [{"y": ["a-request", True]}]))

    def test_an_async_method_for_each_item_of_a_list(self):
        worker = self.ready("class Deployment:\n    async def request(self, data):\n        return {'y': data}\n")
        self.assertEqual(worker.ask(1, [1, 2], many=True), ("RESULT", [{"y": 1}, {"y": 2}]))


class Context(WorkerTest):
    def seen(self, method, many=False):
        worker = self.serving(method, output_type="plain")
        name, result = worker.ask(1, ["data"] if many else "data", many=many)
        self.assertEqual(name, "RESULT", (result, worker.logs))
        return result

    def test_it_is_passed_only_to_two_parameters_of_which_one_is_called_context(self):
        context = dict(REQUEST_CONTEXT, streaming_update=True)
        show = "dict(context, streaming_update=callable(context['streaming_update']))"
        for head in ("data, context", "context, data", "data, *, context", "data, context=None"):
            self.assertEqual(
                self.seen("def request(self, %s):\n    return [data, %s]" % (head, show)), ["data", context]
            )
        for head in ("data", "data, ctx=None", "data, context=None, other=None", "data, **kwargs", "*args"):
            method = "def request(self, %s):\n    return repr(sorted(map(repr, locals().values())))" % head
            self.assertNotIn("a-request", self.seen(method))
        many = self.seen("def requests(self, data, context):\n    return [data, context['user_id']]", many=True)
        self.assertEqual(many, [["data"], "a-user"])

    def test_static_and_class_methods_and_callables_count_alike(self):
        self.assertEqual(
            self.seen("@staticmethod\ndef request(data, context):\n    return [data, context['id']]"),
            ["data", "a-request"],
        )
        self.assertEqual(
            self.seen("@classmethod\ndef request(cls, data, context):\n    return [data, context['id']]"),
            ["data", "a-request"],
        )
        worker = self.ready(
            """
            import functools
            def answer(extra, data, context):
                return [extra, data, context["id"]]
            class Deployment:
                def __init__(self):
                    self.request = functools.partial(answer, "extra")
            """,
            output_type="plain",
        )
        self.assertEqual(worker.ask(1, "data"), ("RESULT", ["extra", "data", "a-request"]))


class Order(WorkerTest):
    def test_calls_run_in_order_and_started_comes_with_the_result_before(self):
        worker = self.serving("def request(self, data):\n    return {'y': data}")
        worker.send_raw(b"".join(worker.call_bytes(number, number / 2) for number in (5, 3, 9)))
        expected = []
        for number in (5, 3, 9):
            expected += [("STARTED", number), ("RESULT", number, {"y": number / 2})]
        self.assertEqual([worker.frame() for _ in expected], expected)

    def test_started_of_the_next_call_is_in_the_same_write_as_the_result(self):
        worker = self.serving("def request(self, data):\n    return {'y': 0}")
        before = _writes(worker)
        worker.send_raw(b"".join(worker.call_bytes(number, None) for number in range(1, 101)))
        for number in range(1, 101):
            self.assertEqual(worker.answer(number)[0], "RESULT")
        self.assertLessEqual(_writes(worker) - before, 110)

    def test_a_large_payload_goes_both_ways(self):
        worker = self.serving("def request(self, data):\n    return {'y': data[::-1]}", fields=(("y", "string"),))
        text = "0123456789é" * 300000
        small = worker.call_bytes(1, "ab")
        worker.send_raw(small + worker.call_bytes(2, text) + worker.call_bytes(3, "cd"))
        self.assertEqual(worker.answer(1), ("RESULT", {"y": "ba"}))
        self.assertEqual(worker.answer(2), ("RESULT", {"y": text[::-1]}))
        self.assertEqual(worker.answer(3), ("RESULT", {"y": "dc"}))

    def test_frames_may_arrive_in_any_pieces(self):
        worker = self.serving("def request(self, data):\n    return {'y': data}", fields=(("y", "string"),))
        data = b"".join(worker.call_bytes(number, "x" * number * 999) for number in range(1, 9))
        for at in range(0, len(data), 777):
            worker.send_raw(data[at : at + 777])
        for number in range(1, 9):
            self.assertEqual(worker.answer(number), ("RESULT", {"y": "x" * number * 999}))


def _writes(worker):
    with open("/proc/%d/io" % worker.process.pid) as file:
        return int(next(line for line in file if line.startswith("syscw")).split()[1])


class Stop(WorkerTest):
    def test_stop_comes_after_the_calls_before_it_and_ends_with_zero(self):
        worker = self.ready(
            """
            import atexit
            class Deployment:
                def request(self, data):
                    return {"y": 1}
                def stop(self):
                    atexit.register(print, "bye")
                    print("stopping")
            """
        )
        worker.send_raw(worker.call_bytes(1, {}) + worker.call_bytes(2, {}))
        worker.send(0x44)
        self.assertEqual(worker.answer(1)[0], "RESULT")
        self.assertEqual(worker.answer(2)[0], "RESULT")
        self.assertEqual(worker.frame(), ("STOPPED",))
        self.assertEqual(worker.lines(0), ["stopping", "bye"])
        self.assertEqual(worker.end()[0], 0)

    def test_a_failing_stop_is_logged_and_threads_do_not_hold_the_process(self):
        worker = self.ready(
            """
            import threading
            class Deployment:
                def request(self, data):
                    return {"y": 1}
                async def stop(self):
                    threading.Thread(target=threading.Event().wait).start()
                    raise OSError("no")
            """
        )
        worker.send(0x44)
        self.assertEqual(worker.frame(), ("STOPPED",))
        self.assertIn((0, 1, "OSError: no"), worker.logs)
        self.assertEqual(worker.end()[0], 0)


if __name__ == "__main__":
    unittest.main()
