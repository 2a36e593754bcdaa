//! A body that is a list of request ids.

use axum::extract::{FromRequest, Request};
use modelyard_types::fields::check_depth;
use modelyard_types::{Error, Kind, RequestId};

use crate::error::{Refusal, Result, invalid, not_found};
use crate::json;

/// The most ids in one call (semantics 4.3).
const MOST: usize = 250;
/// The largest body, in bytes: ids, quotes, commas, and blanks between them.
const MAX_BODY: usize = 64 << 10;

/// Ids, each once; without a body none.
pub(super) struct Ids(pub(super) Vec<RequestId>);

impl<S: Sync> FromRequest<S> for Ids {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let body = json::read(request, MAX_BODY).await?;
        if body.trim_ascii().is_empty() {
            return Ok(Self(Vec::new()));
        }
        parse(&body).map(Self)
    }
}

impl Ids {
    /// The ids, of which there must be some.
    pub(super) fn some(self) -> Result<Vec<RequestId>> {
        if self.0.is_empty() {
            return Err(invalid("The body must be a list of request ids, and has none"));
        }
        Ok(self.0)
    }
}

fn parse(body: &[u8]) -> Result<Vec<RequestId>> {
    check_depth(body).map_err(Error::Invalid)?;
    let texts: Vec<String> = serde_json::from_slice(body)
        .map_err(|cause| invalid(format!("The body must be a list of request ids: {cause}")))?;
    if texts.len() > MOST {
        return Err(invalid(format!("At most {MOST} requests may be named at once, and these are {}", texts.len())));
    }
    let mut ids = Vec::with_capacity(texts.len());
    for text in texts {
        let id = text.trim().parse().map_err(|_| not_found(Kind::Request))?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn told(body: &str) -> String {
        parse(body.as_bytes()).unwrap_err().0.to_string()
    }

    #[test]
    fn ids_are_read_once_each() {
        let id = RequestId::new();
        assert_eq!(parse(format!(r#"["{id}", "{id}"]"#).as_bytes()).unwrap(), [id]);
        assert_eq!(parse(b"[]").unwrap(), []);
        assert!(Ids(Vec::new()).some().is_err());
    }

    #[test]
    fn what_is_no_list_of_ids_is_refused() {
        insta::assert_snapshot!(told("{}"), @"The body must be a list of request ids: invalid type: map, expected a sequence at line 1 column 0");
        insta::assert_snapshot!(told("[1]"), @"The body must be a list of request ids: invalid type: integer `1`, expected a string at line 1 column 2");
        insta::assert_snapshot!(told(r#"["x"]"#), @"Request was not found");
        let many = serde_json::to_string(&vec!["a"; 251]).unwrap();
        insta::assert_snapshot!(told(&many), @"At most 250 requests may be named at once, and these are 251");
    }
}
