"""User code that misbehaves towards the worker: forks, descriptors, folders, sockets, threads."""

import os
import signal
import unittest

from driver import Closed, WorkerTest


class Forks(WorkerTest):
    def test_a_child_that_returns_from_the_request_answers_nothing(self):
        worker = self.serving(
            """
            def request(self, data):
                import os
                read, write = os.pipe()
                pid = os.fork()
                if pid == 0:
                    os.close(read)
                    print("from the child")
                    return {"y": -1}  # its copy of `write` closes when it has ended
                os.close(write)
                os.read(read, 1)
                return {"y": os.waitpid(pid, 0)[1]}
            """
        )
        worker.send_raw(b"".join(worker.call_bytes(number, 0) for number in (1, 2, 3)))
        for number in (1, 2, 3):
            self.assertEqual(worker.answer(number), ("RESULT", {"y": 0}))
        self.assertEqual(worker.logs, [])
        worker.send(0x44)
        self.assertEqual(worker.frame(), ("STOPPED",))
        self.assertEqual(worker.process.communicate()[0], b"from the child\n" * 3)

    def test_a_child_cannot_send_updates_and_exits_as_it_wants(self):
        worker = self.serving(
            """
            def request(self, data, context):
                import os, sys
                print("parent, unfinished", end="")
                pid = os.fork()
                if pid == 0:
                    for _ in range(100):
                        context["streaming_update"]("from the child")
                    print("child", file=sys.stderr)
                    sys.exit(5)
                return {"y": os.waitpid(pid, 0)[1] >> 8}
            """
        )
        worker.call(1)
        self.assertEqual([worker.frame(), worker.frame()], [("STARTED", 1), ("RESULT", 1, {"y": 5})])
        self.assertEqual(worker.lines(1), ["parent, unfinished"])

    def test_pools_of_processes_work(self):
        worker = self.ready(
            """
            import multiprocessing
            def square(x):
                print("in the pool")
                return x * x
            class Deployment:
                def request(self, data):
                    with multiprocessing.get_context(data).Pool(2) as pool:
                        return {"y": sum(pool.map(square, range(4)))}
            """
        )
        for number, way in enumerate(("fork", "spawn"), 1):
            self.assertEqual(worker.ask(number, way), ("RESULT", {"y": 14}), way)


class Descriptors(WorkerTest):
    def test_closing_the_low_descriptors_does_no_harm(self):
        worker = self.serving("def request(self, data):\n    import os\n    os.closerange(3, 256)\n    return {'y': 1}")
        for number in (1, 2):
            self.assertEqual(worker.ask(number), ("RESULT", {"y": 1}))

    def test_closing_the_socket_ends_the_worker_with_a_sentence(self):
        worker = self.serving(
            "def request(self, data):\n    import os\n    os.closerange(3, 9999)\n    return {'y': 1}"
        )
        worker.call(1)
        with self.assertRaises(Closed) as caught:
            worker.answer(1)
        self.assertIn("the socket to the server cannot be written", str(caught.exception))
        self.assertEqual(worker.process.returncode, 71)

    def test_children_of_user_code_do_not_inherit_the_socket(self):
        worker = self.serving(
            """
            def request(self, data):
                import subprocess, sys
                code = "import os; print(sorted(os.listdir('/proc/self/fd')))"
                out = subprocess.run([sys.executable, "-c", code], close_fds=False, stdout=subprocess.PIPE).stdout
                return {"y": out.decode().strip()}
            """,
            fields=(("y", "string"),),
        )
        self.assertEqual(worker.ask(1), ("RESULT", {"y": "['0', '1', '2', '3']"}))

    def test_stdout_and_stderr_may_be_closed(self):
        worker = self.serving(
            """
            def request(self, data):
                import os
                for descriptor in (0, 1, 2):
                    try:
                        os.close(descriptor)
                    except OSError:
                        pass
                print("still logged")
                return {"y": 1}
            """
        )
        for number in (1, 2):
            self.assertEqual(worker.ask(number), ("RESULT", {"y": 1}))
            self.assertEqual(worker.lines(number), ["still logged"])

    def test_a_message_eaten_by_user_code_ends_the_worker(self):
        worker = self.serving(
            """
            def request(self, data):
                import os, stat
                for number in range(3, 1024):
                    try:
                        if stat.S_ISSOCK(os.fstat(number).st_mode):
                            os.read(number, 3)
                    except OSError:
                        pass
                return {"y": 1}
            """
        )
        worker.call(1)
        worker.until("STARTED")
        worker.call(2)
        with self.assertRaises(Closed):
            for _ in range(9):
                worker.until("RESULT", "ERROR")
        self.assertEqual(worker.process.returncode, 70)


class Folders(WorkerTest):
    def test_each_request_begins_in_the_folder_the_constructor_left(self):
        worker = self.ready(
            """
            import os
            class Deployment:
                def __init__(self):
                    os.mkdir("home")
                    os.chdir("home")
                def request(self, data):
                    here = os.getcwd()
                    os.chdir("/")
                    return {"y": here}
            """,
            fields=(("y", "string"),),
        )
        for number in (1, 2):
            self.assertEqual(worker.ask(number), ("RESULT", {"y": os.path.join(worker.folder, "home")}))

    def test_deleting_its_own_folder_fails_no_other_request(self):
        worker = self.serving(
            """
            def request(self, data):
                import os, shutil
                if data:
                    shutil.rmtree(os.getcwd())
                raise ValueError("gone") if data else ValueError("there")
            """
        )
        for number, data in enumerate((0, 1, 0), 1):
            name, error = worker.ask(number, data)
            self.assertEqual((name, error["kind"]), ("ERROR", "exception"))
            self.assertIn("ValueError", worker.lines(number)[-1])


class Ends(WorkerTest):
    def test_an_exit_below_python_closes_the_socket(self):
        worker = self.serving("def request(self, data):\n    import os\n    os._exit(9)")
        worker.call(1)
        with self.assertRaises(Closed):
            worker.answer(1)
        self.assertEqual(worker.process.returncode, 9)

    def test_an_interrupt_from_the_terminal_is_not_for_the_worker(self):
        worker = self.serving("def request(self, data):\n    return {'y': 1}")
        for number in range(1, 5):
            worker.process.send_signal(signal.SIGINT)
            self.assertEqual(worker.ask(number), ("RESULT", {"y": 1}))

    def test_when_the_server_goes_the_worker_goes(self):
        worker = self.serving("def request(self, data):\n    return {'y': 1}")
        self.assertEqual(worker.ask(1)[0], "RESULT")
        worker.socket.close()
        code, stderr = worker.end()
        self.assertEqual((code, stderr), (71, "modelyard worker: the server closed the socket\n"))

    def test_a_thread_left_behind_does_not_disturb(self):
        worker = self.serving(
            """
            def request(self, data):
                import threading
                threading.Thread(target=threading.Event().wait).start()
                threading.Thread(target=lambda: 1 / 0).start()
                return {"y": 1}
            """
        )
        for number in range(1, 20):
            self.assertEqual(worker.ask(number), ("RESULT", {"y": 1}))
        worker.send(0x44)
        self.assertEqual(worker.frame(), ("STOPPED",))
        self.assertEqual(worker.end()[0], 0)


if __name__ == "__main__":
    unittest.main()
