//! What part of a file is asked for, if any (RFC 9110, sections 13 and 14).

use std::ops::Range;

use axum::http::HeaderMap;
use axum::http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};

/// What is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it.
    Whole,
    /// Some of it; never nothing.
    Part(Range<u64>),
    /// Nothing: the client has it.
    Same,
    /// Nothing: the file is shorter.
    Beyond,
}

/// Reads the headers of a request for a file. Several ranges at once are answered with the whole, as a server may.
pub(super) fn asked(headers: &HeaderMap, etag: &str, size: u64) -> Asked {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(known) = text(IF_NONE_MATCH)
        && known.split(',').any(|one| one.trim() == "*" || one.trim().trim_start_matches("W/") == etag)
    {
        return Asked::Same;
    }
    // A range of another version of the file is of no use.
    if text(IF_RANGE).is_some_and(|known| known.trim() != etag) {
        return Asked::Whole;
    }
    match text(RANGE).and_then(|range| range.trim().strip_prefix("bytes=")) {
        Some(range) => part(range, size),
        None => Asked::Whole,
    }
}

fn part(range: &str, size: u64) -> Asked {
    let Some((first, last)) = range.split_once('-') else { return Asked::Whole };
    let number = |text: &str| text.trim().parse::<u64>();
    let range = match (first.trim().is_empty(), number(first), last.trim().is_empty(), number(last)) {
        (true, _, false, Ok(count)) => size.saturating_sub(count)..size,
        (false, Ok(first), true, _) => first..size,
        (false, Ok(first), false, Ok(last)) if first <= last => first..size.min(last.saturating_add(1)),
        _ => return Asked::Whole,
    };
    if range.is_empty() { Asked::Beyond } else { Asked::Part(range) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn of(pairs: &[(axum::http::HeaderName, &str)], size: u64) -> Asked {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        asked(&headers, "\"x\"", size)
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        let range = |text: &str, size| of(&[(RANGE, text)], size);
        assert_eq!(range("bytes=0-4", 10), Asked::Part(0..5));
        assert_eq!(range("bytes=5-", 10), Asked::Part(5..10));
        assert_eq!(range("bytes=-3", 10), Asked::Part(7..10));
        assert_eq!(range("bytes=-30", 10), Asked::Part(0..10));
        assert_eq!(range("bytes=9-99", 10), Asked::Part(9..10));
        for beyond in ["bytes=10-", "bytes=10-11", "bytes=-0"] {
            assert_eq!(range(beyond, 10), Asked::Beyond, "{beyond}");
        }
        assert_eq!(range("bytes=0-", 0), Asked::Beyond);
        for odd in ["bytes=", "bytes=-", "bytes=4-2", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "bytes=1"] {
            assert_eq!(range(odd, 10), Asked::Whole, "{odd}");
        }
        assert_eq!(range("bytes=0-18446744073709551615", 10), Asked::Part(0..10));
    }

    #[test]
    fn what_the_client_has_is_not_sent() {
        for known in ["\"x\"", "\"a\", \"x\"", "W/\"x\"", "*"] {
            assert_eq!(of(&[(IF_NONE_MATCH, known)], 10), Asked::Same, "{known}");
        }
        assert_eq!(of(&[(IF_NONE_MATCH, "\"y\"")], 10), Asked::Whole);
        assert_eq!(of(&[(RANGE, "bytes=1-"), (IF_RANGE, "\"x\"")], 10), Asked::Part(1..10));
        assert_eq!(of(&[(RANGE, "bytes=1-"), (IF_RANGE, "\"y\"")], 10), Asked::Whole);
    }
}
