//! Forms of answers beside plain JSON.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::json::Json;

/// 201: what was made.
pub struct Created<T>(pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut answer = Json(self.0).into_response();
        if answer.status() == StatusCode::OK {
            *answer.status_mut() = StatusCode::CREATED;
        }
        answer
    }
}

/// 204: done, and nothing to say.
pub struct Done;

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}
