//! The walls around user code.

use axum::extract::State;
use modelyard_types::walls::WallsDetail;
use utoipa_axum::routes;

use crate::App;
use crate::access::SignedIn;
use crate::json::Json;
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(walls_get), walls_get);
}

/// Tell which walls stand around user code on this server.
#[utoipa::path(get, path = "/walls", tag = "Service", responses((status = 200, body = WallsDetail)))]
async fn walls_get(State(app): State<App>, _signed_in: SignedIn) -> Json<WallsDetail> {
    Json(app.control().walls().clone())
}
