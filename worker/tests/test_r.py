"""The worker in R, driven over its two pipes as the relay drives it. Needs R 4 with its package jsonlite."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import unittest

from driver import PATIENCE, ROOT, Worker, WorkerTest, frames

MAIN = os.path.join(ROOT, "modelyard_r", "main.R")
ARGUMENTS = ["--instance", "an-instance", "--epoch", "3", "--process", "1"]


class Pipes:
    """Two named pipes in the place of a socket; the relay keeps both ends of each open."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="worker-r-")
        self.names = [os.path.join(self.folder, name) for name in ("from", "to")]
        for name in self.names:
            os.mkfifo(name)
        self.ends = [os.open(name, os.O_RDWR) for name in self.names]
        self.process = None

    def sendall(self, data):
        while data:
            data = data[os.write(self.ends[0], data) :]

    def recv(self, size):
        while not select.select([self.ends[1]], [], [], 0.1)[0]:
            if self.process.poll() is not None and not select.select([self.ends[1]], [], [], 0)[0]:
                return b""
        return os.read(self.ends[1], size)

    def close(self):
        for end in self.ends:
            os.close(end)
        shutil.rmtree(self.folder)


class RWorker(Worker):
    """A running worker in R."""

    def __init__(self, folder):
        self.folder, self.logs, self.files, self.socket = folder, [], [], Pipes()
        self.process = subprocess.Popen(
            ["R", "--vanilla", "--no-echo", "--file=" + MAIN, "--args", *ARGUMENTS]
            + ["--from", self.socket.names[0], "--to", self.socket.names[1]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=dict(os.environ, LANG="C.UTF-8"),
        )
        self.socket.process = self.process
        self._buffer, self._signalling = b"", False

    def _receive(self):
        return self.socket.recv(1 << 20)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)


class RTest(WorkerTest):
    def folder_of(self, code):
        folder = self.package()
        with open(os.path.join(folder, "deployment.R"), "w") as file:
            file.write(code)
        return folder

    def worker_of(self, code, **settings):
        worker = RWorker(self.folder_of(code))
        self.addCleanup(worker.close)
        worker.start(**settings)
        return worker

    def ready_in_r(self, code, **settings):
        worker = self.worker_of(code, **settings)
        frame = worker.until("READY", "FATAL")
        self.assertEqual(frame[0], "READY", frame)
        return worker

    def evaluating(self, before=""):
        """A worker that evaluates the text it gets, with plain input and output."""
        code = before + "\nrequest <- function(input_data, base_directory, context) eval(parse(text = input_data))\n"
        return self.ready_in_r(code, input_type="plain", output_type="plain", output_fields=[])

    def evaluated(self, worker, number, text):
        return worker.ask(number, text=text)


class Start(RTest):
    def test_it_says_hello_and_how_far_it_is(self):
        worker = self.worker_of("request <- function(data) data")
        name, hello = worker.frame()
        self.assertEqual((name, hello["protocol"], hello["instance"], hello["epoch"]), ("HELLO", 1, "an-instance", 3))
        self.assertRegex(hello["r"], r"^4\.")
        self.assertEqual(worker.frame()[1]["phase"], "import")
        self.assertEqual(worker.frame()[1]["phase"], "init")
        self.assertEqual(worker.frame(), ("READY", {"has_request": True, "has_requests": False}))

    def test_what_cannot_be_served_is_fatal(self):
        for code, kind, message in [
            ("init <- function(a, b) 1", "missing", "deployment.R has no function 'request'"),
            ("x <- (\n", "import", "deployment.R line 2: unexpected end of input"),
            ("x <- 1\nstop('no')\n", "import", "deployment.R line 2: no"),
            ("init <- function() stop('no')\nrequest <- function(x) x", "init", "Failed to initialise the deployment."),
        ]:
            worker = self.worker_of(code)
            name, told = worker.until("READY", "FATAL")
            self.assertEqual((name, told["kind"]), ("FATAL", kind), told)
            self.assertTrue(told["message"].startswith(message), told)
            self.assertEqual(worker.end()[0], 1)

    def test_a_missing_main_file_is_fatal(self):
        worker = RWorker(self.package())
        self.addCleanup(worker.close)
        worker.start(main_file="../deployment")
        self.assertEqual(worker.until("READY", "FATAL")[1]["kind"], "missing")

    def test_functions_get_as_many_values_as_they_take(self):
        code = """
            init <- function(base_directory) where <<- base_directory
            request <- function(...) paste(where == getwd(), ...length(), where == ..2, ..3$id)
        """
        worker = self.ready_in_r(code, input_type="plain", output_type="plain")
        self.assertEqual(worker.ask(1, text="x"), ("RESULT", "TRUE 3 TRUE a-request"))

    def test_stop_runs_the_last_function_and_ends_with_0(self):
        worker = self.ready_in_r("request <- function(x) x\n.Last <- function() message('goodbye')")
        worker.send(frames.STOP)
        self.assertEqual(worker.frame(), ("STOPPED",))
        self.assertEqual(worker.lines(), ["goodbye"])
        self.assertEqual(worker.end()[0], 0)


class Calls(RTest):
    def test_user_code_may_take_what_it_likes_from_the_global_environment(self):
        worker = self.evaluating("rm(list = ls(all.names = TRUE))\nc <- paste <- send <- receive <- wire <- NULL\n")
        self.assertEqual(self.evaluated(worker, 1, "1 + 1"), ("RESULT", 2))
        self.assertEqual(self.evaluated(worker, 2, "rm(c, paste, envir = globalenv()); 3"), ("RESULT", 3))

    def test_each_call_begins_in_the_folder_of_the_package(self):
        worker = self.evaluating()
        self.assertEqual(self.evaluated(worker, 1, "{ setwd('/'); getwd() }"), ("RESULT", "/"))
        self.assertEqual(self.evaluated(worker, 2, "getwd()"), ("RESULT", worker.folder))

    def test_an_interrupt_breaks_off_the_call_in_work_alone(self):
        worker = self.evaluating()
        worker.call(1, text="{ context$streaming_update('in work'); Sys.sleep(600) }")
        self.assertEqual(worker.until("UPDATE")[2], "in work")
        worker.interrupt()
        self.assertEqual(worker.answer(1)[1]["kind"], "cancelled")
        worker.interrupt()  # too late for anything
        self.assertEqual(self.evaluated(worker, 2, "{ for (i in 1:1e6) i; 'whole' }"), ("RESULT", "whole"))

    def test_messages_and_warnings_are_information_and_errors_have_their_calls(self):
        worker = self.evaluating("f <- function(x) g(x)\ng <- function(x) stop('deep')")
        self.evaluated(worker, 1, "{ message('told'); warning('warned'); f(1) }")
        levels = {line.strip(): level for _, level, line in worker.logs}
        self.assertEqual(levels["told"], 0)
        self.assertEqual(levels["Warning in eval(parse(text = input_data)): warned"], 0)
        self.assertEqual(levels["Error in g(x): deep"], 1)
        self.assertTrue(any(line.endswith("g(x)") for line in levels), levels)

    def test_the_calls_of_an_error_are_those_of_user_code(self):
        worker = self.ready_in_r(
            "f <- function(x) stop(g(x))\ng <- function(x) do.call(h, list(x))\nh <- function(x) log(x)\n"
            "request <- function(data) f('a')\n"
        )
        worker.ask(1, {})
        calls = [line.strip() for line in worker.lines(1)]
        self.assertEqual(calls[0], "Error in log(x): non-numeric argument to mathematical function")
        self.assertEqual(calls[2], "request(input_data)")
        self.assertEqual(calls[3:5], ["deployment.R line 4: f(\"a\")", "deployment.R line 1: stop(g(x))"])
        self.assertEqual(len(calls), 8, calls)

    def test_captured_output_has_no_messages_in_it(self):
        worker = self.evaluating()
        told = self.evaluated(worker, 1, "capture.output({ message('told'); cat('printed') })")
        self.assertEqual(told, ("RESULT", "printed"))
        self.assertEqual(worker.lines(1), ["told"])

    def test_a_forked_child_does_not_talk_to_the_server(self):
        worker = self.evaluating()
        code = "unlist(parallel::mclapply(1:3, function(i) { message('child'); context$streaming_update('x'); i * 2 }))"
        self.assertEqual(self.evaluated(worker, 1, code), ("RESULT", [2, 4, 6]))
        self.assertEqual(worker.lines(), [])

    def test_updates_are_bounded_and_end_with_their_call(self):
        worker = self.evaluating()
        self.assertEqual(self.evaluated(worker, 1, "{ kept <<- context$streaming_update; 1 }"), ("RESULT", 1))
        self.assertEqual(self.evaluated(worker, 2, "{ kept('late'); 2 }"), ("RESULT", 2))
        name, told = self.evaluated(worker, 3, "context$streaming_update(strrep('x', 2^21))")
        self.assertEqual((name, told["kind"]), ("ERROR", "exception"))

    def test_bad_bodies_are_errors_of_input(self):
        worker = self.ready_in_r("request <- function(data) list(y = 1)")
        for number, body in enumerate([b"{", b"", b'{"x":"\xff"}', b"\0", b"[1] x"], 1):
            name, told = worker.ask(number, body=body)
            self.assertEqual((name, told["kind"]), ("ERROR", "input"), body)
        name, told = worker.ask(9, body=b"{}", many=True)
        self.assertEqual((name, told["kind"]), ("ERROR", "input"))
        self.assertEqual(worker.ask(10, {}), ("RESULT", {"y": 1}))

    def test_addresses_are_not_fetched_and_files_not_read(self):
        worker = self.ready_in_r("request <- function(data) paste(data)", input_type="plain", output_type="plain")
        name, told = worker.ask(1, body=b"http://127.0.0.1:9/x")
        self.assertEqual((name, told["kind"]), ("ERROR", "input"), told)
        name, told = worker.ask(2, body=b"/etc/passwd")
        self.assertEqual((name, told["kind"]), ("ERROR", "input"), told)

    def test_text_survives_both_ways(self):
        worker = self.ready_in_r("request <- function(data) data", input_type="plain", output_type="plain")
        for number, text in enumerate(["", "ü€😀", 'a"b\\c\n\t\x01', "x" * 300_000], 1):
            self.assertEqual(worker.ask(number, text=text), ("RESULT", text))
            self.assertEqual(worker.ask(number + 100, text), ("RESULT", text))

    def test_numbers_survive_both_ways(self):
        worker = self.ready_in_r("request <- function(data) list(y = data$x)", fields=(("y", "array_double"),))
        numbers = [0.1, 1 / 3, 1e-300, 1.7976931348623157e308, -0.0, 5e-324, 123456789.123456789, 2**53, 3]
        self.assertEqual(worker.ask(1, {"x": numbers}), ("RESULT", {"y": numbers}))


class Files(RTest):
    """The relay's part, which has the descriptors, is played by the test."""

    FIELDS = [{"name": "one", "data_type": "file"}, {"name": "all", "data_type": "array_file"}]

    def give(self, worker, call, *paths):
        for index, path in enumerate(paths):
            worker.send(frames.INPUT_FILE, struct.pack(">QI", call, index) + path.encode())

    def heard(self, worker):
        """The files of an answer as (call, index, path), and what it ended with."""
        files = []
        while True:
            name, payload = worker.raw_frame()
            if name == "OUTPUT_FILE":
                files.append((*struct.unpack_from(">QI", payload), payload[12:].decode()))
            if name in ("RESULT", "ERROR"):
                return files, name, json.loads(payload[8 + (name == "RESULT") :])

    def test_values_become_the_paths_that_came_before_the_call(self):
        worker = self.ready_in_r(
            "request <- function(data) list(y = data)",
            fields=(("y", "dict"),),
            input_files=self.FIELDS,
            context={"input_fields": self.FIELDS},
        )
        self.give(worker, 1, "/a b", "/ü", "/c")
        data = {"all": ["u:1", "u:2"], "other": "u:4", "one": "u:3"}
        wanted = {"all": ["/ü", "/c"], "other": "u:4", "one": "/a b"}
        self.assertEqual(worker.ask(1, data), ("RESULT", {"y": wanted}))
        wanted = {"one": None, "all": []}
        self.assertEqual(worker.ask(2, wanted), ("RESULT", {"y": wanted}))
        self.give(worker, 3, "/x", "/y")
        name, answer = worker.ask(3, [{"one": "u"}, {"one": None}, {"all": ["u"]}], many=True)
        self.assertEqual([item["y"] for item in answer], [{"one": "/x"}, {"one": None}, {"all": "/y"}])

    def test_as_many_files_as_the_call_names_must_come(self):
        for paths in ((), ("/a", "/b")):
            worker = self.ready_in_r("request <- function(data) data", input_files=self.FIELDS)
            self.give(worker, 1, *paths)
            worker.call(1, {"one": "u"})
            code, stderr = worker.end()
            self.assertEqual(code, 70)
            self.assertIn("a call names 1 files, and %d came" % len(paths), stderr)

    def test_files_of_an_answer_are_told_before_it(self):
        worker = self.ready_in_r(
            """
            request <- function(data) {
                writeLines('x', 'x.txt')
                list(one = list(file = 'x.txt', bucket = 'k'), all = c('ubiops-file://a/b', file.path(getwd(), 'x.txt')))
            }
            """,
            output_fields=self.FIELDS,
        )
        path = worker.folder + "/x.txt"
        for number in (1, 2):
            worker.call(number, {})
            files, name, answer = self.heard(worker)
            self.assertEqual(files, [(number, 0, path), (number, 1, path)])
            sent = [
                {"descriptor": index, "name": "x.txt", "bucket": bucket, "bucket_file": None}
                for index, bucket in ((0, "k"), (1, None))
            ]
            self.assertEqual((name, answer), ("RESULT", {"one": sent[0], "all": ["ubiops-file://a/b", sent[1]]}))

    def test_what_is_no_file_is_refused_with_its_field(self):
        worker = self.ready_in_r("request <- function(data) list(y = data$y)", fields=(("y", "file"),))
        for number, (value, expected) in enumerate(
            (
                ("none", "'y' names the file 'none', which cannot be read: No such file or directory"),
                ("/", "'y' names the file '/', which cannot be read: Is a directory"),
                (3, "'y' must be of type file, not integer"),
                ({"bucket": "b"}, "'y' must be of type file, not a list without a path in 'file'"),
                ({"file": "/x", "bucket": 3}, "'y' must be of type file, not a list whose 'bucket' is of type integer"),
                ({"file": "ubiops-file://a/b"}, "'y' must be of type file, not a list with a URI in 'file'"),
            ),
            1,
        ):
            worker.call(number, {"y": value})
            files, name, error = self.heard(worker)
            self.assertEqual((files, name, error["kind"]), ([], "ERROR", "output"))
            self.assertEqual(error["message"], "The output field " + expected)
        worker = self.ready_in_r(
            "request <- function(data) list(y = rep(file.path(getwd(), 'deployment.R'), data$count))",
            fields=(("y", "array_file"),),
        )
        worker.call(1, {"count": 1001})
        files, name, error = self.heard(worker)
        self.assertEqual((len(files), name), (1000, "ERROR"))
        self.assertIn("names one file more than the 1000 an answer may have", error["message"])
        worker.call(2, {"count": 1000})
        self.assertEqual(self.heard(worker)[0][-1][:2], (2, 999))


class Install(unittest.TestCase):
    def repository(self, profile, given):
        script = os.path.join(ROOT, "..", "crates", "runner", "src", "environments", "r", "install.R")
        with tempfile.TemporaryDirectory() as folder:
            for name, code in [("profile.R", profile), ("install_packages.R", "cat(getOption('repos'))")]:
                with open(os.path.join(folder, name), "w") as file:
                    file.write(code + "\n")
            command = ["R", "--no-save", "--no-restore", "--no-environ", "--no-init-file", "--no-echo", "--file=" + script]
            done = subprocess.run(
                command + ["--args", "library", given, "install_packages.R"],
                stdout=subprocess.PIPE,
                cwd=folder,
                env=dict(os.environ, R_PROFILE=os.path.join(folder, "profile.R")),
                timeout=PATIENCE,
                check=True,
            )
            return done.stdout.decode()

    def test_the_repository_is_the_given_one_or_the_hosts(self):
        hosts = "options(repos = c(CRAN = 'https://r.example.org/'))"
        self.assertEqual(self.repository(hosts, ""), "https://r.example.org")
        self.assertEqual(self.repository(hosts, "https://other.example.org/"), "https://other.example.org")
        self.assertEqual(self.repository("", ""), "@CRAN@")


class Check(unittest.TestCase):
    def check(self, code):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "deployment.R"), "w") as file:
                file.write(code)
            command = ["R", "--vanilla", "--no-echo", "--file=" + os.path.join(ROOT, "modelyard_r", "check.R")]
            done = subprocess.run(
                command + ["--args", folder, "deployment"], stdout=subprocess.PIPE, timeout=PATIENCE, check=True
            )
            return json.loads(done.stdout)

    def test_functions_are_found_without_running_anything(self):
        fine = {"ok": True, "has_request": True, "has_requests": False}
        for code in [
            "request <- function(x) x; stop('not run')",
            "request = function(x) x",
            "if (TRUE) { 'request' <- identity }",
            "source('other.R')",
            "local({ x <- 1 })\nassign('request', identity)",
            "a <- request <- function(x) x",
            "x[, 1]; request <<- function() 1",
        ]:
            self.assertEqual(self.check(code), fine, code)
        for code in ["", "f <- function() { request <- 1 }", "init <- function() 1"]:
            self.assertEqual(self.check(code)["message"], "deployment.R has no function 'request'", code)
        self.assertEqual(self.check("x <- 1\n)")["line"], 2)


if __name__ == "__main__":
    unittest.main()
