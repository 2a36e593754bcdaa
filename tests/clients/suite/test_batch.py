"""Batch requests: made, collected, called off, deleted, downloaded."""

import time
import typing
import unittest

import ubiops

from . import packages
from .case import PATIENCE, RELEASE, Case

SLOW = """
import time

class Deployment:
    def request(self, data):
        while data["text"] == "long":
            time.sleep(0.05)
        return {"answer": data["text"].upper(), "length": len(data["text"])}
"""


class Batch(Case):
    @classmethod
    def prepare(cls) -> None:
        cls.structured("d")
        cls.version("d", maximum_instances=1)
        cls.wait("d", cls.upload("d", SLOW))
        cls.plain("p")
        cls.running("p", packages.ECHO)

    def made(self, *texts: str, **how: typing.Any) -> typing.List[str]:
        data = [{"text": text} for text in texts]
        answer = self.api.batch_deployment_requests_create(self.project, "d", data, **how)
        self.assertEqual([(one.deployment, one.version, one.status) for one in answer], [("d", "v1", "pending")] * len(texts))
        return [one.id for one in answer]

    def finished(self, ids: typing.List[str], deployment: str = "d") -> typing.List[typing.Any]:
        """The requests in the order of their ids, once all have ended."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = {one.id: one for one in self.api.deployment_requests_batch_get(self.project, deployment, ids)}
            if all(one.status in ("completed", "failed", "cancelled") for one in found.values()):
                return [found[one] for one in ids]
            time.sleep(0.1)
        raise AssertionError(f"they do not end: {found}")

    def runs(self, request: str) -> None:
        """Waits until a request runs."""
        until = time.monotonic() + PATIENCE
        while self.api.deployment_requests_get(self.project, "d", request).status != "processing":
            assert time.monotonic() < until
            time.sleep(0.05)

    def test_requests_are_made_and_collected(self) -> None:
        found = self.finished(self.made("a", "bb", "ccc", timeout=60))
        self.assertEqual([one.result for one in found], [{"answer": t.upper(), "length": len(t)} for t in ("a", "bb", "ccc")])
        self.assertEqual(found[1].request_data, {"text": "bb"})
        self.assertIs(found[0].success, True)
        version = self.api.deployment_version_requests_batch_get(self.project, "d", "v1", [one.id for one in found])
        self.assertEqual(len(version), 3)
        if RELEASE >= (4, 8):
            self.assertEqual((found[2].input_size, found[2].timeout), (len('{"text": "ccc"}'), 60))

    def test_a_version_takes_texts(self) -> None:
        answer = self.api.batch_deployment_version_requests_create(self.project, "p", "v1", ["abc", "def"])
        found = self.finished([one.id for one in answer], "p")
        self.assertEqual([one.result for one in found], ["cba", "fed"])

    def test_a_faulty_item_refuses_all(self) -> None:
        create = self.api.batch_deployment_requests_create
        self.assertIn("Item 1", self.refused(400, create, self.project, "d", [{"text": "a"}, {"text": 7}]))
        self.refused(400, create, self.project, "d", [{"text": "a"}] * 251)
        self.refused(400, create, self.project, "d", [])

    def test_requests_are_called_off(self) -> None:
        ids = self.made("long", "waits", "stays")
        self.runs(ids[0])
        cancelled = ubiops.DeploymentRequestUpdate(status="cancelled")
        self.api.deployment_version_requests_update(self.project, "d", ids[1], "v1", cancelled)
        self.api.deployment_requests_update(self.project, "d", ids[0], cancelled)
        self.assertEqual([one.status for one in self.finished(ids)], ["cancelled", "cancelled", "completed"])
        self.refused(400, self.api.deployment_requests_update, self.project, "d", ids[2], cancelled)

    @unittest.skipIf(RELEASE < (4, 6), "older releases cannot do this")
    def test_many_are_called_off_at_once(self) -> None:
        ids = self.made("long", "b", "c")
        self.runs(ids[0])
        self.api.deployment_requests_batch_cancel(self.project, "d", ids[1:])
        self.api.deployment_version_requests_batch_cancel(self.project, "d", "v1", [], status="processing")
        self.assertEqual([one.status for one in self.finished(ids)], ["cancelled"] * 3)

    def test_requests_are_deleted(self) -> None:
        ids = self.made("a", "b", "c", "d")
        self.finished(ids)
        self.api.deployment_requests_delete(self.project, "d", ids[0])
        self.api.deployment_version_requests_delete(self.project, "d", ids[1], "v1")
        self.api.deployment_requests_batch_delete(self.project, "d", [ids[2]])
        self.api.deployment_version_requests_batch_delete(self.project, "d", "v1", [ids[3]])
        for one in ids:
            self.refused(404, self.api.deployment_requests_get, self.project, "d", one)
        self.refused(404, self.api.deployment_requests_batch_get, self.project, "d", ids[:1])

    @unittest.skipIf(RELEASE < (4, 12), "older releases cannot do this")
    def test_input_and_output_are_downloaded(self) -> None:
        (request,) = self.made("file")
        self.finished([request])
        self.assertEqual(self.api.deployment_requests_input_get(self.project, "d", request).json(), {"text": "file"})
        output = self.api.deployment_version_requests_output_get(self.project, "d", request, "v1")
        self.assertEqual(output.json(), {"answer": "FILE", "length": 4})
        own = self.api.deployment_version_requests_input_get(self.project, "d", request, "v1")
        self.assertEqual(own.json(), {"text": "file"})
        self.assertEqual(self.api.deployment_requests_output_get(self.project, "d", request).json(), output.json())

    @unittest.skipIf(RELEASE < (4, 12), "older releases cannot do this")
    def test_urgent_requests_pass_others(self) -> None:
        (long,) = self.made("long")
        self.runs(long)
        plain = self.made("one", "two", "three")
        urgent = self.made("urgent", priority=0)
        self.api.deployment_requests_batch_cancel(self.project, "d", [long])
        self.finished(plain + urgent)
        at, *others = [self.api.deployment_requests_get(self.project, "d", one).time_started for one in urgent + plain]
        self.assertEqual(others, sorted(others))
        # One may have been on its way to the process when the urgent one came.
        self.assertLessEqual(sum(other < at for other in others), 1)
        answer = self.api.deployment_requests_create(self.project, "d", {"text": "direct"}, priority=0)
        self.assertEqual(answer.result["answer"], "DIRECT")


class Streams(Case):
    TELLS = """
    class Deployment:
        def request(self, data, context):
            for n in range(3):
                context["streaming_update"]("update %d" % n)
            if data == "fail":
                raise ValueError()
            return data
    """

    @classmethod
    def prepare(cls) -> None:
        cls.plain("s")
        cls.running("s", cls.TELLS)

    @unittest.skipIf(RELEASE < (4, 6), "older releases cannot do this")
    def test_updates_are_streamed(self) -> None:
        for version in (None, "v1"):
            seen = []
            how = {"version": version} if version else {}
            for update in ubiops.utils.stream_deployment_request(
                client=self.client, project_name=self.project, deployment_name="s", data="hello", full_response=True, **how
            ):
                seen.append(update)
            self.assertEqual(seen[:3], ["update 0", "update 1", "update 2"])
            self.assertEqual(seen[-1].result, "hello")
