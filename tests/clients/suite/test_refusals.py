"""What the client's exceptions say."""

import ubiops

from .case import Case, client_of


class Refusals(Case):
    def test_without_a_token(self) -> None:
        stranger = client_of(None)
        self.addCleanup(stranger.close)
        sentence = self.refused(401, ubiops.CoreApi(stranger).projects_list)
        self.assertEqual(sentence, "Authentication credentials were not provided")

    def test_with_a_token_that_nobody_has(self) -> None:
        stranger = client_of("Token " + "0" * 40)
        self.addCleanup(stranger.close)
        self.assertEqual(self.refused(401, ubiops.CoreApi(stranger).projects_list), "Invalid token")

    def test_with_a_doubled_prefix(self) -> None:
        import os

        stranger = client_of("Token Token " + os.environ["SUITE_TOKEN"])
        self.addCleanup(stranger.close)
        sentence = self.refused(401, ubiops.CoreApi(stranger).projects_list)
        self.assertTrue(sentence.endswith("should not contain spaces"), sentence)

    def test_what_does_not_exist(self) -> None:
        self.assertEqual(self.refused(404, self.api.projects_get, "nowhere"), "Project was not found")
        self.assertEqual(
            self.refused(404, self.api.deployments_list, "nowhere"), "Project was not found"
        )
        self.plain("d")
        self.version("d")
        self.assertEqual(
            self.refused(404, self.api.deployment_versions_get, self.project, "d", "v2"),
            "Deployment version was not found",
        )
        self.assertEqual(
            self.refused(404, self.api.deployment_requests_get, self.project, "d", "no-id"), "Request was not found"
        )
        self.assertEqual(
            self.refused(404, self.api.revisions_get, self.project, "d", revision_id="no-id", version="v1"),
            "Revision was not found",
        )

    def test_names_with_strange_characters(self) -> None:
        create = self.api.deployments_create
        for name in ("Upper", "a b", "a/b", "ä", "-a", "a" * 65):
            data = ubiops.DeploymentCreate(name="ok", input_type="plain", output_type="plain")
            data._name = name
            sentence = self.refused(400, create, self.project, data)
            self.assertIn("name", sentence)
        self.assertEqual(
            self.refused(404, self.api.deployments_get, self.project, "a/b c"), "Deployment was not found"
        )
