"""How a deployment is found, imported and constructed, and what is said when it cannot be."""

import os
import unittest

from driver import MAIN, ROOT, WorkerTest

ECHO = """
    class Deployment:
        def request(self, data):
            return {"y": data["x"] * 2}
"""


class Start(WorkerTest):
    def test_it_says_hello_then_its_phases_then_ready(self):
        worker = self.worker(self.package(ECHO))
        name, hello = worker.frame()
        self.assertEqual((name, hello["protocol"], hello["instance"]), ("HELLO", 1, "an-instance"))
        self.assertEqual((hello["epoch"], hello["process"]), (3, 1))
        self.assertRegex(hello["python"], r"^3\.\d+\.\d+$")
        worker.start()
        phases = []
        frame = worker.frame()
        while frame[0] == "PHASE":
            phases.append(frame[1]["phase"])
            self.assertGreaterEqual(frame[1]["micros"], 0)
            frame = worker.frame()
        self.assertEqual(phases, ["interpreter", "import", "init"])
        self.assertEqual(frame, ("READY", {"has_request": True, "has_requests": False}))

    def test_wrong_arguments_end_it_with_its_usage(self):
        worker = self.worker(self.package(ECHO))
        worker.close()
        import subprocess
        import sys

        ended = subprocess.run([sys.executable, MAIN, "--fd", "x"], stderr=subprocess.PIPE)
        self.assertEqual(ended.returncode, 64)
        self.assertIn(b"usage:", ended.stderr)

    def test_the_main_file_may_be_named_with_or_without_its_extension(self):
        for name in ("my_model", "my_model.py"):
            worker = self.worker(self.package(my_model=ECHO))
            worker.start(main_file=name)
            worker.until("READY")
            self.assertEqual(worker.ask(1, {"x": 2}), ("RESULT", {"y": 4}))

    def test_a_main_file_whose_name_is_no_identifier_works(self):
        worker = self.worker(self.package(**{"my-model.v2": ECHO}))
        worker.start(main_file="my-model.v2")
        worker.until("READY")
        self.assertEqual(worker.ask(1, {"x": 2}), ("RESULT", {"y": 4}))

    def test_without_isolation_it_works_alike(self):
        worker = self.worker(self.package(ECHO), flags=())
        worker.start()
        worker.until("READY")
        self.assertEqual(worker.ask(1, {"x": 2}), ("RESULT", {"y": 4}))

    def test_the_working_directory_is_the_package(self):
        worker = self.serving(
            """
            def request(self, data):
                import os, sys
                return {"cwd": os.getcwd(), "path": sys.path[:2], "own": [p for p in sys.path if p in data],
                        "argv": sys.argv}
            """,
            fields=(("cwd", "string"), ("path", "array_string"), ("own", "array_string"), ("argv", "array_string")),
        )
        _, result = worker.ask(1, [ROOT, os.path.dirname(MAIN)])
        folder = worker.folder
        self.assertEqual(result["cwd"], folder)
        self.assertEqual(result["path"], [folder, os.path.join(folder, "libraries")])
        self.assertEqual(result["own"], [])
        self.assertEqual(result["argv"], [os.path.join(folder, "deployment.py")])

    def test_modules_come_from_the_package_first_then_from_libraries_then_from_pythonpath(self):
        elsewhere = self.package(
            third="where = 'pythonpath'", second="where = 'pythonpath'", first="where = 'pythonpath'"
        )
        folder = self.package(
            "import first, second, third\nclass Deployment:\n    def request(self, data):\n"
            "        return {'y': [first.where, second.where, third.where]}",
            first="where = 'package'",
            libraries__first="where = 'libraries'",
            libraries__second="where = 'libraries'",
        )
        worker = self.worker(folder, environment={"PYTHONPATH": elsewhere})
        worker.start(fields=(("y", "array_string"),))
        worker.until("READY")
        self.assertEqual(worker.ask(1), ("RESULT", {"y": ["package", "libraries", "pythonpath"]}))

    def test_user_modules_may_have_names_of_ours_and_of_the_standard_library(self):
        names = "json protocol frames wire codec inbox traceback select inspect modelyard tests".split()
        source = "import " + ", ".join(names) + "\nclass Deployment:\n    def request(self, data):\n"
        source += "        if data['x']: raise ValueError('still reported')\n"
        source += "        return {'y': [m.mine for m in (" + ", ".join(names) + ")]}"
        worker = self.worker(self.package(source, **{name: "mine = True" for name in names}))
        worker.start(fields=(("y", "dict"),), output_type="plain")
        worker.until("READY")
        self.assertEqual(worker.ask(1, {"x": 0}), ("RESULT", {"y": [True] * len(names)}))
        self.assertEqual(worker.ask(2, {"x": 1})[0], "ERROR")
        self.assertIn("ValueError: still reported", worker.lines(2))

    def test_pickles_of_the_main_module_find_their_classes(self):
        worker = self.serving(
            """
            def request(self, data):
                import pickle
                return {"y": type(pickle.loads(pickle.dumps(self))).__module__}
            """,
            fields=(("y", "string"),),
        )
        self.assertEqual(worker.ask(1), ("RESULT", {"y": "deployment"}))


class Constructor(WorkerTest):
    def constructed(self, head):
        """What a constructor with this head was given."""
        worker = self.ready(
            """
            class Deployment:
                def __init__(%s):
                    self.given = {k: v for k, v in locals().items() if k != "self"}
                def request(self, data):
                    return self.given
            """
            % head,
            output_type="plain",
        )
        return worker.folder, worker.ask(1)[1]

    def test_it_is_given_what_its_signature_names(self):
        context = {"deployment": "a-deployment", "process_id": 1}
        folder, given = self.constructed("self")
        self.assertEqual(given, {})
        folder, given = self.constructed("self, base_directory")
        self.assertEqual(given, {"base_directory": folder})
        folder, given = self.constructed("self, context")
        self.assertEqual(given, {"context": context})
        folder, given = self.constructed("self, context, base_directory=None, other=5")
        self.assertEqual(given, {"context": context, "base_directory": folder, "other": 5})
        folder, given = self.constructed("self, *, base_directory")
        self.assertEqual(given, {"base_directory": folder})
        folder, given = self.constructed("self, **kwargs")
        self.assertEqual(given, {"kwargs": {"base_directory": folder, "context": context}})

    def test_there_may_be_none_or_an_inherited_one(self):
        worker = self.ready(
            """
            class Base:
                def __init__(self, context):
                    self.process = context["process_id"]
            class Deployment(Base):
                def request(self, data):
                    return {"y": self.process}
            """
        )
        self.assertEqual(worker.ask(1), ("RESULT", {"y": 1}))

    def test_a_metaclass_a_decorator_and_a_function_are_seen_through(self):
        worker = self.ready(
            """
            import functools
            class Meta(type):
                def __call__(cls, *args, **kwargs):
                    return super().__call__(*args, **kwargs)
            def logged(f):
                @functools.wraps(f)
                def inner(*args, **kwargs):
                    return f(*args, **kwargs)
                return inner
            class Real(metaclass=Meta):
                @logged
                def __init__(self, base_directory):
                    self.there = base_directory
                @logged
                def request(self, data, context):
                    return {"y": context["id"] + self.there}
            def Deployment(base_directory):
                return Real(base_directory)
            """,
            fields=(("y", "string"),),
        )
        self.assertEqual(worker.ask(1), ("RESULT", {"y": "a-request" + worker.folder}))


class Failing(WorkerTest):
    def test_a_missing_main_file_is_named(self):
        fatal, _ = self.fatal(self.package(other="x = 1"))
        self.assertEqual(fatal["kind"], "missing")
        self.assertEqual(fatal["message"], "The package has no file 'deployment.py'")

    def test_a_missing_class_is_named(self):
        fatal, _ = self.fatal(self.package("class Deploy: pass"))
        self.assertEqual((fatal["kind"], fatal["message"]), ("missing", "deployment.py has no class 'Deployment'"))

    def test_a_missing_folder_is_said(self):
        fatal, _ = self.fatal("/nowhere/at/all")
        self.assertEqual(fatal["kind"], "missing")
        self.assertIn("cannot be entered", fatal["message"])

    def test_a_syntax_error_names_the_line(self):
        fatal, worker = self.fatal(self.package("x = 1\n\ndef broken(:\n    pass\n"))
        self.assertEqual((fatal["kind"], fatal["message"]), ("import", "deployment.py line 3: invalid syntax"))
        self.assertTrue(any("def broken(:" in line for line in worker.lines(0)))

    def test_an_import_error_names_the_line_of_the_package(self):
        fatal, worker = self.fatal(self.package("import helper\n", helper="x = 1\nimport not_there_at_all\n"))
        self.assertEqual(fatal["message"], "helper.py line 2: No module named 'not_there_at_all'")
        text = "\n".join(worker.lines(0))
        self.assertIn("ModuleNotFoundError", text)
        self.assertNotIn("modelyard_worker", text)
        self.assertNotIn("importlib", text)

    def test_an_exception_while_importing_names_the_line_and_itself(self):
        fatal, _ = self.fatal(self.package("x = 1\ny = x / 0\n"))
        self.assertEqual(fatal["message"], "deployment.py line 2: ZeroDivisionError: division by zero")
        fatal, _ = self.fatal(self.package("import sys\nsys.exit(4)\n"))
        self.assertEqual(fatal["message"], "deployment.py line 2: SystemExit: 4")

    def test_a_failing_constructor_keeps_its_reason_in_the_log(self):
        fatal, worker = self.fatal(
            self.package("class Deployment:\n    def __init__(self):\n        raise OSError('no disk')\n")
        )
        self.assertEqual(fatal["kind"], "init")
        self.assertEqual(fatal["message"], "Failed to initialise the deployment. See the logs for details.")
        self.assertIsNone(fatal["public_error_message"])
        self.assertIn((0, 1, "OSError: no disk"), worker.logs)

    def test_a_failing_constructor_may_say_something_to_the_caller(self):
        fatal, _ = self.fatal(
            self.package(
                """
                class Oops(BaseException):
                    public_error_message = "The model is not licensed"
                class Deployment:
                    def __init__(self):
                        raise Oops()
                """
            )
        )
        self.assertEqual(fatal["public_error_message"], "The model is not licensed")


if __name__ == "__main__":
    unittest.main()
