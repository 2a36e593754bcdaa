"""What the tests share: a client of this release, a project of their own, and how to wait for a version."""

import json
import os
import tempfile
import time
import typing
import unittest
import uuid

import ubiops
from ubiops.exceptions import ApiException

from . import packages

RELEASE = tuple(int(part) for part in ubiops.__version__.split("."))
PATIENCE = 180.0
# Stores as providers have them, which the server reaches: what buckets are told of each, by the name of its provider.
STORES = json.loads(os.environ.get("SUITE_STORES", "{}"))
with_stores = unittest.skipUnless(STORES, "the server runs already, and does not reach stores of these tests")


def client_of(token: typing.Optional[str], prefix: str = "/v2.1") -> typing.Any:
    """A client as its users make one; without a token it signs no request."""
    configuration = ubiops.Configuration()
    configuration.host = os.environ["SUITE_URL"] + prefix
    if token is not None:
        configuration.api_key["Authorization"] = token
    return ubiops.ApiClient(configuration)


class Watched:
    """The operations of a client; it notes which were used."""

    used: typing.Set[str] = set()

    def __init__(self, api: typing.Any) -> None:
        self._api = api

    def __getattr__(self, name: str) -> typing.Any:
        self.used.add(name)
        return getattr(self._api, name)


class Case(unittest.TestCase):
    """A project for each class of tests, deleted with all that is in it afterwards."""

    client: typing.Any
    api: typing.Any
    project: str
    files: "tempfile.TemporaryDirectory[str]"

    @classmethod
    def setUpClass(cls) -> None:
        cls.client = client_of("Token " + os.environ["SUITE_TOKEN"])
        cls.api = Watched(ubiops.CoreApi(cls.client))
        cls.files = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.files.cleanup)
        cls.addClassCleanup(cls.client.close)
        cls.project = cls.new_project()
        cls.prepare()

    @classmethod
    def prepare(cls) -> None:
        """What a class of tests needs beyond its project."""

    @classmethod
    def new_project(cls) -> str:
        """Creates a project; it is deleted after the class, if a test has not done so."""
        name = f"c-{'-'.join(map(str, RELEASE))}-{uuid.uuid4().hex[:8]}"
        cls.api.projects_create(data=ubiops.ProjectCreate(name=name, organization_name="default"))
        cls.addClassCleanup(cls.gone, name)
        return name

    @classmethod
    def gone(cls, project: str) -> None:
        """Deletes a project that may be deleted already."""
        try:
            cls.api.projects_delete(project)
        except ApiException as refused:
            if refused.status != 404:
                raise

    @classmethod
    def structured(cls, name: str, **others: typing.Any) -> typing.Any:
        """Creates a deployment that takes a text and gives an answer and a length."""
        data = ubiops.DeploymentCreate(
            name=name,
            input_type="structured",
            output_type="structured",
            input_fields=packages.TEXT_IN,
            output_fields=packages.ANSWER_OUT,
            **others,
        )
        return cls.api.deployments_create(project_name=cls.project, data=data)

    @classmethod
    def plain(cls, name: str) -> typing.Any:
        """Creates a deployment that takes and gives text."""
        data = ubiops.DeploymentCreate(name=name, input_type="plain", output_type="plain")
        return cls.api.deployments_create(project_name=cls.project, data=data)

    @classmethod
    def version(cls, deployment: str, name: str = "v1", **others: typing.Any) -> typing.Any:
        """Creates a version with the defaults of this release."""
        data = ubiops.DeploymentVersionCreate(version=name, **others)
        return cls.api.deployment_versions_create(cls.project, deployment, data)

    @classmethod
    def upload(cls, deployment: str, code: str, version: str = "v1", **others: str) -> str:
        """Uploads code and gives the id of its revision."""
        path = packages.written(cls.files, packages.packed(code, **others))
        made = cls.api.revisions_file_upload(cls.project, deployment, version, file=path)
        assert made.revision and made.build, made
        return str(made.revision)

    @classmethod
    def wait(cls, deployment: str, revision: str, version: str = "v1") -> None:
        """Waits until a revision works, with the client's own waiter where it has one."""
        if RELEASE >= (4,):
            ubiops.utils.wait_for_deployment_version(
                cls.client, cls.project, deployment, version, revision, timeout=PATIENCE, quiet=True
            )
        status = cls.ended(deployment, revision, version)
        assert status.status == "success", status

    @classmethod
    def ended(cls, deployment: str, revision: str, version: str = "v1") -> typing.Any:
        """The revision, once it works or failed; older releases know it as a build."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if RELEASE >= (4,):
                found = cls.api.revisions_get(cls.project, deployment, revision_id=revision, version=version)
            else:
                found = cls.api.builds_get(cls.project, revision, deployment, version)
            if found.status in ("success", "failed"):
                return found
            time.sleep(0.1)
        raise AssertionError(f"revision {revision} neither works nor failed: {found}")

    @classmethod
    def running(cls, deployment: str, code: str = packages.SHOUT, **others: str) -> None:
        """A version v1 that takes requests."""
        cls.version(deployment)
        cls.wait(deployment, cls.upload(deployment, code, **others))

    def ask(self, deployment: str, text: str) -> typing.Any:
        """A direct request to the default version."""
        return self.api.deployment_requests_create(self.project, deployment, {"text": text})

    def refused(self, status: int, call: typing.Callable[..., typing.Any], *args: typing.Any, **names: typing.Any) -> str:
        """The sentence with which a call is refused."""
        with self.assertRaises(ApiException) as caught:
            call(*args, **names)
        self.assertEqual(caught.exception.status, status, caught.exception)
        return sentence_of(caught.exception)


def sentence_of(refusal: ApiException) -> str:
    """What the client shows of a refusal."""
    if RELEASE >= (4,):
        return str(refusal.get_body_message())
    return str(json.loads(refusal.body)["error"])
