//! The store of files: keeps, lists, signs and expires bytes in containers. Knows nothing of what a container is for; buckets are
//! one of its doors.
//!
//! Bytes become an object first, then a row refers to it. The row decides: an object without one is removed after a while, and one
//! whose row was replaced is removed at once, under those who have it open; in an object store, a day later.

#[cfg(test)]
mod away_tests;
mod opened;
mod parts;
#[cfg(test)]
mod tests;
mod tickets;

use std::fs;
use std::sync::Arc;

use modelyard_objects::{Cache, Objects, Staged, Staging};
use modelyard_store::files::listing::{self, Page, Wanted};
use modelyard_store::files::{self, uploads};
use modelyard_store::{File, Store, StoreError};
use modelyard_types::files::FileName;
use modelyard_types::{ContainerId, Error, FileId, Kind, Result, Timestamp};
use serde_json::{Map, Value};
use tokio::sync::Notify;

pub use opened::Opened;
pub(crate) use opened::Scratch;
pub(crate) use tickets::VALID;
pub use tickets::{Action, Grant, Signer};

/// How often a write is tried whose name somebody else takes at the same moment.
const TRIES: usize = 5;

/// The store of files.
pub struct Files {
    store: Store,
    objects: Objects,
    signer: Signer,
    limit: u64,
    /// Copies of what the object store has.
    cache: Arc<Cache>,
    /// Told when bytes became leftovers.
    cleaning: Arc<Notify>,
}

/// What is said of a file when it is written.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// What kind of content it is.
    pub content_type: Option<String>,
    /// What its door keeps of it.
    pub metadata: Map<String, Value>,
    /// When it expires by itself.
    pub expires_at: Option<Timestamp>,
}

/// Why a row was not written.
enum Unwritten {
    /// It is not there.
    Surely(Error),
    /// The database failed while it made it last: it may be there, or come to be.
    Maybe(Error),
}

impl Unwritten {
    fn maybe(cause: StoreError) -> Self {
        Unwritten::Maybe(cause.into())
    }
}

impl<E: Into<Error>> From<E> for Unwritten {
    fn from(cause: E) -> Self {
        Unwritten::Surely(cause.into())
    }
}

/// On what terms a file is written.
#[derive(Clone, Copy)]
enum Terms<'a> {
    /// In any case.
    Always,
    /// If this ticket has written nothing else.
    Once(&'a Grant),
    /// If it has a file to replace.
    Instead,
}

impl Files {
    pub(crate) fn new(
        store: Store,
        objects: Objects,
        signer: Signer,
        limit: u64,
        cache: Arc<Cache>,
        cleaning: Arc<Notify>,
    ) -> Self {
        Self { store, objects, signer, limit, cache, cleaning }
    }

    /// The largest file, in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Signs what somebody may do; the ticket goes into an address.
    pub(crate) fn sign(&self, action: Action, container: ContainerId, name: &FileName) -> Result<String> {
        self.signer.sign(&Grant::new(action, container, name.clone(), self.limit))
    }

    /// What a ticket allows.
    pub fn check(&self, ticket: &str) -> Result<Grant> {
        self.signer.check(ticket, Timestamp::now())
    }

    /// Begins to take bytes.
    pub fn stage(&self, limit: u64) -> Staging {
        self.objects.stage(limit.min(self.limit))
    }

    /// Opens what a grant is for.
    pub async fn fetch(&self, grant: &Grant) -> Result<Opened> {
        if grant.action != Action::Get {
            return Err(Error::Unsigned("This address is for writing, not for reading".into()));
        }
        if !files::has_container(&self.store, grant.container).await? {
            return Err(Error::NotFound(Kind::File));
        }
        self.open(grant.container, &grant.name).await
    }

    /// Refuses a grant to write where nothing can be written any more, before its bytes are taken.
    pub async fn expect(&self, grant: &Grant) -> Result<()> {
        if grant.action == Action::Get {
            return Err(Error::Unsigned("This address is for reading, not for writing".into()));
        }
        if !files::has_container(&self.store, grant.container).await? {
            return Err(Error::NotFound(Kind::Bucket));
        }
        match grant.action {
            Action::Get | Action::Put => Ok(()),
            Action::PutPart { upload, .. } => match uploads::get(&self.store, upload).await? {
                Some(_) => Ok(()),
                None => Err(Error::NotFound(Kind::Upload)),
            },
        }
    }

    /// Keeps what came by a signed address; gives its etag. What comes by it again must be the same.
    pub async fn receive(&self, grant: &Grant, staged: Staged, about: About) -> Result<String> {
        match grant.action {
            Action::Get => Err(Error::Unsigned("This address is for reading, not for writing".into())),
            Action::Put => Ok(self.keep(grant.container, &grant.name, staged, about, Terms::Once(grant)).await?.etag),
            Action::PutPart { upload, number } => self.keep_part(upload, number, staged).await,
        }
    }

    /// Writes a file.
    pub async fn put(&self, container: ContainerId, name: &FileName, staged: Staged, about: About) -> Result<File> {
        self.keep(container, name, staged, about, Terms::Always).await
    }

    /// Writes a file in the place of the one of its name, if there is one.
    pub async fn replace(&self, container: ContainerId, name: &FileName, staged: Staged, about: About) -> Result<File> {
        self.keep(container, name, staged, about, Terms::Instead).await
    }

    async fn keep(
        &self,
        container: ContainerId,
        name: &FileName,
        staged: Staged,
        about: About,
        terms: Terms<'_>,
    ) -> Result<File> {
        let (size, etag) = (size_of(&staged)?, etag_of(&staged));
        let key = self.objects.keep_file(staged).await?;
        let file = File {
            id: FileId::new(),
            container_id: container,
            name: name.as_str().to_owned(),
            size,
            etag,
            content_type: about.content_type,
            object_key: Some(key.clone()),
            metadata: about.metadata,
            created_at: Timestamp::now(),
            expires_at: about.expires_at,
        };
        match self.write(&file, terms).await {
            Ok(true) => {}
            // The same bytes are there.
            Ok(false) => self.let_go(&key).await,
            Err(unwritten) => return Err(self.settle(&key, unwritten).await),
        }
        self.cleaning.notify_one();
        Ok(file)
    }

    /// Removes bytes that no row refers to. Those that stay are swept later.
    async fn let_go(&self, key: &str) {
        if let Err(cause) = self.objects.delete(key).await {
            tracing::warn!(%cause, "bytes that are not needed could not be removed; they are swept later");
        }
    }

    /// What is said of bytes whose row was not written. They are removed, unless the row may be there after all.
    async fn settle(&self, key: &str, unwritten: Unwritten) -> Error {
        match unwritten {
            Unwritten::Surely(cause) => {
                self.let_go(key).await;
                cause
            }
            Unwritten::Maybe(cause) => cause,
        }
    }

    /// Writes the row of a file; false when its ticket has written the same before.
    async fn write(&self, file: &File, terms: Terms<'_>) -> Result<bool, Unwritten> {
        let mut tries = 0;
        loop {
            let mut tx = self.store.begin().await?;
            if let Terms::Once(grant) = terms
                && let Some(etag) = files::spend(&mut tx, grant.id, &file.etag, grant.expires_at).await?
            {
                return if etag == file.etag { Ok(false) } else { Err(used_up().into()) };
            }
            if !files::has_container(&mut tx, file.container_id).await? {
                return Err(Error::NotFound(Kind::Bucket).into());
            }
            if matches!(terms, Terms::Instead) && files::lock(&mut tx, file.container_id, &file.name).await?.is_none() {
                return Err(Error::NotFound(Kind::File).into());
            }
            match files::put(&mut tx, file).await {
                // Somebody else wrote the first file of this name meanwhile: now there is one to replace.
                Err(StoreError::Taken(_)) if tries < TRIES => tries += 1,
                Err(StoreError::Missing(_)) => return Err(Error::NotFound(Kind::Bucket).into()),
                Err(cause) => return Err(cause.into()),
                Ok(()) => {
                    fail::fail_point!("file_before_commit");
                    tx.commit().await.map_err(Unwritten::maybe)?;
                    fail::fail_point!("file_after_commit");
                    return Ok(true);
                }
            }
        }
    }

    /// What is known of a file.
    pub async fn get(&self, container: ContainerId, name: &FileName) -> Result<File> {
        let found = files::get(&self.store, container, name.as_str()).await?;
        found.ok_or(Error::NotFound(Kind::File))
    }

    /// Takes a copy of an open file, of at most so many bytes.
    pub(crate) async fn stage_file(&self, file: Arc<fs::File>, limit: u64) -> Result<Staged> {
        Ok(self.objects.stage_file(file, limit.min(self.limit)).await?)
    }

    /// Deletes a file.
    pub async fn delete(&self, container: ContainerId, name: &FileName) -> Result<()> {
        let mut tx = self.store.begin().await?;
        if !files::delete(&mut tx, container, name.as_str()).await? {
            return Err(Error::NotFound(Kind::File));
        }
        tx.commit().await?;
        self.cleaning.notify_one();
        Ok(())
    }

    /// A page of the files of a container, and a token for the next one.
    pub async fn list(
        &self,
        container: ContainerId,
        prefix: &str,
        delimiter: Option<&str>,
        limit: usize,
        token: Option<&str>,
    ) -> Result<(Page, Option<String>)> {
        let list =
            [container.0.as_bytes(), prefix.as_bytes(), b"\0", delimiter.unwrap_or_default().as_bytes()].concat();
        let from = match token {
            Some(token) => self.place(&list, token)?,
            None => String::new(),
        };
        let wanted = Wanted { prefix, delimiter, from: &from, limit };
        let page = listing::list(&self.store, container, &wanted).await?;
        let next = page.next.as_deref().map(|place| self.sign_place(&list, place)).transpose()?;
        Ok((page, next))
    }

    /// A token of where a list goes on, good for that list alone.
    pub(crate) fn sign_place(&self, list: &[u8], place: &str) -> Result<String> {
        self.signer.sign_place(list, place)
    }

    /// Where a list goes on by a token of it.
    pub(crate) fn place(&self, list: &[u8], token: &str) -> Result<String> {
        self.signer.place(list, token).ok_or_else(no_token)
    }
}

fn size_of(staged: &Staged) -> Result<i64> {
    i64::try_from(staged.size()).map_err(|_| Error::TooLarge)
}

/// Names the content: the first half of its SHA-256.
fn etag_of(staged: &Staged) -> String {
    staged.sha256().chars().take(32).collect()
}

fn used_up() -> Error {
    Error::Unsigned("This address was used already, for other content; ask for a new one".into())
}

fn no_token() -> Error {
    Error::invalid("continuation_token is not one that this list has given")
}
