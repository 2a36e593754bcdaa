//! JSON bodies: read within limits, refused in our own words, checked before a handler sees them.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use modelyard_types::Error;
use modelyard_types::buckets::{BucketCreate, BucketUpdate};
use modelyard_types::deployments::{DeploymentCreate, DeploymentUpdate};
use modelyard_types::environments::{EnvironmentBuildUpdate, EnvironmentCreate, EnvironmentUpdate};
use modelyard_types::fields::check_depth;
use modelyard_types::files::FileCompleteMultipartUpload;
use modelyard_types::instance_type_groups::{InstanceTypeGroupCreate, InstanceTypeGroupUpdate};
use modelyard_types::instances::InstanceUpdate;
use modelyard_types::logs::LogsCreate;
use modelyard_types::network::ProjectNetworkUpdate;
use modelyard_types::organizations::{OrganizationCreate, OrganizationUpdate};
use modelyard_types::projects::{ProjectCreate, ProjectUpdate};
use modelyard_types::requests::DeploymentRequestUpdate;
use modelyard_types::revisions::BuildUpdate;
use modelyard_types::variables::{
    EnvironmentSecretCopy, EnvironmentVariableCopy, EnvironmentVariableCreate, EnvironmentVariableUpdate,
};
use modelyard_types::versions::{DeploymentVersionCreate, DeploymentVersionUpdate};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Refusal, Result};
use crate::words;

/// The largest body that describes an object, in bytes. Request data has a limit of its own.
const MAX_BODY: usize = 1 << 20;

/// A body with rules between its fields. Past the extractor, data is valid and nobody checks again.
pub trait Checked: DeserializeOwned {
    /// Refuses in a sentence.
    fn check(&self) -> Result<(), String>;
}

macro_rules! checked {
    ($($own:ty),* ; $($none:ty),*) => {
        $(impl Checked for $own {
            fn check(&self) -> Result<(), String> {
                <$own>::check(self)
            }
        })*
        $(impl Checked for $none {
            fn check(&self) -> Result<(), String> {
                Ok(())
            }
        })*
    };
}
checked! {
    BucketCreate, BucketUpdate, FileCompleteMultipartUpload,
    DeploymentCreate, DeploymentUpdate, DeploymentVersionCreate, DeploymentVersionUpdate, DeploymentRequestUpdate,
    InstanceUpdate, EnvironmentCreate, EnvironmentUpdate, EnvironmentBuildUpdate, BuildUpdate, EnvironmentVariableCreate,
    EnvironmentVariableUpdate;
    InstanceTypeGroupCreate, InstanceTypeGroupUpdate, OrganizationCreate, OrganizationUpdate, ProjectCreate, ProjectUpdate,
    ProjectNetworkUpdate, LogsCreate, EnvironmentVariableCopy, EnvironmentSecretCopy
}

/// A JSON body that was checked, or a JSON answer. Whatever the content type says, the body is read as JSON.
pub struct Json<T>(pub T);

/// A JSON body that may be missing: an empty one counts as none.
pub struct OptionalJson<T>(pub Option<T>);

impl<S: Sync, T: Checked> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let body = read(request, MAX_BODY).await?;
        if body.is_empty() {
            return Err(Refusal(Error::invalid("The request has no body, and needs one: a JSON object")));
        }
        Ok(Self(parse(&body).map_err(Error::Invalid)?))
    }
}

impl<S: Sync, T: Checked> FromRequest<S> for OptionalJson<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let body = read(request, MAX_BODY).await?;
        if body.trim_ascii().is_empty() || body.trim_ascii() == b"null" {
            return Ok(Self(None));
        }
        Ok(Self(Some(parse(&body).map_err(Error::Invalid)?)))
    }
}

/// How large a body says it is, in bytes: `limit` if it does not say. Refused when it is larger than that.
pub(crate) fn expected(headers: &HeaderMap, limit: usize) -> Result<usize> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    match length.unwrap_or(limit) {
        length if length > limit => Err(Refusal(Error::TooLarge)),
        length => Ok(length),
    }
}

/// The whole body of a request; refused when it is larger than `limit`.
pub(crate) async fn read(request: Request, limit: usize) -> Result<Bytes> {
    expected(request.headers(), limit)?;
    to_bytes(request.into_body(), limit).await.map_err(|cause| {
        let too_large =
            std::error::Error::source(&cause).is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
        Refusal(if too_large { Error::TooLarge } else { Error::invalid("The body of the request broke off") })
    })
}

/// Reads a body and checks it; refuses in a sentence that names the field.
fn parse<T: Checked>(body: &[u8]) -> Result<T, String> {
    check_depth(body)?;
    // A list of values would pass for an object otherwise.
    if matches!(body.trim_ascii().first(), Some(b'[')) {
        return Err("The body must be a JSON object".to_owned());
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value: T = serde_path_to_error::deserialize(&mut reader).map_err(|error| words::of(&error))?;
    reader.end().map_err(|cause| format!("The body is not valid JSON: {cause}"))?;
    value.check()?;
    Ok(value)
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(text) => json_answer(text.into()),
            Err(cause) => Refusal(Error::internal("writing an answer", cause)).into_response(),
        }
    }
}

/// An answer of JSON text.
pub(crate) fn json_answer(body: Body) -> Response {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn told<T: Checked>(body: &str) -> String {
        parse::<T>(body.as_bytes()).err().unwrap()
    }

    #[test]
    fn refusals_name_the_field_in_plain_words() {
        use insta::assert_snapshot;
        assert_snapshot!(told::<ProjectCreate>(r#"{"name":"a","organization_name":"o","x":1}"#), @"The field 'x' is not known here");
        assert_snapshot!(told::<ProjectCreate>(r#"{"name":"a"}"#), @"The field 'organization_name' is missing");
        assert_snapshot!(told::<ProjectCreate>(r#"{"name":"a","name":"b","organization_name":"o"}"#), @"The field 'name' is given twice");
        assert_snapshot!(told::<ProjectCreate>(r#"{"name":"My","organization_name":"o"}"#), @"name: The name 'My' is not valid: use lower-case letters, digits and dashes, beginning with a letter");
        assert_snapshot!(told::<ProjectCreate>(r#"{"name":7,"organization_name":"o"}"#), @"The field 'name' must be a string, but got the number 7");
        assert_snapshot!(told::<ProjectCreate>(r#"[1]"#), @"The body must be a JSON object");
        assert_snapshot!(told::<ProjectCreate>(r#""x""#), @"The body must be a JSON object");
        assert_snapshot!(told::<ProjectCreate>(r#"{"name":"a","organization_name":"o"} x"#), @"The body is not valid JSON: trailing characters at line 1 column 38");
        assert_snapshot!(told::<ProjectCreate>(r#"{"credits":NaN}"#), @"The body is not valid JSON: expected value at line 1 column 12");
        assert_snapshot!(told::<DeploymentVersionCreate>(r#"{"version":"v1","minimum_instances":"1"}"#), @"The field 'minimum_instances' must be a whole number, but got the string '1'");
        assert_snapshot!(told::<DeploymentVersionCreate>(r#"{"version":"v1","minimum_instances":1.5}"#), @"The field 'minimum_instances' must be a whole number, but got the number 1.5");
        assert_snapshot!(told::<DeploymentVersionCreate>(r#"{"version":"v1","minimum_instances":1e300}"#), @"The field 'minimum_instances' must be a whole number, but got the number 1e+300");
        assert_snapshot!(told::<DeploymentVersionCreate>(r#"{"version":"v1","minimum_instances":9999999999999999999}"#), @"The field 'minimum_instances' must be a whole number within range, but got the number 9999999999999999999");
        assert_snapshot!(told::<DeploymentVersionCreate>(r#"{"version":"v1","static_ip":"True"}"#), @"The field 'static_ip' must be true or false, but got the string 'True'");
        assert_snapshot!(told::<DeploymentVersionCreate>(r#"{"version":"v1","scaling_strategy":"wild"}"#), @"The field 'scaling_strategy' must be one of default, moderate, but got 'wild'");
        assert_snapshot!(told::<DeploymentVersionCreate>(r#"{"version":null}"#), @"version is required: the name of the version");
        assert_snapshot!(told::<DeploymentCreate>(r#"{"name":"a","input_fields":[{"name":"x","data_type":"date"}]}"#), @"The field 'input_fields[0].data_type' must be one of int, string, double, bool, dict, file, blob, array_int, array_double, array_string, array_file, but got 'date'");
        assert_snapshot!(told::<DeploymentCreate>(r#"{"name":"a","input_fields":{}}"#), @"The field 'input_fields' must be a list, but got an object");
    }

    #[test]
    fn deep_bodies_are_refused() {
        let body = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(told::<ProjectCreate>(&body).contains("nested deeper"));
    }

    async fn taken(body: &'static [u8]) -> Result<bool> {
        let request = Request::builder().body(Body::from(body)).unwrap();
        OptionalJson::<LogsCreate>::from_request(request, &()).await.map(|body| body.0.is_some())
    }

    #[tokio::test]
    async fn an_empty_body_is_none_where_that_is_fine() {
        assert!(!taken(b"").await.unwrap());
        assert!(!taken(b" \n").await.unwrap());
        assert!(taken(b"{}").await.unwrap());
        assert!(taken(b"{").await.is_err());
    }

    #[tokio::test]
    async fn large_bodies_are_refused_with_and_without_their_length() {
        let sized = Request::builder().header("content-length", "11").body(Body::empty()).unwrap();
        assert!(matches!(read(sized, 10).await, Err(Refusal(Error::TooLarge))));
        let unsized_one = Request::builder().body(Body::from("01234567890")).unwrap();
        assert!(matches!(read(unsized_one, 10).await, Err(Refusal(Error::TooLarge))));
        let fits = Request::builder().body(Body::from("0123456789")).unwrap();
        assert_eq!(read(fits, 10).await.unwrap().len(), 10);
    }
}
