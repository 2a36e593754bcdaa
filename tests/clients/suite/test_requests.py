"""Direct requests and what is kept of them."""

import ubiops

from . import packages
from .case import RELEASE, Case


class Requests(Case):
    @classmethod
    def prepare(cls) -> None:
        cls.structured("d")
        cls.running("d")

    def test_a_deployment_answers(self) -> None:
        answer = self.ask("d", "Hey")
        self.assertEqual(answer.result, {"answer": "HEY!", "length": 3})
        self.assertEqual((answer.deployment, answer.version), ("d", "v1"))
        self.assertIs(answer.success, True)
        self.assertIsNone(answer.error_message)
        if RELEASE >= (4,):
            self.assertEqual(answer.status, "completed")

    def test_a_version_answers(self) -> None:
        answer = self.api.deployment_version_requests_create(self.project, "d", "v1", {"text": "You"}, timeout=60)
        self.assertEqual(answer.result, {"answer": "YOU!", "length": 3})
        read = self.api.deployment_version_requests_get(self.project, "d", request_id=answer.id, version="v1")
        self.assertEqual(read.id, answer.id)
        if RELEASE >= (4,):
            self.assertEqual(read.timeout, 60)

    def test_requests_can_be_read_back(self) -> None:
        answer = self.ask("d", "Back")
        read = self.api.deployment_requests_get(self.project, "d", answer.id)
        self.assertEqual((read.id, read.status, read.version), (answer.id, "completed", "v1"))
        self.assertEqual((read.request_data, read.result), ({"text": "Back"}, {"answer": "BACK!", "length": 5 - 1}))
        for time in (read.time_created, read.time_started, read.time_completed):
            self.assertIsNotNone(time)
        brief = self.api.deployment_requests_get(self.project, "d", answer.id, metadata_only=True)
        self.assertIsNone(brief.result)

    def test_requests_are_listed(self) -> None:
        first, second = self.ask("d", "one").id, self.ask("d", "two").id
        listed = [one.id for one in self.api.deployment_requests_list(self.project, "d", status="completed")]
        self.assertLess(listed.index(second), listed.index(first))
        listed = [one.id for one in self.api.deployment_version_requests_list(self.project, "d", "v1", limit=1)]
        self.assertEqual(listed, [second])
        found = self.api.deployment_requests_list(self.project, "d", search_id=first)
        self.assertEqual([one.id for one in found], [first])

    def test_the_project_lists_requests_of_all_its_deployments(self) -> None:
        request = self.ask("d", "all").id
        listed = self.api.project_requests_list(self.project, "deployment")
        self.assertIn(request, [one.id for one in listed])

    def test_plain_deployments_take_and_give_text(self) -> None:
        self.plain("mirror")
        self.running("mirror", packages.ECHO)
        answer = self.api.deployment_requests_create(self.project, "mirror", "abc")
        self.assertEqual(answer.result, "cba")

    def test_lists_are_asked_one_by_one(self) -> None:
        answer = self.api.deployment_requests_create(self.project, "d", [{"text": "a"}, {"text": "bb"}])
        self.assertEqual(answer.result, [{"answer": "A!", "length": 1}, {"answer": "BB!", "length": 2}])

    def test_code_that_fails_tells_what_it_wants_to_tell(self) -> None:
        self.structured("picky")
        self.running("picky", packages.PICKY)
        answer = self.ask("picky", "13")
        self.assertEqual((answer.success, answer.result), (False, None))
        self.assertEqual(answer.error_message, "That text brings bad luck")
        answer = self.ask("picky", "12")
        self.assertEqual(answer.error_message, "An exception occurred in the request. See the logs for details.")
        listed = self.api.deployment_requests_list(self.project, "picky", status="failed")
        self.assertEqual(len(listed), 2)

    def test_bad_input_is_refused(self) -> None:
        create = self.api.deployment_requests_create
        self.assertIn("text", self.refused(400, create, self.project, "d", {"text": 1}))
        self.assertIn("other", self.refused(400, create, self.project, "d", {"text": "a", "other": 1}))
        self.assertIn("text", self.refused(400, create, self.project, "d", {}))
        self.assertEqual(
            self.refused(400, create, self.project, "d", {"text": "a"}, timeout=9), "timeout must be between 10 and 3600"
        )

    def test_a_version_without_code_takes_no_requests(self) -> None:
        self.structured("empty")
        self.version("empty")
        self.refused(400, self.api.deployment_requests_create, self.project, "empty", {"text": "a"})

    def test_the_default_version_can_be_changed(self) -> None:
        self.structured("two")
        self.running("two")
        self.version("two", "v2")
        self.wait("two", self.upload("two", packages.WHISPER, "v2"), "v2")
        self.api.deployments_update(self.project, "two", ubiops.DeploymentUpdate(default_version="v2"))
        answer = self.ask("two", "Hey")
        self.assertEqual((answer.version, answer.result["answer"]), ("v2", "hey..."))
