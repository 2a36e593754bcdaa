"""Instances, of a version and of a project, with their events."""

import time
import typing
import unittest

import ubiops

from . import packages
from .case import PATIENCE, RELEASE, Case


class Instances(Case):
    @classmethod
    def prepare(cls) -> None:
        cls.structured("d")
        cls.version("d", minimum_instances=1, maximum_instances=1)
        cls.wait("d", cls.upload("d", packages.SHOUT))

    def running(self) -> typing.Any:
        """The instance that runs, once there is one."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = self.api.instances_list(self.project, "d", "v1", status="running").results
            if found:
                return found[0]
            time.sleep(0.1)
        raise AssertionError("no instance runs")

    @unittest.skipIf(RELEASE < (4, 8), "older releases cannot do this")
    def test_instances_are_listed_shown_and_stopped(self) -> None:
        first = self.running()
        self.assertEqual((first.status, first.instance_type.name), ("running", "2048mb"))
        shown = self.api.instances_get(self.project, "d", first.id, "v1")
        self.assertEqual((shown.deployment, shown.version), ("d", "v1"))
        in_project = self.api.project_instances_get(self.project, first.id)
        self.assertEqual(in_project.id, first.id)
        listed = self.api.project_instances_list(self.project).results
        self.assertIn(first.id, [one.id for one in listed])
        events = self.api.instance_events_list(self.project, "d", first.id, "v1").results
        self.assertIn("Instance status changed to initialising", [event.description for event in events])
        self.api.instances_update(self.project, "d", first.id, "v1", ubiops.InstanceUpdate(status="stopped"))
        until = time.monotonic() + PATIENCE
        while self.running().id == first.id:
            assert time.monotonic() < until
            time.sleep(0.1)
        second = self.running().id
        self.api.project_instances_update(self.project, second, ubiops.InstanceUpdate(status="stopped"))
        while self.running().id == second:
            assert time.monotonic() < until
            time.sleep(0.1)
        self.refused(
            400, self.api.project_instances_update, self.project, self.running().id, ubiops.InstanceUpdate(status="running")
        )
