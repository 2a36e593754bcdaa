//! What lists hold: files by name, and what names have in common.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use percent_encoding::percent_decode_str;

use super::names;
use super::xml::Element;

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without the prefix of its place.
    pub name: String,
    /// How many bytes it has.
    pub size: u64,
    /// When it was written, in microseconds since 1970; to the second.
    pub created: i64,
    /// What changes with its bytes, without quotes.
    pub etag: Option<String>,
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Files, in the order of their names.
    pub entries: Vec<Entry>,
    /// What names have in common, up to the delimiter.
    pub prefixes: Vec<String>,
    /// Where the next page begins; none when this is the last.
    pub next: Option<String>,
}

/// A page as S3 and Google write it.
pub(super) fn of_bucket(document: &Element, prefix: &str) -> Page {
    let mut page = Page::default();
    for file in document.all("Contents") {
        page.add(file.child("Key"), file, prefix, ["Size", "LastModified", "ETag"]);
    }
    for common in document.all("CommonPrefixes") {
        page.add_common(common.child("Prefix"), prefix);
    }
    page.next = document.text_of("NextContinuationToken").map(str::to_owned);
    page
}

/// A page as Azure writes it.
pub(super) fn of_container(document: &Element, prefix: &str) -> Page {
    let mut page = Page::default();
    for list in document.all("Blobs") {
        for file in list.all("Blob") {
            let about = file.child("Properties").unwrap_or(file);
            page.add(file.child("Name"), about, prefix, ["Content-Length", "Last-Modified", "Etag"]);
        }
        for common in list.all("BlobPrefix") {
            page.add_common(common.child("Name"), prefix);
        }
    }
    page.next = document.text_of("NextMarker").map(str::to_owned);
    page
}

impl Page {
    /// Leaves out what no name of ours can be.
    fn add(&mut self, name: Option<&Element>, about: &Element, prefix: &str, [size, time, etag]: [&str; 3]) {
        let Some(name) = relative(name, prefix).filter(|name| names::can_be(name)) else { return };
        self.entries.push(Entry {
            name,
            size: about.text_of(size).and_then(|size| size.parse().ok()).unwrap_or(0),
            created: about.text_of(time).and_then(moment).unwrap_or(0),
            etag: about.text_of(etag).map(|etag| etag.trim_matches('"').to_owned()),
        });
    }

    fn add_common(&mut self, common: Option<&Element>, prefix: &str) {
        self.prefixes.extend(relative(common, prefix).filter(|common| !common.is_empty() && names::can_begin(common)));
    }
}

/// A name below the prefix of its place. What cannot stand in a document is percent-encoded and marked.
fn relative(name: Option<&Element>, prefix: &str) -> Option<String> {
    let name = name?;
    let decoded = match name.encoded {
        true => percent_decode_str(&name.text).decode_utf8().ok()?.into_owned(),
        false => name.text.clone(),
    };
    decoded.strip_prefix(prefix).map(str::to_owned)
}

/// A time as documents (ISO 8601) and headers (RFC 2822) write it, in microseconds. Headers have whole seconds, so that all times do.
pub(super) fn moment(text: &str) -> Option<i64> {
    let iso = || text.parse::<Timestamp>().ok();
    let header = || rfc2822::parse(text).ok().map(|moment| moment.timestamp());
    iso().or_else(header).map(|moment| moment.as_second() * 1_000_000)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        assert_eq!(moment("2009-10-12T17:50:30.712Z"), Some(1_255_369_830_000_000));
        assert_eq!(moment("Mon, 12 Oct 2009 17:50:30 GMT"), Some(1_255_369_830_000_000));
        assert_eq!(moment("yesterday"), None);
    }

    #[test]
    fn what_has_no_name_here_is_left_out() {
        let keys = ["p/a", "p/a b/%2F", "p/", "p/dir/", "p/a//b", "p/../x", "p//x", "other"];
        let contents: String = keys.map(|key| format!("<Contents><Key>{key}</Key><Size>3</Size></Contents>")).concat();
        let commons = ["p/c/", "p/c//", "p/../", "p//"];
        let commons = commons.map(|it| format!("<CommonPrefixes><Prefix>{it}</Prefix></CommonPrefixes>")).concat();
        let text = format!("<R>{contents}{commons}<NextContinuationToken>t</NextContinuationToken></R>");
        let page = of_bucket(&Element::read(text.as_bytes()).unwrap(), "p/");
        assert_eq!(page.entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["a", "a b/%2F"]);
        assert_eq!(page.prefixes, ["c/"]);
        assert_eq!((page.entries[0].size, page.next.as_deref()), (3, Some("t")));
    }

    #[test]
    fn names_that_azure_encodes_are_decoded() {
        let text = r#"<EnumerationResults><Blobs>
            <Blob><Name Encoded="true">p/a%EF%BF%BE%25</Name><Properties><Content-Length>3</Content-Length>
                <Last-Modified>Mon, 12 Oct 2009 17:50:30 GMT</Last-Modified><Etag>0x1</Etag></Properties></Blob>
            <Blob><Name>p/b%25</Name><Properties/></Blob>
            <Blob><Name>p/dir/</Name></Blob>
            <BlobPrefix><Name>p/c/</Name></BlobPrefix><BlobPrefix><Name>p//</Name></BlobPrefix>
            </Blobs><NextMarker /></EnumerationResults>"#;
        let page = of_container(&Element::read(text.as_bytes()).unwrap(), "p/");
        let name = "a\u{fffe}%".to_owned();
        let first = Entry { name, size: 3, created: 1_255_369_830_000_000, etag: Some("0x1".into()) };
        assert_eq!((&page.entries[0], page.entries[1].name.as_str()), (&first, "b%25"));
        assert_eq!((page.entries.len(), page.prefixes, page.next), (2, vec!["c/".to_owned()], None));
    }
}
