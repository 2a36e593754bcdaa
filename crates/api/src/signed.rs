//! The bytes of files, sent and fetched by signed addresses. Whoever has one needs no token, and it pins no header.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::TryStreamExt;
use http_body_util::BodyExt;
use modelyard_control::files::{About, Opened};
use modelyard_types::{Error, Timestamp};

use crate::App;
use crate::drain;
use crate::error::{Refusal, Result, add_rate_headers, invalid, stopping};

mod conditions;

use conditions::Asked;

/// The longest content type that is kept.
const MAX_TYPE: usize = 255;

/// The addresses of files.
pub(crate) fn beside() -> Router<App> {
    Router::new().route("/files/{ticket}", get(read).put(write)).layer(DefaultBodyLimit::disable())
}

/// Sends a file, or the range of it that is asked for.
async fn read(State(app): State<App>, Path(ticket): Path<String>, headers: HeaderMap) -> Response {
    with_rates(try_read(&app, &ticket, &headers).await)
}

/// Takes a file or a part of one.
async fn write(State(app): State<App>, Path(ticket): Path<String>, request: Request) -> Response {
    with_rates(try_write(&app, &ticket, drain::guarded(request)).await)
}

fn with_rates(answer: Result<Response>) -> Response {
    let mut answer = answer.into_response();
    add_rate_headers(answer.headers_mut());
    answer
}

async fn try_read(app: &App, ticket: &str, headers: &HeaderMap) -> Result<Response> {
    let files = app.control().files();
    let opened = files.fetch(&files.check(ticket)?).await?;
    let name = opened.file.name.clone();
    answer(opened, &name, headers).await
}

/// Sends a file under a name, or the range of it that is asked for.
pub(crate) async fn answer(opened: Opened, name: &str, headers: &HeaderMap) -> Result<Response> {
    let (etag, size) = (quoted(&opened.file.etag), opened.size());
    let mut answer = match conditions::asked(headers, &etag, size) {
        Asked::Whole => sent(opened, name, 0..size).await?,
        Asked::Part(range) => {
            let mut answer = sent(opened, name, range.clone()).await?;
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            let content_range = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            answer.headers_mut().insert(CONTENT_RANGE, text(&content_range));
            answer
        }
        Asked::Same => StatusCode::NOT_MODIFIED.into_response(),
        Asked::Beyond => {
            let mut answer = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            answer.headers_mut().insert(CONTENT_RANGE, text(&format!("bytes */{size}")));
            answer
        }
    };
    answer.headers_mut().insert(ETAG, text(&etag));
    answer.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    Ok(answer)
}

/// The bytes of a range, with what there is to say of them.
async fn sent(opened: Opened, name: &str, range: std::ops::Range<u64>) -> Result<Response> {
    let file = &opened.file;
    let kind = file.content_type.clone().unwrap_or_else(|| usual_type(name));
    let last = name.rsplit('/').next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, text(&kind));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    headers.insert(CONTENT_DISPOSITION, text(&disposition(last)));
    headers.insert(LAST_MODIFIED, text(&http_date(file.created_at)));
    // What users upload is nothing that our own address should run.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    let bytes = opened.read(range).await?.map_err(|cause| {
        tracing::error!(%cause, "a file could not be sent to its end");
        cause
    });
    Ok((headers, Body::from_stream(bytes)).into_response())
}

fn usual_type(name: &str) -> String {
    mime_guess::from_path(name).first_or_octet_stream().to_string()
}

/// To be saved under its name. Old clients read `filename` alone, up to the first blank or quote.
fn disposition(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' }).collect();
    if plain == name {
        return format!("attachment; filename=\"{plain}\"");
    }
    let encoded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

fn http_date(time: Timestamp) -> String {
    let micros = u64::try_from(time.0).unwrap_or(0);
    let time: SystemTime = UNIX_EPOCH + std::time::Duration::from_micros(micros);
    httpdate::fmt_http_date(time)
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

async fn try_write(app: &App, ticket: &str, request: Request) -> Result<Response> {
    if app.control().is_stopping() {
        return Err(stopping().into());
    }
    let files = app.control().files();
    let grant = files.check(ticket)?;
    files.expect(&grant).await?;
    let content_type = content_type(request.headers())?;
    let mut body = request.into_body();
    if body.size_hint().lower() > grant.limit {
        return Err(Error::TooLarge.into());
    }
    let mut staging = files.stage(grant.limit);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|cause| invalid(format!("The file was not received to its end: {cause}")))?;
        if let Ok(bytes) = frame.into_data() {
            staging.write(bytes).await?;
        }
    }
    let about = About { content_type, ..About::default() };
    let etag = files.receive(&grant, staging.finish().await?, about).await?;
    Ok((StatusCode::OK, [(ETAG, text(&quoted(&etag)))]).into_response())
}

/// What the sender says it sends.
fn content_type(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Ok(None) };
    match kind.to_str() {
        Ok(kind) if kind.len() <= MAX_TYPE => Ok(Some(kind.to_owned()).filter(|kind| !kind.is_empty())),
        _ => Err(invalid(format!("The Content-Type must be plain text of at most {MAX_TYPE} characters"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_to_clients_of_all_ages() {
        assert_eq!(disposition("a-b_1.txt"), "attachment; filename=\"a-b_1.txt\"");
        assert_eq!(disposition("a \"ü\""), "attachment; filename=\"a____\"; filename*=UTF-8''a%20%22%C3%BC%22");
    }

    #[test]
    fn times_are_those_of_http() {
        assert_eq!(http_date(Timestamp(784_111_777_000_000)), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
