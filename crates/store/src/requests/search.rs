//! Finding requests by a part of their ids.
//!
//! No index helps with that, so only the first [`MOST_SEARCHED`] of a list are looked through. Behind these, ids that begin
//! with the part are found all the same: they are a range.

use modelyard_types::ids::{RequestId, VersionId};
use modelyard_types::requests::RequestStatus;
use uuid::Uuid;

use super::list::{Range, RequestFilter, Scope, page_of_ids};
use super::{MOST_IDS, Request, marks};
use crate::Store;
use crate::db::Source;
use crate::error::Result;
use crate::tx::Tx;
use crate::value::{Bind, Value};

/// Requests that a search looks at, at the most.
const MOST_SEARCHED: i64 = 100_000;
/// Hexadecimal digits of an id.
const DIGITS: usize = 32;

/// A part of an id as somebody types it. Neither hyphens nor the case of letters count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdPart(String);

impl IdPart {
    /// What of a text counts.
    pub fn of(text: &str) -> Self {
        Self(text.trim().chars().filter(|one| *one != '-').collect::<String>().to_lowercase())
    }

    /// Whether an id contains it.
    pub fn is_in(&self, id: RequestId) -> bool {
        id.0.simple().encode_lower(&mut Uuid::encode_buffer()).contains(&self.0)
    }

    /// Whether it is all of an id.
    pub(super) fn is_whole(&self) -> bool {
        self.0.len() == DIGITS
    }

    /// The ids that begin with it; nothing when no id can contain it.
    pub(super) fn beginning(&self) -> Option<Range> {
        let is_digit = |one: char| one.is_ascii_hexdigit();
        if self.0.len() > DIGITS || !self.0.chars().all(is_digit) {
            return None;
        }
        let filled = |with: &str| Uuid::parse_str(&format!("{}{}", self.0, with.repeat(DIGITS - self.0.len()))).ok();
        let (first, last) = (filled("0")?, filled("f")?);
        Some(Range { first, last: Uuid::from_u128(last.as_u128().saturating_add(1)) })
    }
}

/// The page of a search.
pub(super) async fn search(
    store: &Store,
    filter: &RequestFilter,
    part: &IdPart,
    beginning: Range,
) -> Result<Vec<Request>> {
    let mut tx = store.snapshot().await?;
    let wanted = filter.offset.saturating_add(filter.limit);
    let (text, values) = matching(filter, part, wanted, store.is_postgres());
    let found: Vec<(RequestId,)> = tx.all(text, values).await?;
    let count = found.len() as i64;
    let known = found.iter().filter(|(id,)| beginning.holds(*id)).count() as i64;
    let skipped = usize::try_from(filter.offset).unwrap_or(usize::MAX);
    let mut page: Vec<_> = found.into_iter().skip(skipped).collect();
    if count < wanted {
        let (left, offset) = (filter.limit - page.len() as i64, known + (filter.offset - count).max(0));
        let range = Range::of(filter).within(beginning);
        let (text, values) = page_of_ids(filter, range, left, offset, store.is_postgres());
        page.extend(tx.all::<(RequestId,)>(text, values).await?);
    }
    rows(&mut tx, filter, &page).await
}

/// The first `limit` ids with a part, of the first [`MOST_SEARCHED`] within a filter.
fn matching(filter: &RequestFilter, part: &IdPart, limit: i64, postgres: bool) -> (String, Vec<Value>) {
    let (ids, mut values) = page_of_ids(filter, Range::of(filter), MOST_SEARCHED, 0, postgres);
    values.push(Value::Int(limit));
    let limit = values.len();
    let contains = match postgres {
        true => format!("strpos(encode(uuid_send(id), 'hex'), ${}) > 0", limit + 1),
        false => format!("instr(hex(id), ${}) > 0", limit + 1),
    };
    values.push(if postgres { part.0.value() } else { part.0.to_uppercase().value() });
    let direction = filter.direction();
    (format!("SELECT id FROM ({ids}) AS searched WHERE {contains} ORDER BY id {direction} LIMIT ${limit}"), values)
}

async fn rows(tx: &mut Tx, filter: &RequestFilter, ids: &[(RequestId,)]) -> Result<Vec<Request>> {
    let mut found: Vec<Request> = Vec::with_capacity(ids.len());
    for some in ids.chunks(MOST_IDS) {
        found.extend(tx.all::<Request>(rows_text(some.len()), some.iter().map(|(id,)| id.value()).collect()).await?);
    }
    found.sort_unstable_by_key(|request| request.id);
    if !filter.oldest_first {
        found.reverse();
    }
    Ok(found)
}

fn rows_text(count: usize) -> String {
    format!("SELECT {} FROM requests WHERE id IN ({})", Request::COLUMNS, marks(count))
}

pub(super) fn built_texts(postgres: bool) -> Vec<(String, String)> {
    let filter = RequestFilter {
        statuses: vec![RequestStatus::Failed, RequestStatus::Completed],
        ..RequestFilter::of(Scope::Version(VersionId(Uuid::nil())))
    };
    let (text, _) = matching(&filter, &IdPart::of("abc"), 1, postgres);
    vec![("requests::search".into(), text), ("requests::search, rows".into(), rows_text(3))]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn id(text: &str) -> RequestId {
        text.parse().unwrap()
    }

    #[test]
    fn a_part_is_found_whatever_its_hyphens_and_case() {
        let one = id("0190c1a0-1234-7abc-8def-00000000beef");
        for part in
            ["0190c1a0", "1A01234", "34-7ab", " beef ", "7abc-8DEF", "-", "0190c1a0-1234-7abc-8def-00000000beef"]
        {
            assert!(IdPart::of(part).is_in(one), "{part}");
        }
        assert!(!IdPart::of("beee").is_in(one));
    }

    #[test]
    fn a_beginning_is_a_range() {
        let range = IdPart::of("0190c1a0-1").beginning().unwrap();
        assert!(range.holds(id("0190c1a0-1000-0000-0000-000000000000")));
        assert!(range.holds(id("0190c1a0-1fff-ffff-ffff-fffffffffffe")));
        assert!(!range.holds(id("0190c1a0-2000-0000-0000-000000000000")));
        assert!(!range.holds(id("0190c1a0-0fff-ffff-ffff-ffffffffffff")));
        let whole = IdPart::of("0190c1a0-1234-7abc-8def-00000000beef");
        assert!(whole.is_whole() && whole.beginning().unwrap().holds(id("0190c1a0-1234-7abc-8def-00000000beef")));
        assert!(IdPart::of("no id").beginning().is_none());
        assert!(IdPart::of(&"a".repeat(33)).beginning().is_none());
    }
}
