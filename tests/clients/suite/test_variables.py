"""Environment variables of projects, deployments and versions."""

import time
import typing

import ubiops

from .case import PATIENCE, RELEASE, Case

TELL = """
import os

class Deployment:
    def request(self, data):
        return {"answer": os.environ.get(data["text"], "-"), "length": 0}
"""


class Variables(Case):
    """Each level has its operations, alike but for their names."""

    @classmethod
    def prepare(cls) -> None:
        cls.structured("d")
        cls.version("d")
        cls.structured("other")
        cls.version("other")

    def level(self, level: str) -> typing.Tuple[typing.Callable[[str], typing.Any], typing.List[str]]:
        """How the operations of a level are found, and the names of the object."""
        places = {
            "project": [self.project],
            "deployment": [self.project, "d"],
            "deployment_version": [self.project, "d", "v1"],
        }
        return lambda verb: getattr(self.api, f"{level}_environment_variables_{verb}"), places[level]

    def test_each_level_goes_through_its_operations(self) -> None:
        for level in ("project", "deployment", "deployment_version"):
            with self.subTest(level=level):
                operation, at = self.level(level)
                self.go_through(operation, at, f"OF_{level}".upper())

    def go_through(self, operation: typing.Callable[[str], typing.Any], at: typing.List[str], name: str) -> None:
        """Creates, shows, changes, lists and deletes a variable."""

        def call(verb: str, **others: typing.Any) -> typing.Any:
            names = ("project_name", "deployment_name", "version")
            return operation(verb)(**dict(zip(names, at)), **others)

        new = ubiops.EnvironmentVariableCreate(name=name, value="one", secret=False)
        made = call("create", data=new)
        self.assertEqual((made.name, made.value, made.secret), (name, "one", False))
        self.assertEqual(self.refused(409, call, "create", data=new).count("already exists"), 1)
        for key in (made.id, name):
            self.assertEqual(call("get", id=key).id, made.id)
        change = ubiops.EnvironmentVariableCreate(name=name, value="two", secret=True)
        changed = call("update", id=made.id, data=change)
        self.assertEqual((changed.value, changed.secret), (None, True))
        back = ubiops.EnvironmentVariableCreate(name=name, value="two", secret=False)
        self.assertIn("cannot be made readable", self.refused(400, call, "update", id=made.id, data=back))
        call("create", data=ubiops.EnvironmentVariableCreate(name=name + "_EMPTY", value="", secret=False))
        listed = {one.name: one for one in call("list")}
        self.assertIsNone(listed[name].value)
        self.assertIn(listed[name + "_EMPTY"].value, ("", None))
        for key in (made.id, name + "_EMPTY"):
            call("delete", id=key)
        self.assertEqual(self.refused(404, call, "get", id=made.id), "Environment variable was not found")

    def test_lists_tell_what_is_inherited(self) -> None:
        for level, value in (("project", "p"), ("deployment", "d"), ("deployment_version", "v")):
            operation, at = self.level(level)
            names = dict(zip(("project_name", "deployment_name", "version"), at))
            for name in {"p": ("LP", "LD", "LV"), "d": ("LD", "LV"), "v": ("LV",)}[value]:
                operation("create")(**names, data=ubiops.EnvironmentVariableCreate(name=name, value=value, secret=False))
        listed = self.api.deployment_version_environment_variables_list(self.project, "d", "v1")
        told = {one.name: (one.value, one.inheritance_type, one.inheritance_name) for one in listed}
        self.assertEqual(told["LP"], ("p", "project", self.project))
        self.assertEqual(told["LD"], ("d", "deployment", "d"))
        self.assertEqual(told["LV"], ("v", None, None))

    def test_variables_are_copied(self) -> None:
        secret = ubiops.EnvironmentVariableCreate(name="COPIED", value="secret", secret=True)
        self.api.deployment_version_environment_variables_create(self.project, "d", "v1", secret)
        source = ubiops.EnvironmentVariableCopy(source_deployment="d", source_version="v1")
        copied = self.api.deployment_environment_variables_copy(self.project, "other", source)
        self.assertIn(("COPIED", None, True), [(one.name, one.value, one.secret) for one in copied])
        source = ubiops.EnvironmentVariableCopy(source_deployment="other")
        copied = self.api.deployment_version_environment_variables_copy(self.project, "other", "v1", source)
        self.assertIn("COPIED", [one.name for one in copied])
        missing = ubiops.EnvironmentVariableCopy(source_deployment="none")
        sentence = self.refused(404, self.api.deployment_environment_variables_copy, self.project, "other", missing)
        self.assertEqual(sentence, "Deployment was not found")


class Instances(Case):
    """What the code sees."""

    def test_a_change_reaches_what_runs(self) -> None:
        self.structured("telling")
        self.running("telling", TELL)
        self.assertEqual(self.told("COLOUR"), "-")
        variable = ubiops.EnvironmentVariableCreate(name="COLOUR", value="red", secret=True)
        self.api.deployment_environment_variables_create(self.project, "telling", variable)
        until = time.monotonic() + PATIENCE
        while self.told("COLOUR") != "red":
            self.assertLess(time.monotonic(), until, "the variable never came")
        self.assertEqual(self.told("UBIOPS_PROJECT"), self.project)

    def told(self, name: str) -> str:
        """What the code has under a name."""
        return str(self.ask("telling", name).result["answer"])


class Helpers(Case):
    """The client's own helpers with the token of an instance."""

    def test_the_token_of_an_instance_signs_in_without_rights(self) -> None:
        self.structured("inside")
        self.running("inside", TELL)
        told = {name: str(self.ask("inside", name).result["answer"]) for name in ("INT_API_URL", "INT_API_TOKEN")}
        configuration = ubiops.Configuration(host=told["INT_API_URL"])
        prefix = "" if RELEASE >= (4, 8) else "Token "
        configuration.api_key["Authorization"] = prefix + told["INT_API_TOKEN"]
        with ubiops.ApiClient(configuration) as client:
            self.assertEqual(ubiops.CoreApi(client).projects_list(), [])
