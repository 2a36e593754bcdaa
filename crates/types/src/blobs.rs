//! Blobs: files that a project keeps for a while, known by their ids.

use serde::Serialize;

use crate::buckets;
use crate::ids::BlobId;
use crate::time::RequestTime;

/// How long a blob lives unless told otherwise, in seconds: a day.
pub const USUAL_TTL: i64 = 86_400;
/// The longest that a blob may live, in seconds.
pub const MAX_TTL: i64 = buckets::MAX_TTL;
/// The longest file name of a blob, in characters.
pub const MAX_FILE_NAME: usize = 512;
/// Blobs that a list shows unless told otherwise, the latest first.
pub const USUAL_RANGE: i64 = -50;
/// The most blobs that a list shows.
pub const MAX_RANGE: i64 = 1000;

/// A blob, as it was made and as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BlobList {
    /// Its id.
    pub id: BlobId,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub creation_date: RequestTime,
    /// When its content was last written.
    pub last_updated: RequestTime,
    /// What its file was called by who sent it.
    pub filename: String,
    /// Its bytes.
    pub size: i64,
    /// Seconds after which it is deleted, counted from its last update.
    pub ttl: i64,
}
