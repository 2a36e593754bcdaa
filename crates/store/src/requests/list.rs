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

    fn direction(&self) -> &'static str {
        if self.oldest_first { "ASC" } else { "DESC" }
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
    if let Some(part) = &filter.search_id {
        let part = part.trim().to_lowercase();
        match part.parse::<RequestId>() {
            Ok(id) => range = range.only(id.0),
            Err(_) => return search(store, filter, range, &part).await,
        }
    }
    let (ids, values) = page_of_ids(filter, range, filter.limit, filter.offset);
    let text =
        format!("SELECT {} FROM requests WHERE id IN ({ids}) ORDER BY id {}", Request::COLUMNS, filter.direction());
    store.all(text, values).await
}

/// Ids from the first (included) to the last (excluded).
#[derive(Clone, Copy)]
struct Range {
    first: Uuid,
    last: Uuid,
}

impl Range {
    fn of(filter: &RequestFilter) -> Self {
        Self {
            first: filter.from.map_or(Uuid::nil(), first_id_of),
            last: filter.until.map_or(Uuid::max(), first_id_of),
        }
    }

    fn only(self, id: Uuid) -> Self {
        if id < self.first || id >= self.last {
            return Self { first: self.last, last: self.last };
        }
        let after = Uuid::from_u128(id.as_u128().saturating_add(1));
        Self { first: id, last: after }
    }
}

/// The least id that a request made at a time or later can have: UUIDv7 begins with 48 bits of milliseconds.
pub(crate) fn first_id_of(at: Timestamp) -> Uuid {
    let millis = (i128::from(at.0) + 999).div_euclid(1_000);
    let millis = u128::try_from(millis.max(0)).unwrap_or(0);
    Uuid::from_u128(millis.min((1 << 48) - 1) << 80)
}

/// A text that gives a page of ids, and its values.
fn page_of_ids(filter: &RequestFilter, range: Range, limit: i64, offset: i64) -> (String, Vec<Value>) {
    let (column, scope) = match filter.scope {
        Scope::Project(id) => ("project_id", id.value()),
        Scope::Version(id) => ("version_id", id.value()),
    };
    let mut statuses = filter.statuses.clone();
    if statuses.is_empty() {
        statuses.extend(ALL);
    }
    statuses.sort_by_key(|status| ALL.iter().position(|one| one == status));
    statuses.dedup();

    let mut values = values![range.first, range.last, limit, offset];
    values.push(scope);
    let direction = filter.direction();
    // Each stretch is cut by itself: PostgreSQL would rather read and sort all of them than merge.
    values.push(Value::Int(limit.saturating_add(offset)));
    let mut stretches = Vec::new();
    for status in statuses {
        values.push(status.value());
        let mark = values.len();
        stretches.push(format!(
            "SELECT id FROM (SELECT id FROM requests
                WHERE {column} = $5 AND status = ${mark} AND id >= $1 AND id < $2
                ORDER BY id {direction} LIMIT $6) AS stretch{mark}"
        ));
    }
    let stretches = stretches.join(" UNION ALL ");
    (format!("{stretches} ORDER BY id {direction} LIMIT $3 OFFSET $4"), values)
}

/// Ids looked at in one step of a search.
const STEP: i64 = 10_000;
/// Ids that a search looks at, at the most.
const MOST_SEARCHED: i64 = 300_000;

/// Looks through the ids within the filter for those that contain a text; only the first [`MOST_SEARCHED`].
async fn search(store: &Store, filter: &RequestFilter, mut range: Range, part: &str) -> Result<Vec<Request>> {
    let wanted = usize::try_from(filter.offset.saturating_add(filter.limit)).unwrap_or(0);
    let mut found = Vec::new();
    let mut searched = 0;
    while found.len() < wanted && searched < MOST_SEARCHED {
        let (text, values) = page_of_ids(filter, range, STEP, 0);
        let ids: Vec<(RequestId,)> = store.all(text, values).await?;
        let Some((end,)) = ids.last() else { break };
        let after = Uuid::from_u128(end.0.as_u128().saturating_add(1));
        range = match filter.oldest_first {
            true => Range { first: after, ..range },
            false => Range { last: end.0, ..range },
        };
        searched += STEP;
        found.extend(ids.iter().map(|(id,)| *id).filter(|id| id.to_string().contains(part)));
    }
    let page = found
        .into_iter()
        .skip(usize::try_from(filter.offset).unwrap_or(0))
        .take(usize::try_from(filter.limit).unwrap_or(0));
    let mut requests = Vec::new();
    for id in page {
        requests.extend(super::get(store, id).await?);
    }
    Ok(requests)
}

pub(super) fn built_texts() -> Vec<(String, String)> {
    let of = |scope, statuses: &[RequestStatus]| {
        let filter = RequestFilter { statuses: statuses.to_vec(), ..RequestFilter::of(scope) };
        let (ids, _) = page_of_ids(&filter, Range::of(&filter), 1, 0);
        let text = format!("SELECT {} FROM requests WHERE id IN ({ids})", Request::COLUMNS);
        (format!("requests::list {scope:?} {statuses:?}"), text)
    };
    let version = Scope::Version(VersionId(Uuid::nil()));
    let project = Scope::Project(ProjectId(Uuid::nil()));
    vec![of(version, &ALL), of(project, &ALL[..1]), of(project, &ALL)]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
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

    #[test]
    fn a_range_of_one_id_stays_within_the_range() {
        let all = Range { first: Uuid::nil(), last: Uuid::max() };
        let id = RequestId::new().0;
        assert_eq!(all.only(id).first, id);
        let before = Range { last: id, ..all };
        assert!(before.only(id).first >= before.only(id).last);
        assert!("0190".parse::<RequestId>().is_err(), "a part is not an id");
        assert!(id.simple().to_string().parse::<RequestId>().unwrap().0 == id);
    }
}
