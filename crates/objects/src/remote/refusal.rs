//! What providers say when they refuse, and what it means for those who asked.

use hyper::StatusCode;
use hyper::header::LOCATION;
use hyper::http::response::Parts;

use super::RemoteError;
use super::error::short;
use super::http::RefusedOr;
use super::xml::Element;

/// The answer of a provider that does not do what was asked.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: StatusCode,
    /// The provider's word for it; empty when it has not said one.
    pub code: String,
    message: String,
    /// Where the provider says that the bucket is.
    elsewhere: Option<String>,
}

impl Refusal {
    /// Reads a refusal; `hidden` are texts that must not be repeated.
    pub fn read(head: &Parts, body: &[u8], hidden: &[String]) -> Self {
        let document = Element::read(body).unwrap_or_default();
        Self::from_document(head, &document, hidden)
    }

    pub fn from_document(head: &Parts, document: &Element, hidden: &[String]) -> Self {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let clear = |text: &str| hidden.iter().fold(short(text), |text, secret| text.replace(secret.as_str(), "***"));
        let code = header("x-ms-error-code").or(document.text_of("Code")).unwrap_or_default();
        let elsewhere = header("x-amz-bucket-region").or(header(LOCATION.as_str()));
        Self {
            status: head.status,
            code: clear(code),
            message: clear(document.text_of("Message").unwrap_or_default()),
            elsewhere: elsewhere.map(clear),
        }
    }

    /// What it means, for a file if one was named.
    pub fn explain(self, doing: &'static str, place: &str, name: Option<&str>) -> RemoteError {
        match self.code.as_str() {
            "NoSuchBucket" | "ContainerNotFound" => return RemoteError::NoBucket(place.to_owned()),
            "NoSuchUpload" => {
                let sentence = "there is no such upload of this file; it may be completed or called off already";
                return RemoteError::BadUpload(sentence.into());
            }
            "InvalidPart" | "InvalidBlockList" | "InvalidBlobOrBlock" => {
                let sentence = "a part that is named was not uploaded, or has another ETag or block id";
                return RemoteError::BadUpload(sentence.into());
            }
            "InvalidPartOrder" | "EntityTooSmall" | "InvalidBlockId" | "BlockListTooLong" => {
                return RemoteError::BadUpload(format!("the parts do not make a file: {}", self.answer()));
            }
            "AuthorizationHeaderMalformed" | "AuthorizationQueryParametersError" => {
                return RemoteError::place(format!("the region may be wrong: {}", self.answer()));
            }
            "InvalidToken" | "ExpiredToken" => return RemoteError::Refused { doing, answer: self.answer() },
            _ => {}
        }
        match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RemoteError::Refused { doing, answer: self.answer() },
            StatusCode::NOT_FOUND if name.is_some() => RemoteError::Missing(name.unwrap_or_default().to_owned()),
            StatusCode::RANGE_NOT_SATISFIABLE => RemoteError::BadName("the file has no such range of bytes".into()),
            StatusCode::PRECONDITION_FAILED
                if matches!(self.code.as_str(), "PreconditionFailed" | "ConditionNotMet") =>
            {
                RemoteError::failed(doing, "the file was changed meanwhile")
            }
            status if status.is_redirection() => RemoteError::place(format!(
                "the provider refers us elsewhere ({}), which is not followed; check the region or the endpoint",
                self.elsewhere.as_deref().unwrap_or("it does not say where")
            )),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => RemoteError::failed(doing, self.answer()),
            status if status.is_client_error() => RemoteError::NotAccepted { doing, answer: self.answer() },
            _ => RemoteError::failed(doing, self.answer()),
        }
    }

    fn answer(&self) -> String {
        let mut answer = self.status.as_u16().to_string();
        if !self.code.is_empty() {
            answer = format!("{answer} {}", self.code);
        }
        match self.message.is_empty() {
            true => answer,
            false => format!("{answer}: {}", self.message.trim_end_matches('.')),
        }
    }
}

impl RefusedOr {
    /// What it means, for a file if one was named.
    pub fn explain(self, doing: &'static str, place: &str, name: Option<&str>) -> RemoteError {
        match self {
            RefusedOr::Refused(refusal) => refusal.explain(doing, place, name),
            RefusedOr::Failed(error) => error,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        let head = hyper::Response::builder().status(status).body(()).unwrap().into_parts().0;
        Refusal::read(&head, body.as_bytes(), &["AKIA1".into()])
    }

    #[test]
    fn a_refusal_says_what_was_refused_and_no_credential() {
        let body = "<Error><Code>AccessDenied</Code><Message>AKIA1 may\n not list.</Message></Error>";
        let error = refusal(403, body).explain("listing files", "b", None);
        assert_eq!(
            error.to_string(),
            "the provider refused listing files: 403 AccessDenied: *** may not list; check the credentials and what they permit"
        );
    }

    #[test]
    fn refusals_are_told_apart() {
        let of = |status, code: &str| refusal(status, &format!("<Error><Code>{code}</Code></Error>"));
        assert!(matches!(of(404, "NoSuchBucket").explain("x", "b", Some("n")), RemoteError::NoBucket(_)));
        assert!(matches!(of(404, "NoSuchKey").explain("x", "b", Some("n")), RemoteError::Missing(_)));
        assert!(matches!(of(404, "NoSuchUpload").explain("x", "b", Some("n")), RemoteError::BadUpload(_)));
        assert!(matches!(of(400, "InvalidPart").explain("x", "b", Some("n")), RemoteError::BadUpload(_)));
        assert!(matches!(of(301, "PermanentRedirect").explain("x", "b", None), RemoteError::BadPlace(_)));
        assert!(matches!(of(416, "InvalidRange").explain("x", "b", Some("n")), RemoteError::BadName(_)));
        assert!(matches!(of(400, "InvalidArgument").explain("x", "b", None), RemoteError::NotAccepted { .. }));
        assert!(matches!(of(412, "LeaseIdMissing").explain("x", "b", Some("n")), RemoteError::NotAccepted { .. }));
        assert!(matches!(of(412, "ConditionNotMet").explain("x", "b", Some("n")), RemoteError::Failed { .. }));
        assert!(matches!(of(429, "SlowDown").explain("x", "b", Some("n")), RemoteError::Failed { .. }));
        assert!(matches!(refusal(500, "no document").explain("x", "b", None), RemoteError::Failed { .. }));
    }
}
