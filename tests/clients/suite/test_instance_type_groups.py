"""Groups of instance types: the ones every project has, those that users make, and the versions that use them."""

import typing
import unittest

import ubiops

from .case import RELEASE, Case


class InstanceTypeGroups(Case):
    @classmethod
    def prepare(cls) -> None:
        cls.structured("d")

    def group(self, name: str, *kinds: str) -> typing.Any:
        """Creates a group of these kinds, the first one tried first, each for a minute."""
        ids = {kind.name: kind.id for kind in self.api.instance_types_list(self.project).results}
        members = [
            {"id": ids[kind], "priority": priority, "schedule_timeout": 60} for priority, kind in enumerate(kinds)
        ]
        data = ubiops.InstanceTypeGroupCreate(name=name, instance_types=members)
        return self.api.instance_type_groups_create(self.project, data)

    @unittest.skipIf(RELEASE < (4, 8), "older releases cannot do this")
    def test_every_project_has_a_group_for_each_kind(self) -> None:
        first = self.api.instance_type_groups_list(self.project, limit=2)
        self.assertEqual([one.name for one in first.results], ["256 MB + 0.0625 vCPU", "512 MB + 0.125 vCPU"])
        second = self.api.instance_type_groups_list(self.project, limit=2, cursor=first.next)
        self.assertEqual([one.name for one in second.results], ["1024 MB + 0.25 vCPU", "2048 MB + 0.5 vCPU"])
        member = first.results[0].instance_types[0]
        self.assertEqual((member.name, member.memory, member.cpu), ("256mb", 256, 0.0625))
        self.assertEqual((member.priority, member.schedule_timeout), (0, 3600))
        sentence = self.refused(400, self.api.instance_type_groups_delete, self.project, first.results[0].id)
        self.assertIn("every project has", sentence)

    @unittest.skipIf(RELEASE < (4, 8), "older releases cannot do this")
    def test_groups_are_made_used_changed_and_deleted(self) -> None:
        made = self.group("mine", "1024mb", "256mb")
        shown = self.api.instance_type_groups_get(self.project, made.id)
        self.assertEqual([(one.name, one.priority) for one in shown.instance_types], [("1024mb", 0), ("256mb", 1)])
        self.assertEqual((shown.name, shown.time_created), ("mine", made.time_created))

        version = self.version("d", "v1", instance_type_group_name="mine")
        self.assertEqual(version.instance_type_group_id, made.id)
        self.assertEqual((version.instance_type, version.instance_type_group_name), ("1024mb", "mine"))
        used = self.api.instance_type_groups_usage(self.project, made.id).results
        self.assertEqual([(one.id, one.deployment, one.version) for one in used], [(version.id, "d", "v1")])
        self.assertEqual(used[0].instance_type_group_name, "mine")
        sentence = self.refused(409, self.api.instance_type_groups_delete, self.project, made.id)
        self.assertEqual(sentence, "instance type group 'mine' is in use by version v1 of deployment d")

        # Up to 4.13 an update has the body of a creation.
        update = getattr(ubiops, "InstanceTypeGroupUpdate", ubiops.InstanceTypeGroupCreate)
        changed = self.api.instance_type_groups_update(
            self.project, made.id, update(name="ours", instance_types=[{"id": made.instance_types[1].id}])
        )
        self.assertEqual((changed.name, [one.name for one in changed.instance_types]), ("ours", ["256mb"]))
        version = self.api.deployment_versions_get(self.project, "d", "v1")
        self.assertEqual((version.instance_type, version.instance_type_group_name), ("256mb", "ours"))
        change = ubiops.DeploymentVersionUpdate(instance_type_group_name="512 MB + 0.125 vCPU")
        version = self.api.deployment_versions_update(self.project, "d", "v1", change)
        self.assertEqual(version.instance_type, "512mb")
        self.api.instance_type_groups_delete(self.project, made.id)
        self.refused(404, self.api.instance_type_groups_get, self.project, made.id)

    @unittest.skipIf(RELEASE < (4, 8), "older releases cannot do this")
    def test_what_makes_no_group_is_refused(self) -> None:
        empty = ubiops.InstanceTypeGroupCreate(name="none", instance_types=[])
        sentence = self.refused(400, self.api.instance_type_groups_create, self.project, empty)
        self.assertEqual(sentence, "instance_types: a group needs at least one instance type")
        data = ubiops.DeploymentVersionCreate(version="v9", instance_type_group_name="none")
        self.assertIn("none", self.refused(400, self.api.deployment_versions_create, self.project, "d", data))
