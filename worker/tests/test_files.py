"""Files of calls and of answers, and what happens when either end does not keep to the contract."""

import os
import random
import shutil
import signal
import stat
import struct
import subprocess
import tempfile
import unittest

from driver import Closed, WorkerTest

from modelyard_worker import frames

FIELDS = [{"name": "one", "data_type": "file"}, {"name": "all", "data_type": "array_file"}]
URI = "ubiops-file://default/a/b.txt"
#: Answers with what it finds in the files it is given.
READING = """
def request(self, data):
    def read(path):
        with open(path) as file:
            return file.read()
    found = [data.get("one")] + (data.get("all") or [])
    return {"y": [[path, read(path)] for path in found if path]}
"""


class FilesTest(WorkerTest):
    def setUp(self):
        self.scratch = os.path.realpath(tempfile.mkdtemp(prefix="worker-files-"))
        self.addCleanup(subprocess.run, ["rm", "-rf", self.scratch])

    def reading(self, method=READING, **settings):
        """A worker that takes files, and answers one value of any kind."""
        settings.setdefault("input_files", FIELDS)
        settings.setdefault("output_fields", [{"name": "y", "data_type": "anything"}])
        return self.serving(method, environment={"TMPDIR": self.scratch}, **settings)

    def folders(self):
        """The folders of calls."""
        return os.listdir(os.path.join(self.scratch, "modelyard-requests", "1")) if self.made() else []

    def made(self):
        return os.path.isdir(os.path.join(self.scratch, "modelyard-requests", "1"))


class Inputs(FilesTest):
    def test_values_become_paths_in_their_order_and_files_go_with_their_call(self):
        worker = self.reading()
        for number in (7, 8):
            for index, name in enumerate(("a.txt", "b.txt", "b.txt")):
                worker.send_file(number, index, b"%d" % index, name)
            name, answer = worker.ask(number, {"one": URI, "all": [URI, URI]})
            folder = "%s/modelyard-requests/1/%d/" % (self.scratch, number)
            expected = [[folder + "0/a.txt", "0"], [folder + "1/b.txt", "1"], [folder + "2/b.txt", "2"]]
            self.assertEqual((name, answer), ("RESULT", {"y": expected}))
            self.assertEqual(self.folders(), [])

    def test_calls_without_files_work_alike(self):
        worker = self.reading()
        for number, data in enumerate(({}, {"one": None, "all": None}, {"all": []}), 1):
            self.assertEqual(worker.ask(number, data), ("RESULT", {"y": []}))
        self.assertFalse(self.made())

    def test_lists_and_packed_bodies_are_gone_through_item_by_item(self):
        worker = self.reading()
        items = [{"one": URI, "all": None}, {"one": None, "all": [URI]}, {"one": URI}]
        for number, more in ((1, {"data": items}), (2, {"packed": items})):
            for index in range(3):
                worker.send_file(number, index, b"%d" % index)
            name, answer = worker.ask(number, many=True, **more)
            self.assertEqual([[text for _, text in item["y"]] for item in answer], [["0"], ["1"], ["2"]])

    def test_several_calls_may_wait_with_their_files(self):
        worker = self.reading()
        for number in (1, 2, 3):
            worker.send_file(number, 0, b"%d" % number)
            worker.call(number, {"one": URI})
        for number in (1, 2, 3):
            self.assertEqual(worker.answer(number)[1]["y"][0][1], str(number))
        self.assertEqual(self.folders(), [])

    def test_the_position_of_the_descriptor_does_not_matter_and_it_is_closed(self):
        worker = self.reading("""
            def request(self, data):
                import os
                def link(fd):
                    try:
                        return os.readlink("/proc/self/fd/" + fd)
                    except OSError:
                        return ""  # that of the listing itself
                links = list(map(link, os.listdir("/proc/self/fd")))
                with open(data["one"], "r+") as file:
                    text = file.read()
                    file.write("mine")
                mode = os.stat(os.path.dirname(data["one"])).st_mode
                return {"y": [text, [link for link in links if "source" in link], mode]}
            """)
        with open(os.path.join(self.scratch, "source"), "w+") as file:
            file.write("whole" * 100_000)
            file.flush()
            worker.send_file(1, 0, file.fileno())
            text, links, mode = worker.ask(1, {"one": URI})[1]["y"]
            self.assertEqual((text, links, stat.S_IMODE(mode)), ("whole" * 100_000, [], 0o700))
            self.assertEqual(os.fstat(file.fileno()).st_size, 500_000)

    def test_names_are_made_safe(self):
        worker = self.reading()
        for number, (name, expected) in enumerate(
            (
                ("../../x", ".._.._x"),
                ("..", "file"),
                (".", "file"),
                ("", "file"),
                ("a\0b", "a_b"),
                ("ü" * 300 + ".png", "ü" * 111 + "ü" * 14 + ".png"),
            ),
            1,
        ):
            worker.send_file(number, 0, b"x", name)
            path = worker.ask(number, {"one": URI})[1]["y"][0][0]
            self.assertEqual(os.path.basename(path), expected)

    def test_a_thousand_files_are_taken(self):
        worker = self.reading()
        for index in range(1000):
            worker.send_file(1, index, b"%d" % index)
        self.assertEqual(
            [text for _, text in worker.ask(1, {"all": [URI] * 1000})[1]["y"]], list(map(str, range(1000)))
        )
        self.assertEqual(self.folders(), [])

    def test_files_are_gone_however_the_call_ends(self):
        worker = self.reading("""
            def request(self, data):
                import os, time
                os.symlink("/", os.path.dirname(data["one"]) + "/link")
                os.makedirs(os.path.dirname(data["one"]) + "/deep/er")
                if data["how"] == "raise":
                    raise ValueError
                if data["how"] == "output":
                    return {"y": object()}
                if data["how"] == "move":
                    os.rename(data["one"], data["to"])
                while data["how"] == "wait":
                    print("waits")
                    time.sleep(60)
                return {"y": 1}
            """)
        for number, how in enumerate(("raise", "output", "move", "return"), 1):
            worker.send_file(number, 0, b"x")
            name, _ = worker.ask(number, {"one": URI, "how": how, "to": self.scratch + "/kept"})
            self.assertEqual(name, "ERROR" if number < 3 else "RESULT")
            self.assertEqual(self.folders(), [])
        self.assertEqual(sorted(os.listdir(self.scratch)), ["kept", "modelyard-requests"])
        worker.send_file(9, 0, b"x")
        worker.call(9, {"one": URI, "how": "wait"})
        worker.until("STARTED")
        worker.cancel_running(9)
        self.assertEqual(worker.answer(9)[1]["kind"], "cancelled")
        self.assertEqual(self.folders(), [])
        # A body that cannot be read never names its file.
        worker.send_file(10, 0, b"x")
        self.assertEqual(worker.ask(10, body=b"{")[1]["kind"], "input")
        worker.send_file(11, 0, b"x")
        self.assertEqual(worker.ask(11, {"one": URI, "how": "return"}), ("RESULT", {"y": 1}))

    def test_what_cannot_be_removed_is_logged(self):
        worker = self.reading("""
            def request(self, data):
                import os
                os.chdir(os.path.dirname(data["one"]))
                for _ in range(3000):  # deeper than Python goes
                    os.mkdir("d")
                    os.chdir("d")
                return {"y": 1}
            """)
        worker.send_file(1, 0, b"x")
        self.assertEqual(worker.ask(1, {"one": URI}), ("RESULT", {"y": 1}))
        self.assertIn("The files of a request could not be removed: ", worker.lines(1)[0])
        worker.send_file(2, 0, b"x")
        self.assertEqual(worker.ask(2, {"one": URI})[0], "RESULT")

    def test_calls_taken_back_leave_nothing(self):
        worker = self.reading("""
            def request(self, data):
                import os, time
                count = len(os.listdir("/proc/self/fd"))
                if data["how"] == "wait":
                    end = time.monotonic() + 30
                    while not os.path.exists(data["until"]) and time.monotonic() < end:
                        time.sleep(0.01)
                return {"y": count}
            """)
        before = worker.ask(1, {"how": "count"})[1]["y"]
        until = os.path.join(self.scratch, "until")
        worker.call(2, {"how": "wait", "until": until})
        worker.until("STARTED")
        for number in (3, 4):
            worker.send_file(number, 0, b"x")
            worker.call(number, {"one": URI, "how": "count"})
        worker.recall(3)
        self.assertEqual(worker.answer(3)[1]["kind"], "cancelled")
        worker.cancel(4)
        worker.process.send_signal(signal.SIGURG)
        self.assertEqual(worker.answer(4)[1]["kind"], "cancelled")
        open(until, "w").close()
        self.assertEqual(worker.answer(2)[0], "RESULT")
        self.assertEqual(worker.ask(5, {"how": "count"}), ("RESULT", {"y": before}))
        self.assertEqual(self.folders(), [])

    def test_leftovers_of_a_process_before_are_removed(self):
        os.makedirs(self.scratch + "/modelyard-requests/1/77/0")
        open(self.scratch + "/modelyard-requests/1/77/0/file", "w").close()
        os.symlink("/", self.scratch + "/modelyard-requests/1/link")
        self.reading()
        self.assertEqual(os.listdir(self.scratch + "/modelyard-requests"), [])
        self.assertTrue(os.path.isdir("/usr"))

    def test_folders_that_user_code_makes_links_of_lead_nowhere(self):
        elsewhere = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, elsewhere)
        open(elsewhere + "/kept", "w").close()
        worker = self.reading("""
            def request(self, data):
                import os, shutil
                folder = os.path.dirname(os.path.dirname(data["one"]))
                shutil.rmtree(folder)
                os.symlink(data["to"], folder)
                return {"y": 1}
            """)
        worker.send_file(1, 0, b"x")
        self.assertEqual(worker.ask(1, {"one": URI, "to": elsewhere}), ("RESULT", {"y": 1}))
        self.assertEqual((os.listdir(elsewhere), self.folders()), (["kept"], []))

    def test_a_forked_child_leaves_the_files_to_its_parent(self):
        worker = self.reading("""
            def request(self, data):
                import os
                child = os.fork()
                if not child:
                    return {"y": 1}
                os.waitpid(child, 0)
                with open(data["one"]) as file:
                    return {"y": file.read()}
            """)
        worker.send_file(1, 0, b"still here")
        self.assertEqual(worker.ask(1, {"one": URI}), ("RESULT", {"y": "still here"}))
        self.assertEqual(self.folders(), [])

    def test_a_file_that_cannot_be_written_fails_its_call_only(self):
        worker = self.reading("""
            def request(self, data):
                import os, resource
                if data.get("fill"):
                    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))  # a host may allow a thousand million
                    self.held = []
                    try:
                        while True:
                            self.held.append(os.open("/dev/null", os.O_RDONLY))
                    except OSError:
                        pass
                elif data.get("empty"):
                    for fd in self.held:
                        os.close(fd)
                else:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (data["limit"], resource.RLIM_INFINITY))
                return {"y": 1}
            """)
        self.assertEqual(worker.ask(1, {"limit": 1000})[0], "RESULT")
        worker.send_file(2, 0, b"x" * 5000, "large.bin")
        name, error = worker.ask(2, {"one": URI})
        expected = "The file 'large.bin' cannot be given to the deployment: File too large"
        self.assertEqual((name, error["kind"], error["message"]), ("ERROR", "input", expected))
        self.assertEqual(self.folders(), [])
        self.assertEqual(worker.ask(3, {"fill": True})[0], "RESULT")
        worker.send_file(4, 0, b"x", "lost.txt")
        name, error = worker.ask(4, {"one": URI})
        expected = "The file 'lost.txt' cannot be given to the deployment: the process has too many open files"
        self.assertEqual((name, error["kind"], error["message"]), ("ERROR", "input", expected))
        self.assertEqual(worker.ask(5, {"empty": True})[0], "RESULT")
        worker.send_file(6, 0, b"x")
        self.assertEqual(worker.ask(6, {"one": URI, "limit": -1})[0], "RESULT")

    def test_a_full_disk_is_told(self):
        folder = os.path.join(self.scratch, "full")
        os.mkdir(folder)
        if os.system("mount -t tmpfs -o size=64k none %s 2>/dev/null" % folder):
            self.scratch = "/dev/full"  # no mounts here: not even a folder can be made there
        else:
            self.addCleanup(os.system, "umount " + folder)
            self.scratch = folder
        worker = self.reading()
        worker.send_file(1, 0, b"x" * 100_000, "large.bin")
        name, error = worker.ask(1, {"one": URI})
        self.assertEqual((name, error["kind"]), ("ERROR", "input"))
        self.assertIn("The file 'large.bin' cannot be given to the deployment: No", error["message"])


class Breaches(FilesTest):
    """The server is believed, but not blindly."""

    def broken(self, say, **settings):
        worker = self.reading(**settings)
        try:
            say(worker)
            while True:
                worker.frame()
        except (Closed, BrokenPipeError, ConnectionResetError):
            pass
        code, stderr = worker.end()
        self.assertEqual(code, 70, stderr)
        self.assertIn("the server broke the protocol: ", stderr)
        self.assertNotIn("Traceback", stderr)
        return stderr

    def test_each_kind_of_breach_ends_it_with_a_sentence(self):
        file = tempfile.TemporaryFile()
        self.addCleanup(file.close)
        own, folder = file.fileno(), os.open("/", os.O_RDONLY)
        self.addCleanup(os.close, folder)

        def one(worker):
            worker.send_file(1, 0, own)

        def call(worker, data=b"{}", number=1):
            worker.call(number, body=data)

        stop = struct.pack(">IB", 1, frames.STOP)
        for what, expected, say in (
            ("no descriptor", "without a descriptor", lambda w: w.send_raw(w.file_bytes(1, 0))),
            ("a descriptor with a call", "without a frame", lambda w: w.send_with(w.call_bytes(1, {}), own)),
            ("two descriptors", "several descriptors", lambda w: w.send_with(w.file_bytes(1, 0), own, own)),
            ("many descriptors", "several descriptors", lambda w: w.send_with(w.file_bytes(1, 0), *[own] * 50)),
            ("call 0", "is not the next", lambda w: w.send_file(0, 0, own)),
            ("a wrong index", "is not the next", lambda w: w.send_file(1, 1, own)),
            ("an index twice", "is not the next", lambda w: (one(w), one(w))),
            ("files of two calls", "is not the next", lambda w: (one(w), w.send_file(2, 0, own))),
            ("another call", "files of call 1 came without it", lambda w: (one(w), call(w, number=2))),
            ("another frame", "files of call 1 came without it", lambda w: (one(w), w.send_raw(stop))),
            ("a folder", "a descriptor is no file's", lambda w: w.send_file(1, 0, folder)),
            ("no UTF-8", "not UTF-8", lambda w: w.send_with(w.file_bytes(1, 0, "x").replace(b"x", b"\xff"), own)),
            ("too long a name", "of kind 0x46", lambda w: w.send_with(w.file_bytes(1, 0, "x" * 4097), own)),
            ("too few files", "names 1 files, and 0 came", lambda w: call(w, b'{"one":"u"}')),
            ("too many files", "names 0 files, and 1 came", lambda w: (one(w), call(w))),
            ("1,001 files", "is not the next", lambda w: [w.send_file(1, index, own) for index in range(1001)]),
            (
                "half a frame",
                "with a frame that is no file's",
                lambda w: (w.send_with(stop[:3], own), w.send_raw(stop[3:])),
            ),
        ):
            with self.subTest(what):
                self.assertIn(expected, self.broken(say))
        self.assertIn("no input field is for files", self.broken(one, input_files=[]))

    def test_a_descriptor_within_a_large_call_is_a_breach(self):
        with tempfile.TemporaryFile() as file:

            def say(worker):
                data = worker.call_bytes(1, {"x": "y" * 300_000})
                worker.send_raw(data[:100_000])
                worker.send_with(data[100_000:200_000], file.fileno())
                worker.send_raw(data[200_000:])

            self.assertIn("a descriptor came without a frame", self.broken(say))

    def test_random_files_and_calls_either_work_or_end_it(self):
        seeded = random.Random(20261130)
        ends = set()
        with tempfile.TemporaryFile() as file:
            for _ in range(40):
                worker = self.reading()
                try:
                    for _ in range(seeded.randrange(1, 40)):
                        self._say_something(worker, seeded, file.fileno())
                    worker.socket.shutdown(1)  # nothing more comes
                    while True:
                        worker.frame()
                except (Closed, BrokenPipeError, ConnectionResetError):
                    pass
                code, stderr = worker.end()
                self.assertIn(code, (70, 71), stderr)
                self.assertNotIn("Traceback", stderr)
                ends.add(code)
                self.assertFalse(any(files for _, _, files in os.walk(self.scratch)) and code == 71)
                worker.close()
        self.assertEqual(ends, {70, 71})

    def _say_something(self, worker, seeded, descriptor):
        """Mostly what the contract allows."""
        call = seeded.randrange(1, 1 << 60)
        count = seeded.randrange(3)
        said = seeded.random()
        for index in range(count + (said < 0.01)):
            frame = worker.file_bytes(call, index + (said > 0.99), "n" * seeded.randrange(300))
            cut = seeded.randrange(1, len(frame) + 1)
            worker.send_with(frame[:cut], *[descriptor] * (2 if 0.5 < said < 0.51 else 1))
            worker.send_raw(frame[cut:])
        if said < 0.98:
            data = worker.call_bytes(call, {"all": [URI] * count, "x": "y" * seeded.choice((1, 1, 200_000))})
            for at in range(0, len(data), 50_000):
                worker.send_raw(data[at : at + 50_000])
        if seeded.random() < 0.2:
            worker.cancel(call)

    def test_a_wrong_start_ends_it(self):
        for fields in (5, None, ["x"], [{"name": "x"}], [{"name": 1, "data_type": "file"}]):
            worker = self.worker(self.package("class Deployment: pass"))
            worker.start(input_files=fields)
            with self.assertRaises(Closed):
                while True:
                    worker.frame()
            self.assertIn("its start frame is wrong", worker.end()[1])


class Outputs(FilesTest):
    def test_files_of_an_answer_come_before_it_with_their_descriptors(self):
        worker = self.serving(
            """
            def request(self, data):
                import os
                os.makedirs("sub", exist_ok=True)
                os.chdir("sub")
                for name in "ab":
                    with open(name, "w") as file:
                        file.write(name + data["x"])
                print("done")
                return {"one": "a", "all": ["b", "ubiops-file://c/d", {"file": "a", "bucket": "k"}]}
            """,
            output_fields=FIELDS,
        )
        for number in (1, 2):  # twice: each call begins where the constructor ended, and counts anew
            worker.call(number, {"x": str(number)})
            self.assertEqual(worker.frame(), ("STARTED", number))
            for index in range(3):
                self.assertEqual(worker.frame(), ("OUTPUT_FILE", number, index))
            name, call, content = worker.frame()
            texts = [file.read().decode() for file in worker.files]
            self.assertEqual(texts, [name + str(number) for name in "aba"])
            for file in worker.files:
                file.close()
            worker.files = []
            sent = [
                {"descriptor": index, "name": name, "bucket": bucket, "bucket_file": None}
                for index, name, bucket in ((0, "a", None), (1, "b", None), (2, "a", "k"))
            ]
            self.assertEqual(content, {"one": sent[0], "all": [sent[1], "ubiops-file://c/d", sent[2]]})
        self.assertEqual(worker.lines(1), ["done"])

    def test_an_input_file_can_be_the_answer(self):
        worker = self.reading(
            "def request(self, data): return {'y': data['one']}", output_fields=[{"name": "y", "data_type": "file"}]
        )
        worker.send_file(1, 0, b"through", "in.txt")
        self.assertEqual(worker.ask(1, {"one": URI})[1]["y"]["name"], "in.txt")
        self.assertEqual(worker.files[0].read(), b"through")
        self.assertEqual(self.folders(), [])

    def test_what_cannot_be_sent_fails_the_call_only(self):
        worker = self.serving("def request(self, data): return {'y': data['path']}", fields=(("y", "file"),))
        for number, (path, expected) in enumerate(
            (
                ("none", "The output field 'y' names the file 'none', which cannot be read: No such file or directory"),
                ("/", "The output field 'y' names the file '/', which cannot be read: Is a directory"),
                ("/dev/zero", "The output field 'y' names '/dev/zero', which is no ordinary file"),
            ),
            1,
        ):
            name, error = worker.ask(number, {"path": path})
            self.assertEqual((name, error["kind"], error["message"]), ("ERROR", "output", expected))
        self.assertEqual(worker.ask(9, {"path": "deployment.py"})[1]["y"]["name"], "deployment.py")

    def test_a_later_value_that_does_not_fit_leaves_its_files_behind(self):
        worker = self.serving(
            "def request(self, data): return {'y': 'deployment.py', 'z': data['z']}",
            fields=(("y", "file"), ("z", "int")),
        )
        self.assertEqual(worker.ask(1, {"z": "no"})[1]["kind"], "output")
        self.assertEqual(worker.ask(2, {"z": 1})[1]["y"]["descriptor"], 0)

    def test_what_lies_there_when_it_is_opened_is_what_counts(self):
        worker = self.serving(
            """
            def request(self, data):
                import os, threading
                def swap():
                    while not self.over:
                        for target in ("deployment.py", "/proc/self/status", "/", "none", "pipe"):
                            os.symlink(target, "new")
                            os.replace("new", "link")
                self.over = False
                if not os.path.exists("pipe"):
                    os.mkfifo("pipe")
                thread = threading.Thread(target=swap, daemon=True)
                thread.start()
                self.__class__.last = self
                return {"y": ["link"] * 50}
            """,
            fields=(("y", "array_file"),),
        )
        for number in range(1, 20):
            name, answer = worker.ask(number, {})
            if name == "ERROR":
                self.assertEqual(answer["kind"], "output")
        for file in worker.files:
            self.assertTrue(stat.S_ISREG(os.fstat(file.fileno()).st_mode))
            self.assertIn(b"def request", file.read())

    @unittest.skipIf(os.getuid(), "only root can be somebody else")
    def test_a_link_leads_only_where_the_user_may_read(self):
        secret = os.path.join(self.scratch, "secret")
        with open(secret, "w") as file:
            file.write("of another user")
        os.chmod(secret, 0o600)
        os.chmod(self.scratch, 0o755)
        worker = self.serving(
            """
            def __init__(self):
                import os
                os.chmod(".", 0o777)
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            def request(self, data):
                import os
                os.symlink(data["to"], "link")
                return {"y": "link"}
            """,
            fields=(("y", "file"),),
        )
        name, error = worker.ask(1, {"to": secret})
        self.assertEqual((name, error["kind"]), ("ERROR", "output"))
        self.assertIn("names the file 'link', which cannot be read: Permission denied", error["message"])
        self.assertEqual(worker.files, [])

    def test_a_forked_child_sends_none(self):
        worker = self.serving(
            """
            def request(self, data):
                import os
                child = os.fork()
                if child:
                    os.waitpid(child, 0)
                return {"y": "deployment.py"}
            """,
            fields=(("y", "file"),),
        )
        self.assertEqual(worker.ask(1, {})[0], "RESULT")
        self.assertEqual(len(worker.files), 1)


if __name__ == "__main__":
    unittest.main()
