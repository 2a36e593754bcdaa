"""What user code may return, what it becomes, and what is said when it does not fit. Runs in this process."""

import collections
import datetime
import decimal
import enum
import errno
import json
import os
import pathlib
import shutil
import tempfile
import types
import unittest
import uuid
from unittest import mock

import driver  # noqa: F401  (finds the worker)

from modelyard_worker.fields import NoFile
from modelyard_worker.handing import Handing
from modelyard_worker.outputs import OutputError, Outputs, encode

NAN = float("nan")


def body(value, fields=None, many=False):
    """The body of a result, as the worker makes it: the quick way if it fits, else the slow one."""
    described = [{"name": name, "data_type": kind} for name, kind in (fields or {}).items()]
    outputs = Outputs("plain" if fields is None else "structured", described, NOTES.append, Handing(_send))
    if outputs.fits(value):
        try:
            quick = "".join(encode(value, 0)).encode()
        except Exception:
            quick = None
        if quick is not None:
            slow = json.loads(outputs.body(value, many))
            assert json.loads(quick) == slow, (quick, slow)
            return slow
    return json.loads(outputs.body(value, many), parse_constant=_refuse)


def _refuse(constant):
    raise AssertionError(constant + " is not JSON")


NOTES = []
SENT = []


def _send(index, descriptor):
    assert index == 0 or index == SENT[-1][0] + 1
    SENT.append((index, os.pread(descriptor, 100, 0)))


class Level(enum.IntEnum):
    HIGH = 3


class Scalar:
    """Like a numpy scalar that is no subclass of a Python number."""

    def __init__(self, value, kind="i"):
        self.value = value
        self.dtype = types.SimpleNamespace(kind=kind)

    def tolist(self):
        return self.value

    item = tolist


class Array(Scalar):
    """Like a numpy array."""


class Frame:
    """Like a pandas DataFrame."""

    def __init__(self, columns):
        self.columns = columns

    def iterrows(self):
        raise AssertionError("not needed")

    def to_dict(self, orient):
        assert orient == "list"
        return self.columns


class OutputTest(unittest.TestCase):
    maxDiff = None

    def field(self, kind, value):
        return body({"y": value}, {"y": kind})["y"]

    def refused(self, value, fields=None, many=False):
        with self.assertRaises(OutputError) as caught:
            body(value, fields, many)
        return str(caught.exception)

    def field_refused(self, kind, value):
        message = self.refused({"y": value}, {"y": kind})
        self.assertTrue(message.startswith("The output field 'y'"), message)
        return message[len("The output field 'y'") :].strip()


class Fitting(OutputTest):
    def test_each_type_takes_its_python_values(self):
        for kind, value in (
            ("int", 3),
            ("double", 2.5),
            ("double", 3),
            ("string", 'é😀\n"'),
            ("bool", True),
            ("dict", {"a": [1, {"b": None}]}),
            ("array_int", [1, 2]),
            ("array_double", [1, 2.5]),
            ("array_string", ["a", ""]),
            ("array_int", []),
            ("a type of tomorrow", {"any": ["thing"]}),
        ):
            self.assertEqual(self.field(kind, value), value, kind)

    def test_null_fits_every_field(self):
        for kind in "int double string bool dict file array_int array_double array_string array_file".split():
            self.assertIsNone(self.field(kind, None))

    def test_subclasses_and_relatives_are_accepted(self):
        self.assertEqual(self.field("int", Level.HIGH), 3)
        self.assertEqual(self.field("array_int", (1, 2)), [1, 2])
        self.assertEqual(self.field("dict", collections.OrderedDict(a=1)), {"a": 1})
        self.assertEqual(self.field("dict", collections.UserDict(a=collections.UserDict(b=1))), {"a": {"b": 1}})
        self.assertEqual(self.field("dict", types.MappingProxyType({"a": 1})), {"a": 1})
        self.assertEqual(body(collections.UserDict(y=1), {"y": "int"}), {"y": 1})
        self.assertEqual(self.field("dict", {1: "a", None: "b", 2.5: "c"}), {"1": "a", "null": "b", "2.5": "c"})

    def test_array_values_are_unwrapped_where_the_type_fits(self):
        self.assertEqual(self.field("int", Scalar(3)), 3)
        self.assertEqual(self.field("double", Scalar(3)), 3)
        self.assertEqual(self.field("bool", Scalar(True, "b")), True)
        self.assertEqual(self.field("array_int", Array([1, 2])), [1, 2])
        self.assertEqual(self.field("array_double", [Scalar(1.5, "f"), 2]), [1.5, 2])
        self.assertEqual(self.field("dict", {"a": Array([[1, 2]]), "b": [Scalar(1)]}), {"a": [[1, 2]], "b": [1]})
        self.assertEqual(body({"a": Array([1])}), {"a": [1]})

    def test_table_values_become_columns(self):
        self.assertEqual(self.field("dict", Frame({"a": [1, 2]})), {"a": [1, 2]})
        self.assertEqual(body([Frame({"a": [Scalar(1)]})]), [{"a": [1]}])

    def test_dates_decimals_identifiers_and_paths_have_a_form(self):
        self.assertEqual(self.field("string", datetime.date(2024, 2, 1)), "2024-02-01")
        self.assertEqual(self.field("dict", {"t": datetime.datetime(2024, 2, 1, 3, 4)}), {"t": "2024-02-01T03:04:00"})
        self.assertEqual(self.field("double", decimal.Decimal("1.5")), 1.5)
        self.assertEqual(body(decimal.Decimal("1.5")), 1.5)
        self.assertEqual(self.field("string", uuid.UUID(int=1)), str(uuid.UUID(int=1)))
        self.assertEqual(self.field("string", pathlib.PurePosixPath("/a/b")), "/a/b")

    def test_files_are_sent_and_uris_stay(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "out.txt")
        with open(path, "w") as file:
            file.write("text")
        os.symlink("out.txt", os.path.join(folder, "link"))

        def sent(index, name, bucket=None, bucket_file=None):
            return {"descriptor": index, "name": name, "bucket": bucket, "bucket_file": bucket_file}

        del SENT[:]
        self.assertEqual(self.field("file", path), sent(0, "out.txt"))
        self.assertEqual(self.field("file", os.path.relpath(path)), sent(0, "out.txt"))
        self.assertEqual(self.field("file", pathlib.Path(path)), sent(0, "out.txt"))
        self.assertEqual(self.field("file", folder + "/link"), sent(0, "link"))
        self.assertEqual(self.field("file", {"file": path, "bucket": "b"}), sent(0, "out.txt", "b"))
        found = self.field("file", {"file": pathlib.Path(path), "bucket": None, "bucket_file": "c/d", "more": 1})
        self.assertEqual(found, sent(0, "out.txt", None, "c/d"))
        self.assertEqual(SENT, [(0, b"text")] * 6)
        found = self.field("array_file", ["ubiops-file://a/b", path, {"file": path}])
        self.assertEqual(found, ["ubiops-file://a/b", sent(0, "out.txt"), sent(1, "out.txt")])
        self.assertEqual(self.field("file", "ubiops-file://default/a"), "ubiops-file://default/a")
        found = body([{"y": path}, {"y": path}], {"y": "file"}, many=True)
        self.assertEqual([item["y"]["descriptor"] for item in found], [0, 1])

    def test_what_is_no_file_is_refused_with_its_path(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        os.mkfifo(os.path.join(folder, "pipe"))
        os.symlink("link", os.path.join(folder, "link"))
        for value, expected in (
            (folder + "/none", "names the file '%s/none', which cannot be read: No such file or directory" % folder),
            (folder + "/link", "which cannot be read: Too many levels of symbolic links"),
            (folder, "names the file '%s', which cannot be read: Is a directory" % folder),
            ("", "names the file '', which cannot be read: No such file or directory"),
            (folder + "/pipe", "names '%s/pipe', which is no ordinary file" % folder),
            ("/dev/null", "names '/dev/null', which is no ordinary file"),
            ("/proc/self/status", "names '/proc/self/status', which is no ordinary file"),
            ("a\0b", "which cannot be read: embedded null byte"),
            (folder + "/" + "n" * 256, "which cannot be read: File name too long"),
        ):
            with self.assertRaises(OutputError) as raised:
                self.field("file", value)
            self.assertTrue(str(raised.exception).startswith("The output field 'y' names "), raised.exception)
            self.assertIn(expected, str(raised.exception))

    def test_it_waits_while_too_many_descriptors_are_on_their_way(self):
        refusals = [OSError(errno.ETOOMANYREFS, "Too many references")] * 3

        def send(_index, _descriptor):
            if refusals:
                raise refusals.pop()

        self.assertEqual(Handing(send).value(__file__)["descriptor"], 0)
        self.assertEqual(refusals, [])
        with mock.patch("modelyard_worker.handing.TRIES", 2):
            refusals += [OSError(errno.ETOOMANYREFS, "Too many references")] * 2
            with self.assertRaises(NoFile) as raised:
                Handing(send).value(__file__)
        self.assertIn("which cannot be read: Too many references", str(raised.exception))

    def test_an_answer_has_a_thousand_files_at_most(self):
        del SENT[:]
        self.assertEqual(len(self.field("array_file", [__file__] * 1000)), 1000)
        with self.assertRaises(OutputError) as raised:
            self.field("array_file", [__file__] * 1001)
        self.assertIn("names one file more than the 1000 an answer may have", str(raised.exception))

    def test_extra_keys_are_dropped_with_a_note(self):
        del NOTES[:]
        self.assertEqual(body({"y": 1, "z": 2, 3: 4}, {"y": "int"}), {"y": 1})
        self.assertEqual(NOTES, ["Output that is not a field of the deployment was dropped: 3, z"])

    def test_lists_of_objects_are_checked_one_by_one(self):
        fields = {"y": "int"}
        self.assertEqual(body([{"y": 1}, {"y": Scalar(2)}], fields), [{"y": 1}, {"y": 2}])
        self.assertEqual(body([{"y": 1}, [{"y": 2}]], fields, many=True), [{"y": 1}, [{"y": 2}]])
        self.assertEqual(body([], fields, many=True), [])
        self.assertIn("'y' is missing", self.refused([{"y": 1}, {}], fields, many=True))

    def test_nothing_is_enough_where_there_are_no_fields(self):
        self.assertEqual(body(None, {}), {})
        self.assertEqual(body({}, {}), {})

    def test_plain_output_is_any_json(self):
        for value in ("text", "", {"a": 1}, [1, "a"], None, 3, 2.5, True):
            self.assertEqual(body(value), value)


class Refused(OutputTest):
    def test_a_wrong_type_is_named_with_the_one_expected(self):
        for kind, value, expected in (
            ("int", "3", "must be of type int, not str"),
            ("int", 3.0, "must be of type int, not float"),
            ("int", True, "must be of type int, not bool"),
            ("int", [3], "must be of type int, not list"),
            ("int", {3}, "must be of type int, not set"),
            ("double", "3", "must be of type double, not str"),
            ("double", False, "must be of type double, not bool"),
            ("string", 3, "must be of type string, not int"),
            ("string", b"x", "must be of type string, not bytes"),
            ("bool", 1, "must be of type bool, not int"),
            ("dict", [1], "must be of type dict, not list"),
            ("file", 3, "must be of type file, not int"),
            ("file", {"bucket": "b"}, "must be of type file, not a dict without a path in 'file'"),
            ("file", {"file": "x", "bucket": 3}, "must be of type file, not a dict whose 'bucket' is of type int"),
            ("file", {"file": "ubiops-file://a/b"}, "must be of type file, not a dict with a URI in 'file'"),
            ("file", b"x", "must be of type file, not bytes"),
            ("array_file", ["ubiops-file://a/b", None], "at [1] must be of type array_file, not null"),
            ("array_int", "12", "must be of type array_int, not str"),
            ("array_int", {1}, "must be of type array_int, not set"),
            ("array_int", Scalar(3), "must be of type array_int, not test_outputs.Scalar"),
            ("array_int", [1, "2"], "at [1] must be of type array_int, not str"),
            ("array_int", [1, None], "at [1] must be of type array_int, not null"),
            ("array_string", [["a"]], "at [0] must be of type array_string, not list"),
            ("int", object(), "must be of type int, not object"),
            ("double", datetime.date(2024, 2, 1), "must be of type double, not datetime.date"),
        ):
            self.assertEqual(self.field_refused(kind, value), expected)

    def test_a_missing_field_is_named(self):
        self.assertEqual(
            self.refused({"z": 1}, {"y": "int"}), "The output field 'y' is missing in what the request returned"
        )

    def test_other_things_than_objects_are_named(self):
        for value, found in (("text", "str"), (3, "int"), (None, "null"), (Array([1]), "test_outputs.Array")):
            message = self.refused(value, {"y": "int"})
            expected = "The request must return a dictionary with the output fields, but returned " + found
            self.assertEqual(message, expected)
        self.assertIn("but returned int", self.refused([1], {"y": "int"}))

    def test_nan_and_infinity_name_the_field_and_the_place(self):
        self.assertEqual(self.field_refused("double", NAN), "holds NaN, which JSON cannot express")
        self.assertEqual(
            self.field_refused("array_double", [1.0, -float("inf")]),
            "holds -Infinity at [1], which JSON cannot express",
        )
        self.assertEqual(
            self.field_refused("dict", {"a": [{"b": float("inf")}]}),
            "holds Infinity at ['a'][0]['b'], which JSON cannot express",
        )
        self.assertEqual(self.refused([NAN]), "The output holds NaN at [0], which JSON cannot express")
        self.assertIn("holds NaN", self.field_refused("array_double", Array([NAN])))

    def test_values_without_a_json_form_are_named_with_their_place(self):
        self.assertEqual(
            self.field_refused("dict", {"a": b"x"}), "holds bytes; decode it to text, or return it as a file at ['a']"
        )
        self.assertEqual(
            self.field_refused("dict", {"a": {1}}), "holds set, which has no order; return a list at ['a']"
        )
        self.assertEqual(
            self.field_refused("dict", {"a": [object()]}), "holds object, which JSON has no form for at ['a'][0]"
        )
        self.assertIn("holds the key (1, 2)", self.field_refused("dict", {(1, 2): 3}))
        self.assertIn("complex", self.field_refused("dict", {"a": 1j}))

    def test_text_that_is_not_unicode_is_refused(self):
        self.assertEqual(
            self.field_refused("string", "\ud800"), "holds text that is not valid Unicode (a lone surrogate)"
        )
        self.assertIn("lone surrogate", self.refused("\ud800"))

    def test_what_contains_itself_is_refused(self):
        loop = []
        loop.append(loop)
        self.assertEqual(self.field_refused("dict", {"a": loop}), "is nested too deeply or contains itself")

    def test_a_value_that_fails_to_convert_is_refused(self):
        class Odd:
            def tolist(self):
                raise RuntimeError("on another device")

        class Endless:
            def tolist(self):
                return Endless()

        self.assertEqual(self.field_refused("array_int", Odd()), "could not be converted: on another device")
        self.assertIn("could not be converted: on another device", self.field_refused("dict", {"a": Odd()}))
        self.assertIn("which JSON has no form for", self.field_refused("dict", {"a": Endless()}))
        self.assertIn("could not be converted", self.field_refused("int", 10**5000))


if __name__ == "__main__":
    unittest.main()
