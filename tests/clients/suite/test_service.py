"""The service and its organizations."""

import unittest
import uuid

import ubiops

from .case import RELEASE, Case, client_of


class Service(Case):
    def test_the_service_is_ok_for_everyone(self) -> None:
        self.assertEqual(self.api.service_status().status, "ok")
        stranger = client_of(None)
        self.addCleanup(stranger.close)
        self.assertEqual(ubiops.CoreApi(stranger).service_status().status, "ok")

    def test_the_newer_prefix_has_the_same_operations(self) -> None:
        import os

        newer = client_of("Token " + os.environ["SUITE_TOKEN"], "/v2")
        self.addCleanup(newer.close)
        self.assertEqual(ubiops.CoreApi(newer).projects_get(self.project).name, self.project)


class Organizations(Case):
    def test_an_organization_can_be_made_shown_and_changed(self) -> None:
        name = f"o-{uuid.uuid4().hex[:8]}"
        made = self.api.organizations_create(data=ubiops.OrganizationCreate(name=name, subscription="free"))
        self.assertEqual(made.name, name)
        self.assertIn(name, [one.name for one in self.api.organizations_list()])
        shown = self.api.organizations_get(name)
        self.assertEqual((shown.id, shown.name), (made.id, name))
        self.assertIsNotNone(shown.creation_date)

        renamed = self.api.organizations_update(name, data=ubiops.OrganizationUpdate(name=name + "-b"))
        self.assertEqual(renamed.name, name + "-b")
        self.assertEqual(self.refused(404, self.api.organizations_get, name), "Organization was not found")

    def test_resources_are_counted(self) -> None:
        usage = self.api.organizations_resource_usage("default")
        self.assertGreaterEqual(usage.projects, 1)
        self.assertGreaterEqual(usage.deployments, 0)

    def test_a_name_is_taken_once(self) -> None:
        again = ubiops.OrganizationCreate(name="default", subscription="free")
        self.assertIn("already exists", self.refused(409, self.api.organizations_create, data=again))


class InstanceTypes(Case):
    def test_they_come_as_this_release_reads_them(self) -> None:
        listed = self.api.instance_types_list(self.project)
        types = listed.results if RELEASE >= (4, 6) else listed
        named = {one.name: one for one in types}
        self.assertIn("512mb", named)
        self.assertIsNotNone(named["512mb"].id)

    @unittest.skipIf(RELEASE < (4, 6), "older releases know no pages")
    def test_pages_follow_their_cursor(self) -> None:
        first = self.api.instance_types_list(self.project, limit=2)
        self.assertEqual(len(first.results), 2)
        second = self.api.instance_types_list(self.project, limit=2, cursor=first.next)
        names = [one.name for one in first.results + second.results]
        self.assertEqual(len(set(names)), 4)
