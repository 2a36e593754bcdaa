"""Runs all tests of this folder with the client that is installed here, and writes how many passed and failed."""

import json
import os
import pathlib
import sys
import typing
import unittest

from .operations import left_out


def wanted(tests: unittest.TestSuite, only: str) -> typing.Iterator[unittest.TestCase]:
    """The tests whose name contains `only`, or one of several after commas."""
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from wanted(test, only)
        elif any(part in test.id() for part in only.split(",")):
            yield typing.cast(unittest.TestCase, test)


def main() -> int:
    """Runs; the exit code is 0 when nothing failed."""
    here = pathlib.Path(__file__).parent
    found = unittest.defaultTestLoader.discover(str(here), top_level_dir=str(here.parent))
    chosen = unittest.TestSuite(wanted(found, os.environ.get("SUITE_ONLY", "")))
    outcome = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(chosen)
    failed = len(outcome.failures) + len(outcome.errors) + len(outcome.unexpectedSuccesses)
    missing = [] if os.environ.get("SUITE_ONLY") else left_out()
    if missing:
        print("operations that no test used: " + ", ".join(missing))
    passed = outcome.testsRun - len(outcome.skipped) - min(failed, outcome.testsRun - len(outcome.skipped))
    result = os.environ.get("SUITE_RESULT")
    if result:
        pathlib.Path(result).write_text(json.dumps({"passed": passed, "failed": failed + len(missing)}))
    return 1 if failed or missing else 0


sys.exit(main())
