//! The service itself: its status, and what stands beside the operations.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use modelyard_types::Error;
use modelyard_types::service::Status;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::App;
use crate::access::Public;
use crate::error::{Refusal, Result, stopping};
use crate::json::Json;
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(service_status), service_status);
}

/// Tell that the service works.
#[utoipa::path(get, path = "/status", tag = "Service", responses((status = 200, body = Status)))]
async fn service_status(State(_app): State<App>, _public: Public) -> Json<Status> {
    Json(Status { status: "ok" })
}

/// Addresses that are no operations: the document, its pages, and what watches the server.
pub(crate) fn beside(operations: &Operations) -> Router<App> {
    let document = crate::document::of(operations);
    // Our own types always serialize.
    let document = Bytes::from(serde_json::to_vec(&document).unwrap_or_default());
    let figures = operations.figures();
    let metrics = move |State(app): State<App>| async move {
        let text = (app.settings().render_metrics)() + &crate::metrics::render(&figures);
        ([(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"))], text)
    };
    Router::new()
        .route("/openapi.json", get(|| async { json_text(document) }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .merge(SwaggerUi::new("/docs").config(Config::from("/openapi.json")))
}

fn json_text(text: Bytes) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

/// Ready is who knows the present rights and reaches the database.
async fn readyz(State(app): State<App>) -> Result<Response> {
    let control = app.control();
    if control.is_stopping() {
        return Err(Refusal(stopping()));
    }
    if !control.catalogue().is_fresh() {
        return Err(Refusal(Error::Unavailable("The catalogue is not fresh".into())));
    }
    let answered = modelyard_store::catalogue::number(control.store()).await;
    answered.map_err(|_| Error::Unavailable("The database does not answer".into()))?;
    Ok((StatusCode::OK, "ok\n").into_response())
}
