//! Hides secrets in texts: log lines, messages of errors.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use zeroize::Zeroizing;

/// What stands in place of a secret.
const HIDDEN: &str = "***";

/// Shorter secrets, and shorter lines of longer ones, are not looked for: they would hide half of every text.
const LEAST: usize = 4;

/// Longer ones are looked for in pieces of this many bytes: what looks for many long texts at once takes long to make.
const PIECE: usize = 64;

/// The secrets that are known where a text comes from.
#[derive(Default)]
pub(crate) enum Masks {
    /// There are none.
    #[default]
    None,
    /// These.
    These(AhoCorasick),
    /// They cannot be looked for, so that no text may pass.
    Everything,
}

/// From so many bytes of secrets on they are made ready outside of the runtime's threads: it takes a second for 100 KiB.
const MANY: usize = 8 * 1024;

impl Masks {
    /// [`Masks::of`], which does not hold up others when it takes long.
    pub(crate) async fn made_of<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let secrets: Vec<Zeroizing<String>> = secrets.map(|secret| Zeroizing::new(secret.to_owned())).collect();
        let many = secrets.iter().map(|secret| secret.len()).sum::<usize>() >= MANY;
        let make = move || Self::of(secrets.iter().map(|secret| secret.as_str()));
        if !many {
            return make();
        }
        tokio::task::spawn_blocking(make).await.unwrap_or_else(|cause| {
            tracing::error!(%cause, "secrets cannot be looked for in texts, which are hidden as a whole");
            Self::Everything
        })
    }

    /// Looks for these, each line of a value by itself; as they are, and as JSON and Python write them in quotes.
    fn of<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let lines = secrets.flat_map(str::lines).map(str::trim).filter(|line| line.chars().count() >= LEAST);
        let mut wanted: Vec<String> = lines.flat_map(written).flat_map(pieces).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Self::default();
        }
        let finder = AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(&wanted);
        finder.map_or_else(
            |cause| {
                tracing::error!(%cause, "secrets cannot be looked for in texts, which are hidden as a whole");
                Self::Everything
            },
            Self::These,
        )
    }

    /// The text with every secret hidden. Where several overlap, all of it is.
    pub(crate) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let finder = match self {
            Self::None => return Cow::Borrowed(text),
            Self::These(finder) => finder,
            Self::Everything => return Cow::Owned(HIDDEN.to_owned()),
        };
        let mut hidden = String::new();
        let mut kept = 0;
        let mut spans = finder.find_overlapping_iter(text).map(|found| found.span()).peekable();
        if spans.peek().is_none() {
            return Cow::Borrowed(text);
        }
        for (start, end) in joined(spans.map(|span| (span.start, span.end))) {
            hidden.push_str(&text[kept..start]);
            hidden.push_str(HIDDEN);
            kept = end;
        }
        hidden.push_str(&text[kept..]);
        Cow::Owned(hidden)
    }

    /// [`Masks::hide`] for a text that is no longer needed.
    pub(crate) fn hidden(&self, text: String) -> String {
        match self.hide(&text) {
            Cow::Owned(hidden) => hidden,
            Cow::Borrowed(_) => text,
        }
    }
}

/// A text in pieces that together are all of it; the last two share bytes, so that none is short.
fn pieces(text: String) -> Vec<String> {
    if text.len() <= PIECE {
        return vec![text];
    }
    let boundary = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let mut pieces = Vec::with_capacity(text.len() / PIECE + 1);
    let mut at = 0;
    while text.len() - at > PIECE {
        let end = boundary(at + PIECE);
        pieces.push(text[at..end].to_owned());
        at = end;
    }
    pieces.push(text[boundary(text.len() - PIECE)..].to_owned());
    pieces
}

/// A secret as texts may have it.
fn written(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    if secret.contains(['\\', '"', '\'']) || !secret.is_ascii() || secret.contains(char::is_control) {
        let json = serde_json::to_string(secret).unwrap_or_default();
        forms.push(json.trim_matches('"').to_owned());
        forms.push(secret.replace('\\', "\\\\"));
        forms.push(secret.replace('\\', "\\\\").replace('\'', "\\'"));
        forms.push(escaped(secret));
    }
    forms
}

/// With all that is not ASCII as `\uXXXX`, as `json.dumps` writes it.
fn escaped(secret: &str) -> String {
    let mut text = String::new();
    for c in secret.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\t' => text.push_str("\\t"),
            c if c.is_ascii() && !c.is_control() => text.push(c),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    text
}

/// Spans joined where they overlap or touch. They come in the order of their ends.
fn joined(spans: impl Iterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    let mut all: Vec<_> = spans.collect();
    all.sort_unstable();
    let mut joined: Vec<(usize, usize)> = Vec::with_capacity(all.len());
    for (start, end) in all {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hide(secrets: &[&str], text: &str) -> String {
        Masks::of(secrets.iter().copied()).hide(text).into_owned()
    }

    #[tokio::test]
    async fn many_secrets_are_hidden_like_few() {
        let long = "0123456789abcdef".repeat(MANY / 16);
        let masks = Masks::made_of([long.as_str(), "short secret"].into_iter()).await;
        assert_eq!(masks.hide(&format!("a {long} b short secret c")), "a *** b *** c");
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        assert_eq!(hide(&["hunter2"], "hunter2 and xhunter2y, hunter"), "*** and x***y, hunter");
        assert_eq!(hide(&["hunter2"], "nothing"), "nothing");
        assert_eq!(hide(&[], "hunter2"), "hunter2");
    }

    #[test]
    fn those_that_overlap_are_hidden_together() {
        assert_eq!(hide(&["abcd", "cdef"], "-abcdef-"), "-***-");
        assert_eq!(hide(&["abcd", "abcdefgh"], "-abcdefgh-abcd-"), "-***-***-");
        assert_eq!(hide(&["aaaa"], "-aaaaaa-"), "-***-");
    }

    #[test]
    fn lines_of_a_value_are_looked_for_one_by_one() {
        let key = "-----BEGIN-----\n  c2VjcmV0\nabc\r\n-----END-----\n";
        assert_eq!(hide(&[key], "key: c2VjcmV0\nabc"), "key: ***\nabc");
        assert_eq!(hide(&[key], &format!("{key:?}")), "\"***\\n  ***\\nabc\\r\\n***\\n\"");
    }

    #[test]
    fn long_ones_are_hidden_as_one() {
        for length in [64_u64, 65, 127, 128, 129, 65_536] {
            let secret: String = (0..length).map(|at| char::from(b'a' + (at * at % 26) as u8)).collect();
            assert_eq!(hide(&[&secret], &format!("({secret})")), "(***)", "{length}");
        }
        let wide = "ä€😀".repeat(1000);
        assert_eq!(hide(&[&wide], &format!("({wide})")), "(***)");
        assert_eq!(hide(&[&"x".repeat(65_536)], &format!("({})", "x".repeat(65_536))), "(***)");
    }

    #[test]
    fn short_ones_are_not_looked_for() {
        assert_eq!(hide(&["abc", "ö12"], "abc ö12"), "abc ö12");
        assert_eq!(hide(&["abcd"], "abcd"), "***");
    }

    #[test]
    fn quoted_forms_are_found() {
        assert_eq!(hide(&[r#"a"b\c'd"#], r#"{"k": "a\"b\\c'd"}"#), r#"{"k": "***"}"#);
        assert_eq!(hide(&[r"a\bc'd"], r"KeyError: 'a\\bc\'d'"), "KeyError: '***'");
        assert_eq!(hide(&["pässword😀"], r#""p\u00e4ssword\ud83d\ude00""#), r#""***""#);
    }
}
