"""Buckets, and files in them: sent, fetched and listed with the client's own helpers."""

import contextlib
import inspect
import os
import pathlib
import tempfile
import typing
import unittest

import requests
import ubiops
from ubiops.utils import file_operations

from . import images
from .case import RELEASE, Case

WEEK = 604_800
NAMES = ("plain.txt", "with blanks in it", "a/b/c.txt", "ümläut/漢字 🦀.bin", "50%/%2e%2e/100%25", "a+b&c=d?e#f", "it's \"quoted\"")


def quiet(call: typing.Callable[..., typing.Any]) -> typing.Dict[str, bool]:
    """What keeps a helper from drawing a bar, where it can."""
    return {"_progress_bar": False} if "_progress_bar" in inspect.signature(call).parameters else {}


@contextlib.contextmanager
def small_parts(size: int) -> typing.Iterator[None]:
    """Files are sent in parts of so many bytes, as only those of many gigabytes are; the helper looks when it is called."""
    old = file_operations.MULTIPART_MIN_SIZE, file_operations.MULTIPART_CHUNK_SIZE
    file_operations.MULTIPART_MIN_SIZE = file_operations.MULTIPART_CHUNK_SIZE = size
    try:
        yield
    finally:
        file_operations.MULTIPART_MIN_SIZE, file_operations.MULTIPART_CHUNK_SIZE = old


def write_all(folder: str, files: typing.Dict[str, bytes]) -> None:
    """Writes files into a folder, and folders in it, by their names."""
    for name, content in files.items():
        path = pathlib.Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read_all(folder: pathlib.Path) -> typing.Dict[str, bytes]:
    """The files in a folder, and in folders in it, by their names."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class FilesCase(Case):
    """Sends and fetches content."""

    def send(self, name: str, content: bytes, bucket: str = "default") -> str:
        """Sends content as a file; gives its address."""
        path = pathlib.Path(self.files.name) / "to-send"
        path.write_bytes(content)
        send = ubiops.utils.upload_file
        uri = send(self.client, self.project, str(path), bucket_name=bucket, file_name=name, **quiet(send))
        self.assertEqual(uri, f"ubiops-file://{bucket}/{name}")
        return str(uri)

    def fetch(self, bucket: typing.Optional[str] = "default", name: typing.Optional[str] = None, **how: typing.Any) -> bytes:
        """The content of a file."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "fetched")
            get = ubiops.utils.download_file
            get(self.client, self.project, bucket_name=bucket, file_name=name, output_path=path, **quiet(get), **how)
            return pathlib.Path(path).read_bytes()

    def names(self, bucket: str = "default", **how: typing.Any) -> typing.Tuple[typing.List[str], typing.List[str]]:
        """Files and prefixes of all pages of a list."""
        files, prefixes, token = [], [], None
        while True:
            more = {"continuation_token": token} if token else {}
            page = self.api.files_list(self.project, bucket, **how, **more)
            files += [one.file for one in page.files]
            prefixes += page.prefixes
            token = page.continuation_token
            if not token:
                return files, prefixes


class Buckets(FilesCase):
    def test_buckets_are_made_changed_and_deleted(self) -> None:
        new = ubiops.BucketCreate(name="b", provider="ubiops", credentials={}, configuration={}, ttl=WEEK, labels={"a": "b"})
        made = self.api.buckets_create(self.project, new)
        self.assertEqual((made.name, made.project, made.provider, made.ttl), ("b", self.project, "ubiops", WEEK))
        self.assertEqual((made.configuration, made.labels), ({}, {"a": "b"}))
        self.assertEqual([one.name for one in self.api.buckets_list(self.project)], ["b", "default"])
        self.assertEqual([one.name for one in self.api.buckets_list(self.project, labels="a:b,c:d")], ["b"])

        change = ubiops.BucketUpdate(ttl=2 * WEEK, description="What it is for")
        changed = self.api.buckets_update(self.project, "b", change)
        shown = self.api.buckets_get(self.project, "b")
        for bucket in (changed, shown):
            self.assertEqual((bucket.id, bucket.ttl, bucket.description), (made.id, 2 * WEEK, "What it is for"))
            self.assertEqual(bucket.labels, {"a": "b"})

        self.send("x", b"gone with its bucket", "b")
        self.api.buckets_delete(self.project, "b")
        self.refused(404, self.api.buckets_get, self.project, "b")
        self.refused(404, self.api.files_get, self.project, "b", "x")

    def test_what_a_bucket_cannot_be_is_refused(self) -> None:
        empty: typing.Dict[str, str] = {}
        for name, ttl in (("b", 1), ("b b", WEEK), ("default", WEEK)):
            new = ubiops.BucketCreate(name=name, provider="ubiops", credentials=empty, configuration=empty, ttl=ttl)
            self.refused(409 if name == "default" else 400, self.api.buckets_create, self.project, new)


class Files(FilesCase):
    def test_files_go_round(self) -> None:
        for name in NAMES:
            content = name.encode() * 1000
            uri = self.send(name, content)
            self.assertEqual(self.fetch(name=name), content)
            self.assertEqual(self.fetch(None, file_uri=uri, stream=False), content)
            shown = self.api.files_get(self.project, "default", name)
            self.assertEqual((shown.file, shown.size), (name, len(content)))
            self.assertIsNotNone(shown.time_created)
        files, prefixes = self.names(limit=2)
        self.assertEqual(([name for name in files if name in NAMES], prefixes), (sorted(NAMES), []))

    def test_a_file_is_fetched_into_a_folder(self) -> None:
        self.send("some/where/named.txt", b"content")
        with tempfile.TemporaryDirectory() as folder:
            get = ubiops.utils.download_file
            get(self.client, self.project, "default", "some/where/named.txt", output_path=folder, **quiet(get))
            self.assertEqual((pathlib.Path(folder) / "named.txt").read_bytes(), b"content")

    def test_files_may_be_empty_and_replaced(self) -> None:
        for content in (b"first", b"", b"third"):
            self.send("again", content)
            self.assertEqual(self.fetch(name="again"), content)
            self.assertEqual(self.api.files_get(self.project, "default", "again").size, len(content))

    def test_files_are_listed_by_prefix_and_delimiter(self) -> None:
        for name in ("list/a", "list/b/1", "list/b/2", "list/c", "list/d/1"):
            self.send(name, b"x")
        self.assertEqual(self.names(prefix="list/b/"), (["list/b/1", "list/b/2"], []))
        for limit in (1, 3, 1000):
            folders = self.names(prefix="list/", delimiter="/", limit=limit)
            self.assertEqual(folders, (["list/a", "list/c"], ["list/b/", "list/d/"]))
        self.refused(400, self.api.files_list, self.project, "default", limit=1001)
        self.refused(400, self.api.files_list, self.project, "default", continuation_token="mine")

    def test_files_are_deleted(self) -> None:
        self.send("to/delete", b"x")
        self.api.files_delete(self.project, "default", "to/delete")
        for call in (self.api.files_get, self.api.files_delete, self.api.files_download):
            self.refused(404, call, self.project, "default", "to/delete")
        self.refused(404, self.api.files_upload, self.project, "missing", "x")
        self.refused(400, self.api.files_upload, self.project, "default", "../x")

    def test_an_expired_or_changed_address_is_refused(self) -> None:
        self.send("signed", b"x")
        url = self.api.files_download(self.project, "default", "signed").url
        self.assertEqual(requests.get(url).content, b"x")
        self.assertEqual(requests.get(url[:-2] + "xx").status_code, 403)
        self.assertEqual(requests.put(url, data=b"y").status_code, 403)

    @unittest.skipUnless(hasattr(file_operations, "MULTIPART_MIN_SIZE"), "this release sends files whole")
    def test_large_files_are_sent_in_parts(self) -> None:
        # Four parts with a short one at the end, three that fit, and one.
        for content in (os.urandom(100_000), os.urandom(90_000), b"z" * 30_000):
            with small_parts(30_000):
                self.send("in parts/ü.bin", content)
            self.assertEqual(self.fetch(name="in parts/ü.bin"), content)
            self.assertEqual(self.api.files_get(self.project, "default", "in parts/ü.bin").size, len(content))
        self.send("in parts/ü.bin", b"whole again")
        self.assertEqual(self.fetch(name="in parts/ü.bin"), b"whole again")

    @unittest.skipUnless(hasattr(ubiops.CoreApi, "files_start_multipart_upload"), "this release knows no parts")
    def test_the_steps_of_an_upload_in_parts(self) -> None:
        begun = self.api.files_start_multipart_upload(self.project, "default", "steps")
        self.assertEqual(begun.provider, "ubiops")
        parts = []
        for number, content in ((2, b"second"), (1, b"first, ")):
            url = self.api.files_upload(self.project, "default", "steps", upload_id=begun.upload_id, part_number=str(number)).url
            parts.insert(0, {"ETag": requests.put(url, data=content).headers["ETag"], "PartNumber": number})
        self.refused(404, self.api.files_get, self.project, "default", "steps")
        whole = ubiops.FileCompleteMultipartUpload(upload_id=begun.upload_id, parts=parts)
        self.api.files_complete_multipart_upload(self.project, "default", "steps", whole)
        self.assertEqual(self.fetch(name="steps"), b"first, second")


class Folders(FilesCase):
    @unittest.skipUnless(hasattr(ubiops.utils, "upload_files"), "this release sends no folders")
    def test_folders_go_round(self) -> None:
        wanted = {f"{folder}{n}.txt": f"{folder} {n}".encode() for folder in ("", "sub/", "sub/däep er/") for n in range(40)}
        with tempfile.TemporaryDirectory() as source, tempfile.TemporaryDirectory() as target:
            write_all(source, wanted)
            send, get = ubiops.utils.upload_files, ubiops.utils.download_files
            uris = send(self.client, self.project, [source], file_prefix="all/", **quiet(send))
            self.assertEqual(sorted(uris), sorted(f"ubiops-file://default/all/{name}" for name in wanted))
            self.send("other", b"not wanted")

            get(self.client, self.project, prefix="all/", output_path=target, **quiet(get))
            self.assertEqual(read_all(pathlib.Path(target) / "all"), wanted)
            self.assertEqual([one.name for one in pathlib.Path(target).iterdir()], ["all"])


@unittest.skipIf(RELEASE >= (4, 13), "this release waits for tags of environments, which are not there yet")
class Fields(FilesCase):
    TWO = """
    import os
    import images

    class Deployment:
        def request(self, data):
            with open(data["photo"], "rb") as file:
                rows = images.read(file.read())
            half = [row[::2] for row in rows[::2]]
            grey = [[(sum(pixel) // 3,) for pixel in row] for row in rows]
            for name, made in (("half.png", half), ("grey.png", grey)):
                with open(name, "wb") as out:
                    out.write(images.written(made))
            return {"half": "half.png", "grey": {"file": os.path.abspath("grey.png"), "bucket_file": "own/ü grey.png"}}
    """

    @classmethod
    def prepare(cls) -> None:
        field = {"data_type": "file"}
        data = ubiops.DeploymentCreate(
            name="d",
            input_type="structured",
            output_type="structured",
            input_fields=[dict(field, name="photo")],
            output_fields=[dict(field, name="half"), dict(field, name="grey")],
        )
        cls.api.deployments_create(project_name=cls.project, data=data)
        cls.running("d", cls.TWO, images_py=pathlib.Path(images.__file__).read_text())

    def kind(self, name: str) -> str:
        """The type of content that a browser is told of a file."""
        return requests.get(self.api.files_download(self.project, "default", name).url).headers["content-type"]

    def test_code_reads_an_image_and_writes_two(self) -> None:
        photo = [[(x * 2, y * 3, (x * y) % 256) for x in range(121)] for y in range(80)]
        uri = self.send("in/ü 1.png", images.written(photo))
        answer = self.api.deployment_requests_create(self.project, "d", {"photo": uri})
        self.assertIs(answer.success, True, answer)
        half = f"deployment_requests/{answer.id}/output/half.png"
        wanted = {"half": f"ubiops-file://default/{half}", "grey": "ubiops-file://default/own/ü grey.png"}
        self.assertEqual(answer.result, wanted)

        small = images.read(self.fetch(None, file_uri=answer.result["half"]))
        self.assertEqual((len(small), len(small[0])), (40, 61))
        self.assertEqual(small, [[photo[2 * y][2 * x] for x in range(61)] for y in range(40)])
        grey = images.read(self.fetch(None, file_uri=answer.result["grey"]))
        self.assertEqual(grey, [[(sum(photo[y][x]) // 3,) for x in range(121)] for y in range(80)])
        for name in ("in/ü 1.png", half, "own/ü grey.png"):
            self.assertEqual(self.kind(name), "image/png")

    def test_what_is_no_image_or_not_there_is_told(self) -> None:
        uri = self.send("in/no.png", b"hello")
        answer = self.api.deployment_requests_create(self.project, "d", {"photo": uri})
        self.assertIs(answer.success, False, answer)
        missing = {"photo": "ubiops-file://default/missing"}
        self.assertIn("was not found", self.refused(400, self.api.deployment_requests_create, self.project, "d", missing))
