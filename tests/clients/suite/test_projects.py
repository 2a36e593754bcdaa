"""Projects."""

import unittest

import ubiops

from .case import RELEASE, Case


class Projects(Case):
    def test_a_project_is_listed_and_shown(self) -> None:
        listed = {one.name: one for one in self.api.projects_list()}
        self.assertEqual(listed[self.project].organization_name, "default")
        shown = self.api.projects_get(self.project)
        self.assertEqual(shown.id, listed[self.project].id)
        # Older releases make a text of it.
        self.assertEqual(str(shown.suspended), "False")
        self.assertIn(self.project, [one.name for one in self.api.projects_list(organization="default")])
        self.assertEqual(self.api.projects_list(organization="nobody"), [])

    def test_a_project_can_be_renamed_and_deleted(self) -> None:
        name = self.new_project()
        renamed = self.api.projects_update(name, data=ubiops.ProjectUpdate(name=name + "-b"))
        self.addClassCleanup(self.gone, name + "-b")
        self.assertEqual(renamed.name, name + "-b")
        self.assertEqual(self.refused(404, self.api.projects_get, name), "Project was not found")
        self.api.projects_delete(name + "-b")
        self.assertEqual(self.refused(404, self.api.projects_get, name + "-b"), "Project was not found")
        self.assertNotIn(name + "-b", [one.name for one in self.api.projects_list()])

    def test_a_name_is_taken_once(self) -> None:
        again = ubiops.ProjectCreate(name=self.project, organization_name="default")
        sentence = self.refused(409, self.api.projects_create, data=again)
        self.assertEqual(sentence, f"project '{self.project}' already exists")

    def test_an_organization_must_exist(self) -> None:
        nowhere = ubiops.ProjectCreate(name="nowhere", organization_name="nobody")
        self.assertEqual(self.refused(404, self.api.projects_create, data=nowhere), "Organization was not found")

    def test_resources_are_counted(self) -> None:
        self.structured("counted")
        self.version("counted")
        usage = self.api.projects_resource_usage(self.project)
        self.assertEqual((usage.deployments, usage.deployment_versions), (1, 1))

    @unittest.skipIf(RELEASE < (4, 12), "this release cannot filter projects")
    def test_labels_filter_projects(self) -> None:
        self.api.projects_update(self.project, data={"labels": {"team": "red"}})
        self.assertEqual([one.name for one in self.api.projects_list(labels="team:red")], [self.project])
        self.assertEqual(self.api.projects_list(labels="team:blue"), [])
