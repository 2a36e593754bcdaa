"""The releases of the stock client that must work, each in a virtual environment of its own."""

import pathlib
import subprocess
import sys
import typing

RELEASES = ("3.12.0", "4.8.0", "4.12.0", "4.15.0")

# Tests whose names contain one of these are all that a release runs, until we have what its others need.
ONLY = {"4.15.0": "suite.test_files.,suite.test_providers.,suite.test_cli."}

# What is installed beside a release: what it imports without declaring it, and the command line client made for just it.
BESIDE = {"3.12.0": ["requests"], "4.12.0": ["ubiops-cli==2.29.0"], "4.15.0": ["ubiops-cli==2.32.0"]}


def python_of(release: str, folder: pathlib.Path, tell: typing.Callable[[str], None]) -> pathlib.Path:
    """The interpreter of a virtual environment that holds the release; made by the first call."""
    place = folder / f"ubiops-{release}"
    python = place / "bin" / "python"
    wanted = [f"ubiops=={release}", *BESIDE.get(release, [])]
    mark = place / "installed"
    if mark.is_file() and mark.read_text() == " ".join(wanted) and python.exists():
        return python
    tell(f"installing {' '.join(wanted)} into {place}")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, *wanted], check=True)
    mark.write_text(" ".join(wanted))
    return python
