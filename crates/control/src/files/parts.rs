//! Uploads in parts. Parts stay the objects they came as, so that completing an upload moves no bytes.

use modelyard_objects::Staged;
use modelyard_store::files::uploads::{self, Upload};
use modelyard_store::files::{self, Part};
use modelyard_store::{File, StoreError};
use modelyard_types::files::{FileName, UploadedPart};
use modelyard_types::{ContainerId, Error, FileId, Kind, Result, Timestamp};
use serde_json::Map;
use sha2::{Digest, Sha256};

use super::{Action, Files, TRIES, Unwritten, size_of};

/// How many uploads of a container may be open.
pub(super) const MAX_OPEN: i64 = 10_000;

impl Files {
    /// Begins an upload.
    pub async fn begin_upload(&self, container: ContainerId, name: &FileName) -> Result<FileId> {
        if uploads::count(&self.store, container).await? >= MAX_OPEN {
            return Err(Error::Conflict(format!(
                "{MAX_OPEN} uploads of this bucket are not complete; complete some, or wait until they are given up"
            )));
        }
        let upload = Upload {
            id: FileId::new(),
            container_id: container,
            name: name.as_str().to_owned(),
            created_at: Timestamp::now(),
        };
        let mut tx = self.store.begin().await?;
        match uploads::begin(&mut tx, &upload).await {
            Err(StoreError::Missing(_)) => return Err(Error::NotFound(Kind::Bucket)),
            done => done?,
        }
        tx.commit().await?;
        Ok(upload.id)
    }

    /// Signs the sending of a part.
    pub(crate) async fn sign_part(
        &self,
        container: ContainerId,
        name: &FileName,
        upload: &str,
        number: i64,
    ) -> Result<String> {
        let upload = self.upload(container, name, upload).await?;
        self.sign(Action::PutPart { upload: upload.id, number }, container, name)
    }

    /// The upload of an id, if it is for this file.
    async fn upload(&self, container: ContainerId, name: &FileName, id: &str) -> Result<Upload> {
        let unknown = || Error::NotFound(Kind::Upload);
        let id = id.parse().map_err(|_| unknown())?;
        let found = uploads::get(&self.store, id).await?;
        found.filter(|it| it.container_id == container && it.name == name.as_str()).ok_or_else(unknown)
    }

    /// Keeps a part in the place of the one of its number; gives its etag.
    pub(super) async fn keep_part(&self, upload: FileId, number: i64, staged: Staged) -> Result<String> {
        let (size, etag) = (size_of(&staged)?, super::etag_of(&staged));
        let key = self.objects.keep_file(staged).await?;
        let part = Part { file_id: upload, number, object_key: key.clone(), size, etag };
        if let Err(unwritten) = self.write_part(&part).await {
            return Err(self.settle(&key, unwritten).await);
        }
        self.cleaning.notify_one();
        Ok(part.etag)
    }

    async fn write_part(&self, part: &Part) -> Result<(), Unwritten> {
        let mut tx = self.store.begin().await?;
        if uploads::lock(&mut tx, part.file_id).await?.is_none() {
            return Err(Error::NotFound(Kind::Upload).into());
        }
        uploads::set_part(&mut tx, part).await?;
        tx.commit().await.map_err(Unwritten::maybe)
    }

    /// Makes an upload a file: of the parts named, in the order of their numbers. Others are dropped.
    pub async fn complete(
        &self,
        container: ContainerId,
        name: &FileName,
        upload: &str,
        named: &[UploadedPart],
    ) -> Result<File> {
        let id = self.upload(container, name, upload).await?.id;
        let mut tries = 0;
        loop {
            match self.try_to_complete(id, named).await {
                Err(StoreOr::Store(StoreError::Taken(_))) if tries < TRIES => tries += 1,
                Err(StoreOr::Store(cause)) => return Err(cause.into()),
                Err(StoreOr::Told(told)) => return Err(told),
                Ok(file) => {
                    self.cleaning.notify_one();
                    return Ok(file);
                }
            }
        }
    }

    async fn try_to_complete(&self, id: FileId, named: &[UploadedPart]) -> Result<File, StoreOr> {
        let mut tx = self.store.begin().await?;
        let upload = uploads::lock(&mut tx, id).await?.ok_or(Error::NotFound(Kind::Upload))?;
        let there = files::parts(&mut tx, id).await?;
        let wanted = chosen(&there, named)?;
        for part in there.iter().filter(|part| !wanted.iter().any(|it| it.number == part.number)) {
            uploads::drop_part(&mut tx, part).await?;
        }
        let size: i64 = wanted.iter().map(|part| part.size).sum();
        if size.unsigned_abs() > self.limit {
            return Err(Error::TooLarge.into());
        }
        let file = File {
            id,
            container_id: upload.container_id,
            name: upload.name,
            size,
            etag: joint_etag(&wanted),
            content_type: None,
            object_key: None,
            metadata: Map::new(),
            created_at: Timestamp::now(),
            expires_at: None,
        };
        uploads::complete(&mut tx, &file).await?;
        tx.commit().await?;
        Ok(file)
    }
}

/// What the database refuses, or what whoever asked is told.
enum StoreOr {
    Store(StoreError),
    Told(Error),
}

impl From<StoreError> for StoreOr {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Error> for StoreOr {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

/// The parts that were named, if each is there as it was named and the numbers go up.
fn chosen<'a>(there: &'a [Part], named: &[UploadedPart]) -> Result<Vec<&'a Part>> {
    let mut chosen: Vec<&Part> = Vec::with_capacity(named.len());
    for part in named {
        let UploadedPart::Tag { number, etag } = part else {
            return Err(Error::invalid("Parts of this bucket are named by ETag and PartNumber, not by BlockId"));
        };
        if chosen.last().is_some_and(|last| last.number >= *number) {
            return Err(Error::invalid("The parts must be named in the order of their numbers, each once"));
        }
        let found = there.binary_search_by_key(number, |part| part.number).ok().map(|at| &there[at]);
        let found = found.ok_or_else(|| Error::Invalid(format!("Part {number} was not uploaded")))?;
        if etag.trim_matches('"') != found.etag {
            return Err(Error::Invalid(format!(
                "Part {number} has another ETag than the one given: it was changed since"
            )));
        }
        chosen.push(found);
    }
    Ok(chosen)
}

/// Names the content of a file of several parts, as object stores do: the hash of their hashes, and how many they are.
fn joint_etag(parts: &[&Part]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.etag.as_bytes());
    }
    format!("{}-{}", hex::encode(&hash.finalize()[..16]), parts.len())
}
