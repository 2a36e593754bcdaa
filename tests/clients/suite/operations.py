"""Operations that the tests must go through with every release that has them."""

import typing

import ubiops

from .case import RELEASE, Watched

REQUESTS = (
    "deployment_requests_list",
    "deployment_requests_create",
    "deployment_requests_batch_cancel",
    "deployment_requests_batch_get",
    "deployment_requests_batch_delete",
    "deployment_requests_delete",
    "deployment_requests_get",
    "deployment_requests_update",
    "deployment_requests_input_get",
    "deployment_requests_output_get",
    "batch_deployment_requests_create",
    "deployment_version_requests_list",
    "deployment_version_requests_create",
    "deployment_version_requests_batch_cancel",
    "deployment_version_requests_batch_get",
    "deployment_version_requests_batch_delete",
    "deployment_version_requests_delete",
    "deployment_version_requests_get",
    "deployment_version_requests_update",
    "deployment_version_requests_input_get",
    "deployment_version_requests_output_get",
    "batch_deployment_version_requests_create",
    "project_requests_list",
)
INSTANCES = (
    "instances_list",
    "instances_get",
    "instances_update",
    "instance_events_list",
    "instance_type_groups_create",
    "instance_type_groups_delete",
    "instance_type_groups_get",
    "instance_type_groups_list",
    "instance_type_groups_update",
    "instance_type_groups_usage",
    "instance_types_list",
    "project_instances_list",
    "project_instances_get",
    "project_instances_update",
)
ENVIRONMENTS = (
    "environments_list",
    "environments_create",
    "environments_get",
    "environments_update",
    "environments_delete",
    "environments_usage",
    "environment_revisions_list",
    "environment_revisions_get",
    "environment_revisions_file_upload",
    "environment_revisions_file_download",
    "environment_revisions_rebuild",
    "environment_builds_list",
    "environment_builds_get",
    "environment_builds_update",
    "environment_build_dependencies_list",
)
FILES = (
    "buckets_list",
    "buckets_create",
    "buckets_get",
    "buckets_update",
    "buckets_delete",
    "files_list",
    "files_get",
    "files_upload",
    "files_download",
    "files_delete",
    "files_start_multipart_upload",
    "files_complete_multipart_upload",
)
BLOBS = ("blobs_list", "blobs_create", "blobs_get", "blobs_update", "blobs_delete")
# The first release that cannot read answers about blobs.
NO_BLOBS = (4, 6)
# The first release that shows environments by tags.
TAGS = (4, 13)
VARIABLES = tuple(
    f"{level}_environment_variables_{verb}"
    for level in ("project", "deployment", "deployment_version")
    for verb in ("list", "create", "get", "update", "delete")
) + ("deployment_environment_variables_copy", "deployment_version_environment_variables_copy")


def left_out() -> typing.List[str]:
    """Those that this release has and no test used."""
    wanted = REQUESTS + INSTANCES + VARIABLES + FILES
    wanted += (ENVIRONMENTS if RELEASE < TAGS else ()) + (BLOBS if RELEASE < NO_BLOBS else ())
    return [name for name in wanted if hasattr(ubiops.CoreApi, name) and name not in Watched.used]
