"""The static look at a package: what it finds without importing anything, and what it says otherwise."""

import json
import os
import subprocess
import sys
import unittest

from driver import ROOT, WorkerTest

CHECK = os.path.join(ROOT, "modelyard_worker", "check.py")


class Check(WorkerTest):
    def check(self, source=None, main_file="deployment", **files):
        folder = self.package(source, **files)
        ended = subprocess.run(
            [sys.executable, "-I", CHECK, folder, main_file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/"
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertEqual(ended.stdout.count(b"\n"), 1)
        return json.loads(ended.stdout)

    def found(self, source, **files):
        finding = self.check(source, **files)
        self.assertTrue(finding["ok"], finding)
        return finding["has_request"], finding["has_requests"]

    def refused(self, source=None, **more):
        finding = self.check(source, **more)
        self.assertFalse(finding["ok"])
        return finding["message"], finding["line"]

    def test_methods_of_the_class_are_found(self):
        self.assertEqual(self.found("class Deployment:\n  def request(self, d): pass"), (True, False))
        self.assertEqual(self.found("class Deployment:\n  async def requests(self, d): pass"), (False, True))
        self.assertEqual(self.found("class Deployment(object):\n  pass"), (False, False))
        self.assertEqual(self.found("class Deployment:\n  request = requests = print"), (True, True))
        self.assertEqual(
            self.found("class Deployment:\n  def __init__(self):\n    self.request = self.f"), (True, False)
        )
        self.assertEqual(
            self.found("if 1:\n  try: pass\n  except E:\n    class Deployment:\n      pass"), (False, False)
        )

    def test_nothing_is_imported_or_run(self):
        self.assertEqual(
            self.found("import not_there\n1/0\nclass Deployment:\n  def request(self, d): pass"), (True, False)
        )

    def test_inherited_methods_of_the_same_file_are_found(self):
        source = "class A:\n  def request(self, d): pass\nclass B(A): pass\nclass Deployment(B): pass"
        self.assertEqual(self.found(source), (True, False))

    def test_what_comes_from_elsewhere_counts_as_there(self):
        for source in (
            "from other import Deployment",
            "from other import Model as Deployment",
            "from other import *",
            "import other\nclass Deployment(other.Base): pass",
            "from other import Base\nclass Deployment(Base):\n  def request(self, d): pass",
            "class Deployment(Deployment): pass",
            "@decorate\nclass Deployment: pass",
            "class Deployment(metaclass=Meta): pass",
            "class Deployment:\n  def __getattr__(self, name): pass",
            "def Deployment(): pass",
            "Deployment = make()",
            "A, (Deployment, *C) = make()",
        ):
            self.assertEqual(self.found(source), (True, True), source)

    def test_the_main_file_may_be_named_either_way_and_must_be_inside(self):
        source = "class Deployment: pass"
        for name in ("model", "model.py"):
            self.assertTrue(self.check(main_file=name, model=source)["ok"])
        self.assertTrue(self.check(main_file="src/model", src__model=source)["ok"])
        self.assertEqual(self.refused(), ("The package has no file 'deployment.py'", None))
        for name in ("../x", "/etc/passwd", "", "deployment/"):
            self.assertIn("The package has no file", self.refused(source, main_file=name)[0])

    def test_a_missing_class_is_said(self):
        self.assertEqual(self.refused("class Other: pass"), ("deployment.py has no class 'Deployment'", None))
        self.assertEqual(self.refused(""), ("deployment.py has no class 'Deployment'", None))

    def test_a_syntax_error_names_its_line(self):
        self.assertEqual(self.refused("x = 1\n\nclass (:\n"), ("deployment.py line 3: invalid syntax", 3))
        message, line = self.refused("class Deployment:\n    pass\nreturn 5\n")
        self.assertEqual((message, line), ("deployment.py line 3: 'return' outside function", 3))
        message, line = self.refused("class Deployment:\n\tif 1:\n        pass\n")
        self.assertEqual(line, 3)

    def test_files_that_are_not_python_are_refused(self):
        self.assertIn("null bytes", self.refused(b"class Deployment:\0 pass")[0])
        for source in (b"# coding: nonsense\nx = 1", b"x = '\xff\xfe'\n", b"\xff\xfe\x00c", bytes(range(256))):
            message, _ = self.refused(source)
            self.assertTrue(message.startswith("deployment.py"), message)
        self.assertTrue(self.check(b"# coding: latin-1\nx = '\xe9'\nclass Deployment: pass")["ok"])
        self.assertTrue(self.check(b"\xef\xbb\xbfclass Deployment: pass")["ok"])

    def test_deep_nesting_is_refused(self):
        for source in ("(" * 5000, "x = " + "-" * 100000 + "1", "x = " + "[" * 150 + "]" * 150 + "[0]" * 100000):
            message, _ = self.refused(source)
            self.assertTrue(message.startswith("deployment.py"), message)

    def test_a_long_chain_of_bases_ends_with_a_sentence(self):
        chain = "".join("class C%d(C%d): pass\n" % (n + 1, n) for n in range(3000))
        source = "class C0: pass\n" + chain + "class Deployment(C3000): pass\n"
        self.assertEqual(self.refused(source), ("deployment.py is nested too deeply", None))

    def test_it_says_how_it_is_used(self):
        ended = subprocess.run([sys.executable, CHECK], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((ended.returncode, ended.stdout), (2, b""))
        self.assertIn(b"usage", ended.stderr)


if __name__ == "__main__":
    unittest.main()
