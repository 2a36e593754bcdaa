//! The files of environments: uploads, copies, and builds of them that are asked for or called off.

use modelyard_objects::Staged;
use modelyard_runner::package;
use modelyard_store::environments::{self, builds, revisions, tags};
use modelyard_store::{Environment, EnvironmentBuild, EnvironmentRevision, Tag, Tx};
use modelyard_types::audit::AuditAction;
use modelyard_types::environments::EnvironmentBuildDependency;
use modelyard_types::{
    EnvironmentBuildId, EnvironmentId, EnvironmentRevisionId, Error, Kind, ProjectId, Result, Timestamp,
};

use super::building::{call_off, is_open, queue_build, supersede};
use super::custom::lock_own;
use super::tag_of;
use crate::Control;
use crate::access::Actor;
use crate::audit::{self, Place};

/// What asks for a build that looks for newer versions of what was locked before.
pub(crate) const REBUILD: &str = "Rebuild triggered";

impl Control {
    /// Takes an uploaded file as the next revision of an environment, and queues its build. A bad file is refused and
    /// nothing of it is kept.
    pub async fn upload_environment_file(
        &self,
        by: &Actor,
        project: ProjectId,
        id: EnvironmentId,
        staged: Staged,
        file_name: &str,
    ) -> Result<EnvironmentBuild> {
        let (path, name, limits) =
            (staged.path().to_owned(), file_name.to_owned(), self.settings().package_limits.clone());
        let inspected = tokio::task::spawn_blocking(move || package::inspect_environment(&path, &name, &limits)).await;
        let files = inspected
            .map_err(|cause| Error::internal("inspecting an environment file", cause))?
            .map_err(|refusal| Error::Invalid(refusal.to_string()))?;
        let files = files.into_iter().map(|it| EnvironmentBuildDependency { name: it.name, content: it.content });
        let key = self.objects().keep(staged).await?;
        let file = File { key: key.clone(), name: file_name.to_owned(), files: files.collect(), copied_from: None };
        let added = self.add_environment_file(by, project, id, file, "Environment file upload").await;
        if added.is_err() {
            // Nothing refers to it; when this fails too, the object is only wasted space.
            if let Err(cause) = self.objects().delete(&key).await {
                tracing::warn!(%cause, key, "an environment file without a revision could not be removed");
            }
        }
        added
    }

    /// Takes the latest file of another environment as the next revision of an environment.
    pub async fn copy_environment_file(
        &self,
        by: &Actor,
        project: ProjectId,
        id: EnvironmentId,
        source: &str,
    ) -> Result<EnvironmentBuild> {
        let found = environments::get_by_name(self.store(), project, source).await?;
        let found = found.ok_or_else(|| Error::Invalid(format!("source_environment '{source}' was not found")))?;
        if found.id == id {
            return Err(Error::invalid(
                "source_environment must be another environment: this one has its file already",
            ));
        }
        if found.system || found.implicit {
            return Err(Error::Invalid(format!("source_environment '{source}' has no file that was uploaded for it")));
        }
        let tag = tags::get_by_name(self.store(), found.id, tags::FIRST).await?;
        let latest = match tag.and_then(|tag| tag.latest_revision_id) {
            Some(latest) => revisions::get(self.store(), latest).await?,
            None => None,
        };
        let file = latest.and_then(|latest| {
            let (key, files) = (latest.package_key?, latest.dependency_files?);
            Some(File { key, name: latest.file_name.unwrap_or_default(), files, copied_from: Some(latest.id) })
        });
        let file = file.ok_or_else(|| Error::Invalid(format!("source_environment '{source}' has no file to copy")))?;
        self.add_environment_file(by, project, id, file, "Environment copy").await
    }

    async fn add_environment_file(
        &self,
        by: &Actor,
        project: ProjectId,
        id: EnvironmentId,
        file: File,
        trigger: &str,
    ) -> Result<EnvironmentBuild> {
        let mut tx = self.store().begin().await?;
        let (mut environment, mut tag) = lock_with_tag(&mut tx, project, id).await?;
        if let Some(source) = file.copied_from {
            // While that row has the file it is not cleared away, and the new row keeps it from then on.
            let source = revisions::lock(&mut tx, source).await?;
            if source.is_none_or(|source| source.package_key.as_deref() != Some(&file.key)) {
                return Err(Error::invalid("The file to copy was removed meanwhile; upload it instead"));
            }
        }
        let revision = file.revision(by, &tag);
        revisions::insert(&mut tx, &revision).await?;
        let build = queue_build(&mut tx, &mut tag, revision.id, trigger).await?;
        supersede(&mut tx, &environment, build.id).await?;
        environment.updated_at = revision.created_at;
        environments::update(&mut tx, &environment).await?;
        let event = format!("Uploaded a file for environment {}", environment.name);
        self.end_environment_change(tx, by, &environment, AuditAction::Update, event).await?;
        self.nudge_builds();
        Ok(build)
    }

    /// Builds a revision of an environment again, with the newest versions its requirements allow. It is the one in use
    /// when that succeeds.
    pub async fn rebuild_environment(
        &self,
        by: &Actor,
        project: ProjectId,
        id: EnvironmentId,
        revision: EnvironmentRevisionId,
    ) -> Result<EnvironmentBuild> {
        let mut tx = self.store().begin().await?;
        let (environment, mut tag) = lock_with_tag(&mut tx, project, id).await?;
        let revision = revisions::lock(&mut tx, revision).await?.filter(|revision| revision.tag_id == tag.id);
        let revision = revision.ok_or(Error::NotFound(Kind::Revision))?;
        if revision.expired {
            return Err(expired());
        }
        if builds::list(&mut tx, revision.id).await?.iter().any(|build| is_open(build.status)) {
            return Err(Error::invalid("The revision is being built already"));
        }
        let build = queue_build(&mut tx, &mut tag, revision.id, REBUILD).await?;
        supersede(&mut tx, &environment, build.id).await?;
        let event = format!("Triggered a rebuild of environment {}", environment.name);
        self.end_environment_change(tx, by, &environment, AuditAction::Info, event).await?;
        self.nudge_builds();
        Ok(build)
    }

    /// Calls a build off: one that waits is not begun, one that runs is stopped, on whichever server that is.
    pub async fn cancel_environment_build(
        &self,
        by: &Actor,
        project: ProjectId,
        environment: &Environment,
        id: EnvironmentBuildId,
    ) -> Result<EnvironmentBuild> {
        let mut tx = self.store().begin().await?;
        let build = call_off(&mut tx, environment, id).await?;
        let event = format!("Cancelled a build of environment {}", environment.name);
        let subject = ("environment", environment.name.as_str());
        audit::record(&mut tx, by, Place::project(project), AuditAction::Update, subject, event).await?;
        self.commit(tx, Some(project)).await?;
        self.nudge_called_off();
        self.nudge_builds();
        Ok(build)
    }

    async fn end_environment_change(
        &self,
        mut tx: Tx,
        by: &Actor,
        environment: &Environment,
        action: AuditAction,
        event: String,
    ) -> Result<()> {
        let place = environment.project_id.map(Place::project).unwrap_or_default();
        audit::record(&mut tx, by, place, action, ("environment", environment.name.as_str()), event).await?;
        self.commit(tx, environment.project_id).await
    }
}

/// A file on its way to being a revision.
struct File {
    key: String,
    name: String,
    files: Vec<EnvironmentBuildDependency>,
    copied_from: Option<EnvironmentRevisionId>,
}

impl File {
    fn revision(self, by: &Actor, tag: &Tag) -> EnvironmentRevision {
        let requirements = self.files.iter().find(|file| file.name == "requirements.txt");
        EnvironmentRevision {
            id: EnvironmentRevisionId::new(),
            tag_id: tag.id,
            created_at: Timestamp::now(),
            created_by: by.email.clone(),
            package_key: Some(self.key),
            file_name: Some(self.name),
            requirements: requirements.map(|file| file.content.clone()).unwrap_or_default(),
            dependency_files: Some(self.files),
            expired: false,
        }
    }
}

/// An environment that a user made, and its tag, both kept from other changes until the transaction ends.
async fn lock_with_tag(tx: &mut Tx, project: ProjectId, id: EnvironmentId) -> Result<(Environment, Tag)> {
    let environment = lock_own(tx, project, id).await?;
    let tag = tag_of(tx, &environment).await?;
    let tag = tags::lock(tx, tag.id).await?.ok_or(Error::NotFound(Kind::Environment))?;
    Ok((environment, tag))
}

/// What is told of a revision whose file is gone.
pub fn expired() -> Error {
    Error::invalid("The file of this revision is no longer stored; upload it again")
}
