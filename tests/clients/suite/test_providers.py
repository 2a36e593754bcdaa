"""Buckets whose files lie at a provider, with the client's own helpers: the provider is a real store beside the server."""

import os
import pathlib
import tempfile
import typing
import unittest

import requests
import ubiops
from ubiops.utils import file_operations

from .case import STORES, with_stores
from .test_files import NAMES, FilesCase, quiet, read_all, small_parts, write_all

WEEK = 604_800
# As large as parts but the last have to be at S3.
PART = 5 << 20


class Shared:
    """The tests, which are run once for each provider; in a class of their own so that they are not run without one."""

    @with_stores
    class AtProvider(FilesCase):
        provider = ""
        store: typing.Dict[str, typing.Any]

        @classmethod
        def prepare(cls) -> None:
            cls.store = STORES[cls.provider]
            cls.made = cls.create("files", f"{cls.project}/ü and blanks")

        @classmethod
        def create(cls, name: str, prefix: str, **others: typing.Any) -> typing.Any:
            """Creates a bucket that is a folder at the provider."""
            about = {"credentials": cls.store["credentials"], "configuration": cls.at(prefix), **others}
            return cls.api.buckets_create(cls.project, ubiops.BucketCreate(name=name, provider=cls.provider, **about))

        @classmethod
        def at(cls, prefix: str) -> typing.Dict[str, str]:
            """The configuration for a folder at the provider."""
            return dict(cls.store["configuration"], prefix=prefix)

        def hides(self, shown: typing.Any) -> None:
            """Insists that nothing of any credentials is in what the client shows."""
            for secret in self.store["secrets"]:
                self.assertNotIn(secret, str(shown))

        def test_a_bucket_shows_all_but_its_credentials(self) -> None:
            folder = self.at(f"{self.project}/ü and blanks/")
            for bucket in (self.made, self.api.buckets_get(self.project, "files")):
                self.assertEqual((bucket.provider, bucket.configuration, bucket.ttl), (self.provider, folder, None))
                self.hides(bucket)
            change = ubiops.BucketUpdate(credentials=self.store["credentials"], ttl=WEEK)
            changed = self.api.buckets_update(self.project, "files", change)
            self.assertEqual((changed.id, changed.configuration, changed.ttl), (self.made.id, folder, WEEK))
            self.assertEqual([one.name for one in self.api.buckets_list(self.project)], ["default", "files"])
            for shown in (changed, self.api.buckets_list(self.project), self.api.project_audit_events_list(self.project)):
                self.hides(shown)

        def test_wrong_credentials_are_refused_with_a_sentence(self) -> None:
            self.send("stays", b"x", "files")
            for wrong in self.store["bad_credentials"]:
                change = ubiops.BucketUpdate(credentials=wrong, description="changed")
                for told in (
                    self.refused(400, self.create, "wrong", "", credentials=wrong),
                    self.refused(400, self.api.buckets_update, self.project, "files", change),
                ):
                    self.assertRegex(told, "^The bucket cannot be used: The provider refused .*403")
                    self.hides(told)
            self.assertRegex(self.refused(400, self.create, "wrong", "", credentials={}), "is needed")
            self.refused(404, self.api.buckets_get, self.project, "wrong")
            self.assertEqual(self.api.buckets_get(self.project, "files").description, "")
            self.assertEqual(self.fetch("files", "stays"), b"x")

        def test_files_go_round(self) -> None:
            names = [f"round/{name}" for name in (*NAMES, "~a!*()'", "...", "x" * 200)]
            for name in names:
                content = name.encode() * 1000
                uri = self.send(name, content, "files")
                self.assertEqual(self.fetch("files", name), content)
                self.assertEqual(self.fetch(None, file_uri=uri, stream=False), content)
                shown = self.api.files_get(self.project, "files", name)
                self.assertEqual((shown.file, shown.size), (name, len(content)))
                self.assertIsNotNone(shown.time_created)
            for limit in (2, 1000):
                self.assertEqual(self.names("files", prefix="round/", limit=limit), (sorted(names), []))
            self.send(names[0], b"another", "files")
            self.assertEqual(self.fetch("files", names[0]), b"another")

        def test_the_provider_itself_takes_and_gives_files(self) -> None:
            address = self.api.files_upload(self.project, "files", "x")
            self.assertEqual(address.provider, self.provider)
            self.assertTrue(address.url.startswith(self.store["url"] + "/"), address.url)
            self.send("x", b"content", "files")
            url = self.api.files_download(self.project, "files", "x").url
            self.assertEqual(requests.get(url).content, b"content")
            self.hides(url)
            self.assertEqual(requests.get(url.replace("/x?", "/y?")).status_code, 403)
            self.assertEqual(requests.put(url, data=b"y", headers={"x-ms-blob-type": "BlockBlob"}).status_code, 403)
            self.assertEqual(self.fetch("files", "x"), b"content")

        def test_files_are_listed_by_prefix_and_delimiter(self) -> None:
            for name in ("list/a", "list/b/1", "list/b/2", "list/ü c", "list/ü d/1"):
                self.send(name, b"x", "files")
            self.assertEqual(self.names("files", prefix="list/b/"), (["list/b/1", "list/b/2"], []))
            for limit in (1, 3, 1000):
                folders = self.names("files", prefix="list/", delimiter="/", limit=limit)
                self.assertEqual(folders, (["list/a", "list/ü c"], ["list/b/", "list/ü d/"]))
            self.assertEqual(self.names("files", prefix="list/nothing", delimiter="/"), ([], []))
            self.refused(400, self.api.files_list, self.project, "files", limit=1001)
            self.refused(400, self.api.files_list, self.project, "files", continuation_token="mine")

        def test_files_are_deleted(self) -> None:
            self.send("to/delete ü", b"x", "files")
            self.api.files_delete(self.project, "files", "to/delete ü")
            for call in (self.api.files_get, self.api.files_delete, self.api.files_download):
                self.refused(404, call, self.project, "files", "to/delete ü")
            self.refused(400, self.api.files_upload, self.project, "files", "../x")

        @unittest.skipUnless(hasattr(file_operations, "MULTIPART_MIN_SIZE"), "this release sends files whole")
        def test_large_files_are_sent_in_parts(self) -> None:
            for content in (os.urandom(2 * PART + 1000), os.urandom(2 * PART), b"z" * PART):
                with small_parts(PART):
                    self.send("in parts/ü.bin", content, "files")
                self.assertEqual(self.fetch("files", "in parts/ü.bin"), content)
                self.assertEqual(self.api.files_get(self.project, "files", "in parts/ü.bin").size, len(content))
            self.send("in parts/ü.bin", b"whole again", "files")
            self.assertEqual(self.fetch("files", "in parts/ü.bin"), b"whole again")

        @unittest.skipUnless(hasattr(ubiops.CoreApi, "files_start_multipart_upload"), "this release knows no parts")
        def test_an_upload_in_parts_is_there_when_it_is_completed(self) -> None:
            begun = self.api.files_start_multipart_upload(self.project, "files", "steps")
            self.assertEqual(begun.provider, self.provider)
            self.refused(404, self.api.files_get, self.project, "files", "steps")
            made_up = ubiops.FileCompleteMultipartUpload(upload_id=begun.upload_id, parts=[{"ETag": '"x"', "PartNumber": 1}])
            self.refused(400, self.api.files_complete_multipart_upload, self.project, "files", "steps", made_up)
            self.refused(404, self.api.files_get, self.project, "files", "steps")

        @unittest.skipUnless(hasattr(ubiops.utils, "upload_files"), "this release sends no folders")
        def test_folders_go_round(self) -> None:
            wanted = {f"{folder}{n}.txt": f"{folder} {n}".encode() for folder in ("", "sub/däep er/") for n in range(8)}
            with tempfile.TemporaryDirectory() as source, tempfile.TemporaryDirectory() as target:
                write_all(source, wanted)
                send, get = ubiops.utils.upload_files, ubiops.utils.download_files
                send(self.client, self.project, [source], "files", "folder/", **quiet(send))
                get(self.client, self.project, "files", "folder/", target, **quiet(get))
                self.assertEqual(read_all(pathlib.Path(target) / "folder"), wanted)

        def test_files_stay_when_their_bucket_is_deleted(self) -> None:
            place = f"{self.project}/stays"
            self.create("gone", place)
            self.send("x", b"content", "gone")
            self.api.buckets_delete(self.project, "gone")
            self.refused(404, self.api.files_get, self.project, "gone", "x")
            self.create("again", place + "/")
            self.addCleanup(self.api.buckets_delete, self.project, "again")
            self.assertEqual(self.fetch("again", "x"), b"content")


class AmazonS3(Shared.AtProvider):
    provider = "amazon_s3"


class GoogleCloudStorage(Shared.AtProvider):
    provider = "google_cloud_storage"


class AzureBlobStorage(Shared.AtProvider):
    provider = "azure_blob_storage"
