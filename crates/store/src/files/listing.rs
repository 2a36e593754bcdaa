//! Lists of files by name, with what names have in common given once.

use modelyard_types::ids::ContainerId;

use super::File;
use crate::Store;
use crate::db::Source;
use crate::error::Result;
use crate::sql::statements;
use crate::value::values;

statements! {
    FROM = "SELECT ", File::COLUMNS, " FROM files WHERE container_id = $1 AND name >= $2 ORDER BY name LIMIT $3";
    FROM_TO = "SELECT ", File::COLUMNS, " FROM files
        WHERE container_id = $1 AND name >= $2 AND name < $4 ORDER BY name LIMIT $3";
    BEFORE = "SELECT ", File::COLUMNS, " FROM files WHERE container_id = $1 AND name < $2 ORDER BY name DESC LIMIT $3";
}

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Wanted<'a> {
    /// Names begin with this.
    pub prefix: &'a str,
    /// What follows the prefix up to this, and this, is given instead of the names that have it.
    pub delimiter: Option<&'a str>,
    /// Names from this on; all when empty.
    pub from: &'a str,
    /// Files and common beginnings at the most.
    pub limit: usize,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The files.
    pub files: Vec<File>,
    /// Common beginnings of names.
    pub prefixes: Vec<String>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// A page of the files of a container, by name.
pub async fn list(store: &Store, container: ContainerId, wanted: &Wanted<'_>) -> Result<Page> {
    let mut page = Page::default();
    let end = after_all(wanted.prefix);
    let mut from = wanted.from.max(wanted.prefix).to_owned();
    loop {
        // One more than there is room for tells whether there is another page.
        let room = wanted.limit.saturating_sub(page.files.len() + page.prefixes.len());
        let found = between(store, container, &from, end.as_deref(), room + 1).await?;
        let is_rest = found.len() <= room;
        for file in found {
            if file.name < from {
                continue;
            }
            if page.files.len() + page.prefixes.len() >= wanted.limit {
                page.next = Some(file.name);
                return Ok(page);
            }
            match common(&file.name, wanted) {
                Some(common) => {
                    page.prefixes.push(common.to_owned());
                    let Some(behind) = after_all(common) else { return Ok(page) };
                    from = behind;
                }
                None => {
                    // No name has a control character: this is right behind it.
                    from = format!("{}\u{1}", file.name);
                    page.files.push(file);
                }
            }
        }
        if is_rest {
            return Ok(page);
        }
    }
}

/// The last files before a name, backwards.
pub async fn before(on: impl Source<'_>, container: ContainerId, name: &str, limit: i64) -> Result<Vec<File>> {
    on.all(BEFORE, values![container, name, limit]).await
}

async fn between(on: &Store, container: ContainerId, from: &str, end: Option<&str>, limit: usize) -> Result<Vec<File>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    match end {
        Some(end) => on.all(FROM_TO, values![container, from, limit, end]).await,
        None => on.all(FROM, values![container, from, limit]).await,
    }
}

/// The beginning of a name up to the delimiter behind the prefix.
fn common<'a>(name: &'a str, wanted: &Wanted<'_>) -> Option<&'a str> {
    let delimiter = wanted.delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let rest = name.get(wanted.prefix.len()..)?;
    let at = rest.find(delimiter)?;
    name.get(..wanted.prefix.len() + at + delimiter.len())
}

/// The first text behind all that begin with this one; none when there is no such text.
fn after_all(prefix: &str) -> Option<String> {
    let mut rest = prefix;
    while let Some(last) = rest.chars().next_back() {
        rest = &rest[..rest.len() - last.len_utf8()];
        // The surrogates are no characters; their place is skipped.
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            return Some(format!("{rest}{next}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_beginning_is_behind_all_that_begin_so() {
        assert_eq!(after_all("a/").as_deref(), Some("a0"));
        assert_eq!(after_all("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(after_all("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after_all("\u{10ffff}"), None);
        assert_eq!(after_all(""), None);
        assert!("a/\u{10ffff}" < after_all("a/").unwrap_or_default().as_str());
    }
}
