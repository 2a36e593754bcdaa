//! Lists: rows from the database, and among them requests of this server that have not been written as they stand.

use std::collections::HashSet;
use std::sync::Arc;

use modelyard_store::Request;
use modelyard_store::requests::{self, IdPart, Scope};
use modelyard_types::requests::RequestStatus;
use modelyard_types::{RequestId, Result, Timestamp, VersionId};

use super::request::LiveRequest;
use super::view::{RequestView, named};
use crate::Control;
use crate::catalogue::ProjectSnapshot;

/// From this offset on, lists of one server take turns: their time grows with it, and SQLite has few readers.
const DEEP: i64 = 100_000;

/// Which requests to list.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    /// Those of a version; those of the whole project without one.
    pub version: Option<VersionId>,
    /// Where they stand.
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
    fn wants(&self, status: RequestStatus) -> bool {
        self.statuses.is_empty() || self.statuses.contains(&status)
    }

    /// Whether a request passes, its project and its status aside.
    fn passes(&self, request: &LiveRequest) -> bool {
        self.version.is_none_or(|id| id == request.version.id)
            && self.from.is_none_or(|from| request.id.made_at() >= from)
            && self.until.is_none_or(|until| request.id.made_at() < until)
            && self.search_id.as_ref().is_none_or(|part| IdPart::of(part).is_in(request.id))
    }

    /// What the database is asked: rows from an offset on.
    fn of_rows(&self, project: &ProjectSnapshot, offset: i64, limit: i64) -> requests::RequestFilter {
        requests::RequestFilter {
            scope: self.version.map_or(Scope::Project(project.id), Scope::Version),
            statuses: self.statuses.clone(),
            from: self.from,
            until: self.until,
            oldest_first: self.oldest_first,
            offset,
            limit,
            search_id: self.search_id.clone(),
        }
    }

    /// Whether one id stands before another.
    fn is_before(&self, one: RequestId, other: RequestId) -> bool {
        if self.oldest_first { one < other } else { one > other }
    }

    /// Ids carry the time.
    fn sort(&self, found: &mut [Request]) {
        found.sort_unstable_by_key(|request| request.id);
        if !self.oldest_first {
            found.reverse();
        }
    }
}

impl Control {
    /// Requests of a project that pass a filter, without their data.
    ///
    /// A request may stand among the live ones and in the database; the live one is newer. What is read grows with the
    /// page and with the live ones, never with the offset: the database skips.
    pub async fn list_requests(
        &self,
        project: &Arc<ProjectSnapshot>,
        filter: &RequestFilter,
    ) -> Result<Vec<RequestView>> {
        let (live, outdated) = self.live_of(project, filter);
        self.0.recorder.catch_up().await?;
        let _turn = if filter.offset > DEEP { Some(self.0.deep_lists.lock().await) } else { None };
        // Each live request moves a row back by one place at the most: what is before the first of these is not on the page.
        let first = (filter.offset - live.len() as i64).max(0);
        let enough = filter.offset - first + filter.limit + (live.len() + outdated.len()) as i64;
        let rows = requests::list(self.store(), &filter.of_rows(project, first, enough)).await?;
        let twins = match rows.first() {
            Some(row) if first > 0 => self.stored_before(filter, &live, &outdated, row.id).await?,
            _ => 0,
        };
        let page = merged(filter, live, rows, &outdated).into_iter();
        let page = page.skip(usize::try_from(filter.offset - first + twins).unwrap_or(0));
        let page = page.take(usize::try_from(filter.limit).unwrap_or(0));
        Ok(page.filter_map(|request| named(project, request)).collect())
    }

    /// The live requests that pass a filter, as far as a page may show them, as they stand; and those whose rows may pass
    /// although they do not: they ended, and their rows will tell when their data is stored.
    fn live_of(&self, project: &ProjectSnapshot, filter: &RequestFilter) -> (Vec<Request>, HashSet<RequestId>) {
        let here = self.0.live.filter(|request| {
            let passes = filter.wants(request.status()) || request.status().is_final();
            request.request.project_id == project.id && passes && !request.is_deleted() && filter.passes(request)
        });
        let (mut live, outdated): (Vec<Request>, Vec<Request>) =
            here.iter().map(|live| live.row().0).partition(|request| filter.wants(request.status));
        let outdated = outdated.into_iter().map(|request| request.id).collect();
        filter.sort(&mut live);
        live.truncate(usize::try_from(filter.offset + filter.limit).unwrap_or(usize::MAX));
        (live, outdated)
    }

    /// How many of those before an id the database lists, though the page has them from elsewhere or not at all.
    async fn stored_before(
        &self,
        filter: &RequestFilter,
        live: &[Request],
        outdated: &HashSet<RequestId>,
        id: RequestId,
    ) -> Result<i64> {
        let here = live.iter().map(|live| live.id).chain(outdated.iter().copied());
        let before: Vec<RequestId> = here.filter(|here| filter.is_before(*here, id)).collect();
        let stored = requests::statuses(self.store(), &before).await?;
        Ok(stored.values().filter(|status| filter.wants(**status)).count() as i64)
    }
}

/// Each request once, in order; of one that stands in both, the live one. Outdated rows are left out.
fn merged(
    filter: &RequestFilter,
    live: Vec<Request>,
    rows: Vec<Request>,
    outdated: &HashSet<RequestId>,
) -> Vec<Request> {
    let ids: HashSet<RequestId> = live.iter().map(|live| live.id).collect();
    let mut all = live;
    all.extend(rows.into_iter().filter(|row| !ids.contains(&row.id) && !outdated.contains(&row.id)));
    filter.sort(&mut all);
    all
}
