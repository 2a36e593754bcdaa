"""Deployments."""

import ubiops

from . import packages
from .case import Case


class Deployments(Case):
    def test_structured_deployments_keep_their_fields(self) -> None:
        made = self.structured("fields", description="what it does", labels={"kind": "model"})
        self.assertEqual((made.name, made.project, made.description), ("fields", self.project, "what it does"))
        shown = self.api.deployments_get(self.project, "fields")
        self.assertEqual([(one.name, one.data_type) for one in shown.input_fields], [("text", "string")])
        self.assertEqual(
            [(one.name, one.data_type) for one in shown.output_fields], [("answer", "string"), ("length", "int")]
        )
        self.assertEqual(shown.labels, {"kind": "model"})
        self.assertIsNone(shown.default_version)

    def test_plain_deployments_have_no_fields(self) -> None:
        made = self.plain("text")
        self.assertEqual((made.input_type, made.output_type), ("plain", "plain"))
        self.assertEqual(list(made.input_fields or []), [])

    def test_lists_are_filtered_by_labels(self) -> None:
        self.structured("red", labels={"colour": "red"})
        self.structured("blue", labels={"colour": "blue", "size": "big"})
        names = [one.name for one in self.api.deployments_list(self.project, labels="colour:red,size:big")]
        self.assertEqual(sorted(names), ["blue", "red"])
        names = [one.name for one in self.api.deployments_list(self.project, labels="colour:red")]
        self.assertEqual(names, ["red"])
        self.assertGreaterEqual(len(self.api.deployments_list(self.project)), 2)

    def test_updates_change_only_what_they_name(self) -> None:
        self.structured("before", description="first", labels={"a": "1"})
        change = ubiops.DeploymentUpdate(name="after", description="second")
        changed = self.api.deployments_update(self.project, "before", change)
        self.assertEqual((changed.name, changed.description, changed.labels), ("after", "second", {"a": "1"}))
        self.assertEqual(self.refused(404, self.api.deployments_get, self.project, "before"), "Deployment was not found")
        fields = [*packages.TEXT_IN, {"name": "more", "data_type": "double"}]
        changed = self.api.deployments_update(self.project, "after", ubiops.DeploymentUpdate(input_fields=fields))
        self.assertEqual([one.name for one in changed.input_fields], ["text", "more"])

    def test_a_name_is_taken_once(self) -> None:
        self.plain("taken")
        again = ubiops.DeploymentCreate(name="taken", input_type="plain", output_type="plain")
        sentence = self.refused(409, self.api.deployments_create, self.project, again)
        self.assertEqual(sentence, "deployment 'taken' already exists")

    def test_deleted_deployments_are_gone(self) -> None:
        self.structured("gone")
        self.version("gone")
        self.api.deployments_delete(self.project, "gone")
        self.assertEqual(self.refused(404, self.api.deployments_get, self.project, "gone"), "Deployment was not found")
        self.assertNotIn("gone", [one.name for one in self.api.deployments_list(self.project)])
