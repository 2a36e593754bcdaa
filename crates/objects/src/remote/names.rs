//! Names of files: which there can be, and how they stand in a URL.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::RemoteError;

/// How many bytes a name may have, with the prefix of its place.
const LONGEST: usize = 1024;
/// Everything but what signatures leave as it is.
const STRICT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for a path, whose slashes stay.
const PATH: AsciiSet = STRICT.remove(b'/');

/// A name with the prefix of its place before it, if there can be such a file.
pub(super) fn full(prefix: &str, name: &str) -> Result<String, RemoteError> {
    if !can_be(name) {
        let sentence = format!(
            "'{}' cannot be the name of a file: a name has no control characters and no segments that are empty, '.' or '..'",
            name.escape_default()
        );
        return Err(RemoteError::BadName(sentence));
    }
    let full = format!("{prefix}{name}");
    match full.len() > LONGEST {
        true => Err(RemoteError::BadName(format!(
            "the name of a file has at most {LONGEST} bytes, with the prefix of its bucket"
        ))),
        false => Ok(full),
    }
}

/// Whether a file can have this name.
pub(super) fn can_be(name: &str) -> bool {
    name.len() <= LONGEST && !name.contains(char::is_control) && name.split('/').all(is_segment)
}

/// Whether names can begin with this, as what a list has in common; it ends wherever its delimiter is.
pub(super) fn can_begin(start: &str) -> bool {
    let folders = start.rsplit_once('/').map_or("", |(folders, _)| folders);
    !start.contains(char::is_control)
        && !start.starts_with('/')
        && (folders.is_empty() || folders.split('/').all(is_segment))
}

fn is_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
}

/// A name as a path in a URL, as signatures want it.
pub(super) fn path(name: &str) -> String {
    utf8_percent_encode(name, &PATH).to_string()
}

/// A name or a value of a query.
pub(super) fn component(text: &str) -> String {
    utf8_percent_encode(text, &STRICT).to_string()
}

/// A query as signatures want it: sorted by its encoded names.
pub(super) fn query(pairs: &[(&str, String)]) -> String {
    let mut encoded: Vec<_> = pairs.iter().map(|(name, value)| (component(name), component(value))).collect();
    encoded.sort();
    let joined: Vec<_> = encoded.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    joined.join("&")
}

/// A prefix ends with a slash or is empty, and names can begin with it.
pub(super) fn check_prefix(prefix: &str) -> Result<(), RemoteError> {
    let fine = prefix.is_empty() || (prefix.ends_with('/') && can_begin(prefix) && prefix.len() < LONGEST);
    match fine {
        true => Ok(()),
        false => Err(RemoteError::place(
            "the prefix is empty or ends with '/', and has no control characters and no segments that are empty, '.' or '..'",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_be_are_told_from_those_that_cannot() {
        for good in ["a", "a/b", " ", "a b/ü%2F+", "...", ".a", "a..b", "a\\b", "\"'", "🦀"] {
            assert!(can_be(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", ".", "..", "../a", "a/./b", "a/..", "a\nb", "\0", "a\u{85}b"] {
            assert!(!can_be(bad), "{bad:?}");
        }
        assert!(full("p/", &"x".repeat(1022)).is_ok());
        assert!(full("p/", &"x".repeat(1023)).is_err());
    }

    #[test]
    fn what_names_have_in_common_may_end_anywhere() {
        for good in ["a/", "a/b/", "a-", "a/.", "..", "a/.."] {
            assert!(can_begin(good), "{good}");
        }
        for bad in ["/", "a//", "../", "./", "a/../", "a//b-", "//", "a\n/"] {
            assert!(!can_begin(bad), "{bad:?}");
        }
        assert!(check_prefix("").is_ok() && check_prefix("a/b/").is_ok());
        for bad in ["a", "/", "a//", "../", "/a/"] {
            assert!(check_prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn urls_hold_names_as_signatures_want_them() {
        assert_eq!(path("a b/ü%2F+~'\\"), "a%20b/%C3%BC%252F%2B~%27%5C");
        let pairs = [("b", "1/2".into()), ("a", "x y".into()), ("B", String::new())];
        assert_eq!(query(&pairs), "B=&a=x%20y&b=1%2F2");
    }
}
