//! Our own address, as the caller knows it: addresses in answers begin with it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName};

use crate::App;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// `https://modelyard.example.com`: what the operator set, or what the caller called us by. Whoever lies about that is the only one
/// who gets such an address.
pub(crate) struct Base(pub(crate) String);

impl FromRequestParts<App> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        if let Some(url) = &app.settings().public_url {
            return Ok(Self(url.clone()));
        }
        let ours = || app.control().settings().api_url.trim_end_matches("/v2.1").to_owned();
        Ok(Self(called(&parts.headers).unwrap_or_else(ours)))
    }
}

fn called(headers: &HeaderMap) -> Option<String> {
    let host: Authority = headers.get(HOST)?.to_str().ok()?.parse().ok()?;
    // A proxy in front of us speaks plain HTTP to us, and says what it was asked in.
    let secure = headers.get(FORWARDED_PROTO).is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"));
    Some(format!("{}://{host}", if secure { "https" } else { "http" }))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn we_are_called_by_the_host_header() {
        let with = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            called(&pairs.collect())
        };
        assert_eq!(with(&[("host", "a.example:81")]).as_deref(), Some("http://a.example:81"));
        assert_eq!(with(&[("host", "[::1]:81"), ("x-forwarded-proto", "https")]).as_deref(), Some("https://[::1]:81"));
        assert_eq!(with(&[("host", "a b")]), None);
        assert_eq!(with(&[]), None);
    }
}
