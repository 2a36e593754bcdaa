"""Deployment versions and the environments they name."""

import unittest

import ubiops

from . import packages
from .case import RELEASE, Case

# How this release names the environment of a version.
WORD = "environment" if RELEASE >= (4,) else "language"


class Versions(Case):
    @classmethod
    def prepare(cls) -> None:
        cls.structured("d")

    def named(self, version: object) -> str:
        """The environment that a version shows."""
        return str(getattr(version, WORD))

    def test_without_an_environment_the_newest_python_is_used(self) -> None:
        made = self.version("d", "plain")
        self.assertTrue(self.named(made).startswith("python3"), self.named(made))
        self.assertEqual((made.version, made.deployment, made.status), ("plain", "d", "unavailable"))
        self.assertEqual((made.minimum_instances, made.maximum_instances, made.maximum_idle_time), (0, 5, 300))
        self.assertEqual((made.request_retention_mode, made.request_retention_time), ("full", 604800))

    def test_an_environment_may_be_named(self) -> None:
        made = self.version("d", "named", **{WORD: "python3-11"})
        self.assertIn(self.named(made), ("python3-11", "python3.11"))

    def test_what_is_not_offered_is_refused_with_what_is(self) -> None:
        data = ubiops.DeploymentVersionCreate(version="odd", **{WORD: "cobol"})
        sentence = self.refused(400, self.api.deployment_versions_create, self.project, "d", data)
        self.assertIn("cobol", sentence)
        self.assertIn("python3-11", sentence)

    def test_what_cannot_be_honoured_is_refused(self) -> None:
        data = ubiops.DeploymentVersionCreate(version="static", static_ip=True)
        sentence = self.refused(400, self.api.deployment_versions_create, self.project, "d", data)
        self.assertEqual(sentence, "static_ip: static addresses are not offered; leave it out or set it to false")

    def test_settings_are_kept_and_changed_one_by_one(self) -> None:
        self.version("d", "set", description="one", labels={"a": "1"}, maximum_instances=2, instance_type="512mb")
        change = ubiops.DeploymentVersionUpdate(description="two", maximum_idle_time=20)
        changed = self.api.deployment_versions_update(self.project, "d", "set", change)
        self.assertEqual((changed.description, changed.labels), ("two", {"a": "1"}))
        self.assertEqual((changed.maximum_instances, changed.maximum_idle_time), (2, 20))
        self.assertEqual(changed.instance_type, "512mb")
        changed = self.api.deployment_versions_update(
            self.project, "d", "set", ubiops.DeploymentVersionUpdate(version="reset")
        )
        self.assertEqual(self.api.deployment_versions_get(self.project, "d", "reset").id, changed.id)
        sentence = self.refused(404, self.api.deployment_versions_get, self.project, "d", "set")
        self.assertEqual(sentence, "Deployment version was not found")

    def test_lists_are_filtered_by_labels(self) -> None:
        self.version("d", "l1", labels={"stage": "test"})
        self.version("d", "l2", labels={"stage": "live"})
        listed = self.api.deployment_versions_list(self.project, "d", labels="stage:live")
        self.assertEqual([one.version for one in listed], ["l2"])

    def test_a_name_is_taken_once(self) -> None:
        self.version("d", "twice")
        data = ubiops.DeploymentVersionCreate(version="twice")
        sentence = self.refused(409, self.api.deployment_versions_create, self.project, "d", data)
        self.assertEqual(sentence, "version 'twice' of deployment 'd' already exists")

    def test_the_first_version_is_the_default_one(self) -> None:
        self.structured("first")
        self.version("first", "a")
        self.version("first", "b")
        self.assertEqual(self.api.deployments_get(self.project, "first").default_version, "a")
        change = ubiops.DeploymentUpdate(default_version="b")
        sentence = self.refused(400, self.api.deployments_update, self.project, "first", change)
        self.assertEqual(sentence, "Default cannot be set to an unavailable version")

    def test_deleted_versions_are_gone(self) -> None:
        self.version("d", "brief")
        self.api.deployment_versions_delete(self.project, "d", "brief")
        sentence = self.refused(404, self.api.deployment_versions_get, self.project, "d", "brief")
        self.assertEqual(sentence, "Deployment version was not found")


@unittest.skipIf(RELEASE < (4,), "environments are younger than this release")
class Environments(Case):
    def test_base_environments_are_listed_and_shown(self) -> None:
        listed = self.api.environments_list(self.project, environment_type="base")
        self.assertIn("python3-11", [one.name for one in listed])
        shown = self.api.environments_get(self.project, "python3-11")
        if RELEASE >= (4, 12):
            self.assertTrue(shown.system)
        self.assertFalse(shown.implicit)
        self.assertEqual(self.refused(404, self.api.environments_get, self.project, "x"), "Environment was not found")

    def test_requirements_make_an_environment_that_waiters_follow(self) -> None:
        self.structured("made")
        self.version("made")
        revision = self.upload("made", packages.WITH_SIX, requirements_txt="six==1.17.0\n")
        name = self.api.deployment_versions_get(self.project, "made", "v1").environment
        environment = self.api.environments_get(self.project, name)
        self.assertTrue(environment.implicit)
        self.assertIsNotNone(environment.latest_build)
        self.assertIsNotNone(environment.latest_revision)
        self.wait("made", revision)
        build = self.api.environment_builds_get(
            self.project, build_id=environment.latest_build, environment_name=name, revision_id=environment.latest_revision
        )
        self.assertEqual(build.status, "success")
