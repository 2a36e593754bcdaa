//! What stands behind the `?`: read leniently, since clients of all ages write it.
//!
//! Names we do not know are passed over (older and newer clients send their own); of a name given twice the last value
//! counts; an empty value counts as none. A value of a name that we know is checked, and refused in a sentence.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use modelyard_types::labels::LabelFilter;
use modelyard_types::{Result, Timestamp};

use crate::error::{Refusal, invalid};

/// What a handler wants to know from the query.
pub trait FromQuery: Sized {
    /// Reads it; refuses in a sentence that names the parameter.
    fn read(values: &Values<'_>) -> Result<Self, Refusal>;
}

/// The query of a request, read as a `T`.
pub struct Query<T>(pub T);

impl<S: Sync, T: FromQuery> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        T::read(&Values(parts.uri.query().unwrap_or_default())).map(Self)
    }
}

/// The names and values of a query.
pub struct Values<'a>(&'a str);

impl<'a> Values<'a> {
    /// The value of a name, if it has one.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// The value of a name, if the name is there: an empty one where that would mean something else than none.
    pub fn given(&self, name: &str) -> Option<Cow<'a, str>> {
        if self.0.is_empty() {
            return None;
        }
        let pairs = form_urlencoded::parse(self.0.as_bytes()).filter(|(key, _)| key == name);
        pairs.last().map(|(_, value)| value)
    }

    /// A whole number within a range.
    pub fn int(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.trim().parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            Ok(_) if *range.end() == i64::MAX => Err(invalid(format!("{name} must be at least {}", range.start()))),
            Ok(_) => Err(invalid(format!("{name} must be between {} and {}", range.start(), range.end()))),
            Err(_) => Err(invalid(format!("{name} must be a whole number, but got '{text}'"))),
        }
    }

    /// A boolean in any letter case, or 1 or 0.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.trim() {
            "1" => Ok(Some(true)),
            "0" => Ok(Some(false)),
            word if word.eq_ignore_ascii_case("true") => Ok(Some(true)),
            word if word.eq_ignore_ascii_case("false") => Ok(Some(false)),
            _ => Err(invalid(format!("{name} must be true or false, but got '{text}'"))),
        }
    }

    /// An ISO 8601 date or time.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let refusal = || invalid(format!("{name} must be an ISO 8601 date or time, but got '{text}'"));
        Timestamp::parse(&text).map(Some).ok_or_else(refusal)
    }

    /// One of a few words.
    pub fn word<T>(&self, name: &str, known: &[(&str, T)]) -> Result<Option<T>, Refusal>
    where
        T: Copy,
    {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match known.iter().find(|(word, _)| text.trim().eq_ignore_ascii_case(word)) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let words: Vec<_> = known.iter().map(|(word, _)| *word).collect();
                Err(invalid(format!("{name} must be one of {}, but got '{text}'", words.join(", "))))
            }
        }
    }

    /// The filter `labels=key:value,key:value`.
    pub fn labels(&self) -> Result<LabelFilter, Refusal> {
        Ok(LabelFilter::parse(self.text("labels").as_deref())?)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn told<T: std::fmt::Debug>(refused: Result<T, Refusal>) -> String {
        refused.unwrap_err().0.to_string()
    }

    #[test]
    fn booleans_come_in_any_case() {
        for (text, meaning) in [("True", true), ("TRUE", true), ("1", true), ("false", false), ("False", false)] {
            assert_eq!(Values(&format!("x={text}")).flag("x").unwrap(), Some(meaning), "{text}");
        }
        assert_eq!(Values("x=&y=1").flag("x").unwrap(), None);
        insta::assert_snapshot!(told(Values("x=maybe").flag("x")), @"x must be true or false, but got 'maybe'");
    }

    #[test]
    fn the_last_of_duplicates_counts_and_strangers_pass() {
        let values = Values("timeout=3600&unknown=%ff&timeout=20");
        assert_eq!(values.int("timeout", 10..=3600).unwrap(), Some(20));
        assert_eq!(values.int("limit", 1..=5).unwrap(), None);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        insta::assert_snapshot!(told(Values("t=9").int("t", 10..=3600)), @"t must be between 10 and 3600");
        insta::assert_snapshot!(told(Values("t=-1").int("t", 0..=i64::MAX)), @"t must be at least 0");
        insta::assert_snapshot!(told(Values("t=9.5").int("t", 10..=3600)), @"t must be a whole number, but got '9.5'");
        insta::assert_snapshot!(told(Values("t=99999999999999999999").int("t", 0..=5)), @"t must be a whole number, but got '99999999999999999999'");
    }

    #[test]
    fn times_and_words() {
        assert!(Values("d=2023-11-14T22:13:20+00:00").time("d").unwrap().is_some());
        assert!(Values("d=soon").time("d").is_err());
        assert_eq!(Values("a=Update").word("a", &[("create", 1), ("update", 2)]).unwrap(), Some(2));
        insta::assert_snapshot!(told(Values("a=x").word("a", &[("create", 1), ("update", 2)])), @"a must be one of create, update, but got 'x'");
    }
}
