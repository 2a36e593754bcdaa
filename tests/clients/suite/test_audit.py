"""Who did what."""

import ubiops

from .case import Case


class Audit(Case):
    @classmethod
    def prepare(cls) -> None:
        cls.structured("d")
        cls.version("d")
        cls.api.deployments_update(cls.project, "d", ubiops.DeploymentUpdate(description="new"))
        cls.plain("other")
        cls.api.deployments_delete(cls.project, "other")

    def test_a_project_lists_what_was_done(self) -> None:
        events = self.api.project_audit_events_list(self.project)
        self.assertEqual(events[0].action, "delete")
        self.assertIn("other", events[0].event)
        self.assertIn("@", events[0].user)
        self.assertIsNotNone(events[0].date)
        self.assertIn("Created version v1 for deployment d", [one.event for one in events])

    def test_events_are_filtered_and_paged(self) -> None:
        created = self.api.project_audit_events_list(self.project, action="create")
        self.assertEqual({one.action for one in created}, {"create"})
        page = self.api.project_audit_events_list(self.project, action="create", limit=1, offset=1)
        self.assertEqual([one.id for one in page], [created[1].id])

    def test_a_deployment_lists_its_own(self) -> None:
        events = self.api.deployment_audit_events_list(self.project, "d")
        self.assertEqual([one.action for one in events], ["update", "create", "create"])
        self.assertIn("description", events[0].event)
