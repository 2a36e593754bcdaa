"""Deployment packages: zips with a `deployment.py`, made in memory and written where a client can read them."""

import io
import pathlib
import tempfile
import textwrap
import typing
import zipfile

SHOUT = """
class Deployment:
    def __init__(self, base_directory, context):
        print("woke up as", context["version"])

    def request(self, data):
        print("asked with", data["text"])
        return {"answer": data["text"].upper() + "!", "length": len(data["text"])}
"""

WHISPER = """
class Deployment:
    def request(self, data):
        return {"answer": data["text"].lower() + "...", "length": len(data["text"])}
"""

ECHO = """
class Deployment:
    def request(self, data):
        return data[::-1]
"""

PICKY = """
class Unlucky(Exception):
    public_error_message = "That text brings bad luck"


class Deployment:
    def request(self, data):
        if data["text"] == "13":
            raise Unlucky("thirteen")
        return {"answer": 1 / 0, "length": 0}
"""

WITH_SIX = """
import six


class Deployment:
    def request(self, data):
        return {"answer": six.__version__, "length": 6}
"""

BROKEN = """
class Deployment:
    def request(self, data)
        return data
"""


def packed(code: str, **others: str) -> bytes:
    """A zip with the code inside one folder; other files by name, with `_` for the dot of their ending."""
    files = {"deployment.py": code, **{name.replace("_", "."): text for name, text in others.items()}}
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"deployment_package/{name}", textwrap.dedent(text).lstrip())
    return sink.getvalue()


def written(folder: "tempfile.TemporaryDirectory[str]", content: bytes) -> str:
    """The path of a file with this content; clients upload files by path."""
    path = pathlib.Path(folder.name) / f"package-{abs(hash(content)):x}.zip"
    path.write_bytes(content)
    return str(path)


Fields = typing.List[typing.Dict[str, str]]

TEXT_IN: Fields = [{"name": "text", "data_type": "string"}]
ANSWER_OUT: Fields = [{"name": "answer", "data_type": "string"}, {"name": "length", "data_type": "int"}]
