"""Which lines of output become which lines of log, for which call, at which level, and when."""

import os
import unittest

from driver import WorkerTest

from modelyard_worker.levels import stderr_lines


class Logs(WorkerTest):
    def logged(self, method, **settings):
        worker = self.serving(method, **settings)
        name, content = worker.ask(1)
        self.assertEqual(name, "RESULT", (content, worker.logs))
        return worker.logs

    def test_print_is_information_of_the_call_in_work(self):
        worker = self.serving(
            "def request(self, data):\n    print('line', data)\n    print('end', data, end='')\n    return {'y': 1}"
        )
        worker.send_raw(b"".join(worker.call_bytes(number, number) for number in range(1, 50)))
        for number in range(1, 50):
            worker.answer(number)
        expected = [(n, 0, text % n) for n in range(1, 50) for text in ("line %d", "end %d")]
        self.assertEqual(worker.logs, expected)

    def test_what_is_printed_before_ready_belongs_to_no_call(self):
        worker = self.ready(
            """
            import sys
            print("importing")
            class Deployment:
                def __init__(self):
                    print("making", end="")
                def request(self, data):
                    return {"y": 1}
            """
        )
        self.assertEqual(worker.logs, [(0, 0, "importing"), (0, 0, "making")])

    def test_the_logging_module_has_its_levels(self):
        logs = self.logged(
            """
            def request(self, data):
                import logging, sys
                logging.warning("mild")
                logging.error("severe")
                logging.getLogger().setLevel(logging.INFO)
                logging.info("told\\n  and more")
                print("plain", file=sys.stderr)
                return {"y": 1}
            """
        )
        expected = [
            (1, 0, "WARNING:root:mild"),
            (1, 1, "ERROR:root:severe"),
            (1, 0, "INFO:root:told"),
            (1, 0, "  and more"),
            (1, 1, "plain"),
        ]
        self.assertEqual(logs, expected)

    def test_lines_are_whole_whatever_the_pieces(self):
        logs = self.logged(
            """
            def request(self, data):
                import sys
                sys.stdout.write("a")
                sys.stdout.write("b\\nc\\n\\nd")
                sys.stdout.buffer.write("é€".encode()[:3])
                sys.stdout.buffer.write("é€".encode()[3:] + b"\\xff\\n")
                sys.stdout.writelines(["e\\r\\n", " 10%\\r", " 99%\\r", "100%\\n"])
                sys.stdout.flush()
                sys.stdout.close()
                assert not sys.stdout.isatty() and sys.stdout.writable() and sys.stdout.encoding == "utf-8"
                assert (sys.stdout.fileno(), sys.stderr.fileno()) == (1, 2)
                sys.stdout.reconfigure(line_buffering=True)
                print("\\ud800")
                return {"y": 1}
            """
        )
        lines = ["ab", "c", "", "dé€\\xff", "e", "100%", "\\ud800"]
        self.assertEqual(logs, [(1, 0, line) for line in lines])

    def test_long_lines_are_broken_and_frames_stay_small(self):
        worker = self.serving(
            "def request(self, data):\n    print('é' * 100000)\n    print('x\\n' * 100000)\n    return {'y': 1}"
        )
        worker.call(1)
        sizes, text = [], []
        while True:
            name, payload = worker.raw_frame()
            if name == "RESULT":
                break
            if name == "LOG":
                sizes.append(len(payload) + 1)
                text.append(payload[9:].decode())
        self.assertLessEqual(max(sizes), 64 << 10)
        joined = "\n".join(text)
        self.assertEqual(joined.count("é"), 100000)
        self.assertEqual(joined.count("x"), 100000)

    def test_lines_come_while_the_call_is_still_running(self):
        worker = self.serving(
            """
            def request(self, data):
                import os, time
                print("first")
                print("second")
                while not os.path.exists(data):
                    time.sleep(0.01)
                return {"y": 1}
            """
        )
        gate = os.path.join(worker.folder, "gate")
        worker.call(1, gate)
        seen = []
        while "second" not in seen:
            name, payload = worker.raw_frame()
            self.assertIn(name, ("STARTED", "LOG"))
            seen += payload[9:].decode().split("\n") if name == "LOG" else []
        open(gate, "w").close()
        self.assertEqual(worker.answer(1)[0], "RESULT")

    def test_threads_write_whole_lines(self):
        logs = self.logged(
            """
            def request(self, data):
                import threading
                def work(k):
                    for i in range(200):
                        print("thread %d line %d\\n" % (k, i), end="")
                threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
                [t.start() for t in threads]
                [t.join() for t in threads]
                return {"y": 1}
            """
        )
        expected = sorted("thread %d line %d" % (k, i) for k in range(4) for i in range(200))
        self.assertEqual(sorted(line for _, _, line in logs), expected)

    def test_a_thread_that_outlives_its_call_never_logs_for_it(self):
        worker = self.serving(
            """
            def request(self, data):
                import threading
                def work():
                    for i in range(20000):
                        print("thread", i)
                if data == 1:
                    threading.Thread(target=work, daemon=True).start()
                return {"y": 1}
            """
        )
        finished, lines = 0, 0
        worker.call(1, 1)
        import struct

        while lines < 20000:
            name, payload = worker.raw_frame()
            if name == "RESULT":
                finished = struct.unpack_from(">Q", payload)[0]
                if finished < 500:
                    worker.call(finished + 1, 0)
            elif name == "LOG":
                call = struct.unpack_from(">Q", payload)[0]
                self.assertTrue(call == 0 or call == finished + 1, (call, finished))
                lines += payload[9:].decode().count("\n") + 1

    def test_output_below_python_reaches_the_descriptors(self):
        worker = self.serving(
            "def request(self, data):\n    import os\n    os.system('echo below; echo beside >&2')\n    return {'y': 1}"
        )
        worker.ask(1)
        worker.send(0x44)
        stdout, stderr = worker.process.communicate()
        self.assertEqual((stdout, stderr), (b"below\n", b"beside\n"))

    def test_user_code_may_replace_the_streams(self):
        logs = self.logged(
            """
            def request(self, data):
                import contextlib, io, sys
                with contextlib.redirect_stdout(io.StringIO()) as caught:
                    print("caught")
                assert caught.getvalue() == "caught\\n"
                print("seen")
                sys.stdout = sys.stderr = None
                return {"y": 1}
            """
        )
        self.assertEqual(logs, [(1, 0, "seen")])


class Levels(unittest.TestCase):
    def levels(self, *lines):
        found = []
        for level, text in stderr_lines("\n".join(lines), 0):
            found += [level] * len(text.split("\n"))
        self.assertEqual(len(found), len(lines))
        return found

    def test_only_words_near_the_beginning_count(self):
        self.assertEqual(self.levels("INFO:a:b", "2024-01-01 10:00:00,1 - name - DEBUG - text"), [0, 0])
        self.assertEqual(self.levels("[WARNING] x", "WARN x", "level=INFO"), [0, 0, 0])
        self.assertEqual(self.levels("INFORMATION", "x" * 200 + " INFO", "plain"), [1, 1, 1])
        self.assertEqual(self.levels("ERROR INFO", "INFO an ERROR happened", "CRITICAL:x"), [1, 0, 1])

    def test_an_indented_line_has_the_level_of_the_one_before(self):
        self.assertEqual(self.levels("INFO a", "  b", "", "Traceback:", "  c", "KeyError"), [0, 0, 0, 1, 1, 1])


if __name__ == "__main__":
    unittest.main()
