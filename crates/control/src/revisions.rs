//! The rules of revisions: what an upload becomes.

use std::path::Path;

use modelyard_objects::Staged;
use modelyard_runner::package::{self, Package};
use modelyard_store::{Revision, Tx, Version, deployments, revisions, versions};
use modelyard_types::audit::AuditAction;
use modelyard_types::language::{InterpreterKey, Language};
use modelyard_types::revisions::BuildStatus;
use modelyard_types::versions::VersionStatus;
use modelyard_types::{DeploymentId, Error, Kind, ProjectId, Result, RevisionId, Timestamp, VersionId};

use crate::Control;
use crate::access::Actor;
use crate::audit::{self, Place};
use crate::environments;
use crate::versions::{lock_deployment, lock_version, status_while_building};

impl Control {
    /// Takes an uploaded package as the next revision of a version. A bad package is refused and nothing is kept.
    pub async fn upload_revision(
        &self,
        by: &Actor,
        project: ProjectId,
        deployment: DeploymentId,
        version: VersionId,
        staged: Staged,
        file_name: &str,
    ) -> Result<Revision> {
        let wanted = self.code_wanted(project, deployment, version).await?;
        let package = self.inspect(staged.path(), wanted).await?;
        let size = i64::try_from(staged.size()).unwrap_or(i64::MAX);
        let key = self.objects().keep(staged).await?;
        let source = Code { key: key.clone(), size, package, file_name: file_name.to_owned(), copied_from: None };
        let added = self.add_revision(by, project, deployment, version, source, "Deployment file upload").await;
        if added.is_err() {
            // Nothing refers to it; when this fails too, the object is only wasted space.
            if let Err(cause) = self.objects().delete(&key).await {
                tracing::warn!(%cause, key, "a package without a revision could not be removed");
            }
        }
        added
    }

    /// Takes the code of another version as the next revision of a version.
    pub async fn copy_revision(
        &self,
        by: &Actor,
        project: ProjectId,
        deployment: DeploymentId,
        version: VersionId,
        source_deployment: &str,
        source_version: &str,
    ) -> Result<Revision> {
        let source = deployments::get_by_name(self.store(), project, source_deployment)
            .await?
            .ok_or(Error::NotFound(Kind::Deployment))?;
        let source = versions::get_by_name(self.store(), source.id, source_version)
            .await?
            .ok_or(Error::NotFound(Kind::DeploymentVersion))?;
        let latest = source.active_revision_id.or(source.latest_revision_id);
        let latest = latest.ok_or_else(|| Error::Invalid(format!("version '{source_version}' has no code to copy")))?;
        let revision = revisions::get(self.store(), latest).await?.ok_or(Error::NotFound(Kind::Revision))?;
        let wanted = self.code_wanted(project, deployment, version).await?;
        let package = self.inspect(&self.objects().path(&revision.package_key), wanted).await?;
        let (key, size, file_name) = (revision.package_key, revision.package_size, revision.file_name);
        let code = Code { key, size, package, file_name, copied_from: Some(revision.id) };
        self.add_revision(by, project, deployment, version, code, "Deployment copy").await
    }

    /// Builds a revision again; it becomes the active one when that succeeds.
    pub async fn rebuild_revision(
        &self,
        by: &Actor,
        project: ProjectId,
        deployment: DeploymentId,
        version: VersionId,
        id: RevisionId,
    ) -> Result<Revision> {
        let old = revisions::get(self.store(), id).await?.filter(|old| old.version_id == version);
        let old = old.ok_or(Error::NotFound(Kind::Revision))?;
        let wanted = self.code_wanted(project, deployment, version).await?;
        let package = self.inspect(&self.objects().path(&old.package_key), wanted).await?;
        let files = environments::files_of_package(&package)?;
        let mut tx = self.store().begin().await?;
        let parent = lock_deployment(&mut tx, project, deployment).await?;
        let mut version = lock_version(&mut tx, deployment, version).await?;
        let mut revision = revisions::lock(&mut tx, id).await?.ok_or(Error::NotFound(Kind::Revision))?;
        if matches!(revision.status, BuildStatus::Queued | BuildStatus::Building) {
            return Err(Error::invalid("The revision is being built already"));
        }
        let trigger = "Rebuild triggered";
        revision.main_file = package.main_file;
        revision.language = package.language.name().to_owned();
        environments::assign(&mut tx, &by.email, &mut version, &mut revision, files, trigger).await?;
        environments::requeue(&mut revision, trigger);
        revisions::update(&mut tx, &revision).await?;
        version.status = status_while_building(&version);
        version.latest_revision_id = Some(revision.id);
        versions::update(&mut tx, &version).await?;
        let event = format!("Triggered a rebuild of version {} for deployment {}", version.name, parent.name);
        let subject = ("deployment_version", version.name.as_str());
        audit::record(&mut tx, by, Place::deployment(project, deployment), AuditAction::Info, subject, event).await?;
        self.commit(tx, Some(project)).await?;
        self.nudge_builds();
        Ok(revision)
    }

    /// Calls the build of a revision off. What served before serves on.
    pub async fn cancel_build(
        &self,
        by: &Actor,
        project: ProjectId,
        deployment: DeploymentId,
        version: VersionId,
        id: RevisionId,
    ) -> Result<Revision> {
        let mut tx = self.store().begin().await?;
        let parent = lock_deployment(&mut tx, project, deployment).await?;
        let mut version = lock_version(&mut tx, deployment, version).await?;
        let revision = revisions::lock(&mut tx, id).await?.filter(|revision| revision.version_id == version.id);
        let mut revision = revision.ok_or(Error::NotFound(Kind::Build))?;
        if !environments::is_open(revision.status) {
            let status = revision.status.as_str();
            return Err(Error::Invalid(format!("The build has ended already: its status is {status}")));
        }
        environments::call_off_own(&mut tx, &revision).await?;
        // Revisions are not cancelled in the contract's words: those who wait for one would wait for ever.
        revision.status = BuildStatus::Failed;
        revision.error_message = Some("The build was cancelled".into());
        revision.finished_at = Some(Timestamp::now());
        revisions::update(&mut tx, &revision).await?;
        if version.active_revision_id.is_none() && version.latest_revision_id == Some(revision.id) {
            version.status = VersionStatus::Failed;
            versions::update(&mut tx, &version).await?;
        }
        let event = format!("Cancelled a build of version {} of deployment {}", version.name, parent.name);
        let subject = ("deployment_version", version.name.as_str());
        audit::record(&mut tx, by, Place::deployment(project, deployment), AuditAction::Update, subject, event).await?;
        self.commit(tx, Some(project)).await?;
        self.nudge_called_off();
        Ok(revision)
    }

    async fn add_revision(
        &self,
        by: &Actor,
        project: ProjectId,
        deployment: DeploymentId,
        version: VersionId,
        code: Code,
        trigger: &str,
    ) -> Result<Revision> {
        let mut tx = self.store().begin().await?;
        let parent = lock_deployment(&mut tx, project, deployment).await?;
        let mut version = lock_version(&mut tx, deployment, version).await?;
        if let Some(source) = code.copied_from {
            // While that row is there its package is not cleared away, and the new row keeps it from then on.
            revisions::lock(&mut tx, source).await?.ok_or(Error::NotFound(Kind::Revision))?;
        }
        let mut revision = code.revision(by, &version, trigger)?;
        let files = environments::files_of_package(&code.package)?;
        environments::assign(&mut tx, &by.email, &mut version, &mut revision, files, trigger).await?;
        revisions::insert(&mut tx, &revision).await?;
        supersede(&mut tx, &version).await?;
        version.latest_revision_id = Some(revision.id);
        version.last_file_upload = Some(revision.created_at);
        version.status = status_while_building(&version);
        version.updated_at = revision.created_at;
        versions::update(&mut tx, &version).await?;
        let event = format!("Uploaded a file for version {} of deployment {}", version.name, parent.name);
        let subject = ("deployment_version", version.name.as_str());
        audit::record(&mut tx, by, Place::deployment(project, deployment), AuditAction::Update, subject, event).await?;
        self.commit(tx, Some(project)).await?;
        self.nudge_builds();
        Ok(revision)
    }

    /// What the main file of a version's code is called, and the language of its environment.
    async fn code_wanted(
        &self,
        project: ProjectId,
        deployment: DeploymentId,
        version: VersionId,
    ) -> Result<(String, Language)> {
        let main_file = self.0.variables_of(project, deployment, version).await?.main_file().to_owned();
        let version = versions::get(self.store(), version).await?.ok_or(Error::NotFound(Kind::DeploymentVersion))?;
        let interpreter = environments::interpreter(self.store(), version.base_environment_id).await?;
        Ok((main_file, InterpreterKey::of(&interpreter).language))
    }

    /// Looks at a package; refuses a bad one with its sentence.
    async fn inspect(&self, file: &Path, (main_file, language): (String, Language)) -> Result<Package> {
        let (file, limits) = (file.to_owned(), self.settings().package_limits.clone());
        let inspected =
            tokio::task::spawn_blocking(move || package::inspect(&file, &limits, &main_file, language)).await;
        inspected
            .map_err(|cause| Error::internal("inspecting a package", cause))?
            .map_err(|refusal| Error::Invalid(refusal.to_string()))
    }
}

/// Code on its way to being a revision.
struct Code {
    key: String,
    size: i64,
    package: Package,
    file_name: String,
    copied_from: Option<RevisionId>,
}

impl Code {
    fn revision(&self, by: &Actor, version: &Version, trigger: &str) -> Result<Revision> {
        Ok(Revision {
            id: RevisionId::new(),
            version_id: version.id,
            project_id: version.project_id,
            created_at: Timestamp::now(),
            created_by: by.email.clone(),
            build_trigger: trigger.to_owned(),
            status: BuildStatus::Queued,
            error_message: None,
            has_request_method: None,
            has_requests_method: None,
            package_key: self.key.clone(),
            package_size: self.size,
            package_sha256: sha256(&self.package)?,
            file_name: self.file_name.clone(),
            main_file: self.package.main_file.clone(),
            language: self.package.language.name().to_owned(),
            environment_id: version.environment_id,
            environment_build_id: None,
            server_id: None,
            life: None,
            finished_at: None,
        })
    }
}

fn sha256(package: &Package) -> Result<[u8; 32]> {
    let mut hash = [0; 32];
    hex::decode_to_slice(&package.sha256, &mut hash).map_err(|cause| Error::internal("hashing a package", cause))?;
    Ok(hash)
}

/// An older revision that still waits to be built will never be wanted: the newer one counts.
async fn supersede(tx: &mut Tx, version: &Version) -> Result<()> {
    let Some(older) = version.latest_revision_id else { return Ok(()) };
    let Some(mut older) = revisions::lock(tx, older).await? else { return Ok(()) };
    if older.status == BuildStatus::Queued {
        older.status = BuildStatus::Failed;
        older.error_message = Some("A newer revision was uploaded before this one was built".into());
        older.finished_at = Some(Timestamp::now());
        revisions::update(tx, &older).await?;
        environments::drop_unwanted(tx, older.environment_build_id).await?;
    }
    Ok(())
}
