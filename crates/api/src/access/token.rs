//! The credential in a request's `Authorization` header.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use modelyard_types::{Error, Result};

/// The token of `Token X`, `Bearer X` or a bare `X`; the scheme in any letter case.
pub(crate) fn of(headers: &HeaderMap) -> Result<&str> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Err(Error::NotSignedIn("Authentication credentials were not provided".into()));
    };
    parse(value.to_str().unwrap_or("\u{fffd}"))
}

fn parse(value: &str) -> Result<&str> {
    let mut words = value.split_ascii_whitespace();
    let refused = |sentence: &str| Err(Error::NotSignedIn(sentence.to_owned()));
    match (words.next(), words.next(), words.next()) {
        (None, ..) => refused("Authentication credentials were not provided"),
        (Some(scheme), None, _) if is_scheme(scheme) => refused("The Authorization header holds no token"),
        (Some(token), None, _) => Ok(token),
        (Some(scheme), Some(token), None) if is_scheme(scheme) => Ok(token),
        (Some(_), Some(_), None) => refused("The Authorization header must be of the form: Token <token>"),
        _ => refused("The token in the Authorization header should not contain spaces"),
    }
}

fn is_scheme(word: &str) -> bool {
    word.eq_ignore_ascii_case("token") || word.eq_ignore_ascii_case("bearer")
}

/// What is said of a token that nobody has.
pub(crate) fn unknown() -> Error {
    Error::NotSignedIn("Invalid token".into())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn all_three_forms_are_taken() {
        for form in ["Token abc", "token abc", "Bearer abc", "BEARER  abc", "abc", " abc "] {
            assert_eq!(parse(form).unwrap(), "abc", "{form}");
        }
    }

    #[test]
    fn malformed_ones_are_told_apart() {
        let told = |value| parse(value).unwrap_err().to_string();
        assert_eq!(told(""), "Authentication credentials were not provided");
        assert_eq!(told("Token"), "The Authorization header holds no token");
        assert!(told("Token Token abc").ends_with("should not contain spaces"));
        assert!(told("Basic abc").contains("must be of the form"));
        assert_eq!(of(&HeaderMap::new()).unwrap_err().to_string(), "Authentication credentials were not provided");
    }
}
