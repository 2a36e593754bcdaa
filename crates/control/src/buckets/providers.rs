//! The providers that keep files of buckets: what users say of them, which are open, and what they say in our words.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use modelyard_objects::Cache;
use modelyard_objects::remote::{Place, Reach, Remote, RemoteError};
use modelyard_store::{Bucket, buckets};
use modelyard_types::buckets::{Provider, Settings};
use modelyard_types::{BucketId, Error, Kind, Result, Timestamp};

use super::provided::Provided;
use super::{credentials, refuse_settings};
use crate::Control;
use crate::catalogue::BucketSnapshot;

/// How many buckets stay open at once.
pub(super) const OPEN: usize = 256;

/// What this server shares between all buckets at providers.
///
/// Copies of files are the server's, not an instance's: the same models and tables are read by many. Nobody gains by it, since who
/// may read a file is checked for each request, and the provider is asked for the file each time.
pub(crate) struct Providers {
    reach: Reach,
    google: Option<String>,
    pub(super) cache: Arc<Cache>,
    /// The one used last is the last.
    open: Mutex<VecDeque<(BucketId, Timestamp, Remote)>>,
}

impl Providers {
    pub(crate) fn new(settings: &crate::Settings, cache: Arc<Cache>) -> Self {
        Self {
            reach: settings.bucket_reach.clone(),
            google: settings.google_storage_url.clone(),
            cache,
            open: Mutex::default(),
        }
    }

    /// Opens a place; asks the provider nothing.
    fn open(&self, provider: Provider, credentials: &Settings, configuration: &Settings) -> Result<Remote> {
        let place = Place::of(provider, credentials, configuration).map_err(told)?;
        let none = || Error::Internal("no provider keeps the files of this bucket".into());
        let mut place = place.ok_or_else(none)?;
        if let Place::Gcs(place) = &mut place {
            place.base_url.clone_from(&self.google);
        }
        Remote::open(place, &self.reach).map_err(told)
    }

    /// The bucket as it was since that time, if it is open.
    pub(super) fn known(&self, id: BucketId, since: Timestamp) -> Option<Remote> {
        let mut open = self.all();
        let at = open.iter().position(|(bucket, at, _)| (*bucket, *at) == (id, since))?;
        let found = open.remove(at)?;
        let remote = found.2.clone();
        open.push_back(found);
        Some(remote)
    }

    pub(super) fn keep(&self, id: BucketId, since: Timestamp, remote: Remote) {
        let mut open = self.all();
        open.retain(|(bucket, ..)| *bucket != id);
        if open.len() >= OPEN {
            open.pop_front();
        }
        open.push_back((id, since, remote));
    }

    pub(super) fn all(&self) -> MutexGuard<'_, VecDeque<(BucketId, Timestamp, Remote)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl crate::Inner {
    /// The files of a bucket at a provider.
    pub(crate) async fn provided(&self, bucket: BucketSnapshot) -> Result<Provided> {
        let remote = match self.providers.known(bucket.id, bucket.updated_at) {
            Some(remote) => remote,
            None => {
                let row = buckets::get(&self.store, bucket.id).await?.ok_or(Error::NotFound(Kind::Bucket))?;
                let credentials = credentials::open(&self.settings.keys, &row)?;
                let remote = self.providers.open(row.provider, &credentials, &row.configuration)?;
                self.providers.keep(row.id, row.updated_at, remote.clone());
                remote
            }
        };
        Ok(Provided { bucket: bucket.id, provider: bucket.provider, remote })
    }
}

/// What a bucket is told of its provider, found to be good.
pub(super) struct Checked {
    pub(super) credentials: Option<Settings>,
    pub(super) configuration: Settings,
}

impl Control {
    /// Checks what a new bucket is told of its provider. A provider is asked for files, so that what is accepted works.
    pub(super) async fn check_provider(
        &self,
        provider: Provider,
        credentials: Option<Settings>,
        configuration: Option<Settings>,
    ) -> Result<Checked> {
        if !provider.is_external() {
            refuse_settings(credentials.as_ref(), configuration.as_ref())?;
            return Ok(Checked { credentials: None, configuration: Settings::new() });
        }
        let (credentials, mut configuration) = (credentials.unwrap_or_default(), configuration.unwrap_or_default());
        Place::end_prefix(&mut configuration);
        let remote = self.0.providers.open(provider, &credentials, &configuration)?;
        remote.check().await.map_err(|cause| match told(cause) {
            Error::Invalid(why) | Error::Unavailable(why) => {
                Error::Invalid(format!("The bucket cannot be used: {why}"))
            }
            cause => cause,
        })?;
        Ok(Checked { credentials: Some(credentials), configuration })
    }

    /// Checks what a bucket is newly told of its provider; nothing when it is told nothing.
    pub(super) async fn check_change(
        &self,
        old: &Bucket,
        credentials: Option<&Settings>,
        configuration: Option<&Settings>,
    ) -> Result<Option<Checked>> {
        if credentials.is_none() && configuration.is_none() {
            return Ok(None);
        }
        if !old.provider.is_external() {
            refuse_settings(credentials, configuration)?;
            return Ok(None);
        }
        let credentials = match credentials {
            Some(credentials) => credentials.clone(),
            None => credentials::open(&self.0.settings.keys, old)?,
        };
        let configuration = configuration.unwrap_or(&old.configuration).clone();
        self.check_provider(old.provider, Some(credentials), Some(configuration)).await.map(Some)
    }
}

/// What a provider says, in our words. That it does not answer is no failure of ours.
pub(super) fn told(error: RemoteError) -> Error {
    match error {
        RemoteError::Missing(_) => Error::NotFound(Kind::File),
        RemoteError::Unreachable { .. } | RemoteError::Failed { .. } => Error::Unavailable(sentence(&error)),
        RemoteError::Broken(cause) => Error::internal("reading a file for a provider", cause),
        RemoteError::Refused { .. }
        | RemoteError::NoBucket(_)
        | RemoteError::Forbidden { .. }
        | RemoteError::BadName(_)
        | RemoteError::BadPlace(_)
        | RemoteError::BadUpload(_)
        | RemoteError::NotAccepted { .. } => Error::Invalid(sentence(&error)),
    }
}

fn sentence(error: &RemoteError) -> String {
    let text = error.to_string();
    match text.strip_prefix('t').filter(|rest| rest.starts_with("he ") || rest.starts_with("here ")) {
        Some(rest) => format!("T{rest}"),
        None => text,
    }
}
