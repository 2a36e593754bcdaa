"""The outputs of data code with the real numpy and pandas, where they are installed."""

import unittest

from test_outputs import OutputTest, body

try:
    import numpy
except ImportError:
    numpy = None
try:
    import pandas
except ImportError:
    pandas = None


@unittest.skipIf(numpy is None, "numpy is not installed")
class Numpy(OutputTest):
    def test_scalars_fit_their_type(self):
        for scalar in (numpy.int8(3), numpy.int64(3), numpy.uint16(3), numpy.array(3)):
            self.assertEqual(self.field("int", scalar), 3)
            self.assertEqual(self.field("double", scalar), 3)
        for scalar in (numpy.float32(1.5), numpy.float64(1.5), numpy.float16(1.5), numpy.array(1.5)):
            self.assertEqual(self.field("double", scalar), 1.5)
        self.assertIs(self.field("bool", numpy.bool_(True)), True)
        self.assertEqual(self.field("string", numpy.str_("a")), "a")

    def test_arrays_fit_their_type(self):
        self.assertEqual(self.field("array_int", numpy.arange(3)), [0, 1, 2])
        self.assertEqual(self.field("array_double", numpy.array([0.5, 1])), [0.5, 1])
        self.assertEqual(self.field("array_double", list(numpy.array([0.5, 1], dtype="float32"))), [0.5, 1])
        self.assertEqual(self.field("array_string", numpy.array(["a", "b"])), ["a", "b"])
        self.assertEqual(self.field("array_string", numpy.array(["a", "b"], dtype=object)), ["a", "b"])

    def test_they_may_be_anywhere_inside(self):
        value = {"a": numpy.eye(2), "b": [numpy.float32(0.5), (numpy.int64(1),)], numpy.int64(5): numpy.bool_(False)}
        expected = {"a": [[1, 0], [0, 1]], "b": [0.5, [1]], "5": False}
        self.assertEqual(self.field("dict", value), expected)
        self.assertEqual(body(value), expected)
        self.assertEqual(body({"when": numpy.datetime64("2024-02-01T03:04")}), {"when": "2024-02-01T03:04"})

    def test_wrong_types_are_named(self):
        self.assertEqual(self.field_refused("int", numpy.float64(3)), "must be of type int, not numpy.float64")
        self.assertEqual(self.field_refused("int", numpy.float32(3)), "must be of type int, not numpy.float32")
        self.assertEqual(self.field_refused("int", numpy.array([3])), "must be of type int, not numpy.ndarray")
        self.assertEqual(
            self.field_refused("int", numpy.array(3.5)), "must be of type int, not numpy.ndarray of float64"
        )
        self.assertIn("must be of type string", self.field_refused("string", numpy.bytes_(b"a")))
        self.assertEqual(
            self.field_refused("array_int", numpy.array([1.5])), "at [0] must be of type array_int, not float"
        )

    def test_what_json_lacks_is_refused(self):
        self.assertIn("holds NaN", self.field_refused("double", numpy.float64("nan")))
        self.assertIn("holds NaN", self.field_refused("double", numpy.float32("nan")))
        self.assertEqual(
            self.field_refused("array_double", numpy.array([1, numpy.nan])),
            "holds NaN at [1], which JSON cannot express",
        )
        self.assertIn("NaT", self.field_refused("dict", {"a": numpy.datetime64("NaT")}))
        self.assertIn("time span", self.field_refused("dict", {"a": numpy.timedelta64(3, "s")}))
        self.assertIn("complex", self.field_refused("dict", {"a": numpy.complex64(1j)}))


@unittest.skipIf(pandas is None, "pandas is not installed")
class Pandas(OutputTest):
    def test_series_and_frames(self):
        series = pandas.Series([1, 2], index=["a", "b"])
        self.assertEqual(self.field("array_int", series), [1, 2])
        self.assertEqual(self.field("array_int", series.index.map(len)), [1, 1])
        self.assertEqual(self.field("dict", series), {"a": 1, "b": 2})
        frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})
        self.assertEqual(self.field("dict", frame), {"a": [1, 2], "b": ["x", "y"]})
        self.assertEqual(body({"inside": frame}), {"inside": {"a": [1, 2], "b": ["x", "y"]}})
        self.assertEqual(body(frame.iloc[0], {"a": "int", "b": "string"}), {"a": 1, "b": "x"})

    def test_times(self):
        self.assertEqual(self.field("string", pandas.Timestamp("2024-02-01")), "2024-02-01T00:00:00")
        self.assertIn("NaT", self.field_refused("dict", {"a": pandas.NaT}))
        times = pandas.Series(pandas.to_datetime(["2024-02-01", "2024-02-02"]))
        self.assertEqual(self.field("array_string", times)[0][:10], "2024-02-01")

    def test_missing_values_are_refused(self):
        self.assertIn("holds NaN", self.field_refused("dict", pandas.DataFrame({"a": [1.0, None]})))
        self.assertIn("NAType", self.field_refused("dict", {"a": pandas.NA}))


if __name__ == "__main__":
    unittest.main()
