"""Log lines, in both ways that clients ask for them."""

import contextlib
import datetime
import io
import time
import typing
import unittest

import ubiops

from .case import RELEASE, Case

HAS_GET = hasattr(ubiops.CoreApi, "logs_list")


class Logs(Case):
    request: str
    started: datetime.datetime

    @classmethod
    def prepare(cls) -> None:
        cls.started = datetime.datetime.now(datetime.timezone.utc)
        cls.structured("d")
        cls.running("d")
        cls.request = cls.api.deployment_requests_create(cls.project, "d", {"text": "here"}).id

    def posted(self, **filters: str) -> typing.List[typing.Any]:
        """Lines by the older way."""
        data = ubiops.LogsCreate(filters=filters, limit=100)
        return list(self.api.projects_log_list(self.project, data=data))

    def test_lines_of_a_request_by_the_older_way(self) -> None:
        lines = self.posted(deployment_name="d", deployment_request_id=self.request)
        self.assertEqual([line.log for line in lines], ["asked with here"])
        line = lines[0]
        self.assertEqual((line.deployment_name, line.deployment_version), ("d", "v1"))
        self.assertIsNotNone(line.id)
        self.assertIsNotNone(line.date)

    def test_lines_around_a_time_by_the_older_way(self) -> None:
        date = self.started.isoformat()
        data = ubiops.LogsCreate(filters={"deployment_name": "d"}, date=date, date_range=3600, limit=500)
        logs = [line.log for line in self.api.projects_log_list(self.project, data=data)]
        self.assertIn("woke up as v1", logs)
        self.assertIn("asked with here", logs)

    def test_unknown_labels_are_refused(self) -> None:
        self.refused(400, self.posted, colour="red")

    @unittest.skipUnless(HAS_GET, "this release has only the older way")
    def test_the_query_of_the_waiter(self) -> None:
        query = (
            f"| deployment_name=`d` and deployment_version=`v1`"
            f" and deployment_request_id!~`.+` or deployment_request_id=`{self.request}`"
        )
        start = self.started.isoformat(timespec="milliseconds")
        lines = self.api.logs_list(self.project, query=query, start=start, end=time.time_ns(), limit=1000)
        logs = [line.log for line in lines]
        self.assertIn("woke up as v1", logs)
        self.assertEqual(logs[-1], "asked with here")
        self.assertEqual(lines[-1].metadata.deployment_request_id, self.request)
        self.assertEqual([line.timestamp for line in lines], sorted(line.timestamp for line in lines))
        later = self.api.logs_list(self.project, query=query, start=lines[-1].timestamp + 1, end=time.time_ns())
        self.assertEqual(later, [])

    @unittest.skipUnless(HAS_GET, "this release has only the older way")
    def test_texts_are_searched(self) -> None:
        lines = self.api.logs_list(self.project, query="|= `asked with`", limit=10)
        self.assertIn("asked with here", [line.log for line in lines])
        self.refused(400, self.api.logs_list, self.project, query="| colour=`red`")

    @unittest.skipUnless(RELEASE >= (4,), "this release has no waiter")
    def test_the_waiter_streams_lines(self) -> None:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            ubiops.utils.wait_for_deployment_request(
                self.client, self.project, "d", self.request, timeout=120, quiet=False, stream_logs=HAS_GET
            )
        self.assertIn("completed", printed.getvalue())
        if HAS_GET:
            self.assertIn("asked with here", printed.getvalue())
