"""Uploads, revisions, builds: from code to an answer, and from one code to the next."""

import io
import time
import typing
import unittest
import zipfile

import ubiops

from . import packages
from .case import PATIENCE, RELEASE, Case


class Revisions(Case):
    @classmethod
    def prepare(cls) -> None:
        cls.structured("d")
        cls.running("d")

    def test_code_is_replaced_and_what_is_broken_never_serves(self) -> None:
        self.assertEqual(self.ask("d", "Hey").result, {"answer": "HEY!", "length": 3})

        second = self.upload("d", packages.WHISPER)
        self.wait("d", second)
        # The processes of the first code are replaced behind the callers' backs.
        self.until(lambda: self.ask("d", "Hey").result == {"answer": "hey...", "length": 3})

        third = self.upload("d", packages.BROKEN)
        failed = self.ended("d", third)
        self.assertEqual(failed.status, "failed")
        self.assertTrue(failed.error_message.startswith("deployment.py line 2: "), failed.error_message)
        version = self.api.deployment_versions_get(self.project, "d", "v1")
        self.assertEqual(version.status, "available")
        self.assertEqual(version.active_revision, second)
        if RELEASE >= (4,):
            self.assertEqual(version.latest_revision, third)
        self.assertEqual(self.ask("d", "Hey").result, {"answer": "hey...", "length": 3})

    def until(self, holds: typing.Callable[[], bool]) -> None:
        """Waits until something holds."""
        end = time.monotonic() + PATIENCE
        while not holds():
            self.assertLess(time.monotonic(), end, "it never came to hold")
            time.sleep(0.05)

    def test_requirements_are_installed(self) -> None:
        self.structured("six")
        self.running("six", packages.WITH_SIX, requirements_txt="six==1.17.0\n")
        self.assertEqual(self.ask("six", "x").result, {"answer": "1.17.0", "length": 6})

    def test_requirements_that_do_not_exist_fail_with_the_reason(self) -> None:
        self.structured("missing")
        self.version("missing")
        revision = self.upload("missing", packages.WITH_SIX, requirements_txt="six==999.0\n")
        failed = self.ended("missing", revision)
        self.assertEqual(failed.status, "failed")
        self.assertIn("six", failed.error_message)

    def test_revisions_are_listed_and_shown(self) -> None:
        listed = self.api.revisions_list(self.project, "d", "v1")
        first = listed[-1]
        self.assertEqual(first.version, "v1")
        shown = self.api.revisions_get(self.project, "d", revision_id=first.id, version="v1")
        self.assertEqual(self.ended("d", shown.id).status, "success")
        self.assertIn("@", shown.created_by)

    def test_code_can_be_had_back(self) -> None:
        oldest = self.api.revisions_list(self.project, "d", "v1")[-1]
        answer = self.api.revisions_file_download(
            self.project, "d", revision_id=oldest.id, version="v1", _preload_content=False
        )
        content = answer.data if hasattr(answer, "data") else answer.content
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            self.assertEqual(archive.namelist(), ["deployment_package/deployment.py"])

    def test_code_can_be_taken_from_another_version(self) -> None:
        self.version("d", "copy")
        made = self.api.revisions_file_upload(
            self.project, "d", "copy", source_deployment="d", source_version="v1"
        )
        self.wait("d", made.revision, "copy")

    def test_what_is_no_zip_is_refused_at_once(self) -> None:
        self.version("d", "bad")
        path = packages.written(self.files, b"this is no zip")
        self.refused(400, self.api.revisions_file_upload, self.project, "d", "bad", file=path)
        self.assertEqual(self.api.revisions_list(self.project, "d", "bad"), [])
        self.assertEqual(self.api.deployment_versions_get(self.project, "d", "bad").status, "unavailable")

    @unittest.skipIf(RELEASE < (4,), "older releases cannot ask for it")
    def test_a_revision_can_be_built_again(self) -> None:
        self.structured("again")
        self.running("again")
        revision = self.api.revisions_list(self.project, "again", "v1")[0].id
        self.api.revisions_rebuild(self.project, "again", revision_id=revision, version="v1", data={})
        latest = self.api.deployment_versions_get(self.project, "again", "v1").latest_revision
        self.assertEqual(self.ended("again", latest).status, "success")

    @unittest.skipUnless(hasattr(ubiops.CoreApi, "builds_get"), "younger releases know no builds of versions")
    def test_older_releases_find_their_builds(self) -> None:
        oldest = self.api.revisions_list(self.project, "d", "v1")[-1]
        build = self.api.builds_get(self.project, build_id=oldest.id, deployment_name="d", version="v1")
        self.assertEqual((build.id, build.revision, build.status), (oldest.id, oldest.id, "success"))
        if hasattr(self.api, "builds_list"):
            self.assertIn(oldest.id, [one.id for one in self.api.builds_list(self.project, "d", "v1")])
