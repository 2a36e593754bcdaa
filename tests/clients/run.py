"""Runs the suite with each release of the stock client. The last line is `N passed, M failed`."""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import typing

from releases import ONLY, RELEASES, python_of
from server import Server
from stores import running

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a server that runs already, such as http://127.0.0.1:8080; needs --token")
    parser.add_argument("--token", help="an administrator's token for --url")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target" / "debug" / "modelyard")
    parser.add_argument("--stores", type=pathlib.Path, default=ROOT / "target" / "debug" / "examples" / "stores")
    parser.add_argument("--release", action="append", choices=RELEASES, help="only this one; may be repeated")
    parser.add_argument("--only", help="only tests whose name contains this, or one of several after commas")
    parser.add_argument("--environments", type=pathlib.Path, default=ROOT / "target" / "clients")
    wanted = parser.parse_args()
    if bool(wanted.url) != bool(wanted.token):
        parser.error("--url and --token belong together")
    if not wanted.url and not wanted.binary.is_file():
        parser.error(f"{wanted.binary} does not exist: build it first (cargo build), or give --url and --token")
    if not wanted.url and not wanted.stores.is_file():
        parser.error(f"{wanted.stores} does not exist: build it first (cargo build --workspace --example stores)")
    return wanted


def tell(sentence: str) -> None:
    """Says what is being done."""
    print(f"clients: {sentence}", flush=True)


class Run(typing.NamedTuple):
    """The suite at work with one release."""

    release: str
    process: "subprocess.Popen[bytes]"
    result: pathlib.Path
    output: pathlib.Path


def start(release: str, python: pathlib.Path, about: typing.Dict[str, str], folder: pathlib.Path) -> Run:
    """Starts the suite with one release."""
    result, output = folder / f"{release}.json", folder / f"{release}.log"
    environment = dict(os.environ, SUITE_RESULT=str(result), **about)
    environment["TQDM_DISABLE"] = "1"
    # No proxy stands between a client and a server on the same host.
    environment["no_proxy"] = environment["NO_PROXY"] = "127.0.0.1,localhost"
    with output.open("wb") as sink:
        command = [str(python), "-m", "suite"]
        process = subprocess.Popen(command, cwd=HERE, env=environment, stdout=sink, stderr=subprocess.STDOUT)
    return Run(release, process, result, output)


def finish(run: Run) -> typing.Tuple[int, int]:
    """Waits for a run and tells how it went: passed and failed."""
    status = run.process.wait()
    try:
        counts = json.loads(run.result.read_text())
        passed, failed = int(counts["passed"]), int(counts["failed"])
    except (OSError, ValueError):
        tell(f"the suite did not end well with {run.release}: status {status}")
        passed, failed = 0, 1
    if failed:
        # Marked, so that whoever counts summaries does not count these.
        for line in run.output.read_text(errors="replace").splitlines():
            print(f"{run.release} | {line}", flush=True)
    tell(f"ubiops {run.release}: {passed} passed, {failed} failed")
    return passed, failed


def main() -> int:
    """Runs everything; the exit code is 0 when nothing failed."""
    wanted = options()
    releases = wanted.release or RELEASES
    pythons = {release: python_of(release, wanted.environments, tell) for release in releases}
    passed = failed = 0
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modelyard-clients-")))
        server = None
        about = {"SUITE_URL": wanted.url, "SUITE_TOKEN": wanted.token}
        if not wanted.url:
            stores = stack.enter_context(running(wanted.stores))
            server = stack.enter_context(Server(wanted.binary, stores.settings))
            about = {"SUITE_URL": server.url, "SUITE_TOKEN": server.token, "SUITE_STORES": json.dumps(stores.told)}
        tell(f"ubiops {', '.join(releases)} against {about['SUITE_URL']}")
        runs = []
        for release in releases:
            about["SUITE_ONLY"] = wanted.only or ONLY.get(release, "")
            runs.append(start(release, pythons[release], about, folder))
        for run in runs:
            good, bad = finish(run)
            passed, failed = passed + good, failed + bad
        if failed and server:
            tell("the end of the server's log:")
            print("\n".join(server.log.read_text(errors="replace").splitlines()[-60:]))
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
