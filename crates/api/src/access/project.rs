//! Guards of projects and what is in them. They answer from the catalogue alone.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use modelyard_control::access::{Actor, Scope, allows};
use modelyard_control::catalogue::{BucketSnapshot, DeploymentSnapshot, ProjectSnapshot, VersionSnapshot};
use modelyard_types::permissions::{Permission, can};
use modelyard_types::{Error, Kind};

use super::guards::demands;
use super::{Demand, Guard, Sealed, actor, require};
use crate::App;
use crate::error::{Refusal, Result, not_found};
use crate::path::value_of;

const SEES_PROJECT: &str = <can::ProjectsGet as Permission>::NAME;
const SEES_DEPLOYMENT: &str = <can::DeploymentsGet as Permission>::NAME;
const SEES_BUCKET: &str = <can::BucketsGet as Permission>::NAME;

/// For those who have `P` on the project in the path.
pub struct InProject<P> {
    /// Who is calling.
    pub actor: Arc<Actor>,
    /// The project.
    pub project: Arc<ProjectSnapshot>,
    permission: PhantomData<P>,
}

/// For those who have `P` on the deployment in the path.
pub struct OnDeployment<P> {
    /// Who is calling.
    pub actor: Arc<Actor>,
    /// The project the deployment is in.
    pub project: Arc<ProjectSnapshot>,
    /// The deployment.
    pub deployment: Arc<DeploymentSnapshot>,
    permission: PhantomData<P>,
}

/// For those who have `P` on the deployment in the path; the version in the path exists, too.
pub struct OnVersion<P> {
    /// The deployment, its project and who is calling.
    pub on: OnDeployment<P>,
    /// The version.
    pub version: Arc<VersionSnapshot>,
}

impl<P> Deref for OnVersion<P> {
    type Target = OnDeployment<P>;

    fn deref(&self) -> &OnDeployment<P> {
        &self.on
    }
}

/// For those who have `P` on the bucket in the path.
pub struct OnBucket<P> {
    /// Who is calling.
    pub actor: Arc<Actor>,
    /// The project the bucket is in.
    pub project: Arc<ProjectSnapshot>,
    /// The bucket.
    pub bucket: BucketSnapshot,
    permission: PhantomData<P>,
}

/// For lists of deployments and buckets: for those who see the project or something in it, and shows each what it may see.
pub struct VisibleInProject<P> {
    /// Who is calling.
    pub actor: Arc<Actor>,
    /// The project.
    pub project: Arc<ProjectSnapshot>,
    permission: PhantomData<P>,
}

demands! {
    InProject<P> where P: Some(P::NAME), "project";
    VisibleInProject<P> where P: Some(P::NAME), "project";
    OnDeployment<P> where P: Some(P::NAME), "deployment";
    OnVersion<P> where P: Some(P::NAME), "deployment";
    OnBucket<P> where P: Some(P::NAME), "bucket";
}

impl<P: Permission> VisibleInProject<P> {
    /// Whether the caller may see what `scope` names.
    pub fn sees(&self, scope: Scope) -> bool {
        allows(&self.actor, scope, P::NAME)
    }
}

/// The project in the path, whoever asks.
fn project_of(app: &App, parts: &Parts) -> Result<Arc<ProjectSnapshot>> {
    let name = value_of(parts.uri.path(), "projects");
    let found = name.and_then(|name| app.control().catalogue().project(&name));
    found.ok_or_else(|| not_found(Kind::Project))
}

impl<P: Permission> FromRequestParts<App> for InProject<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let actor = actor(app, parts)?;
        let project = project_of(app, parts)?;
        require(&actor, Scope::Project(project.id), P::NAME, SEES_PROJECT, Error::NotFound(Kind::Project))?;
        Ok(Self { actor, project, permission: PhantomData })
    }
}

impl<P: Permission> FromRequestParts<App> for VisibleInProject<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let actor = actor(app, parts)?;
        let project = project_of(app, parts)?;
        let scope = Scope::Project(project.id);
        let sees_one = || {
            let mut deployments = project.deployments.values();
            let mut buckets = project.buckets.values();
            deployments.any(|deployment| allows(&actor, Scope::Deployment(project.id, deployment.id), P::NAME))
                || buckets.any(|bucket| allows(&actor, Scope::Bucket(project.id, bucket.id), P::NAME))
        };
        if !allows(&actor, scope, P::NAME) && !allows(&actor, scope, SEES_PROJECT) && !sees_one() {
            return Err(not_found(Kind::Project));
        }
        Ok(Self { actor, project, permission: PhantomData })
    }
}

impl<P: Permission> FromRequestParts<App> for OnDeployment<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let actor = actor(app, parts)?;
        let project = project_of(app, parts)?;
        // Who does not see the project is not told which deployments it has.
        let unseen =
            || if allows(&actor, Scope::Project(project.id), SEES_PROJECT) { Kind::Deployment } else { Kind::Project };
        let name = value_of(parts.uri.path(), "deployments");
        let found = name.and_then(|name| project.deployments.get(name.as_ref()).cloned());
        let deployment = found.ok_or_else(|| not_found(unseen()))?;
        let scope = Scope::Deployment(project.id, deployment.id);
        if !allows(&actor, scope, P::NAME) {
            let seen = allows(&actor, scope, SEES_DEPLOYMENT);
            return Err(Refusal(if seen { Error::Forbidden } else { Error::NotFound(unseen()) }));
        }
        Ok(Self { actor, project, deployment, permission: PhantomData })
    }
}

impl<P: Permission> FromRequestParts<App> for OnBucket<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let actor = actor(app, parts)?;
        let project = project_of(app, parts)?;
        // Who does not see the project is not told which buckets it has.
        let sees_project = allows(&actor, Scope::Project(project.id), SEES_PROJECT);
        let unseen = || if sees_project { Kind::Bucket } else { Kind::Project };
        let name = value_of(parts.uri.path(), "buckets");
        let found = name.and_then(|name| project.buckets.get(name.as_ref()).copied());
        let bucket = found.ok_or_else(|| not_found(unseen()))?;
        let scope = Scope::Bucket(project.id, bucket.id);
        require(&actor, scope, P::NAME, SEES_BUCKET, Error::NotFound(unseen()))?;
        Ok(Self { actor, project, bucket, permission: PhantomData })
    }
}

impl<P: Permission> FromRequestParts<App> for OnVersion<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let on = OnDeployment::<P>::from_request_parts(parts, app).await?;
        let name = value_of(parts.uri.path(), "versions");
        let found = name.and_then(|name| on.deployment.versions.get(name.as_ref()).cloned());
        let version = found.ok_or_else(|| not_found(Kind::DeploymentVersion))?;
        Ok(Self { on, version })
    }
}
