//! The rules of blobs. A blob is a file in a container of its project's own, named by its id: names are in the order of creation.

use std::fs;
use std::time::Duration;

use modelyard_objects::Staged;
use modelyard_store::File;
use modelyard_store::files::listing::{self, Wanted};
use modelyard_store::{files as rows, projects};
use modelyard_types::blobs::{BlobList, MAX_FILE_NAME};
use modelyard_types::files::FileName;
use modelyard_types::time::RequestTime;
use modelyard_types::{BlobId, ContainerId, Error, Kind, ProjectId, Result, Timestamp};
use serde_json::{Map, Value};

use crate::Control;
use crate::files::{About, Opened, Scratch};

/// Behind the names of all blobs.
const END: &str = "g";
/// The largest number of milliseconds that an id holds.
const LAST_MILLI: i64 = (1 << 48) - 1;

/// What somebody sends to be kept as a blob.
pub struct NewBlob {
    /// Its bytes.
    pub staged: Staged,
    /// What its file is called.
    pub filename: String,
    /// What kind of content it is, if the sender says so.
    pub content_type: Option<String>,
    /// Seconds it is to live.
    pub ttl: i64,
}

impl NewBlob {
    /// What is kept of it beside its bytes.
    fn about(self, created_by: &str) -> (Staged, About) {
        let name: String = self.filename.chars().filter(|c| !c.is_control()).take(MAX_FILE_NAME).collect();
        let name = if name.is_empty() { "blob".to_owned() } else { name };
        let metadata: Map<String, Value> = [
            ("filename".to_owned(), name.into()),
            ("created_by".to_owned(), created_by.into()),
            ("ttl".to_owned(), self.ttl.into()),
        ]
        .into_iter()
        .collect();
        let expires_at = Timestamp::now().plus(Duration::from_secs(self.ttl.unsigned_abs()));
        (self.staged, About { content_type: self.content_type, metadata, expires_at: Some(expires_at) })
    }
}

impl Control {
    /// Keeps a blob; `by` is who made it, for those who look at it.
    pub async fn create_blob(&self, by: &str, project: ProjectId, new: NewBlob) -> Result<BlobList> {
        let container = self.container_of_blobs(project).await?;
        let (staged, about) = new.about(by);
        let name = name_of(BlobId::new())?;
        match self.files().put(container, &name, staged, about).await {
            // The container went with its project.
            Err(Error::NotFound(_)) => Err(Error::NotFound(Kind::Project)),
            done => shown(&done?),
        }
    }

    /// The container of a project's blobs; added when the first one comes.
    async fn container_of_blobs(&self, project: ProjectId) -> Result<ContainerId> {
        let container = container_of(project);
        if rows::has_container(self.store(), container).await? {
            return Ok(container);
        }
        let mut tx = self.store().begin().await?;
        if projects::lock(&mut tx, project).await?.is_none() {
            return Err(Error::NotFound(Kind::Project));
        }
        rows::add_container(&mut tx, container).await?;
        tx.commit().await?;
        Ok(container)
    }

    /// Gives a blob new content, and a new time to live from now on.
    pub async fn update_blob(&self, project: ProjectId, id: BlobId, new: NewBlob) -> Result<BlobList> {
        let old = shown(&self.blob(project, id).await?)?;
        let (staged, about) = new.about(&old.created_by);
        let replaced = self.files().replace(container_of(project), &name_of(id)?, staged, about).await;
        shown(&replaced.map_err(blob_not_found)?)
    }

    pub(crate) async fn blob(&self, project: ProjectId, id: BlobId) -> Result<File> {
        let found = self.files().get(container_of(project), &name_of(id)?).await.map_err(blob_not_found)?;
        if is_over(&found, Timestamp::now()) { Err(Error::NotFound(Kind::Blob)) } else { Ok(found) }
    }

    /// Opens a blob for reading; also gives the name of its file.
    pub async fn open_blob(&self, project: ProjectId, id: BlobId) -> Result<(String, Opened)> {
        let opened = self.files().open(container_of(project), &name_of(id)?).await.map_err(blob_not_found)?;
        if is_over(&opened.file, Timestamp::now()) {
            return Err(Error::NotFound(Kind::Blob));
        }
        Ok((shown(&opened.file)?.filename, opened))
    }

    /// Opens a blob as one file, if there is room for it; gives a name for it that can be that of a file.
    pub(crate) async fn open_whole_blob(
        &self,
        project: ProjectId,
        id: BlobId,
        room: &Scratch,
    ) -> Result<(String, fs::File)> {
        let told = shown(&self.blob(project, id).await?)?.filename;
        let opened =
            self.files().open_whole(container_of(project), &name_of(id)?, room).await.map_err(blob_not_found)?;
        let last = told.rsplit('/').next().unwrap_or_default();
        // Whoever sent it may have called it anything; a file of a bucket is never called so.
        let name = if FileName::parse(last).is_ok() { last.to_owned() } else { id.to_string() };
        Ok((name, opened))
    }

    /// Deletes a blob.
    pub async fn delete_blob(&self, project: ProjectId, id: BlobId) -> Result<()> {
        self.files().delete(container_of(project), &name_of(id)?).await.map_err(blob_not_found)
    }

    /// Some blobs of a project: those made at a time or later, the oldest first; with a negative range those made at a time or
    /// earlier, the latest first. Without a time they begin at that end.
    pub async fn list_blobs(&self, project: ProjectId, range: i64, at: Option<Timestamp>) -> Result<Vec<BlobList>> {
        let container = container_of(project);
        let mut found = if range < 0 {
            let end = at.map_or(END.to_owned(), |at| begin_of(milli(at) + 1));
            listing::before(self.store(), container, &end, range.saturating_neg()).await?
        } else {
            let from = at.map_or(String::new(), |at| begin_of(milli(at)));
            let limit = usize::try_from(range).unwrap_or(usize::MAX);
            let wanted = Wanted { from: &from, limit, ..Wanted::default() };
            listing::list(self.store(), container, &wanted).await?.files
        };
        let now = Timestamp::now();
        found.retain(|file| !is_over(file, now));
        found.iter().map(shown).collect()
    }
}

fn container_of(project: ProjectId) -> ContainerId {
    ContainerId(project.0)
}

fn name_of(id: BlobId) -> Result<FileName> {
    FileName::parse(&id.to_string()).map_err(Error::Internal)
}

/// The loop that removes what is over comes by once in a while.
fn is_over(file: &File, now: Timestamp) -> bool {
    file.expires_at.is_some_and(|at| at <= now)
}

fn blob_not_found(error: Error) -> Error {
    match error {
        Error::NotFound(_) => Error::NotFound(Kind::Blob),
        other => other,
    }
}

fn milli(at: Timestamp) -> i64 {
    at.0.div_euclid(1000).clamp(0, LAST_MILLI)
}

/// What the ids of a millisecond begin with.
fn begin_of(milli: i64) -> String {
    let digits = format!("{milli:012x}");
    let (high, low) = digits.split_at(8);
    format!("{high}-{low}")
}

/// A file of a container of blobs, as clients see it.
fn shown(file: &File) -> Result<BlobList> {
    let told = |what: &str| file.metadata.get(what);
    let text = |what: &str| told(what).and_then(Value::as_str).unwrap_or_default().to_owned();
    let id: BlobId = file.name.parse().map_err(|cause| Error::internal("reading the id of a blob", cause))?;
    Ok(BlobList {
        id,
        created_by: text("created_by"),
        creation_date: RequestTime(id.made_at()),
        last_updated: RequestTime(file.created_at),
        filename: text("filename"),
        size: file.size,
        ttl: told("ttl").and_then(Value::as_i64).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_millisecond_begin_alike() {
        let id = BlobId::new();
        let now = milli(id.made_at());
        assert!(id.to_string().starts_with(&begin_of(now)), "{id}");
        assert!(id.to_string() < begin_of(now + 1) && id.to_string() > begin_of(now));
        assert!(begin_of(LAST_MILLI + 1).as_str() < END && id.to_string().as_str() < END);
        assert_eq!((milli(Timestamp(-5)), milli(Timestamp(i64::MAX))), (0, LAST_MILLI));
    }
}
