"""Environments as objects of their own, as the releases that know them use them."""

import io
import typing
import unittest
import zipfile

import ubiops

from . import packages
from .case import PATIENCE, RELEASE, Case

BASE = "python3-11"


@unittest.skipUnless((4,) <= RELEASE < (4, 13), "older releases know languages, younger ones tags")
class Environments(Case):
    def environment(self, name: str) -> typing.Any:
        """Creates an environment."""
        data = ubiops.EnvironmentCreate(name=name, base_environment=BASE, description="from a test", labels={"a": "b"})
        return self.api.environments_create(project_name=self.project, data=data)

    def file(self, name: str, requirements: str) -> str:
        """Uploads requirements in a zip and waits for their build; gives the build's id."""
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr("environment_package/requirements.txt", requirements)
        path = packages.written(self.files, sink.getvalue())
        made = self.api.environment_revisions_file_upload(self.project, name, file=path)
        assert made.success and made.revision, made
        ubiops.utils.wait_for_environment(self.client, self.project, name, timeout=PATIENCE, quiet=True)
        return str(made.build)

    def test_an_environment_is_made_built_used_and_deleted(self) -> None:
        made = self.environment("six-env")
        self.assertEqual((made.name, made.base_environment, made.status), ("six-env", BASE, "unavailable"))
        self.file("six-env", "six==1.16.0\n")
        shown = self.api.environments_get(self.project, "six-env")
        self.assertEqual((shown.status, shown.active_build), ("available", shown.latest_build))

        self.structured("d")
        self.version("d", environment="six-env")
        revision = self.upload("d", packages.WITH_SIX)
        self.wait("d", revision)
        self.assertEqual(self.ask("d", "x").result, {"answer": "1.16.0", "length": 6})
        used = self.api.environments_usage(self.project, "six-env")
        self.assertEqual([(one.deployment, one.version, one.environment) for one in used], [("d", "v1", "six-env")])
        self.assertIn("version 'v1' of deployment 'd'", self.refused(409, self.api.environments_delete, self.project, "six-env"))
        self.api.deployments_delete(self.project, "d")
        self.api.environments_delete(self.project, "six-env")
        self.refused(404, self.api.environments_get, self.project, "six-env")

    def test_revisions_and_builds_are_shown(self) -> None:
        self.environment("shown")
        build = self.file("shown", "six==1.16.0\n")
        revision = self.api.environment_revisions_list(self.project, "shown")[0]
        self.assertEqual((revision.environment, revision.expired), ("shown", False))
        found = self.api.environment_revisions_get(self.project, environment_name="shown", revision_id=revision.id)
        self.assertIn("@", found.created_by)
        where = {"environment_name": "shown", "revision_id": revision.id}
        self.assertEqual([one.id for one in self.api.environment_builds_list(self.project, **where)], [build])
        shown = self.api.environment_builds_get(self.project, build_id=build, **where)
        self.assertEqual((shown.status, shown.trigger), ("success", "Environment file upload"))
        files = self.api.environment_build_dependencies_list(self.project, build_id=build, **where)
        self.assertEqual([(one.name, one.content) for one in files], [("requirements.txt", "six==1.16.0\n")])
        answer = self.api.environment_revisions_file_download(self.project, _preload_content=False, **where)
        content = answer.data if hasattr(answer, "data") else answer.content
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            self.assertEqual(archive.namelist(), ["environment_package/requirements.txt"])

        again = self.api.environment_revisions_rebuild(self.project, data={}, **where)
        self.assertEqual(again.trigger, "Rebuild triggered")
        ubiops.utils.wait_for_environment(self.client, self.project, "shown", timeout=PATIENCE, quiet=True)
        cancel = ubiops.EnvironmentBuildUpdate(status="cancelled")
        told = self.refused(400, self.api.environment_builds_update, self.project, build_id=again.id, data=cancel, **where)
        self.assertEqual(told, "The build has ended already: its status is success")

    def test_an_environment_is_changed_copied_and_listed(self) -> None:
        self.environment("before")
        self.file("before", "six==1.16.0\n")
        data = ubiops.EnvironmentUpdate(name="after", display_name="After", labels={"c": "d"})
        changed = self.api.environments_update(self.project, "before", data)
        self.assertEqual((changed.name, changed.display_name, changed.labels), ("after", "After", {"c": "d"}))
        listed = self.api.environments_list(self.project, environment_type="custom", labels="c:d")
        self.assertEqual([one.name for one in listed], ["after"])
        self.environment("copy")
        self.api.environment_revisions_file_upload(self.project, "copy", source_environment="after")
        ubiops.utils.wait_for_environment(self.client, self.project, "copy", timeout=PATIENCE, quiet=True)

    def test_a_build_that_fails_ends_the_wait_with_its_reason(self) -> None:
        self.environment("broken")
        with self.assertRaises(Exception):
            self.file("broken", "six==999.0\n")
        shown = self.api.environments_get(self.project, "broken")
        self.assertEqual(shown.status, "failed")
        build = self.api.environment_builds_get(
            self.project, build_id=shown.latest_build, environment_name="broken", revision_id=shown.latest_revision
        )
        self.assertIn("six==999.0 does not exist", build.error_message)
