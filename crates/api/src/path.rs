//! What an address names. Routes are matched on the raw path; a value is decoded here, when somebody asks for it.

use std::borrow::Cow;
use std::convert::Infallible;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use modelyard_types::Kind;
use percent_encoding::percent_decode_str;

use crate::error::{Result, not_found};

/// The names and ids in the path of a request: `/v2.1/projects/{name}/deployments/{name}/…`.
pub struct PathValues(Uri);

impl<S: Sync> FromRequestParts<S> for PathValues {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.uri.clone()))
    }
}

impl PathValues {
    /// The name that follows `noun`.
    pub fn name(&self, noun: &str, kind: Kind) -> Result<Cow<'_, str>> {
        value_of(self.0.path(), noun).ok_or_else(|| not_found(kind))
    }

    /// The id that follows `noun`; what is no id cannot be found.
    pub fn id<T: FromStr>(&self, noun: &str, kind: Kind) -> Result<T> {
        self.name(noun, kind)?.parse().map_err(|_| not_found(kind))
    }
}

/// The value after a noun in a path of a prefix and then nouns, each followed by a value. Nothing when it is not UTF-8.
pub(crate) fn value_of<'a>(path: &'a str, noun: &str) -> Option<Cow<'a, str>> {
    let mut segments = path.split('/').skip(2);
    while let Some(segment) = segments.next() {
        let value = segments.next()?;
        if segment == noun {
            return percent_decode_str(value).decode_utf8().ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_their_nouns_and_are_decoded_last() {
        let path = "/v2.1/projects/deployments/deployments/a%2Fb%20c/versions/v1/requests";
        assert_eq!(value_of(path, "projects").as_deref(), Some("deployments"));
        assert_eq!(value_of(path, "deployments").as_deref(), Some("a/b c"));
        assert_eq!(value_of(path, "versions").as_deref(), Some("v1"));
        assert_eq!(value_of(path, "requests"), None);
        assert_eq!(value_of("/v2/projects/%ff", "projects"), None);
    }
}
