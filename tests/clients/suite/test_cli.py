"""The stock command line client, where a release of it belongs to this one: buckets, and files in them."""

import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing
import unittest

from .case import PATIENCE, STORES, Case, with_stores

FOUND = importlib.util.find_spec("ubiops_cli")
NAMES = ("plain.txt", "with blanks in it", "a/b/ü 漢字.bin")


@unittest.skipUnless(FOUND, "no command line client is installed beside this release")
class CommandLine(Case):
    home: pathlib.Path

    @classmethod
    def prepare(cls) -> None:
        # It keeps its settings beside its code: a copy of that has settings of its own.
        cls.home = pathlib.Path(cls.files.name) / "home"
        assert FOUND and FOUND.submodule_search_locations
        shutil.copytree(FOUND.submodule_search_locations[0], cls.home / "ubiops_cli")
        host, token = os.environ["SUITE_URL"] + "/v2", "Token " + os.environ["SUITE_TOKEN"]
        cls.said("signin", "--token", "--api", host, "--password", token)
        cls.said("current_project", "set", cls.project)

    @classmethod
    def run_it(cls, *words: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command, as its users type it."""
        command = [sys.executable, "-m", "ubiops_cli.main", *words]
        environment = dict(os.environ, PYTHONIOENCODING="utf-8", LC_ALL="C.UTF-8")
        pipe = subprocess.PIPE
        return subprocess.run(
            command, cwd=cls.home, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe,
            encoding="utf-8", timeout=PATIENCE,
        )  # fmt: skip

    @classmethod
    def said(cls, *words: str) -> str:
        """What a command says that goes well."""
        done = cls.run_it(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    @classmethod
    def told(cls, *words: str) -> typing.Any:
        """What a command says in JSON."""
        return json.loads(cls.said(*words, "--format", "json"))

    def failed(self, *words: str) -> str:
        """What a command says that is refused."""
        done = self.run_it(*words)
        self.assertEqual(done.returncode, 1, done)
        self.assertNotIn("Traceback", done.stderr)
        return done.stdout

    def write(self, content: bytes) -> str:
        """The path of a file with some content."""
        path = self.home / "to-send"
        path.write_bytes(content)
        return str(path)

    def fetched(self, *words: str) -> bytes:
        """Downloads a file."""
        path = self.home / "fetched"
        self.said("files", "download", *words, "--output_path", str(path))
        return path.read_bytes()

    def test_it_is_signed_in(self) -> None:
        said = self.said("status")
        self.assertIn("Authorized", said)
        self.assertIn(f"project: {self.project}", said)

    def test_buckets_are_made_shown_changed_and_deleted(self) -> None:
        made = self.told("buckets", "create", "b", "-p", "ubiops", "-lb", "a:b,c:d", "-desc", "what it is for")
        self.assertEqual((made["name"], made["provider"]), ("b", "ubiops"))
        self.assertEqual((made["labels"], made["description"]), ({"a": "b", "c": "d"}, "what it is for"))
        self.assertIn("b", [one["name"] for one in self.told("buckets", "list")])
        self.assertEqual([one["name"] for one in self.told("buckets", "list", "--labels", "c:d")], ["b"])
        self.said("buckets", "update", "b", "-desc", "changed")
        shown = self.told("buckets", "get", "b")
        self.assertEqual((shown["description"], shown["labels"]), ("changed", {"a": "b", "c": "d"}))

        written = self.home / "bucket.yaml"
        self.said("buckets", "get", "b", "--output_path", str(written))
        again = self.told("buckets", "create", "again", "--yaml_file", str(written))
        self.assertEqual((again["name"], again["labels"]), ("again", {"a": "b", "c": "d"}))
        self.assertIn("already exists", self.failed("buckets", "create", "b", "-p", "ubiops"))
        for name in ("b", "again"):
            self.said("buckets", "delete", name, "--assume_yes")
            self.assertIn("404", self.failed("buckets", "get", name))

    def test_files_go_round(self) -> None:
        for name in NAMES:
            content = name.encode() * 1000
            said = self.said("files", "upload", name, "--source_file", self.write(content), "-pb", "false")
            self.assertEqual(said.strip(), f"ubiops-file://default/{name}")
            self.assertEqual(self.fetched(name), content)
            self.assertEqual(self.fetched("--uri", said.strip()), content)
            shown = self.told("files", "get", name)
            self.assertEqual((shown["file"], shown["size"]), (name, len(content)))
        listed = self.told("files", "list")
        self.assertEqual([one["file"] for one in listed["files"]], sorted(NAMES))
        page = self.told("files", "list", "--limit", "1")
        rest = self.told("files", "list", "--limit", "2", "--continuation-token", page["continuation_token"])
        self.assertEqual([one["file"] for one in page["files"] + rest["files"]], sorted(NAMES))
        folders = self.told("files", "list", "--delimiter", "/", "--prefix", "a/")
        self.assertEqual((folders["files"], folders["prefixes"]), ([], ["a/b/"]))
        self.assertIn("plain.txt", self.said("files", "list"))
        for name in NAMES:
            self.said("files", "delete", name, "--assume_yes")
            self.assertIn("Error (404): File was not found", self.failed("files", "get", name))
        self.assertIn("404", self.failed("files", "download", NAMES[0]))

    @with_stores
    def test_buckets_at_a_provider_are_made_and_used(self) -> None:
        for provider, store in STORES.items():
            credentials, configuration = store["credentials"], dict(store["configuration"], prefix=self.project)
            if "json_key_file" in credentials:
                # It asks for the path of this one.
                key = self.home / "key.json"
                key.write_text(credentials["json_key_file"])
                credentials = {"json_key_file": str(key)}
            words = ("-p", provider, "--configuration", json.dumps(configuration), "--credentials")
            name = provider.replace("_", "-")
            made = self.said("buckets", "create", name, *words, json.dumps(credentials))
            self.said("files", "upload", "ü 1", "-b", name, "--source_file", self.write(b"there"), "-pb", "false")
            self.assertEqual(self.fetched("ü 1", "-b", name), b"there")
            shown = made + self.said("buckets", "get", name) + self.said("files", "list", "-b", name)
            self.assertIn("ü 1", shown)
            self.said("files", "delete", "ü 1", "-b", name, "--assume_yes")
            for secret in store["secrets"]:
                self.assertNotIn(secret, shown)
            missing = self.failed("buckets", "create", "wrong", *words, "{}")
            self.assertIn("is needed", missing)
