//! Lists of requests: by version or project, newest first, fast however many are stored.
//!
//! Each status of a version (or project) is one stretch of an index that is in order of ids, and ids are in order of
//! time. A list merges the stretches it needs, reading only the index, and fetches rows for the one page it gives.

use modelyard_types::Timestamp;
use modelyard_types::ids::{ProjectId, RequestId, VersionId};
use modelyard_types::requests::RequestStatus;
use uuid::Uuid;

use crate::Store;
use crate::db::Source;
use crate::error::Result;
use crate::requests::Request;
use crate::requests::search::{IdPart, search};
use crate::value::{Bind, Value, values};

/// Whose requests.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// Those of a project.
    Project(ProjectId),
    /// Those of a version.
    Version(VersionId),
}

/// Which requests to list.
#[derive(Clone, Debug)]
pub struct RequestFilter {
    /// Whose requests.
    pub scope: Scope,
    /// Where they stand; anywhere when empty.
    pub statuses: Vec<RequestStatus>,
    /// Made at this time or later.
    pub from: Option<Timestamp>,
    /// Made before this time.
    pub until: Option<Timestamp>,
    /// The oldest first instead of the newest.
    pub oldest_first: bool,
    /// How many to leave out at the beginning.
    pub offset: i64,
    /// How many to give.
    pub limit: i64,
    /// A part of the id.
    pub search_id: Option<String>,
}

impl RequestFilter {
    /// The newest completed requests: what clients get when they ask for nothing else.
    pub fn of(scope: Scope) -> Self {
        Self {
            scope,
            statuses: vec![RequestStatus::Completed],
            from: None,
            until: None,
            oldest_first: false,
            offset: 0,
            limit: 50,
            search_id: None,
        }
    }

    pub(super) fn direction(&self) -> &'static str {
        if self.oldest_first { "ASC" } else { "DESC" }
    }

    /// Each status once and in a fixed order, so that the same text is made again; all of them when none is given.
    fn distinct_statuses(&self) -> impl Iterator<Item = RequestStatus> {
        let wanted = |status: &RequestStatus| self.statuses.is_empty() || self.statuses.contains(status);
        ALL.into_iter().filter(wanted)
    }
}

const ALL: [RequestStatus; 6] = [
    RequestStatus::Pending,
    RequestStatus::Processing,
    RequestStatus::CancelledPending,
    RequestStatus::Completed,
    RequestStatus::Failed,
    RequestStatus::Cancelled,
];

/// The requests that pass a filter.
pub async fn list(store: &Store, filter: &RequestFilter) -> Result<Vec<Request>> {
    let mut range = Range::of(filter);
    if let Some(part) = filter.search_id.as_deref().map(IdPart::of) {
        match part.beginning() {
            Some(whole) if part.is_whole() => range = range.within(whole),
            Some(beginning) => return search(store, filter, &part, beginning).await,
            None => return Ok(Vec::new()),
        }
    }
    let (ids, values) = page_of_ids(filter, range, filter.limit, filter.offset, store.is_postgres());
    let text =
        format!("SELECT {} FROM requests WHERE id IN ({ids}) ORDER BY id {}", Request::COLUMNS, filter.direction());
    store.all(text, values).await
}

/// Ids from the first (included) to the last (excluded).
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) first: Uuid,
    pub(super) last: Uuid,
}

impl Range {
    pub(super) fn of(filter: &RequestFilter) -> Self {
        Self {
            first: filter.from.map_or(Uuid::nil(), first_id_of),
            last: filter.until.map_or(Uuid::max(), first_id_of),
        }
    }

    /// What of it is within another.
    pub(super) fn within(self, other: Self) -> Self {
        Self { first: self.first.max(other.first), last: self.last.min(other.last) }
    }

    pub(super) fn holds(&self, id: RequestId) -> bool {
        id.0 >= self.first && id.0 < self.last
    }
}

/// The least id that a request made at a time or later can have: UUIDv7 begins with 48 bits of milliseconds.
pub(crate) fn first_id_of(at: Timestamp) -> Uuid {
    let millis = (i128::from(at.0) + 999).div_euclid(1_000);
    let millis = u128::try_from(millis.max(0)).unwrap_or(0);
    Uuid::from_u128(millis.min((1 << 48) - 1) << 80)
}

/// A text that gives a page of ids, and its values. It holds no more than the page, however large the offset is.
pub(super) fn page_of_ids(
    filter: &RequestFilter,
    range: Range,
    limit: i64,
    offset: i64,
    postgres: bool,
) -> (String, Vec<Value>) {
    let (column, scope) = match filter.scope {
        Scope::Project(id) => ("project_id", id.value()),
        Scope::Version(id) => ("version_id", id.value()),
    };
    let direction = filter.direction();
    let mut values = values![range.first, range.last, limit, offset];
    values.push(scope);
    // PostgreSQL would rather read and sort the stretches than merge them, unless each is cut by itself; SQLite the other
    // way round.
    if postgres {
        values.push(Value::Int(limit.saturating_add(offset)));
    }
    let mut stretches = Vec::new();
    for status in filter.distinct_statuses() {
        values.push(status.value());
        let mark = values.len();
        let stretch =
            format!("SELECT id FROM requests WHERE {column} = $5 AND status = ${mark} AND id >= $1 AND id < $2");
        stretches.push(match postgres {
            true => format!("SELECT id FROM ({stretch} ORDER BY id {direction} LIMIT $6) AS stretch{mark}"),
            false => stretch,
        });
    }
    let stretches = stretches.join(" UNION ALL ");
    (format!("{stretches} ORDER BY id {direction} LIMIT $3 OFFSET $4"), values)
}

pub(super) fn built_texts(postgres: bool) -> Vec<(String, String)> {
    let of = |scope, statuses: &[RequestStatus]| {
        let filter = RequestFilter { statuses: statuses.to_vec(), ..RequestFilter::of(scope) };
        let (ids, _) = page_of_ids(&filter, Range::of(&filter), 1, 0, postgres);
        let text = format!("SELECT {} FROM requests WHERE id IN ({ids})", Request::COLUMNS);
        (format!("requests::list {scope:?} {statuses:?}"), text)
    };
    let version = Scope::Version(VersionId(Uuid::nil()));
    let project = Scope::Project(ProjectId(Uuid::nil()));
    vec![of(version, &ALL), of(project, &ALL[..1]), of(project, &ALL)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_divide_at_their_time() {
        let id = RequestId::new();
        let at = id.made_at();
        assert!(first_id_of(at) <= id.0);
        assert!(first_id_of(Timestamp(at.0 + 1)) > id.0);
        assert_eq!(first_id_of(Timestamp(-5)), Uuid::nil());
    }
}
