//! What can be allowed: `<resource path>.<action>`, a type each, so that a handler names its permission in its arguments.

/// Something a role may allow (semantics 6.8). The marker types in [`can`] implement it.
pub trait Permission: Send + Sync + 'static {
    /// Its name, such as `deployments.versions.create`.
    const NAME: &'static str;
}

/// A marker type for each permission.
pub mod can {
    use super::Permission;

    macro_rules! permissions {
        ($($name:ident = $text:literal),* $(,)?) => {
            $(
                #[doc = concat!("`", $text, "`")]
                pub enum $name {}
                impl Permission for $name {
                    const NAME: &'static str = $text;
                }
            )*

            /// The names of all permissions.
            pub const ALL: &[&str] = &[$($text),*];
        };
    }

    permissions! {
        OrganizationsCreate = "organizations.create",
        OrganizationsList = "organizations.list",
        OrganizationsGet = "organizations.get",
        OrganizationsUpdate = "organizations.update",
        OrganizationsResources = "organizations.resources.get",
        ProjectsCreate = "projects.create",
        ProjectsList = "projects.list",
        ProjectsGet = "projects.get",
        ProjectsUpdate = "projects.update",
        ProjectsDelete = "projects.delete",
        ProjectsResources = "projects.resources.get",
        ProjectsLogs = "projects.logs.get",
        ProjectsAudit = "projects.audit.list",
        ProjectsRequestsList = "projects.requests.list",
        ProjectsInstancesList = "projects.instances.list",
        ProjectsInstancesGet = "projects.instances.get",
        ProjectsInstancesUpdate = "projects.instances.update",
        ProjectVariablesList = "projects.environment-variables.list",
        ProjectVariablesGet = "projects.environment-variables.get",
        ProjectVariablesCreate = "projects.environment-variables.create",
        ProjectVariablesUpdate = "projects.environment-variables.update",
        ProjectVariablesDelete = "projects.environment-variables.delete",
        InstanceTypesList = "instance-types.list",
        InstanceTypeGroupsCreate = "instance-type-groups.create",
        InstanceTypeGroupsList = "instance-type-groups.list",
        InstanceTypeGroupsGet = "instance-type-groups.get",
        InstanceTypeGroupsUpdate = "instance-type-groups.update",
        InstanceTypeGroupsDelete = "instance-type-groups.delete",
        DeploymentsCreate = "deployments.create",
        DeploymentsList = "deployments.list",
        DeploymentsGet = "deployments.get",
        DeploymentsUpdate = "deployments.update",
        DeploymentsDelete = "deployments.delete",
        DeploymentsAudit = "deployments.audit.list",
        DeploymentVariablesList = "deployments.environment-variables.list",
        DeploymentVariablesGet = "deployments.environment-variables.get",
        DeploymentVariablesCreate = "deployments.environment-variables.create",
        DeploymentVariablesUpdate = "deployments.environment-variables.update",
        DeploymentVariablesDelete = "deployments.environment-variables.delete",
        VersionsCreate = "deployments.versions.create",
        VersionsList = "deployments.versions.list",
        VersionsGet = "deployments.versions.get",
        VersionsUpdate = "deployments.versions.update",
        VersionsDelete = "deployments.versions.delete",
        VersionVariablesList = "deployments.versions.environment-variables.list",
        VersionVariablesGet = "deployments.versions.environment-variables.get",
        VersionVariablesCreate = "deployments.versions.environment-variables.create",
        VersionVariablesUpdate = "deployments.versions.environment-variables.update",
        VersionVariablesDelete = "deployments.versions.environment-variables.delete",
        RevisionsCreate = "deployments.versions.revisions.create",
        RevisionsList = "deployments.versions.revisions.list",
        RevisionsGet = "deployments.versions.revisions.get",
        BuildsList = "deployments.versions.builds.list",
        BuildsGet = "deployments.versions.builds.get",
        BuildsUpdate = "deployments.versions.builds.update",
        InstancesList = "deployments.versions.instances.list",
        InstancesGet = "deployments.versions.instances.get",
        InstancesUpdate = "deployments.versions.instances.update",
        RequestsCreate = "deployments.versions.requests.create",
        RequestsList = "deployments.versions.requests.list",
        RequestsGet = "deployments.versions.requests.get",
        RequestsUpdate = "deployments.versions.requests.update",
        RequestsDelete = "deployments.versions.requests.delete",
        BucketsCreate = "buckets.create",
        BucketsList = "buckets.list",
        BucketsGet = "buckets.get",
        BucketsUpdate = "buckets.update",
        BucketsDelete = "buckets.delete",
        FilesCreate = "files.create",
        FilesList = "files.list",
        FilesGet = "files.get",
        FilesDelete = "files.delete",
        BlobsCreate = "blobs.create",
        BlobsList = "blobs.list",
        BlobsGet = "blobs.get",
        BlobsUpdate = "blobs.update",
        BlobsDelete = "blobs.delete",
        EnvironmentsCreate = "environments.create",
        EnvironmentsList = "environments.list",
        EnvironmentsGet = "environments.get",
        EnvironmentsUpdate = "environments.update",
        EnvironmentsDelete = "environments.delete",
        EnvironmentRevisionsCreate = "environments.revisions.create",
        EnvironmentSecretsList = "environments.secrets.list",
        EnvironmentSecretsGet = "environments.secrets.get",
        EnvironmentSecretsCreate = "environments.secrets.create",
        EnvironmentSecretsUpdate = "environments.secrets.update",
        EnvironmentSecretsDelete = "environments.secrets.delete",
        EnvironmentRevisionsList = "environments.revisions.list",
        EnvironmentRevisionsGet = "environments.revisions.get",
        EnvironmentBuildsList = "environments.builds.list",
        EnvironmentBuildsGet = "environments.builds.get",
        EnvironmentBuildsUpdate = "environments.builds.update",
    }
}
