//! Pages of lists that are cut by ids: what comes and goes meanwhile moves nothing from one page to another.

use modelyard_store::instances::Cut;
use uuid::Uuid;

use crate::error::{Refusal, Result, invalid};
use crate::query::{FromQuery, Values};

/// Which page to give.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Where the page begins, as another page told it.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
    /// How many to give: 50, up to 1000.
    #[param(value_type = Option<i64>)]
    limit: i64,
}

/// Where a page begins. Opaque to clients: a letter and an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cursor {
    /// Behind what has this id.
    After(Uuid),
    /// So that it ends before what has this id.
    Before(Uuid),
}

/// In which order a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The youngest first.
    Newest,
    /// The oldest first.
    Oldest,
}

/// What a page shows, and the cursors of its neighbours.
pub(crate) struct Paged<T> {
    pub(crate) next: Option<String>,
    pub(crate) previous: Option<String>,
    pub(crate) results: Vec<T>,
}

impl FromQuery for Page {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        let cursor = match values.text("cursor") {
            Some(text) => Some(Cursor::read(&text).ok_or_else(|| invalid("cursor is not one that this list gave"))?),
            None => None,
        };
        Ok(Self { cursor, limit: values.int("limit", 1..=1000)?.unwrap_or(50) })
    }
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        let (way, id) = text.split_at_checked(1)?;
        let id = Uuid::try_parse(id).ok()?;
        match way {
            "a" => Some(Self::After(id)),
            "b" => Some(Self::Before(id)),
            _ => None,
        }
    }

    fn write(self) -> String {
        match self {
            Self::After(id) => format!("a{}", id.simple()),
            Self::Before(id) => format!("b{}", id.simple()),
        }
    }
}

impl Page {
    /// What to read from a list of that order.
    pub(crate) fn cut(&self, order: Order) -> Cut {
        match (order, self.cursor) {
            (Order::Newest, None) => Cut::Below(Uuid::max()),
            (Order::Oldest, None) => Cut::Above(Uuid::nil()),
            (Order::Newest, Some(Cursor::After(id))) | (Order::Oldest, Some(Cursor::Before(id))) => Cut::Below(id),
            (Order::Newest, Some(Cursor::Before(id))) | (Order::Oldest, Some(Cursor::After(id))) => Cut::Above(id),
        }
    }

    /// How many to read: one more than the page shows tells whether there is another page.
    pub(crate) fn enough(&self) -> i64 {
        self.limit + 1
    }

    /// The page of what was read.
    pub(crate) fn of<T>(&self, mut read: Vec<T>, id: impl Fn(&T) -> Uuid) -> Paged<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = read.len() > limit;
        read.truncate(limit);
        let backwards = matches!(self.cursor, Some(Cursor::Before(_)));
        if backwards {
            read.reverse();
        }
        let (before, after) = if backwards { (more, true) } else { (self.cursor.is_some(), more) };
        let neighbour = |is_there: bool, of: Option<&T>| of.filter(|_| is_there).map(&id);
        Paged {
            next: neighbour(after, read.last()).map(|id| Cursor::After(id).write()),
            previous: neighbour(before, read.first()).map(|id| Cursor::Before(id).write()),
            results: read,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A page of the numbers 1 to 7, read as the store does.
    fn page(order: Order, limit: i64, cursor: Option<&str>) -> Paged<u128> {
        let page = Page { cursor: cursor.map(|text| Cursor::read(text).unwrap()), limit };
        let all = 1..=7_u128;
        let mut read: Vec<u128> = match page.cut(order) {
            Cut::Below(id) => all.filter(|number| Uuid::from_u128(*number) < id).rev().collect(),
            Cut::Above(id) => all.filter(|number| Uuid::from_u128(*number) > id).collect(),
        };
        read.truncate(usize::try_from(page.enough()).unwrap());
        page.of(read, |number| Uuid::from_u128(*number))
    }

    #[test]
    fn cursors_lead_through_all_pages_and_back() {
        for (order, pages) in [
            (Order::Newest, [vec![7, 6, 5], vec![4, 3, 2], vec![1]]),
            (Order::Oldest, [vec![1, 2, 3], vec![4, 5, 6], vec![7]]),
        ] {
            let first = page(order, 3, None);
            let second = page(order, 3, first.next.as_deref());
            let third = page(order, 3, second.next.as_deref());
            let back = page(order, 3, third.previous.as_deref());
            let start = page(order, 3, back.previous.as_deref());
            assert_eq!([&first.results, &second.results, &third.results], [&pages[0], &pages[1], &pages[2]]);
            assert_eq!((back.results, start.results), (second.results, first.results));
            assert_eq!((third.next, first.previous, start.previous), (None, None, None));
            assert_eq!((start.next, back.next), (first.next, second.next));
        }
        let all = page(Order::Newest, 7, None);
        assert_eq!((all.results.len(), all.next, all.previous), (7, None, None));
    }

    #[test]
    fn what_no_list_gave_is_no_cursor() {
        let id = Uuid::from_u128(7).simple().to_string();
        assert_eq!(Cursor::read(&format!("a{id}")), Some(Cursor::After(Uuid::from_u128(7))));
        for text in ["a", "x", "é", &id, &format!("c{id}"), "a7"] {
            assert_eq!(Cursor::read(text), None, "{text}");
        }
    }
}
