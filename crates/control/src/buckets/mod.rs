//! The rules of buckets.

mod credentials;
mod provided;
mod providers;
mod storage;
#[cfg(test)]
mod tests;

use modelyard_store::{Bucket, Refusal, Store, Tx, buckets};
use modelyard_types::audit::AuditAction;
use modelyard_types::buckets::{BucketCreate, BucketUpdate, DEFAULT, Settings, TTL_STEP};
use modelyard_types::{BucketId, Error, Kind, ProjectId, Result, Timestamp};

use crate::Control;
use crate::access::Actor;
use crate::audit::{self, Changes, Place};
use providers::Checked;

pub(crate) use credentials::take_up_keys;
pub(crate) use providers::Providers;
pub use storage::{Entry, Listed, Storage};

/// The kind of object in audit events.
const OBJECT: &str = "bucket";

/// Gives every project the bucket that it has from its beginning: those of earlier releases have none.
pub(crate) async fn ensure_defaults(store: &Store) -> Result<()> {
    for project in buckets::projects_without(store, DEFAULT).await? {
        let mut tx = store.begin().await?;
        match buckets::insert_default(&mut tx, project).await {
            // Another server was quicker, or the project is gone.
            Err(modelyard_store::StoreError::Taken(_) | modelyard_store::StoreError::Missing(_)) => continue,
            done => done?,
        }
        tx.commit().await?;
    }
    Ok(())
}

impl Control {
    /// Creates a bucket. What it is told of a provider is tried first.
    pub async fn create_bucket(&self, by: &Actor, project: ProjectId, new: BucketCreate) -> Result<Bucket> {
        let provider = new.provider.unwrap_or_default();
        let id = BucketId::new();
        let now = Timestamp::now();
        let checked = self.check_provider(provider, new.credentials, new.configuration).await?;
        let sealed = checked.credentials.map(|it| credentials::seal(&self.0.settings.keys, id, &it)).transpose()?;
        let (sealed, key_id) = sealed.map(|sealed| (sealed.bytes, sealed.key_id)).unzip();
        let usual = (!provider.is_external()).then_some(TTL_STEP);
        let bucket = Bucket {
            id,
            project_id: project,
            name: new.name,
            provider,
            configuration: checked.configuration,
            sealed,
            key_id,
            description: new.description.unwrap_or_default(),
            labels: new.labels.unwrap_or_default(),
            ttl: new.ttl.or_clear(usual),
            size: None,
            measured_at: None,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.store().begin().await?;
        let taken = format!("bucket '{}' already exists", bucket.name);
        buckets::insert(&mut tx, &bucket).await.taken(taken).missing("Project was not found")?;
        let event = format!("Created bucket {}", bucket.name);
        let subject = (OBJECT, bucket.name.as_str());
        audit::record(&mut tx, by, Place::project(project), AuditAction::Create, subject, event).await?;
        self.commit(tx, Some(project)).await?;
        Ok(bucket)
    }

    /// Changes a bucket; its name and its provider stay. What it is newly told of the provider is tried first.
    pub async fn update_bucket(
        &self,
        by: &Actor,
        project: ProjectId,
        id: BucketId,
        change: BucketUpdate,
    ) -> Result<Bucket> {
        let seen = buckets::get(self.store(), id).await?.ok_or(Error::NotFound(Kind::Bucket))?;
        let checked = self.check_change(&seen, change.credentials.value(), change.configuration.value()).await?;
        let mut tx = self.store().begin().await?;
        let old = lock_bucket(&mut tx, project, id).await?;
        let mut new = old.clone();
        let mut changes = Changes::default();
        if let Some(checked) = checked {
            if old.updated_at != seen.updated_at {
                return Err(Error::conflict("The bucket was changed by somebody else meanwhile; try again"));
            }
            self.set_provider(&mut new, checked, &mut changes)?;
        }
        if change.description.is_sent() {
            new.description = change.description.or_clear(None).unwrap_or_default();
        }
        if change.labels.is_sent() {
            new.labels = change.labels.or_clear(None).unwrap_or_default();
        }
        new.ttl = change.ttl.or_clear(new.ttl);
        changes.note("description", &old.description, &new.description);
        changes.note_json("labels", &old.labels, &new.labels);
        changes.note_json("ttl", &old.ttl, &new.ttl);
        if changes.is_empty() {
            return Ok(old);
        }
        new.updated_at = Timestamp::now();
        buckets::update(&mut tx, &new).await?;
        let event = changes.sentence(&format!("bucket {}", old.name));
        let subject = (OBJECT, new.name.as_str());
        audit::record(&mut tx, by, Place::project(project), AuditAction::Update, subject, event).await?;
        self.commit(tx, Some(project)).await?;
        Ok(new)
    }

    /// Takes what was found to be good. Credentials are named in the event, and no more.
    fn set_provider(&self, bucket: &mut Bucket, checked: Checked, changes: &mut Changes) -> Result<()> {
        let keys = &self.0.settings.keys;
        changes.note_json("configuration", &bucket.configuration, &checked.configuration);
        bucket.configuration = checked.configuration;
        if let Some(credentials) = checked.credentials
            && credentials::open(keys, bucket)? != credentials
        {
            let sealed = credentials::seal(keys, bucket.id, &credentials)?;
            (bucket.sealed, bucket.key_id) = (Some(sealed.bytes), Some(sealed.key_id));
            changes.name("credentials");
        }
        Ok(())
    }

    /// Deletes a bucket. Its files go with it if the installation keeps them; what a provider keeps stays there.
    pub async fn delete_bucket(&self, by: &Actor, project: ProjectId, id: BucketId) -> Result<()> {
        let mut tx = self.store().begin().await?;
        let bucket = lock_bucket(&mut tx, project, id).await?;
        if bucket.name.as_str() == DEFAULT {
            return Err(Error::invalid("The default bucket of a project cannot be deleted"));
        }
        buckets::delete(&mut tx, &bucket).await?;
        let event = format!("Deleted bucket {}", bucket.name);
        let subject = (OBJECT, bucket.name.as_str());
        audit::record(&mut tx, by, Place::project(project), AuditAction::Delete, subject, event).await?;
        self.commit(tx, Some(project)).await?;
        self.nudge_cleaning();
        Ok(())
    }
}

async fn lock_bucket(tx: &mut Tx, project: ProjectId, id: BucketId) -> Result<Bucket> {
    let found = buckets::lock(tx, id).await?.filter(|bucket| bucket.project_id == project);
    found.ok_or(Error::NotFound(Kind::Bucket))
}

/// The installation needs to be told nothing of its own buckets.
fn refuse_settings(credentials: Option<&Settings>, configuration: Option<&Settings>) -> Result<()> {
    for (what, given) in [("credentials", credentials), ("configuration", configuration)] {
        if let Some(name) = given.and_then(|given| given.keys().next()) {
            return Err(Error::Invalid(format!(
                "{what}: '{name}' has no meaning for a bucket that is kept here; leave it out"
            )));
        }
    }
    Ok(())
}
